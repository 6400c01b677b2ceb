import { existsSync } from "node:fs";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { skipSuite } from "../support/skip.ts";
import { type Call, call, createProgram, type Program } from "./server-process.ts";

const MINUTES = Number(process.env.PROMPT_REGISTRY_SOAK_MINUTES ?? 0.5);
/** Milliseconds between two requests of a client. In a short run other tests need the processor, too. */
const PAUSE = MINUTES >= 10 ? 0 : 10;

let program: Program;
beforeAll(async () => {
  program = await createProgram();
});
afterAll(() => program?.dispose());

if (!existsSync("/proc/self/status")) skipSuite("a server that runs for long", "/proc tells of memory and descriptors");
else {
  test(`a server that runs for ${MINUTES} minutes grows neither in memory nor in descriptors`, {
    timeout: MINUTES * 60_000 + 120_000,
  }, async () => {
    const server = await program.start(["--storage", "sqlite:./soak.db", "--open", "--port", "0", "--log", "errors"]);
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    const end = Date.now() + MINUTES * 60_000;
    const markdown = { "content-type": "text/markdown", "if-none-match": "*" };
    const path = (i: number) => `/v1/prompts/soak/p${i % 20}/-`;
    for (let i = 0; i < 20; i++) {
      await call(server, agent, { method: "PUT", path: `${path(i)}/versions/1.0.0`, body: "one", headers: markdown });
      await call(server, agent, { method: "PUT", path: `${path(i)}/versions/2.0.0`, body: "two", headers: markdown });
    }
    const counts = new Map<number, number>();
    const calls: ((i: number) => Call)[] = [
      (i) => ({ path: `${path(i)}/versions/1.0.0` }),
      (i) => ({ path: `${path(i)}/versions/2.0.0`, headers: { "accept-encoding": "gzip" } }),
      (i) => ({ path: `${path(i)}/latest` }),
      (i) => ({ path: `${path(i)}/versions` }),
      () => ({ path: "/v1/prompts?include=heads&limit=20" }),
      (i) => ({ path: `${path(i)}/versions/9.9.9` }),
      (i) => ({ path: `/v1/prompts/absent/p${i % 500}/-/latest` }),
      (i) => ({ method: "PUT", path: `${path(i)}/versions/1.0.0`, body: "one", headers: markdown }),
      (i) => ({ method: "PUT", path: `${path(i)}/versions/1.0.0`, body: "other", headers: markdown }),
      (i) => ({ path: `${path(i)}/labels/none` }),
      () => ({ path: "/v1?x=%2f" }),
      () => ({ path: "/readyz" }),
    ];
    let i = 0;
    const working = Array.from({ length: 8 }, async () => {
      while (Date.now() < end) {
        const one = calls[i % calls.length] as (i: number) => Call;
        const { status } = await call(server, agent, one(i++));
        counts.set(status, (counts.get(status) ?? 0) + 1);
        if (PAUSE > 0) await sleep(PAUSE);
      }
    });
    // Streams come and go, and some clients go without a word.
    const leaving = (async () => {
      while (Date.now() < end) {
        const stream = request(`${server.url}/v1/changes`, { headers: { accept: "text/event-stream" } }, (reply) => {
          reply.on("error", () => {});
          setTimeout(() => stream.destroy(), 20);
        });
        stream.on("error", () => {});
        stream.end();
        await sleep(60);
      }
    })();
    const samples: { readonly at: number; readonly rss: number; readonly descriptors: number }[] = [];
    const warm = Date.now() + Math.min(MINUTES * 20_000, 120_000);
    while (Date.now() < end) {
      await sleep(500);
      if (Date.now() > warm) samples.push({ at: Date.now(), rss: server.rss(), descriptors: server.descriptors() });
    }
    await Promise.all([...working, leaving]);
    agent.destroy();
    // What is under way comes and goes; what is kept is there at every time.
    const descriptors = tenths(samples).map((part) => Math.min(...part.map((s) => s.descriptors)));
    const told = JSON.stringify({
      counts: [...counts],
      growth: slope(samples),
      samples: samples.length,
      rss: tenths(samples).map((part) => Math.round((part[0]?.rss ?? 0) / 2 ** 20)),
      descriptors,
      mostDescriptors: Math.max(...samples.map((s) => s.descriptors)),
    });
    if (process.env.DEBUG) process.stderr.write(`${told}\n`);
    for (const status of counts.keys()) expect([200, 304, 400, 404, 409], told).toContain(status);
    expect(Math.max(...descriptors) - Math.min(...descriptors), told).toBeLessThan(10);
    expect(Math.max(...samples.map((s) => s.descriptors)), told).toBeLessThan((descriptors[0] ?? 0) + 100);
    // What a heap does in some seconds says little; what it does in half an hour says all.
    if (MINUTES >= 10) expect(slope(samples), told).toBeLessThan(2 ** 20);
    else expect(Math.max(...samples.map((s) => s.rss)) - (samples[0]?.rss ?? 0), told).toBeLessThan(80 * 2 ** 20);
    expect(await server.stop()).toBe(0);
  });
}

function tenths<T>(samples: readonly T[]): T[][] {
  const size = Math.ceil(samples.length / 10);
  return Array.from({ length: Math.ceil(samples.length / size) }, (_, i) => samples.slice(i * size, (i + 1) * size));
}

/** Bytes an hour, by least squares through the lowest of each tenth: a heap that was just collected shows what it keeps. */
function slope(samples: readonly { readonly at: number; readonly rss: number }[]): number {
  const lows = tenths(samples).map((part) => part.reduce((low, s) => (s.rss < low.rss ? s : low)));
  const x = lows.map((s) => s.at / 3_600_000);
  const y = lows.map((s) => s.rss);
  const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const [mx, my] = [mean(x), mean(y)];
  const spread = x.reduce((sum, v) => sum + (v - mx) ** 2, 0);
  return spread === 0 ? 0 : x.reduce((sum, v, i) => sum + (v - mx) * ((y[i] as number) - my), 0) / spread;
}
