import { describe, expect, it } from "vitest";
import { httpWorld } from "../../../test/support/http-world.ts";
import type { Provenance, ReadAnswer } from "../../driver.ts";
import { memory } from "../../drivers/memory.ts";
import { PromptRegistry } from "../../registry.ts";
import { openAccess } from "../handler.ts";
import { Watcher } from "./feed.ts";
import { DOCUMENT_MAX_AGE, ReadyAnswers } from "./ready.ts";

const EXACT = "/v1/prompts/a/-/versions/1.0.0";
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function world(provenance?: Provenance) {
  const driver = memory();
  await new PromptRegistry(driver).storePrompt({ name: "a", version: "1.0.0", text: "t" });
  if (provenance !== undefined) {
    const { read } = driver;
    driver.peek = () => undefined;
    driver.read = async (asks, op) =>
      (await read.call(driver, asks, op)).map((answer): ReadAnswer => ({ ...answer, provenance }));
  }
  const made = httpWorld({ access: openAccess(), pollInterval: 10 }, driver);
  const ready = () => made.handler.ready("GET", EXACT, {}, {});
  /** The last reply, once one could lie ready. */
  const warm = async () => {
    let reply = await made.send("GET", EXACT);
    for (let i = 0; i < 20 && ready() === undefined; i++) {
      await pause(5);
      reply = await made.send("GET", EXACT);
    }
    return reply;
  };
  return { ...made, ready, warm };
}

describe("what lies ready", () => {
  it("is nothing that was stale, and that is for nobody to keep", async () => {
    const { warm, ready, handler } = await world({ source: "cache", fetchedAt: Date.now(), stale: true });
    const reply = await warm();
    expect(ready()).toBeUndefined();
    expect([reply.headers.get("cache-control"), reply.headers.get("warning")]).toEqual([
      "private, no-cache",
      '110 - "Response is Stale"',
    ]);
    handler.close();
  });

  it("is kept for a day since the storage said so, not since it was asked for", async () => {
    const old = Date.now() - DOCUMENT_MAX_AGE * 1000;
    const { warm, ready, handler } = await world({ source: "cache", fetchedAt: old, stale: false });
    await warm();
    expect(ready()).toBeUndefined();
    handler.close();
    const answers = new ReadyAnswers(1e6, openAccess());
    const entry = { target: EXACT, name: "a" as never, tag: "t", asked: "identity" as const };
    answers.put(entry, Buffer.from("t"), { ETag: '"t"' }, Date.now() - DOCUMENT_MAX_AGE * 1000 + 1000);
    expect(answers.get("GET", EXACT, {}, {})?.status).toBe(200);
    await pause(1100);
    expect(answers.get("GET", EXACT, {}, {})).toBeUndefined();
  });

  it("is what was read a moment ago from a layer that remembers", async () => {
    const { warm, ready, handler } = await world({ source: "cache", fetchedAt: Date.now(), stale: false });
    await warm();
    expect(ready()?.status).toBe(200);
    handler.close();
  });
});

describe("a feed that hangs", () => {
  it("is given up, and vouches for nothing any more; what was kept is dropped", async () => {
    const driver = memory();
    const { changes } = driver;
    const dropped: unknown[] = [];
    const watcher = new Watcher(driver, 10, (name) => dropped.push(name), 20);
    watcher.isWatching();
    await expect.poll(() => watcher.isWatching()).toBe(true);
    const signals: (AbortSignal | undefined)[] = [];
    driver.changes = (_, op) => {
      signals.push(op?.signal);
      return new Promise(() => {});
    };
    // Time goes by: what the watcher saw last is long ago.
    await expect.poll(() => signals.length).toBeGreaterThan(2);
    expect(signals[0]?.aborted).toBe(true);
    const now = Date.now() + 11_000;
    dropped.length = 0;
    const clock = Date.now;
    Date.now = () => now;
    try {
      expect(watcher.vouches()).toBe(false);
      await expect.poll(() => dropped).toContain(undefined);
    } finally {
      Date.now = clock;
    }
    driver.changes = changes;
    await expect.poll(() => watcher.isWatching()).toBe(true);
    watcher.stop();
  });
});
