import { afterEach, describe, expect, test } from "vitest";
import { raw } from "../../../test/support/raw.ts";
import { memory } from "../../drivers/memory.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import { PromptRegistry } from "../../registry.ts";
import { digestHeader } from "../handler/coding.ts";
import { COMMON } from "../protocol/openapi.ts";
import { problem } from "../protocol/schemas.ts";
import type { Access, Handler, Principal, ReadyAnswer, RequestEvent } from "../types.ts";
import { type ListenOptions, listen, type RunningServer } from "./server.ts";

const admin: Principal = { id: "token:admin", name: "ada", grants: [{ right: "admin", prefix: "" }] };
const reader: Principal = { id: "token:reader", name: "rea", grants: [{ right: "read", prefix: "" }] };

const access: Access = {
  async authenticate({ authorization }) {
    if (authorization === "Bearer admin") return admin;
    if (authorization === "Bearer reader") return reader;
    throw new RegistryError("UNAUTHENTICATED", "no token");
  },
  remembered: () => reader,
  allows: (principal, right) => principal.grants.some((g) => g.right === "admin" || g.right === right),
};

const open: RunningServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.stop(200)));
});

interface Stub {
  readonly reply?: (request: Request) => Response | Promise<Response>;
  readonly ready?: (target: string) => ReadyAnswer | undefined;
}

interface Given {
  readonly access: Access;
  readonly observe: (event: RequestEvent) => void;
}

async function start(stub: Stub = {}, options: Partial<ListenOptions> = {}) {
  const registry = new PromptRegistry(memory());
  const lines: string[] = [];
  const seen: Request[] = [];
  const create = (given: Given): Handler => {
    const tell = (method: string, status: number, requestId = "") =>
      given.observe({ requestId, route: "GET /stub", method, status, principal: reader });
    return Object.assign(
      async (request: Request, info: { readonly requestId?: string } = {}) => {
        seen.push(request);
        const response = (await stub.reply?.(request)) ?? new Response("hello", { headers: { "content-length": "5" } });
        tell(request.method, response.status, info.requestId);
        return response;
      },
      {
        ready(_: string, target: string) {
          given.access.remembered?.({ authorization: undefined, address: undefined });
          return stub.ready?.(target);
        },
      },
    );
  };
  const server = await listen(registry, create, {
    access,
    port: 0,
    log: (text) => lines.push(...text.split("\n").filter((line) => line !== "")),
    ...options,
  });
  open.push(server);
  return { server, lines, seen, records: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

const get = (path: string, port: number, more = "") =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${more}Connection: close\r\n\r\n`;

describe("answers", () => {
  test("the handler's, with secure headers and an id", async () => {
    const { server, seen } = await start();
    const reply = await fetch(`${server.url}/v1/x?a=1`);
    expect(await reply.text()).toBe("hello");
    expect(reply.headers.get("x-content-type-options")).toBe("nosniff");
    expect(reply.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(reply.headers.get("x-request-id")).toMatch(/^[A-Za-z0-9-]{8,}$/);
    expect(reply.headers.get("strict-transport-security")).toBeNull();
    expect(seen[0]?.url).toBe("http://localhost/v1/x?a=1");
  });

  test("ready ones, without a request being made of them", async () => {
    const body = new TextEncoder().encode("ready");
    const headers = ["etag", '"x"', "content-length", "5"];
    const ready = (target: string) => (target === "/r" ? { status: 200, headers, body } : undefined);
    const { server, seen, records } = await start({ ready });
    const reply = await fetch(`${server.url}/r`);
    expect([await reply.text(), reply.headers.get("etag")]).toEqual(["ready", '"x"']);
    expect(reply.headers.get("referrer-policy")).toBe("no-referrer");
    const head = await fetch(`${server.url}/r`, { method: "HEAD" });
    expect([head.headers.get("content-length"), await head.text()]).toEqual(["5", ""]);
    expect(seen).toEqual([]);
    await server.stop();
    expect(records().filter((r) => r.msg === "request")).toMatchObject([
      { route: "GET /v1/prompts/{name}/-/versions/{version}", status: 200, principal: "token:reader" },
      { method: "HEAD" },
    ]);
  });

  test("a body larger than the answer's buffer, to a client that is slow to take it", async () => {
    const big = new Uint8Array(4 * 2 ** 20).fill(65);
    const { server } = await start({ reply: () => new Response(new Blob([big]).stream()) });
    const got = await raw(server.port, get("/big", server.port), 5000);
    expect(got.length).toBeGreaterThan(big.length);
  });

  test("a request's signal ends with its client", async () => {
    let aborted: (value: boolean) => void = () => {};
    const gone = new Promise<boolean>((resolve) => {
      aborted = resolve;
    });
    const reply = (request: Request) =>
      new Promise<Response>((resolve) => {
        request.signal.addEventListener("abort", () => {
          aborted(true);
          resolve(new Response("late"));
        });
      });
    const { server, records } = await start({ reply });
    const controller = new AbortController();
    const call = fetch(`${server.url}/slow`, { signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await expect(call).rejects.toThrow();
    expect(await gone).toBe(true);
    await server.stop();
    expect(records()).toContainEqual(expect.objectContaining({ msg: "request", status: 499, aborted: true }));
  });

  test("an event stream, which a stop ends as a whole one", async () => {
    const reply = () =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode("data: 1\n\n"));
          },
        }),
        { headers: { "content-type": "text/event-stream" } },
      );
    const { server } = await start({ reply });
    const stream = await fetch(`${server.url}/events`);
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("data: 1\n\n");
    expect(await server.stop(5000)).toBe(0);
    expect((await reader.read()).done).toBe(true);
  });
});

describe("requests that are turned away", () => {
  test("hosts that this server is not called by", async () => {
    const { server, seen } = await start();
    for (const host of ["evil.example", `evil.example:${server.port}`, "127.0.0.1", `127.0.0.1.evil:${server.port}`]) {
      const got = await raw(server.port, `GET /v1 HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      expect(got).toMatch(/^HTTP\/1\.1 403 /);
    }
    for (const host of [`localhost:${server.port}`, `LOCALHOST:${server.port}`, `[::1]:${server.port}`]) {
      const got = await raw(server.port, `GET /v1 HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      expect(got).toMatch(/^HTTP\/1\.1 200 /);
    }
    expect(seen).toHaveLength(3);
  });

  test("large bodies: before they are read where their length is told, while they are read where not", async () => {
    let read = 0;
    const reply = async (request: Request) => {
      try {
        read += (await request.arrayBuffer()).byteLength;
        return new Response("took it");
      } catch (error) {
        return new Response(String(error), { status: isRegistryError(error, "INVALID") ? 400 : 500 });
      }
    };
    const { server } = await start({ reply }, { limits: { bodyBytes: 1000, documentBytes: 500 } });
    const text = { "content-type": "text/markdown" };
    const json = { "content-type": "application/json" };
    const put = (size: number, headers: Record<string, string> = json) =>
      fetch(`${server.url}/x`, { method: "PUT", body: "x".repeat(size), headers }).then((r) => r.status);
    expect(await put(1000)).toBe(200);
    expect(await put(1001)).toBe(413);
    expect(await put(500, text)).toBe(200);
    expect(await put(501, text)).toBe(413);
    expect(read).toBe(1500);
    const chunks = "400\r\n".concat("x".repeat(0x400), "\r\n").repeat(3).concat("0\r\n\r\n");
    const head = `PUT /x HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`;
    expect(await raw(server.port, head + chunks)).toMatch(/^HTTP\/1\.1 413 [\s\S]*application\/problem\+json/);
    expect(read).toBe(1500);
  });

  test("what there are too many of, with a time to come back", async () => {
    const waiting: (() => void)[] = [];
    const reply = () => new Promise<Response>((resolve) => waiting.push(() => resolve(new Response("done"))));
    const { server } = await start({ reply }, { limits: { concurrency: 2, queue: 1, queueWait: 5000 } });
    const calls = [1, 2, 3].map(() => fetch(`${server.url}/w`));
    while (waiting.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    let refused: Response;
    // The third may still be on its way to the queue.
    do refused = await fetch(`${server.url}/w`, { signal: AbortSignal.timeout(3000) });
    while (refused.status !== 503);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    const told = Buffer.from(await refused.arrayBuffer());
    expect(JSON.parse(told.toString())).toMatchObject({ code: "UNAVAILABLE", outcome: "temporary" });
    expect(refused.headers.get("content-digest")).toBe(digestHeader(told));
    // One that lives says so also under load.
    const alive = await fetch(`${server.url}/healthz`);
    expect([alive.status, alive.headers.get("content-digest")]).toEqual([200, digestHeader(Buffer.from("ok\n"))]);
    while (waiting.length < 3) {
      waiting[0]?.();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    for (const finish of waiting) finish();
    expect((await Promise.all(calls)).map((r) => r.status)).toEqual([200, 200, 200]);
  });

  test("small requests that there are too many of, on a connection that goes on", async () => {
    const waiting: (() => void)[] = [];
    const reply = () => new Promise<Response>((resolve) => waiting.push(() => resolve(new Response("done"))));
    const { server } = await start({ reply }, { limits: { concurrency: 1, queue: 0 } });
    const call = fetch(`${server.url}/w`);
    while (waiting.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
    const put = (size: number, more = "") =>
      `PUT /x HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nContent-Length: ${size}\r\n${more}\r\n${"x".repeat(size)}`;
    const twice = await raw(server.port, put(1000) + put(0) + put(1000, "Connection: close\r\n"));
    expect(twice.match(/HTTP\/1\.1 503 /g)).toHaveLength(3);
    // The rest of a large one is not waited for.
    const large = await raw(server.port, put(100_000) + put(10));
    expect(large).toMatch(/connection: close/i);
    expect(large.match(/HTTP\/1\.1 503 /g)).toHaveLength(1);
    waiting[0]?.();
    expect((await call).status).toBe(200);
  });

  test("answers that take too long, and handlers that throw", async () => {
    const reply = (request: Request) => {
      if (request.url.endsWith("/throw")) throw new Error("canary");
      return new Promise<Response>((resolve) => {
        request.signal.addEventListener("abort", () => resolve(new Response(null, { status: 504 })));
      });
    };
    const { server } = await start({ reply }, { limits: { answerTimeout: 50 } });
    expect((await fetch(`${server.url}/slow`)).status).toBe(504);
    const thrown = await fetch(`${server.url}/throw`);
    expect(thrown.status).toBe(500);
    expect(await thrown.text()).not.toContain("canary");
  });

  test("headers larger than 16 KiB", async () => {
    const { server } = await start();
    const got = await raw(server.port, get("/v1", server.port, `X-Big: ${"x".repeat(20_000)}\r\n`));
    expect(got).toMatch(/^HTTP\/1\.1 431 /);
    expect(JSON.parse(got.slice(got.indexOf("{")))).toMatchObject({ status: 431, code: "INVALID", outcome: "final" });
  });

  test.each([
    ["a control in a header", (port: number) => get("/v1", port, "Authorization: Bearer a\u007fb\r\n"), 400],
    [
      "a request that ends before its headers do",
      (port: number) => `GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`,
      408,
    ],
    ["a tunnel", (port: number) => `CONNECT a:22 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`, 501],
  ])("what never becomes a request is refused with a problem of the document: %s", async (_, sent, status) => {
    const { server } = await start({}, { limits: { headersTimeout: 300, requestTimeout: 300 } });
    const got = await raw(server.port, sent(server.port), 5000);
    expect(got).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    const [head = "", body = ""] = got.split("\r\n\r\n");
    expect(head).toMatch(/content-type: application\/problem\+json/i);
    expect(/content-digest: (\S+)/i.exec(head as string)?.[1]).toBe(digestHeader(Buffer.from(body as string)));
    expect(head).toContain(`Content-Length: ${Buffer.byteLength(body)}`);
    expect(problem.parse(JSON.parse(body))).toMatchObject({ status, outcome: status === 408 ? "temporary" : "final" });
    expect(Object.hasOwn(COMMON, status)).toBe(true);
  });

  test("TRACE is told what the path takes", async () => {
    const { server } = await start();
    const got = await raw(server.port, `TRACE /v1/prompts HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`);
    expect(got).toMatch(/^HTTP\/1\.1 405 /);
    expect(got).toMatch(/\r\nallow: GET, HEAD\r\n/i);
    const odd = await raw(server.port, `TRACE /nowhere HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`);
    expect(odd).toMatch(/^HTTP\/1\.1 404 /);
  });
});

describe("what it says about itself", () => {
  test("alive and ready, and figures to admins only", async () => {
    const { server } = await start();
    await (await fetch(`${server.url}/v1/x`)).text();
    expect(await (await fetch(`${server.url}/healthz`)).text()).toBe("ok\n");
    expect(await (await fetch(`${server.url}/readyz`)).text()).toBe("ready\n");
    const metrics = (token?: string) =>
      fetch(`${server.url}/metrics`, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
    expect((await metrics()).status).toBe(401);
    expect((await metrics("reader")).status).toBe(403);
    const text = await (await metrics("admin")).text();
    expect(text).toContain('prompt_registry_http_requests_total{route="GET /stub",method="GET",status="200"} 1');
    expect(text).toMatch(/prompt_registry_http_request_duration_seconds_bucket\{route="GET \/stub",le="\+Inf"\} 1/);
    expect(text).toContain("prompt_registry_ready 1");
    for (const line of text.trim().split("\n"))
      expect(line).toMatch(/^(?:# (?:HELP|TYPE) \S+ .+|[a-z0-9_]+(?:\{[^}]*\}|\{.*\})? [-+.\deE]+)$/);
  });

  test("figures on a port of their own", async () => {
    const { server } = await start({}, { metricsPort: 0 });
    expect(await (await fetch(server.metricsUrl as string)).text()).toContain("process_resident_memory_bytes");
    expect((await fetch(new URL("/v1", server.metricsUrl))).status).toBe(404);
    const port = Number(new URL(server.metricsUrl as string).port);
    const called = (host: string, path = "/metrics") =>
      raw(port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`])
      expect(await called(host)).toMatch(/^HTTP\/1\.1 200 /);
    // Names that somebody's DNS lets point here.
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1:1"]) {
      const told = await called(host);
      expect(told).toMatch(/^HTTP\/1\.1 403 /);
      expect(told).not.toContain("process_resident");
      expect(await called(host, "/healthz")).toMatch(/^HTTP\/1\.1 200 /);
    }
    const named = await start({}, { metricsPort: 0, allowedHosts: ["figures.example"] });
    const { metricsUrl } = named.server;
    const get = (host: string) =>
      raw(
        Number(new URL(metricsUrl as string).port),
        `GET /metrics HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      );
    expect(await get("figures.example")).toMatch(/^HTTP\/1\.1 200 /);
    expect(await get("evil.example")).toMatch(/^HTTP\/1\.1 403 /);
  });

  test("not ready while it drains, and no request that was accepted is lost", async () => {
    const waiting: (() => void)[] = [];
    const reply = () => new Promise<Response>((resolve) => waiting.push(() => resolve(new Response("done"))));
    const { server } = await start({ reply });
    const calls = [1, 2, 3].map(() => fetch(`${server.url}/w`));
    while (waiting.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    const stopped = server.stop(5000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const finish of waiting) finish();
    const replies = await Promise.all(calls);
    expect(replies.map((r) => [r.status, r.headers.get("connection")])).toEqual([1, 2, 3].map(() => [200, "close"]));
    expect(await stopped).toBe(0);
    await expect(fetch(server.url)).rejects.toThrow();
  });

  test("a stop cuts off what does not end, and says so", async () => {
    const { server } = await start({ reply: () => new Promise<Response>(() => {}) });
    const call = fetch(`${server.url}/w`).catch(() => "cut");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await server.stop(100)).toBe(1);
    expect(await call).toBe("cut");
  });
});

test("a principal has so many requests a second, the anonymous one as many as there are", async () => {
  const { server } = await start({}, { limits: { principalRate: { rate: 1, burst: 3 } } });
  const statuses: number[] = [];
  // The stub asks no access, so metrics does.
  for (let i = 0; i < 5; i++) {
    const reply = await fetch(`${server.url}/v1/x`);
    await reply.text();
    statuses.push(reply.status);
  }
  expect(statuses).toEqual([200, 200, 200, 200, 200]);
  const reply = await fetch(`${server.url}/metrics`, { headers: { authorization: "Bearer reader" } });
  expect([reply.status, ((await reply.json()) as { code: string }).code]).toEqual([429, "RATE_LIMITED"]);
});

test("an address that others reach needs access that lets nobody unknown write", async () => {
  const anybody: Access = { ...access, authenticate: async () => admin };
  await expect(start({}, { host: "0.0.0.0", access: anybody })).rejects.toMatchObject({ code: "CONFIG" });
  const reading: Access = { ...access, authenticate: async () => reader };
  const { server } = await start({}, { host: "0.0.0.0", access: reading });
  expect((await fetch(`http://127.0.0.1:${server.port}/v1`)).status).toBe(200);
});

test("a port that is taken is told in one line", async () => {
  const { server } = await start();
  await expect(start({}, { port: server.port })).rejects.toThrow(
    /is taken by another program; choose another with --port$/,
  );
});
