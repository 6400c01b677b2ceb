import { createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Client } from "./client.ts";

const PROBLEM = '{"code":"INVALID"}';
const TOO_LARGE = [
  "HTTP/1.1 413 Content Too Large",
  "Content-Type: application/problem+json",
  `Content-Length: ${PROBLEM.length}`,
  "Connection: close",
  "",
  PROBLEM,
].join("\r\n");
const LARGE = "x".repeat(4 * 2 ** 20);

const opened: { server: Server; client: Client }[] = [];
afterEach(() => {
  for (const { server, client } of opened.splice(0)) {
    client.close();
    server.close();
  }
});

interface Arrival {
  readonly socket: Socket;
  /** From 0, by connection. */
  readonly connection: number;
  /** Bytes of the body so far. */
  body(): number;
}

/** A server by hand: told once of the head of each request, and of every piece of a body. */
async function world(onHead: (one: Arrival) => void, onBody: (one: Arrival) => void): Promise<Client> {
  let connections = 0;
  const server = createServer((socket) => {
    const connection = connections++;
    let body: number | undefined;
    const one = { socket, connection, body: () => body ?? 0 };
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      if (body !== undefined) body += chunk.length;
      else {
        body = chunk.length - (chunk.indexOf("\r\n\r\n") + 4);
        onHead(one);
      }
      if (body > 0) onBody(one);
    });
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { readonly port: number };
  const client = new Client(`http://127.0.0.1:${port}`, { timeout: 10_000, seen: () => {} });
  opened.push({ server, client });
  return client;
}

describe("a large body", () => {
  it("is not begun before a server that refuses it by its length could say so, and hang up", async () => {
    let seen = -1;
    const client = await world(
      (one) =>
        setTimeout(() => {
          seen = one.body();
          one.socket.write(TOO_LARGE, () => one.socket.destroy());
        }, 50),
      () => {},
    );
    const answer = await client.send("POST", "/v1/reads", { body: LARGE });
    expect([answer.status, answer.text, seen]).toEqual([413, PROBLEM, 0]);
  });

  it("gets its answer where the first connection broke under it", async () => {
    const client = await world(
      (one) => {
        if (one.connection > 0) setTimeout(() => one.socket.end(TOO_LARGE), 1000);
      },
      ({ socket }) => socket.resetAndDestroy(),
    );
    expect((await client.send("POST", "/v1/reads", { body: LARGE })).status).toBe(413);
  });

  it("is sent whole to a server that takes it, and a connection that always breaks is an error", async () => {
    const taking = await world(
      () => {},
      (one) => {
        if (one.body() === LARGE.length) one.socket.end(TOO_LARGE.replace("413", "200"));
      },
    );
    expect((await taking.send("PUT", "/", { body: LARGE })).status).toBe(200);
    const breaking = await world(
      ({ socket }) => setTimeout(() => socket.resetAndDestroy(), 20),
      () => {},
    );
    await expect(breaking.send("PUT", "/", { body: LARGE })).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
});
