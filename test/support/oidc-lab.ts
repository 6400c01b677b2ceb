// An issuer's own server, and what tests of tokens say in the same words.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll } from "vitest";

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) server.close().closeAllConnections();
});

export async function listen(answer: Answer): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export const AUDIENCE = "https://prompts.example";
export const refused = { code: "UNAUTHENTICATED" };
export const bearer = (token: string) => ({ authorization: `Bearer ${token}`, address: "192.0.2.1" });
