import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { raw } from "../support/raw.ts";
import { createProgram, type Program, type ServerProcess, statuses } from "./server-process.ts";

let program: Program;
let server: ServerProcess;
let token: string;

beforeAll(async () => {
  program = await createProgram();
  const made = program.run(["token", "create", "ada", "--scope", "admin", "--storage", "sqlite:./registry.db"]);
  token = made.out.trim();
  // As it is by default, but sooner.
  const limits = { headersTimeout: "3s" };
  writeFileSync(join(program.folder, "prompt-registry.config.json"), JSON.stringify({ server: { limits } }));
  server = await program.start(["--storage", "sqlite:./registry.db", "--port", "0", "--metrics-port", "0"]);
});
afterAll(() => program?.dispose());

const headers = () => ({ authorization: `Bearer ${token}` });

function put(path: string, text: string, more: Record<string, string> = {}): Promise<Response> {
  return fetch(server.url + path, {
    method: "PUT",
    body: text,
    headers: { ...headers(), "content-type": "text/markdown", "if-none-match": "*", ...more },
  });
}

describe("requests that two parsers could read in two ways", () => {
  let run = 0;
  const host = () => `Host: 127.0.0.1:${server.port}\r\n`;
  const auth = () => `Authorization: Bearer ${token}\r\n`;
  const smuggled = () =>
    `PUT /v1/prompts/smuggled-${run}/-/versions/1.0.0 HTTP/1.1\r\n${host()}${auth()}If-None-Match: *\r\nContent-Type: text/markdown\r\nContent-Length: 2\r\n\r\nhi`;
  const post = (lines: string, body: string) =>
    `POST /v1/reads HTTP/1.1\r\n${host()}${auth()}Content-Type: application/json\r\n${lines}\r\n${body}`;

  const corpus: Readonly<Record<string, () => string>> = {
    "content-length and chunked": () =>
      post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", `0\r\n\r\n${smuggled()}`),
    "chunked and content-length": () =>
      post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", `0\r\n\r\n${smuggled()}`),
    "two content-lengths that differ": () => post("Content-Length: 2\r\nContent-Length: 200\r\n", `{}${smuggled()}`),
    "two content-lengths that agree": () => post("Content-Length: 2\r\nContent-Length: 2\r\n", `{}${smuggled()}`),
    "a list of content-lengths": () => post("Content-Length: 2, 2\r\n", `{}${smuggled()}`),
    "content-length with a sign": () => post("Content-Length: +2\r\n", `{}${smuggled()}`),
    "content-length in hex": () => post("Content-Length: 0x2\r\n", `{}${smuggled()}`),
    "a coding before chunked": () => post("Transfer-Encoding: gzip, chunked\r\n", `0\r\n\r\n${smuggled()}`),
    "a coding that nobody knows": () => post("Transfer-Encoding: xchunked\r\n", `0\r\n\r\n${smuggled()}`),
    "chunked, not last": () => post("Transfer-Encoding: chunked, identity\r\n", `0\r\n\r\n${smuggled()}`),
    "two transfer-encodings": () =>
      post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", `0\r\n\r\n${smuggled()}`),
    "space before the colon": () => post("Transfer-Encoding : chunked\r\n", `0\r\n\r\n${smuggled()}`),
    "a folded header": () => post("Transfer-Encoding:\r\n chunked\r\n", `0\r\n\r\n${smuggled()}`),
    "a chunk size that is none": () => post("Transfer-Encoding: chunked\r\n", `0x2\r\n{}\r\n0\r\n\r\n${smuggled()}`),
    "a chunk size beyond all bounds": () =>
      post("Transfer-Encoding: chunked\r\n", `fffffffffffffffff\r\n{}\r\n0\r\n\r\n${smuggled()}`),
    "bare line feeds": () => `GET /v1 HTTP/1.1\n${host().trim()}\n${auth().trim()}\n\n${smuggled()}`,
    "bare carriage returns": () => `GET /v1 HTTP/1.1\r${host().trim()}\r\r${smuggled()}`,
    "NUL in the target": () => `GET /v1\0 HTTP/1.1\r\n${host()}${auth()}\r\n`,
    "NUL in a header": () => `GET /v1 HTTP/1.1\r\n${host()}X-A: a\0b\r\n\r\n`,
    "an absolute target": () => `GET http://evil.example/v1 HTTP/1.1\r\n${host()}${auth()}\r\n`,
    "an absolute target of this host": () => `GET ${server.url}/v1 HTTP/1.1\r\n${host()}${auth()}\r\n`,
    "a target without a slash": () => `GET v1 HTTP/1.1\r\n${host()}${auth()}\r\n`,
    "a target of two slashes": () => `GET //evil.example/v1 HTTP/1.1\r\n${host()}${auth()}\r\n`,
    "a star": () => `OPTIONS * HTTP/1.1\r\n${host()}\r\n`,
    "a tunnel": () => `CONNECT 127.0.0.1:22 HTTP/1.1\r\n${host()}\r\n`,
    "an upgrade's method": () => `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`,
    "a method that nobody knows": () => `TRACE /v1 HTTP/1.1\r\n${host()}\r\n`,
    "no host": () => `GET /v1 HTTP/1.1\r\n${auth()}\r\n`,
    "two hosts": () => `GET /v1 HTTP/1.1\r\n${host()}Host: evil.example\r\n${auth()}\r\n`,
    "another host": () => `GET /v1 HTTP/1.1\r\nHost: evil.example\r\n${auth()}\r\n`,
    "two authorizations": () => `GET /v1 HTTP/1.1\r\n${host()}${auth()}Authorization: Bearer x\r\n\r\n`,
    "HTTP/0.9": () => "GET /v1\r\n\r\n",
    "a version that is none": () => `GET /v1 HTTP/9.9\r\n${host()}\r\n`,
    "%2f in a name": () => `GET /v1/prompts/a%2fb HTTP/1.1\r\n${host()}${auth()}\r\n`,
    "%252f in a name": () => `GET /v1/prompts/a%252fb HTTP/1.1\r\n${host()}${auth()}\r\n`,
    "%00 in a name": () => `GET /v1/prompts/a%00 HTTP/1.1\r\n${host()}${auth()}\r\n`,
    "dot segments": () => `GET /v1/prompts/a/../../v1 HTTP/1.1\r\n${host()}${auth()}\r\n`,
    "encoded dot segments": () => `GET /v1/prompts/a/%2e%2e/b HTTP/1.1\r\n${host()}${auth()}\r\n`,
    backslashes: () => `GET /v1\\prompts HTTP/1.1\r\n${host()}${auth()}\r\n`,
    "a fragment": () => `GET /v1#x HTTP/1.1\r\n${host()}${auth()}\r\n`,
    "bytes above ASCII": () => `GET /v1/\u00e9 HTTP/1.1\r\n${host()}${auth()}\r\n`,
    "an overlong spelling of a slash": () => `GET /v1/prompts/a%c0%afb HTTP/1.1\r\n${host()}${auth()}\r\n`,
    "a target of 9,000 characters": () => `GET /v1?x=${"a".repeat(9000)} HTTP/1.1\r\n${host()}${auth()}\r\n`,
    "20 KB of headers": () => `GET /v1 HTTP/1.1\r\n${host()}X-A: ${"a".repeat(20_000)}\r\n\r\n`,
    garbage: () => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  };

  test.each(Object.keys(corpus))("%s: refused, and nothing behind it is carried out", async (name) => {
    run++;
    const reply = await raw(server.port, Buffer.from((corpus[name] as () => string)(), "latin1"), 1000);
    for (const status of statuses(reply)) expect(status).toBeGreaterThanOrEqual(400);
    expect(statuses(reply).length).toBeLessThanOrEqual(1);
    const found = await fetch(`${server.url}/v1/prompts/smuggled-${run}/-/versions`, { headers: headers() });
    expect(await found.text()).not.toContain("1.0.0");
  });

  test("pipelined requests are answered one by one, in order", async () => {
    const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\n${host()}${auth()}${more}\r\n`;
    const reply = await raw(server.port, get("/healthz") + get("/nowhere") + get("/healthz", "Connection: close\r\n"));
    expect(statuses(reply)).toEqual([200, 404, 200]);
  });
});

test("bodies larger than they may be are refused, and fill no memory", async () => {
  const before = server.rss();
  const big = await put("/v1/prompts/big/-/versions/1.0.0", "x".repeat(2 * 2 ** 20));
  expect(big.status).toBe(413);
  // Nobody without a token makes the server read anything.
  const sent = await Promise.all(
    Array.from({ length: 20 }, () =>
      put("/v1/prompts/big/-/versions/1.0.0", "x".repeat(2 ** 20), { authorization: "Bearer wrong" }).then(
        (r) => r.status,
        () => 0,
      ),
    ),
  );
  for (const status of sent) expect([0, 401, 429]).toContain(status);
  expect(server.rss() - before).toBeLessThan(150 * 2 ** 20);
});

const hasProc = existsSync("/proc/self/status");

test.runIf(hasProc)(
  "1,000 clients that send a byte now and then: the others are served, and memory stays",
  async () => {
    const ok = await put("/v1/prompts/slow/-/versions/1.0.0", "hello");
    expect(ok.status).toBe(201);
    const before = server.rss();
    const sockets: Socket[] = [];
    for (let i = 0; i < 1000; i++) {
      const socket = connect(server.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(`GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nX-Slow: `);
      sockets.push(socket);
      if (i % 100 === 99) await sleep(10);
    }
    const drip = setInterval(() => {
      for (const socket of sockets) if (!socket.destroyed) socket.write("a");
    }, 500);
    try {
      for (let i = 0; i < 30; i++) {
        const reply = await fetch(`${server.url}/v1/prompts/slow/-/versions/1.0.0`, { headers: headers() });
        expect(reply.status).toBe(200);
        await reply.text();
        await sleep(20);
      }
      expect(server.rss() - before).toBeLessThan(100 * 2 ** 20);
      // They are thrown out: 3 s for the headers, looked at every 750 ms.
      const end = Date.now() + 40_000;
      while (sockets.some((socket) => !socket.destroyed) && Date.now() < end) await sleep(100);
      expect(sockets.filter((socket) => !socket.destroyed).length).toBe(0);
    } finally {
      clearInterval(drip);
      for (const socket of sockets) socket.destroy();
    }
  },
);

test.runIf(hasProc)("a token is in no log, no answer, no figure and no list of processes", async () => {
  const secret = token.slice(-30);
  const answers = [
    await fetch(`${server.url}/v1/prompts/a/-/versions/0.0.1`, { headers: headers() }),
    await fetch(`${server.url}/v1/prompts?limit=x&token=${token}`, { headers: headers() }),
    await fetch(`${server.url}/${token}`, { headers: headers() }),
    await fetch(`${server.url}/v1/prompts`, { headers: { authorization: `Bearer ${token}x` } }),
    await put(`/v1/prompts/${"a/".repeat(9)}b/-/versions/1.0.0`, `here it is: ${token}`),
    await put("/v1/prompts/a/-/versions/1.0.0", `---\n[${token}\n---\n`),
    await fetch(server.metricsUrl),
  ];
  for (const answer of answers.slice(2)) expect(await answer.text()).not.toContain(secret);
  await sleep(200);
  expect(server.stderr).not.toContain(secret);
  expect(server.stderr).toContain('"msg":"request"');
  expect(readFileSync(`/proc/${server.pid}/cmdline`, "utf8")).not.toContain(secret);
});
