import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { raw } from "../../../test/support/raw.ts";
import { memory } from "../../drivers/memory.ts";
import { PromptRegistry } from "../../registry.ts";
import type { Access, Handler, Principal } from "../types.ts";
import { type ListenOptions, listen, type RunningServer } from "./server.ts";

const anyone: Principal = { id: "token:any", name: "any", grants: [] };
const access: Access = { authenticate: async () => anyone, remembered: () => anyone, allows: () => true };

const open: RunningServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.stop(200)));
});

async function start(reply: (request: Request) => Promise<Response>, options: Partial<ListenOptions> = {}) {
  const handler: Handler = Object.assign(reply, { ready: () => undefined });
  const server = await listen(new PromptRegistry(memory()), () => handler, { access, port: 0, log() {}, ...options });
  open.push(server);
  const put = (body: string, more = "") =>
    `PUT /x HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;
  return { server, put };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const statuses = (got: string) => [...got.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status);

describe("what is broken behind a request on its connection", () => {
  const chunked = "Transfer-Encoding: chunked\r\n";
  test.each([
    ["bytes that are no request", "\u0001\u0002\r\n\r\n", "400"],
    ["a tunnel", "CONNECT a:22 HTTP/1.1\r\nHost: a\r\n\r\n", "501"],
    ["a request that never ends", "GET /y HTTP/1.1\r\nHost: ", "408"],
    ["a request whose body is broken", `PUT /y HTTP/1.1\r\nHost: HOST\r\n${chunked}\r\nzz\r\n`, "400"],
  ])("%s: is told after that one's answer, and not as it", async (_, broken, status) => {
    let stored = 0;
    const { server, put } = await start(
      async (request) => {
        await request.text();
        await pause(500);
        stored++;
        return new Response("stored");
      },
      { limits: { headersTimeout: 250, requestTimeout: 250 } },
    );
    const got = await raw(server.port, put("one") + broken.replace("HOST", `127.0.0.1:${server.port}`), 8000);
    expect([statuses(got), stored]).toEqual([["200", status], 1]);
    expect(got).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\n[\s\S]*stored[\s\S]*HTTP/);
  });

  test("is not told in the middle of an answer that has begun", async () => {
    const reply = async () => {
      const pieces = ["one ", "two ", "three"].map((text) => new TextEncoder().encode(text));
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          const piece = pieces.shift();
          if (piece === undefined) return controller.close();
          controller.enqueue(piece);
          await pause(200);
        },
      });
      return new Response(body);
    };
    const { server } = await start(reply);
    const ask = `GET /x HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`;
    const got = await raw(server.port, `${ask}\u0001\r\n\r\n`, 8000);
    const [first = "", second = ""] = got.split("\r\n0\r\n\r\n");
    expect(first).toMatch(/one [\s\S]*two [\s\S]*three$/);
    expect(first).not.toContain("400 ");
    expect(second).toMatch(/^HTTP\/1\.1 400 /);
  });

  test("is told once, however much of it comes", async () => {
    const { server, put } = await start(async () => {
      await pause(300);
      return new Response("stored");
    });
    const got = await raw(server.port, put("") + "\u0001\r\n".repeat(100_000), 8000);
    expect(statuses(got)).toEqual(["200", "400"]);
  });
});

describe("a request that was told that it came too late", () => {
  test.each([
    ["in its body", 3],
    ["in its headers", -60],
  ])("is not carried out when its rest comes after all: %s", async (_, sent) => {
    const stored: string[] = [];
    const { server, put } = await start(
      async (request) => {
        stored.push(await request.text());
        return new Response("stored");
      },
      { limits: { headersTimeout: 250, requestTimeout: 250 } },
    );
    const whole = put("the whole of it");
    const head = whole.indexOf("\r\n\r\n") + 4;
    const socket = connect(server.port, "127.0.0.1");
    socket.write(whole.slice(0, head + sent));
    const [told] = (await once(socket, "data")) as [Buffer];
    expect(told.toString("latin1")).toMatch(/^HTTP\/1\.1 408 [\s\S]*"outcome":"temporary"/);
    socket.write(whole.slice(head + sent));
    await once(socket, "close");
    expect(stored).toEqual([]);
  });
});

describe("the budget of bodies", () => {
  test("gets back what was held for requests whose body nobody read", async () => {
    const reply = async (request: Request) => {
      if (request.url.endsWith("/x")) throw new Error("before it was read");
      return new Response(String((await request.text()).length));
    };
    const { server, put } = await start(reply, { limits: { bodiesBytes: 10_000, bodyBytes: 5000 } });
    for (let i = 0; i < 5; i++) {
      const got = await raw(server.port, put("x".repeat(4000)) + put("x".repeat(4000), "Connection: close\r\n"));
      expect(statuses(got)).toEqual(["500", "500"]);
    }
    const read = await fetch(`${server.url}/y`, { method: "PUT", body: "x".repeat(4000) });
    expect([read.status, await read.text()]).toEqual([200, "4000"]);
  });
});
