import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { router } from "../../../src/testing/github/http.ts";
import type { GitHubExchange } from "../../../src/testing/github/index.ts";
import { description, validateExchange } from "./validate.ts";

export interface Recorder {
  /** Stands for the server behind it. */
  readonly url: string;
  readonly exchanges: readonly GitHubExchange[];
  /** What the description does not allow, `METHOD /route: what`, each once. */
  readonly problems: readonly string[];
  close(): Promise<void>;
}

/** The route of a request by the official description; `unknown` for one that it does not have. */
export const routeOf = (() => {
  const handle = () => Promise.reject(new Error("only for matching"));
  const routes = Object.entries(description.paths).flatMap(([template, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), template, handle })),
  );
  const find = router(routes);
  return (method: string, path: string) => {
    if (path === "/graphql") return { route: path, params: {} };
    const found = find(method === "HEAD" ? "GET" : method, path);
    return { route: found?.route.template ?? "unknown", params: found?.params ?? {} };
  };
})();

/** Passes everything on to a server and checks each request and reply against GitHub's published description. */
export async function recordGitHub(target: string): Promise<Recorder> {
  const exchanges: GitHubExchange[] = [];
  const problems = new Set<string>();
  const server = createServer(async (request, response) => {
    try {
      const body = await bodyOf(request);
      const method = request.method ?? "GET";
      const url = new URL(request.url ?? "/", target);
      const { host: _, connection: __, "content-length": ___, ...headers } = request.headers;
      const reply = await fetch(url, {
        method,
        redirect: "manual",
        headers: headers as Record<string, string>,
        ...(body.length === 0 ? {} : { body: new Uint8Array(body) }),
      });
      const bytes = Buffer.from(await reply.arrayBuffer());
      const type = reply.headers.get("content-type") ?? "";
      const { route, params } = routeOf(method, url.pathname);
      const isJson = /json/.test(type) && !/raw/.test(type) && bytes.length > 0;
      const exchange: GitHubExchange = {
        method,
        route,
        params,
        query: Object.fromEntries(url.searchParams),
        requestBody: parse(body),
        status: reply.status,
        replyType: isJson ? "application/json" : type,
        replyBody: isJson ? parse(bytes) : undefined,
      };
      exchanges.push(exchange);
      for (const problem of validateExchange(exchange)) problems.add(`${method} ${route}: ${problem}`);
      const sent = Object.fromEntries([...reply.headers].filter(([name]) => !HOP.has(name)));
      response.writeHead(reply.status, { ...sent, "content-length": String(bytes.length) }).end(bytes);
    } catch {
      response.destroy();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    exchanges,
    get problems() {
      return [...problems].sort();
    },
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Of one connection, or no longer true when fetch has unpacked the body. */
const HOP = new Set(["connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"]);

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function parse(body: Buffer): unknown {
  try {
    return body.length === 0 ? undefined : JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}
