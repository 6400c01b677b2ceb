import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { memory } from "../../drivers/memory.ts";
import { RegistryError } from "../../errors.ts";
import { PromptRegistry } from "../../registry.ts";
import type { Access, AuditEntry, Handler, Principal, RequestEvent } from "../types.ts";
import { type ListenOptions, listen, type RunningServer } from "./server.ts";

const reader: Principal = { id: "token:reader", name: "rea", grants: [{ right: "read", prefix: "" }] };
const access: Access = {
  async authenticate({ authorization }) {
    if (authorization === "Bearer reader") return reader;
    throw new RegistryError("UNAUTHENTICATED", "no token");
  },
  allows: (principal, right) => principal.grants.some((g) => g.right === right),
};

const running: RunningServer[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(running.splice(0).map((server) => server.stop(100)));
});

type Reply = (request: Request) => Response | Promise<Response>;

async function start(reply: Reply, options: Partial<ListenOptions> = {}) {
  const lines: string[] = [];
  let observe: (event: RequestEvent) => void = () => {};
  const server = await listen(
    new PromptRegistry(memory()),
    (given): Handler => {
      observe = given.observe;
      return Object.assign(async (request: Request) => reply(request), { ready: () => undefined });
    },
    { access, port: 0, log: (text) => lines.push(...text.trimEnd().split("\n")), ...options },
  );
  running.push(server);
  const records = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return { server, observe: (event: RequestEvent) => observe(event), lines, records };
}

/** A connection on which bytes were sent as they are, and what came back. */
function open(port: number, bytes: string) {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  const said = { text: "", closed: false };
  socket.on("data", (chunk) => {
    said.text += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    said.closed = true;
  });
  socket.write(bytes);
  return { socket, said };
}

async function until(holds: () => boolean): Promise<boolean> {
  for (let i = 0; i < 1000 && !holds(); i++) await sleep(5);
  return holds();
}

const ask = async (port: number, head: string) => {
  const { said } = open(port, head);
  await until(() => said.closed || said.text.includes("\r\n\r\n"));
  return said.text;
};

/** Reads the body as the handler does: after it was found out who asks. */
const taking: Reply = async (request) => {
  await sleep(1);
  const text = await request.text().then(
    ({ length }) => `took ${length}`,
    () => undefined,
  );
  return text === undefined
    ? new Response(null, { status: 503 })
    : new Response(text, { headers: { "content-length": String(text.length) } });
};

describe("bodies", () => {
  test("that do not come keep nobody else waiting, and those that do come are answered", async () => {
    const { server } = await start(taking, { limits: { concurrency: 2, queue: 1, queueWait: 100 } });
    const head = (token: string) =>
      `POST /v1/reads HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAuthorization: Bearer ${token}\r\nContent-Length: 10\r\n\r\n{`;
    const slow: ReturnType<typeof open>[] = [];
    for (let i = 0; i < 6; i++) {
      slow.push(open(server.port, head(`caller-${i % 3}`)));
      // Longer than one is taken for one that comes at once; else those that wait are turned away on a busy machine.
      await sleep(100);
    }
    // So many are as many as one caller may have.
    expect(await ask(server.port, head("caller-0"))).toMatch(/^HTTP\/1\.1 503 /);
    for (let i = 0; i < 3; i++) {
      const reply = await fetch(`${server.url}/v1/prompts`);
      expect([reply.status, await reply.text()]).toEqual([200, "took 0"]);
    }
    for (const { socket, said } of slow.slice(0, 4)) {
      socket.write("123456789");
      await until(() => said.text.endsWith("took 10"));
      expect(said).toMatchObject({ text: expect.stringMatching(/took 10$/) });
    }
  });

  test("of one caller take no more than their share of the memory", async () => {
    const limits = { bodyBytes: 1000, bodiesBytes: 4000 };
    const { server } = await start(taking, { limits });
    const send = (token: string) =>
      open(
        server.port,
        `POST /v1/reads HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAuthorization: Bearer ${token}\r\nContent-Length: 800\r\n\r\n${"x".repeat(700)}`,
      );
    const held = [send("one")];
    await sleep(50);
    const more = send("one");
    expect(await until(() => more.said.text.startsWith("HTTP/1.1 503"))).toBe(true);
    const other = send("two");
    await sleep(50);
    expect(other.said.text).toBe("");
    for (const { socket, said } of [...held, other]) {
      socket.write("y".repeat(100));
      expect(await until(() => said.text.endsWith("took 800"))).toBe(true);
    }
  });

  test("of a GET are refused, and what stands in them is never read as a request", async () => {
    const { server } = await start(taking);
    const host = `Host: 127.0.0.1:${server.port}`;
    for (const [method, more] of [
      ["GET", "Content-Length: 5\r\n\r\nhello"],
      ["HEAD", "Content-Length: 5\r\n\r\nhello"],
      ["GET", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ]) {
      expect(await ask(server.port, `${method} /v1/prompts HTTP/1.1\r\n${host}\r\n${more}`)).toMatch(
        /^HTTP\/1\.1 400 /,
      );
    }
    const none = await ask(server.port, `GET /v1/prompts HTTP/1.1\r\n${host}\r\nContent-Length: 0\r\n\r\n`);
    expect(none).toMatch(/^HTTP\/1\.1 200 /);
  });
});

test("a Host that is none is a mistake of the client, also where any is answered", async () => {
  const { server } = await start(taking, { host: "0.0.0.0" });
  for (const host of ["[", "a b", "x:99999", "a/../b", "%zz", "user@x", "", "a,b", "x:", "[::1", "a:b:c"]) {
    expect([host, (await ask(server.port, `GET /v1 HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).slice(0, 13)]).toEqual([
      host,
      "HTTP/1.1 400 ",
    ]);
  }
  // A URL parser takes none of the first two.
  for (const host of ["1.2.3.4.5", "999.1.1.1", "registry_1.example:8443", "[::1]:80", "10.0.0.1"]) {
    expect(await ask(server.port, `GET /v1 HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 200 /);
  }
});

describe("answers that nobody reads", () => {
  const big = "x".repeat(6 * 2 ** 20);
  const sending: Reply = () => new Response(big, { headers: { "content-length": String(big.length) } });

  async function unread(server: RunningServer, count: number, token: string) {
    for (let i = 0; i < count; i++) {
      const bytes = `GET /v1/big HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAuthorization: Bearer ${token}\r\n\r\n`;
      open(server.port, bytes).socket.pause();
    }
    await sleep(150);
  }

  test("are counted, take no place in the queue, and end", async () => {
    const limits = { concurrency: 2, queue: 1, writeTimeout: 400, repliesBytes: 4 * 7 * 2 ** 20 };
    const { server } = await start(sending, { limits });
    const fetchBig = (token: string) =>
      fetch(`${server.url}/v1/big`, { headers: { authorization: `Bearer ${token}` } });
    await unread(server, 3, "one");
    const refused = await fetchBig("one");
    expect([refused.status, await refused.json()]).toEqual([503, expect.objectContaining({ outcome: "temporary" })]);
    const other = await fetchBig("two");
    expect([other.status, (await other.text()).length]).toEqual([200, big.length]);
    let later: Response;
    do later = await fetchBig("one");
    while (later.status === 503 && (await sleep(100, later.text(), {})) !== undefined);
    expect([later.status, (await later.text()).length]).toEqual([200, big.length]);
  });
});

describe("work that does not end", () => {
  test("is cut off in the middle of its answer, too", async () => {
    const body = () =>
      new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new TextEncoder().encode("half"));
        },
      });
    const { server } = await start(() => new Response(body()), { limits: { answerTimeout: 100 } });
    const reply = await fetch(server.url, { signal: AbortSignal.timeout(5000) });
    await expect(reply.text()).rejects.toThrow("terminated");
  });

  test("is answered in time and gives up its place; a change may have been made", async () => {
    const { server, records } = await start(() => new Promise<Response>(() => {}), {
      limits: { answerTimeout: 50, concurrency: 1, queue: 1 },
    });
    for (const [method, path, outcome] of [
      ["GET", "/v1/prompts", "temporary"],
      ["POST", "/v1/reads", "temporary"],
      ["POST", "/v1/commits", "unknown"],
      ["DELETE", "/v1/prompts/a", "unknown"],
    ] as const) {
      const reply = await fetch(server.url + path, { method, signal: AbortSignal.timeout(5000) });
      expect([path, reply.status, await reply.json()]).toEqual([
        path,
        504,
        expect.objectContaining({ code: "TIMEOUT", outcome }),
      ]);
    }
    await server.stop();
    expect(records()).toContainEqual(expect.objectContaining({ msg: "request", code: "TIMEOUT", status: 504 }));
  });
});

describe("the log", () => {
  test("says why the server could not do something, without what is secret", async () => {
    const cause = new TypeError("connect to postgres://ada:hunter2@db/x?password=hunter3 failed", {
      cause: new Error("Bearer prg_abcdefghijklmnop"),
    });
    const error = new RegistryError("CONFIG", "the bucket policy says no", { cause });
    let observe: (event: RequestEvent) => void = () => {};
    const reply: Reply = (request) => {
      const requestId = request.headers.get("x-request-id") as string;
      const status = requestId === "request-1" ? 500 : 404;
      const code = status === 500 ? "CONFIG" : "NOT_FOUND";
      observe({ requestId, route: "GET /x", method: "GET", status, code, error });
      return new Response(null, { status });
    };
    const started = await start(reply);
    observe = started.observe;
    for (const id of ["request-1", "request-2"])
      await fetch(`${started.server.url}/x`, { headers: { "x-request-id": id } });
    await started.server.stop();
    const told = started.records().filter(({ msg }) => msg === "request");
    expect(told[0]).toMatchObject({ requestId: "request-1", code: "CONFIG" });
    expect(told[0]?.reason).toMatch(
      /^CONFIG: the bucket policy says no <- TypeError: connect to postgres:.*failed \(hostile\.test\.ts:\d+:\d+\) <- Error: /,
    );
    expect(told[1]).not.toHaveProperty("reason");
    expect(started.lines.join("\n")).not.toMatch(/hunter|prg_/);
  });

  test("warns once of a proxy on this machine that is not trusted", async () => {
    const { server, records } = await start(taking);
    for (let i = 0; i < 3; i++)
      await (await fetch(`${server.url}/v1`, { headers: { "x-forwarded-for": "10.0.0.1" } })).text();
    await server.stop();
    const warnings = records().filter(({ level }) => level === "warn");
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.msg).toContain("trustedProxies");
  });

  test("does not warn of a proxy that is", async () => {
    const { server, records } = await start(taking, { trustedProxies: ["127.0.0.1"] });
    await (await fetch(`${server.url}/v1`, { headers: { "x-forwarded-for": "10.0.0.1" } })).text();
    await server.stop();
    expect(records().filter(({ level }) => level === "warn")).toEqual([]);
  });
});

test("who may not see the figures is in the audit log, however often they ask", async () => {
  const entries: AuditEntry[] = [];
  const audit = {
    async ready() {},
    async append(entry: AuditEntry) {
      entries.push(entry);
    },
    async close() {},
  };
  const { server } = await start(taking, { audit });
  for (let i = 0; i < 20; i++) expect((await fetch(`${server.url}/metrics`)).status).toBe(401);
  const reply = await fetch(`${server.url}/metrics`, { headers: { authorization: "Bearer reader" } });
  expect(reply.status).toBe(403);
  const denied = { action: "metrics.get", outcome: "denied", address: "127.0.0.1" };
  expect(entries[0]).toMatchObject({ ...denied, code: "UNAUTHENTICATED" });
  expect(entries.at(-1)).toMatchObject({ ...denied, who: "token:reader", name: "rea", code: "FORBIDDEN" });
  expect(entries.length).toBeLessThan(10);
});
