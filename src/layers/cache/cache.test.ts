import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ReadAnswer, ReadAsk, StorageDriver } from "../../driver.ts";
import { memory } from "../../drivers/memory.ts";
import { RegistryError } from "../../errors.ts";
import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { askOf, type CountingDriver, count, type FaultyDriver, fault } from "../../testing/index.ts";
import { stack } from "../layer.ts";
import { readonly } from "../readonly.ts";
import { type CacheDriver, type CacheOptions, cache } from "./index.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;

interface Lab {
  /** The store without anything around it: what others do. */
  readonly others: PromptRegistry;
  readonly counts: CountingDriver;
  readonly faults: FaultyDriver;
  readonly cached: CacheDriver;
  readonly registry: PromptRegistry;
}

/** A store that must be waited for, as a remote one: it never answers a peek. */
function remote(inner: StorageDriver): FaultyDriver {
  const driver = fault(inner);
  return Object.assign(driver, { peek: () => undefined });
}

function createLab(options: CacheOptions = {}, store = memory()): Lab {
  const faults = remote(store);
  const counts = count(faults);
  const cached = cache({ random: () => 1, ...options })(counts);
  return { others: new PromptRegistry(store), counts, faults, cached, registry: new PromptRegistry(cached) };
}

const outage = (code: "UNAVAILABLE" | "TIMEOUT" | "RATE_LIMITED" = "UNAVAILABLE") =>
  (["read", "listVersions", "commit", "changes", "history"] as const).map((method) => ({
    method,
    what: "fail" as const,
    error: new RegistryError(code, "down"),
  }));
const refusal = (code: "FORBIDDEN" | "UNAUTHENTICATED" | "CORRUPT") => ({
  method: "read" as const,
  what: "fail" as const,
  error: new RegistryError(code, "no"),
});

async function publish(registry: PromptRegistry, version: string, labels: readonly string[] = []): Promise<void> {
  await registry.storePrompt({ name: "a", version, text: `text ${version}\n`, labels });
}

/** Lets what runs in the background finish. */
const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-01-01T00:00:00Z") });
});
afterEach(() => {
  vi.useRealTimers();
});

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

describe("cache: what is gone", () => {
  it("a deleted prompt is never served after a refresh, not in an outage either", async () => {
    const { registry, others, faults } = createLab();
    await publish(others, "1.0.0", ["production"]);
    for (const ref of ["a", "a@production", "a@1.0.0", "a@^1"]) await registry.getPrompt(ref);
    await others.deletePrompt("a");
    await vi.advanceTimersByTimeAsync(MINUTE + 30_001);
    await expect(registry.getPrompt("a@production")).rejects.toMatchObject({ code: "NOT_FOUND" });
    faults.plan(outage());
    await vi.advanceTimersByTimeAsync(MINUTE);
    for (const ref of ["a", "a@production", "a@1.0.0", "a@^1"]) {
      await expect(registry.getPrompt(ref)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    }
  });

  it("a version of which the store says that it is not there is not given in an outage", async () => {
    const { registry, others, faults } = createLab();
    await publish(others, "1.0.0");
    await registry.getPrompt("a@1.0.0");
    await vi.advanceTimersByTimeAsync(2 * DAY);
    const { read } = faults;
    Object.assign(faults, { read: async (): Promise<ReadAnswer[]> => [{ status: "absent" }] });
    await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    Object.assign(faults, { read });
    faults.plan(outage());
    await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("what one selector learns holds for all: a moved label is not shown where another was refreshed", async () => {
    const { registry, others } = createLab({ ttl: 10 * MINUTE });
    await publish(others, "1.0.0", ["production", "staging"]);
    await registry.getPrompt("a@production");
    await vi.advanceTimersByTimeAsync(MINUTE);
    await publish(others, "1.1.0", ["production", "staging"]);
    expect((await registry.getPrompt("a@staging")).version).toBe("1.1.0");
    expect((await registry.getPrompt("a@production")).version).toBe("1.1.0");
  });

  it("a label that was removed is not served after a refresh", async () => {
    const { registry, others } = createLab();
    await publish(others, "1.0.0", ["production"]);
    await registry.getPrompt("a@production");
    await others.removeLabel("a", "production");
    await vi.advanceTimersByTimeAsync(MINUTE + 1);
    await registry.getPrompt("a@production");
    await settle();
    await expect(registry.getPrompt("a@production")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("403 throws out what is known, 401 does not", async () => {
    const { registry, others, faults, cached } = createLab();
    await publish(others, "1.0.0");
    await registry.getPrompt("a");
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    faults.plan(refusal("UNAUTHENTICATED"));
    await expect(registry.getPrompt("a")).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    faults.plan(outage());
    expect((await registry.getPrompt("a")).stale).toBe(true);
    await vi.advanceTimersByTimeAsync(MINUTE);
    faults.plan(refusal("FORBIDDEN"));
    await expect(registry.getPrompt("a")).rejects.toMatchObject({ code: "FORBIDDEN" });
    faults.plan(outage());
    await expect(registry.getPrompt("a")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(cached.stats.evicted).toBe(1);
  });
});

describe("cache: in an outage", () => {
  it.each(["UNAVAILABLE", "TIMEOUT", "RATE_LIMITED"] as const)(
    "%s: everything known is still given, marked",
    async (code) => {
      const { registry, others, faults, counts } = createLab();
      await publish(others, "1.0.0", ["production"]);
      const refs = ["a", "a@production", "a@1.0.0", "a@^1", "a@1"];
      for (const ref of refs) await registry.getPrompt(ref);
      faults.plan(outage(code));
      await vi.advanceTimersByTimeAsync(2 * MINUTE);
      counts.reset();
      for (let i = 0; i < 20; i++) {
        for (const ref of refs) expect((await registry.getPrompt(ref)).version).toBe("1.0.0");
      }
      expect(counts.counts.total).toBeLessThanOrEqual(4);
      const old = await registry.getPrompt("a@production");
      expect([old.stale, old.source, old.age]).toEqual([true, "cache", 2 * MINUTE]);
      faults.plan([]);
      await vi.advanceTimersByTimeAsync(MINUTE);
      expect((await registry.getPrompt("a@production")).stale).toBe(false);
    },
  );

  it("a store that hangs: the caller's deadline ends in the old answer", async () => {
    const { registry, others, faults } = createLab();
    await publish(others, "1.0.0");
    await registry.getPrompt("a");
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    faults.plan({ method: "read", what: "hang" });
    const controller = new AbortController();
    setTimeout(() => controller.abort(new DOMException("late", "TimeoutError")), 100);
    const asked = registry.getPrompt("a", { signal: controller.signal });
    await vi.advanceTimersByTimeAsync(101);
    expect((await asked).stale).toBe(true);
  });

  it("ends with staleIfError", async () => {
    const { registry, others, faults } = createLab({ staleIfError: 10 * MINUTE });
    await publish(others, "1.0.0");
    await registry.getPrompt("a");
    faults.plan(outage());
    await vi.advanceTimersByTimeAsync(11 * MINUTE - 1);
    expect((await registry.getPrompt("a")).stale).toBe(true);
    await vi.advanceTimersByTimeAsync(2);
    await expect(registry.getPrompt("a")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("a batch of which one is not known fails as a whole", async () => {
    const { registry, others, faults } = createLab();
    await publish(others, "1.0.0");
    await others.storePrompt({ name: "b", version: "1.0.0", text: "b" });
    await registry.getPrompt("a");
    faults.plan(outage());
    await expect(registry.getPrompts(["a", "b"])).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect((await registry.getPrompts(["a", "a@1.0.0"])).map((p) => p.version)).toEqual(["1.0.0", "1.0.0"]);
  });

  it("a write that fails takes nothing away from readers", async () => {
    const { registry, others, faults } = createLab();
    await publish(others, "1.0.0", ["production"]);
    await registry.getPrompt("a@production");
    faults.plan([
      { method: "commit", what: "fail", error: new RegistryError("TIMEOUT", "?", { outcome: "unknown" }) },
      ...outage().filter((f) => f.method !== "commit"),
    ]);
    await expect(publish(registry, "1.1.0")).rejects.toMatchObject({ outcome: "unknown" });
    const given = await registry.getPrompt("a@production");
    expect([given.version, given.stale]).toEqual(["1.0.0", true]);
  });
});

describe("cache: changes", () => {
  it("own writes are seen at once, also those whose reply was lost", async () => {
    const { registry, faults } = createLab();
    await publish(registry, "1.0.0", ["production"]);
    const refs = ["a", "a@production"];
    for (const ref of refs) await registry.getPrompt(ref);
    for (const [i, lost] of [false, true, false, true].entries()) {
      faults.plan(lost ? { method: "commit", call: 1, what: "dropReply" } : []);
      await publish(registry, `1.${i + 1}.0`, ["production"]);
      for (const ref of refs) expect((await registry.getPrompt(ref)).version).toBe(`1.${i + 1}.0`);
    }
    await registry.deletePrompt("a");
    for (const ref of [...refs, "a@1.0.0", "a@^1"]) {
      await expect(registry.getPrompt(ref)).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
  });

  it("an answer that was on its way while the prompt changed is not kept", async () => {
    const { registry, others, faults } = createLab();
    await publish(others, "1.0.0", ["production"]);
    faults.plan({ method: "read", call: 1, what: "delay", wait: () => new Promise((r) => setTimeout(r, 0)) });
    const { read } = faults;
    // The reply is taken from the store before the change, and arrives after it.
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    Object.assign(faults, {
      read: async (asks: readonly ReadAsk[]) => {
        const answers = await read.call(faults, asks);
        if (asks.some((a) => a.selector.kind === "label")) await gate;
        return answers;
      },
    });
    const old = registry.getPrompt("a@production");
    await vi.advanceTimersByTimeAsync(1);
    Object.assign(faults, { read });
    await publish(registry, "1.1.0", ["production"]);
    release();
    await old;
    expect((await registry.getPrompt("a@production")).version).toBe("1.1.0");
  });

  it("a refresh that was on its way while the prompt was invalidated is not kept", async () => {
    const { registry, others, faults, cached } = createLab({ staleWhileRevalidate: 0 });
    await publish(others, "1.0.0", ["production"]);
    await registry.getPrompt("a@production");
    await vi.advanceTimersByTimeAsync(MINUTE + 1);
    await publish(others, "1.0.1", ["production"]);
    const { read } = faults;
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    Object.assign(faults, {
      read: async (asks: readonly ReadAsk[]) => {
        const answers = await read.call(faults, asks);
        await gate;
        return answers;
      },
    });
    const old = registry.getPrompt("a@production");
    await settle();
    Object.assign(faults, { read });
    await publish(others, "1.1.0", ["production"]);
    cached.invalidate("a");
    release();
    await old;
    expect((await registry.getPrompt("a@production")).version).toBe("1.1.0");
  });

  it("the change feed, read through it or polled by it, makes it ask again", async () => {
    for (const how of ["poll", "read"] as const) {
      const { registry, others, cached } = createLab(how === "poll" ? { poll: 1000 } : {});
      await publish(others, "1.0.0");
      await vi.advanceTimersByTimeAsync(1);
      const { cursor } = await cached.changes({ limit: 10 });
      await registry.getPrompt("a");
      await registry.getPrompt("a@1.0.0");
      await others.storePrompt({ name: "a", version: "1.1.0", text: "new" });
      await others.deleteVersion("a", "1.0.0");
      expect((await registry.getPrompt("a")).version).toBe("1.0.0");
      if (how === "poll") await vi.advanceTimersByTimeAsync(1001);
      else await cached.changes({ limit: 10, cursor: cursor as string });
      expect((await registry.getPrompt("a")).version).toBe("1.1.0");
      await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
      await registry.close();
    }
  });

  it("polling waits out an outage and loses nothing", async () => {
    const { registry, others, faults } = createLab({ poll: 1000 });
    await publish(others, "1.0.0");
    await vi.advanceTimersByTimeAsync(1);
    await registry.getPrompt("a");
    faults.plan(outage());
    await publish(others, "1.1.0");
    await vi.advanceTimersByTimeAsync(5000);
    faults.plan([]);
    await vi.advanceTimersByTimeAsync(1001);
    expect((await registry.getPrompt("a")).version).toBe("1.1.0");
  });

  it("invalidate() asks again, and in an outage the old one is still there", async () => {
    const { registry, others, cached, faults } = createLab();
    await publish(others, "1.0.0");
    await registry.getPrompt("a");
    await publish(others, "1.1.0");
    cached.invalidate("a");
    faults.plan(outage());
    const old = await registry.getPrompt("a");
    expect([old.version, old.stale]).toEqual(["1.0.0", true]);
    faults.plan([]);
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect((await registry.getPrompt("a")).version).toBe("1.1.0");
    await publish(others, "1.2.0");
    cached.invalidate();
    expect((await registry.getPrompt("a")).version).toBe("1.2.0");
    expect(() => cached.invalidate("A B")).toThrow(/name/);
  });

  it("a write is never planned on an old head", async () => {
    const { registry, others } = createLab();
    await publish(registry, "1.0.0", ["production"]);
    await publish(registry, "1.1.0");
    await registry.getPrompt("a@^1", { status: true });
    await others.setLabel("a", "production", "1.1.0");
    const result = await registry.setLabel("a", "production", "1.0.0");
    expect(result.status).toBe("changed");
    expect((await others.getPrompt("a@production")).version).toBe("1.0.0");
  });

  it("where nobody can write, ranges are answered from memory", async () => {
    const store = memory();
    await publish(new PromptRegistry(store), "1.0.0");
    const counts = count(Object.assign(fault(store), { peek: () => undefined }));
    const registry = new PromptRegistry(stack(counts, [cache(), readonly()]));
    await registry.getPrompt("a@^1");
    counts.reset();
    expect((await registry.getPrompt("a@^1")).version).toBe("1.0.0");
    expect(counts.counts.total).toBe(0);
  });

  it("warm() reads what it is told, and tells what it could not", async () => {
    const { registry, others, cached, counts } = createLab();
    await publish(others, "1.0.0", ["production"]);
    const report = await cached.warm(["a@production", "a@^1", "b", "no name!"]);
    expect(report.warmed).toBe(2);
    expect(report.failed.map(({ selector, error }) => [selector, error.code]).sort()).toEqual([
      ["b", "NOT_FOUND"],
      ["no name!", "INVALID"],
    ]);
    counts.reset();
    await registry.getPrompt("a@production");
    expect(counts.counts.total).toBe(0);
  });

  it("check() brings its figures", async () => {
    const { registry, others } = createLab();
    await publish(others, "1.0.0");
    await registry.getPrompt("a");
    const health = await registry.check();
    expect(health.checks).toContainEqual(
      expect.objectContaining({ name: "cache", ok: true, figures: expect.objectContaining({ misses: 1, entries: 2 }) }),
    );
  });

  it("close() ends all leases and timers", async () => {
    const { registry, others, cached } = createLab({ poll: 1000 });
    await publish(others, "1.0.0");
    await registry.getPrompt("a");
    const { lease } = cached.peek(askOf("a", "latest")) as ReadAnswer;
    await registry.close();
    expect(lease?.until).toBe(0);
    await expect(registry.getPrompt("a")).rejects.toMatchObject({ code: "ABORTED" });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("a page of versions is kept by name", async () => {
    const { registry, others } = createLab();
    await publish(others, "1.0.0");
    await others.storePrompt({ name: "b", version: "2.0.0", text: "b" });
    const versions = async (name: string) => (await registry.listVersions(parseName(name))).items.map((v) => v.version);
    expect([await versions("a"), await versions("b")]).toEqual([["1.0.0"], ["2.0.0"]]);
  });
});

describe("cache: answers that come late", () => {
  /** A store whose read of this index takes long; what it answers is of when it was asked. */
  function slow(store: StorageDriver, index = 0) {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let calls = 0;
    const late = async <T>(answer: Promise<T>): Promise<T> => {
      const isSlow = calls++ === index;
      const got = await answer;
      if (isSlow) await gate;
      return got;
    };
    const inner: StorageDriver = {
      ...store,
      peek: () => undefined,
      read: (asks, op) => late(store.read(asks, op)),
      listVersions: (name, query) => late(store.listVersions(name, query)),
    };
    return { inner, release };
  }

  it("do not undo what was asked for later", async () => {
    const store = memory();
    const others = new PromptRegistry(store);
    await publish(others, "1.0.0", ["production"]);
    const { inner, release } = slow(store);
    const cached = cache()(inner);
    const ask = askOf("a", "production");
    const first = cached.read([ask]);
    await vi.advanceTimersByTimeAsync(5);
    await publish(others, "1.1.0", ["production"]);
    await cached.read([ask], { fresh: true });
    release();
    expect((await first)[0]).toMatchObject({ document: { version: "1.1.0" } });
    expect((await cached.read([ask]))[0]).toMatchObject({ document: { version: "1.1.0" } });
    await cached.close();
  });

  it("do not bring back what was gone later", async () => {
    const store = memory();
    const others = new PromptRegistry(store);
    await publish(others, "1.0.0", ["production"]);
    await publish(others, "1.1.0");
    const { inner, release } = slow(store);
    const cached = cache()(inner);
    const first = cached.read([askOf("a", "production")]);
    await vi.advanceTimersByTimeAsync(5);
    await others.setLabel("a", "production", "1.1.0");
    await others.deleteVersion("a", "1.0.0");
    const ask = askOf("a", "1.0.0");
    expect((await cached.read([ask]))[0]?.status).toBe("removed");
    release();
    await first;
    expect(cached.peek(ask)).toBeUndefined();
    await cached.close();
  });

  it("pages of versions do neither", async () => {
    const store = memory();
    const others = new PromptRegistry(store);
    await publish(others, "1.0.0");
    const { inner, release } = slow(store, 1);
    const cached = cache()(inner);
    await cached.read([askOf("a", "latest")]);
    const { name } = askOf("a", "latest");
    const controller = new AbortController();
    const first = cached.listVersions(name, { limit: 10 }, { fresh: false, signal: controller.signal });
    await vi.advanceTimersByTimeAsync(5);
    controller.abort();
    await expect(first).rejects.toMatchObject({ code: "ABORTED" });
    await publish(others, "1.1.0");
    expect((await cached.listVersions(name, { limit: 10 }, { fresh: false })).items).toHaveLength(2);
    release();
    await settle();
    expect((await cached.listVersions(name, { limit: 10 }, { fresh: false })).items).toHaveLength(2);
    await cached.close();
  });
});
