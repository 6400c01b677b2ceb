import { describe, expect, it, vi } from "vitest";
import { createLab, DAY, MINUTE, publish, settle } from "../../../test/support/cache-lab.ts";
import type { ReadAnswer, ReadAsk, StorageDriver } from "../../driver.ts";
import { memory } from "../../drivers/memory.ts";
import { PromptRegistry } from "../../registry.ts";
import { askOf, fault } from "../../testing/index.ts";
import { cache } from "./index.ts";

describe("cache: fresh answers", () => {
  it("asks once within the TTL, and gives the same frozen prompt", async () => {
    const { registry, others, counts, cached } = createLab();
    await publish(others, "1.0.0", ["production"]);
    const first = await registry.getPrompt("a@production");
    counts.reset();
    const second = await registry.getPrompt("a@production");
    const third = await registry.getPrompt("a@production");
    await vi.advanceTimersByTimeAsync(MINUTE - 1);
    expect(await registry.getPrompt("a@production")).toBe(second);
    expect(third).toBe(second);
    expect(counts.counts.total).toBe(0);
    expect([first.source, first.age, second.source, second.stale]).toEqual(["memory", 0, "cache", false]);
    expect(cached.peek(askOf("a", "production"))).toBe(cached.peek(askOf("a", "production")));
    expect(second.age).toBe(MINUTE - 1);
  });

  it("never mixes selectors: version, label, latest, and labels that look alike", async () => {
    const { registry, others } = createLab();
    await publish(others, "3.0.0", ["l3"]);
    await publish(others, "3.1.0", ["production", "constructor"]);
    for (let i = 0; i < 2; i++) {
      expect((await registry.getPrompt("a@3.0.0")).version).toBe("3.0.0");
      expect((await registry.getPrompt("a@l3")).version).toBe("3.0.0");
      expect((await registry.getPrompt("a@3.1.0")).version).toBe("3.1.0");
      expect((await registry.getPrompt("a@production")).version).toBe("3.1.0");
      expect((await registry.getPrompt("a@constructor")).version).toBe("3.1.0");
      expect((await registry.getPrompt("a")).version).toBe("3.1.0");
      await expect(registry.getPrompt("a@staging")).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
  });

  it("keeps what a label brought as that version too", async () => {
    const { registry, others, counts } = createLab();
    await publish(others, "1.0.0", ["production"]);
    await registry.getPrompt("a@production");
    counts.reset();
    expect((await registry.getPrompt("a@1.0.0")).version).toBe("1.0.0");
    expect(counts.counts.total).toBe(0);
  });

  it("keeps an empty prompt", async () => {
    const { registry, others, counts } = createLab();
    await others.storePrompt({ name: "a", version: "1.0.0", text: "" });
    await registry.getPrompt("a");
    counts.reset();
    expect((await registry.getPrompt("a")).text).toBe("");
    expect(counts.counts.total).toBe(0);
  });

  it("asks once for any number of callers at the same time", async () => {
    const { registry, others, counts, faults } = createLab();
    await publish(others, "1.0.0");
    faults.plan({ method: "read", what: "delay", wait: () => new Promise((r) => setTimeout(r, 100)) });
    const asked = Promise.all(Array.from({ length: 50 }, () => registry.getPrompt("a")));
    await vi.advanceTimersByTimeAsync(100);
    expect(new Set((await asked).map((p) => p.text)).size).toBe(1);
    expect(counts.counts.calls.read).toBe(1);
  });

  it("one caller who gives up does not end the call of the others; the last one does", async () => {
    const { cached, others, counts, faults } = createLab();
    await publish(others, "1.0.0");
    faults.plan({ method: "read", call: 1, what: "hang" });
    const [a, b] = [new AbortController(), new AbortController()];
    const first = cached.read([askOf("a", "latest")], { signal: a.signal });
    const second = cached.read([askOf("a", "latest")], { signal: b.signal });
    const ends = Promise.allSettled([first, second]);
    await settle();
    a.abort();
    await expect(first).rejects.toMatchObject({ code: "ABORTED" });
    const third = cached.read([askOf("a", "latest")], {});
    const third2 = Promise.race([third, settle().then(() => "waits")]);
    expect(await third2).toBe("waits");
    b.abort();
    await ends;
    expect(counts.counts.calls.read).toBe(1);
  });

  it("does not remember what is not there, unless told to", async () => {
    for (const [negativeTtl, reads] of [
      [0, 3],
      [1000, 1],
    ] as const) {
      const { registry, counts, others } = createLab({ negativeTtl });
      for (let i = 0; i < 3; i++) await expect(registry.getPrompt("a")).rejects.toMatchObject({ code: "NOT_FOUND" });
      expect(counts.counts.calls.read).toBe(reads);
      await publish(others, "1.0.0");
      await vi.advanceTimersByTimeAsync(1001);
      expect((await registry.getPrompt("a")).version).toBe("1.0.0");
    }
  });

  it("never keeps damaged bytes", async () => {
    const store = memory();
    await publish(new PromptRegistry(store), "1.0.0");
    let damaged = true;
    const inner: StorageDriver = Object.assign(fault(store), {
      peek: () => undefined,
      read: async (asks: readonly ReadAsk[]): Promise<readonly ReadAnswer[]> => {
        const answers = await store.read(asks);
        return answers.map((answer) =>
          damaged && answer.status === "found"
            ? { ...answer, document: { ...answer.document, text: answer.document.text.replace("text", "tExt") } }
            : answer,
        );
      },
    });
    const registry = new PromptRegistry(cache()(inner));
    await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "CORRUPT" });
    damaged = false;
    expect((await registry.getPrompt("a@1.0.0")).text).toBe("text 1.0.0\n");
  });

  it("keeps within its bytes, and ends the leases of what it drops", async () => {
    const { registry, others, cached } = createLab({ maxBytes: 20_000 });
    for (let i = 0; i < 100; i++) {
      await others.storePrompt({ name: `p${i}`, version: "1.0.0", text: "x".repeat(1000) });
      await registry.getPrompt(`p${i}@1.0.0`);
      expect(cached.stats.bytes).toBeLessThanOrEqual(20_000);
    }
    expect(cached.stats.dropped).toBeGreaterThan(80);
    const [answer] = await cached.read([askOf("p99", "1.0.0")]);
    const { lease } = answer as ReadAnswer;
    for (let i = 0; i < 100; i++) await registry.getPrompt(`p${i % 50}@1.0.0`);
    expect(lease?.until).toBe(0);
  });
});

describe("cache: getting older", () => {
  it("refreshes with the revision it knows; unchanged costs no text", async () => {
    const { registry, others, faults } = createLab({ staleWhileRevalidate: 0 });
    await publish(others, "1.0.0");
    await registry.getPrompt("a");
    const asked: ReadAsk[] = [];
    const { read } = faults;
    Object.assign(faults, {
      read: (asks: readonly ReadAsk[]) => {
        asked.push(...asks);
        return read.call(faults, asks);
      },
    });
    await vi.advanceTimersByTimeAsync(MINUTE + 1);
    const again = await registry.getPrompt("a");
    expect(asked).toMatchObject([{ known: expect.any(String) }]);
    expect([again.version, again.stale, again.age]).toEqual(["1.0.0", false, 0]);
    await vi.advanceTimersByTimeAsync(MINUTE - 1);
    expect((await registry.getPrompt("a")).age).toBe(MINUTE - 1);
  });

  it("a change shows after TTL and stale-while-revalidate at the latest, with the first get", async () => {
    const { registry, others } = createLab();
    await publish(others, "1.0.0");
    await registry.getPrompt("a");
    await publish(others, "1.1.0");
    expect((await registry.getPrompt("a")).version).toBe("1.0.0");
    await vi.advanceTimersByTimeAsync(MINUTE + 30_001);
    expect((await registry.getPrompt("a")).version).toBe("1.1.0");
  });

  it("with no stale-while-revalidate the first get after the TTL is the new one", async () => {
    const { registry, others } = createLab({ staleWhileRevalidate: 0 });
    await publish(others, "1.0.0");
    await registry.getPrompt("a");
    await publish(others, "1.1.0");
    await vi.advanceTimersByTimeAsync(MINUTE + 1);
    expect((await registry.getPrompt("a")).version).toBe("1.1.0");
  });

  it("within stale-while-revalidate the old one is given at once and refreshed once in the background", async () => {
    const { registry, others, counts } = createLab();
    await publish(others, "1.0.0");
    await registry.getPrompt("a");
    await publish(others, "1.1.0");
    await vi.advanceTimersByTimeAsync(MINUTE + 1);
    counts.reset();
    const given = await Promise.all([registry.getPrompt("a"), registry.getPrompt("a"), registry.getPrompt("a")]);
    expect(given.map((p) => [p.version, p.stale])).toEqual(Array(3).fill(["1.0.0", false]));
    await settle();
    expect(counts.counts.calls.read).toBe(1);
    expect((await registry.getPrompt("a")).version).toBe("1.1.0");
  });

  it("rechecks a version within documentMaxAge, so that a deleted one disappears", async () => {
    const { registry, others } = createLab();
    await publish(others, "1.0.0");
    await publish(others, "1.1.0");
    await registry.getPrompt("a@1.0.0");
    await others.deleteVersion("a", "1.0.0");
    await vi.advanceTimersByTimeAsync(DAY - MINUTE);
    expect((await registry.getPrompt("a@1.0.0")).version).toBe("1.0.0");
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("a wall clock that is set back keeps nothing fresh for longer", async () => {
    const { registry, others, cached } = createLab({ staleWhileRevalidate: 0 });
    await publish(others, "1.0.0");
    await registry.getPrompt("a");
    const { lease } = cached.peek(askOf("a", "latest")) as ReadAnswer;
    await publish(others, "1.1.0");
    vi.setSystemTime(Date.now() - 3_600_000);
    await vi.advanceTimersByTimeAsync(2 * MINUTE + 1);
    expect(lease?.until).toBe(0);
    expect((await registry.getPrompt("a")).version).toBe("1.1.0");
  });
});

it("what must be fresh must be so below, too, where a fallback or a server may remember", async () => {
  const store = memory();
  await publish(new PromptRegistry(store), "1.0.0", ["production"]);
  const told: (boolean | undefined)[] = [];
  const listening: StorageDriver = {
    ...store,
    read: (asks, op) => {
      told.push(op?.fresh);
      return store.read(asks, op);
    },
  };
  const driver = cache({ ttl: DAY })(listening);
  for (const op of [undefined, { fresh: false }, { fresh: true }]) await driver.read([askOf("a", "production")], op);
  expect(told).toEqual([undefined, true]);
});
