import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Handler } from "../../src/server/types.ts";

export interface TestServer {
  readonly url: string;
  readonly server: Server;
  close(): Promise<void>;
}

/** The thinnest host of a handler: what a real one adds (limits, times, logs) is not what is tested with this. */
export async function serveHandler(handler: Handler): Promise<TestServer> {
  const server = createServer(async (incoming, outgoing) => {
    const target = incoming.url ?? "/";
    const ready = handler.ready(incoming.method ?? "GET", target, incoming.headers, { target });
    if (ready !== undefined) {
      outgoing.writeHead(ready.status, ready.headers as string[]);
      outgoing.end(ready.body);
      return;
    }
    const chunks: Buffer[] = [];
    const gone = new AbortController();
    outgoing.on("close", () => gone.abort());
    try {
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const headers = new Headers();
    for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
      headers.append(incoming.rawHeaders[i] as string, incoming.rawHeaders[i + 1] as string);
    }
    const method = incoming.method ?? "GET";
    const hasBody = method !== "GET" && method !== "HEAD";
    const url = new URL(target.startsWith("/") ? `http://127.0.0.1${target}` : target);
    const request = new Request(url, {
      method,
      headers,
      signal: gone.signal,
      ...(hasBody ? { body: Buffer.concat(chunks) } : {}),
    });
    const response = await handler(request, { target });
    outgoing.writeHead(response.status, [...response.headers].flat());
    try {
      for await (const chunk of response.body ?? []) outgoing.write(chunk);
    } catch {
      // Whoever asked is gone.
    }
    outgoing.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
