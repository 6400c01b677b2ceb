import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { raw } from "../../../test/support/raw.ts";
import { skipSuite } from "../../../test/support/skip.ts";
import { memory } from "../../drivers/memory.ts";
import { PromptRegistry } from "../../registry.ts";
import { openAccess } from "../index.ts";
import type { Handler, ReadyAnswer } from "../types.ts";
import { type ListenOptions, listen, type RunningServer } from "./server.ts";

const open: RunningServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.stop(100)));
});

const folder = mkdtempSync(join(tmpdir(), "ready-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `undefined` where there is nothing to make one with. */
function certificate(): { readonly cert: string; readonly key: string } | undefined {
  const out = ["-keyout", "key.pem", "-out", "cert.pem"];
  const made = spawnSync(
    "openssl",
    ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=test", ...out],
    { cwd: folder },
  );
  return made.status === 0 ? { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") } : undefined;
}

/** A server of one answer, which lies ready. */
async function start(answer: ReadyAnswer, options: Partial<ListenOptions> = {}): Promise<RunningServer> {
  const handler: Handler = Object.assign(async () => new Response("not ready"), { ready: () => answer });
  const access = openAccess();
  const server = await listen(new PromptRegistry(memory()), () => handler, { access, port: 0, ...options });
  open.push(server);
  return server;
}

function answerOf(body: Buffer): ReadyAnswer {
  return { status: 200, headers: ["Content-Type", "text/markdown", "Content-Length", String(body.length)], body };
}

const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const BODIES: readonly (readonly [string, Buffer])[] = [
  ["nothing", Buffer.alloc(0)],
  ["every byte there is", every],
  ["text of several bytes a character", Buffer.from("grüße, 世界, 🎉\r\n\r\n")],
  ["a part of a larger buffer", Buffer.concat([every, every, every]).subarray(100, 300)],
  ...[12_287, 12_288, 12_289, 16_384, 100_000].map((n) => [`${n} bytes`, Buffer.alloc(n, every)] as const),
];

describe("what lies ready", () => {
  test.each(BODIES)("%s: arrives as it is, also behind others, and never with a HEAD", async (_, body) => {
    const server = await start(answerOf(body));
    const ask = (method: string, more = "") => `${method} / HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n${more}\r\n`;
    const got = await raw(server.port, ask("GET") + ask("HEAD") + ask("GET") + ask("GET", "Connection: close\r\n"));
    const text = body.toString("latin1");
    const parts: string[] = [];
    let rest = got;
    for (const has of [true, false, true, true]) {
      const end = rest.indexOf("\r\n\r\n") + 4;
      parts.push(rest.slice(end, end + (has ? body.length : 0)));
      expect(rest.slice(0, end)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      rest = rest.slice(end + (has ? body.length : 0));
    }
    expect([parts[0] === text, parts[1], parts[2] === text, parts[3] === text, rest]).toEqual([
      ...[true, "", true, true, ""],
    ]);
  });

  test("without a length it is framed all the same", async () => {
    const server = await start({ status: 200, headers: ["ETag", '"a"'], body: Buffer.from("a text") });
    for (let i = 0; i < 2; i++) expect(await (await fetch(server.url)).text()).toBe("a text");
  });

  test("304 has no body", async () => {
    const server = await start({ status: 304, headers: ["ETag", '"a"'], body: undefined });
    const got = await raw(server.port, `GET / HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: close\r\n\r\n`);
    expect(got).toMatch(/^HTTP\/1\.1 304 Not Modified\r\n[\s\S]*\r\n\r\n$/);
  });
});

describe("a client that reads slowly", () => {
  const limits = { writeTimeout: 400 };
  const big = answerOf(Buffer.alloc(16 * 2 ** 20, "x"));

  test("is cut off when it takes nothing, however much it goes on asking", async () => {
    const server = await start(answerOf(Buffer.alloc(2000, "x")), { limits });
    const socket = connect(server.port, "127.0.0.1");
    socket.on("error", () => {});
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.pause();
    const one = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`;
    socket.write(one.repeat(20_000));
    const connections = async () => {
      const reply = await fetch(`${server.url}/metrics`, { headers: { connection: "close" } });
      return Number(/prompt_registry_http_connections (\d+)/.exec(await reply.text())?.[1]);
    };
    // Only the one that asks is left.
    let left = 0;
    for (let i = 0; i < 50 && left !== 1; i++) {
      await sleep(100);
      left = await connections();
    }
    expect(left).toBe(1);
    socket.destroy();
    await closed;
  });

  const secure = certificate();
  if (secure === undefined) skipSuite("slow readers over TLS", "openssl is not installed");
  const kinds = ["HTTP", ...(secure === undefined ? [] : ["TLS"])];

  test.each(kinds)("is waited for while it takes something: %s", async (kind) => {
    // A kernel takes megabytes at a time, and says no sooner that there is room.
    const size = 40 * 2 ** 20;
    const server = await start(answerOf(Buffer.alloc(size, "x")), {
      limits: { writeTimeout: 1000 },
      ...(kind === "TLS" && secure !== undefined ? { tls: secure } : {}),
    });
    const options = { port: server.port, host: "127.0.0.1" };
    const socket = kind === "TLS" ? connectTls({ ...options, rejectUnauthorized: false }) : connect(options);
    socket.on("error", () => {});
    socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: close\r\n\r\n`);
    let length = 0;
    let taken = 0;
    const ended = new Promise((resolve) => socket.once("close", resolve));
    socket.on("data", (chunk) => {
      length += chunk.length;
      taken += chunk.length;
      if (taken > 2 * 2 ** 20) socket.pause();
    });
    const began = performance.now();
    while (!socket.destroyed && length < size) {
      await sleep(150);
      taken = 0;
      socket.resume();
    }
    await ended;
    expect(length).toBeGreaterThan(size);
    expect(performance.now() - began).toBeGreaterThan(2000);
  });

  test("may be quiet afterwards for longer than that", async () => {
    const server = await start(big, { limits });
    const socket = connect(server.port, "127.0.0.1");
    const ask = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`;
    let length = 0;
    socket.on("data", (chunk) => {
      length += chunk.length;
    });
    socket.pause();
    socket.write(ask);
    await sleep(250);
    socket.resume();
    while (length < 16 * 2 ** 20) await sleep(10);
    await sleep(1200);
    const before = length;
    socket.write(ask);
    await sleep(300);
    expect(length).toBeGreaterThan(before);
    socket.destroy();
  });
});
