import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type FaultProxy, faultProxy, type HttpFault } from "./http-proxy.ts";

let proxy: FaultProxy;
/** What reached the server behind the proxy. */
const reached: string[] = [];
const server = createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  reached.push(`${request.method} ${request.url} ${request.headers.host} ${body}`);
  if (request.url === "/same") return response.writeHead(304, { etag: '"1"' }).end();
  response.writeHead(200, { "content-type": "text/plain", "x-two": ["a", "b"] }).end(`got ${body}`);
});

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  proxy = await faultProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterAll(async () => {
  await proxy.close();
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  proxy.reset();
  reached.length = 0;
});

const post = (path = "/p") => fetch(`${proxy.url}${path}`, { method: "POST", body: "hello" });
const fail = (fault: HttpFault) => proxy.faultWhen(({ index }) => (index === 0 ? fault : undefined));

test("passes requests and replies on, with the host that was asked", async () => {
  const reply = await post("/a%20b?c=%2F");
  expect([reply.status, await reply.text(), reply.headers.get("x-two")]).toEqual([200, "got hello", "a, b"]);
  expect(reached).toEqual([`POST /a%20b?c=%2F ${new URL(proxy.url).host} hello`]);
  expect(proxy.requests.map(({ index, method, url, body }) => [index, method, url, String(body)])).toEqual([
    [0, "POST", "/a%20b?c=%2F", "hello"],
  ]);
  expect((await fetch(`${proxy.url}/same`)).status).toBe(304);
  expect((await fetch(`${proxy.url}/head`, { method: "HEAD" })).status).toBe(200);
});

test("drops a request before the server is asked", async () => {
  fail({ kind: "drop-before" });
  await expect(post()).rejects.toThrow();
  expect(reached).toEqual([]);
  expect(await (await post()).text()).toBe("got hello");
});

test("drops the reply of a request that was carried out", async () => {
  fail({ kind: "drop-after" });
  await expect(post()).rejects.toThrow();
  expect(reached).toHaveLength(1);
});

test("answers in the server's place, or over its reply", async () => {
  fail({ kind: "reply", status: 503, headers: { "retry-after": "1" }, body: "slow down" });
  const before = await post();
  expect([before.status, before.headers.get("retry-after"), await before.text()]).toEqual([503, "1", "slow down"]);
  expect(reached).toEqual([]);
  proxy.reset();
  fail({ kind: "reply-after", status: 500 });
  const after = await post();
  expect([after.status, await after.text()]).toEqual([500, ""]);
  expect(reached).toHaveLength(1);
});

test("cuts a body, which a client can tell from a whole one", async () => {
  fail({ kind: "cut", bytes: 4 });
  const reply = await post();
  expect(reply.headers.get("content-length")).toBe("9");
  await expect(reply.text()).rejects.toThrow();
  proxy.reset();
  fail({ kind: "cut", bytes: 0 });
  const empty = await post();
  expect(empty.status).toBe(200);
  await expect(empty.text()).rejects.toThrow();
});

test("changes one byte of a body, and nothing else of it", async () => {
  fail({ kind: "corrupt" });
  const text = await (await post()).text();
  expect(text).not.toBe("got hello");
  expect([...text].filter((c, i) => c !== "got hello"[i])).toHaveLength(1);
});

test("waits before it passes a request on", async () => {
  fail({ kind: "delay", ms: 60 });
  const pending = post();
  expect(await Promise.race([pending, new Promise((resolve) => setTimeout(resolve, 5, "waiting"))])).toBe("waiting");
  expect((await pending).status).toBe(200);
});

test("a server that is gone is a lost connection", async () => {
  const alone = await faultProxy("http://127.0.0.1:9");
  await expect(fetch(alone.url)).rejects.toThrow();
  expect(alone.requests).toHaveLength(1);
  await alone.close();
});

test("counts from 0 after a reset", async () => {
  await post();
  await post();
  proxy.reset();
  await post();
  expect(proxy.requests.map((request) => request.index)).toEqual([0]);
});
