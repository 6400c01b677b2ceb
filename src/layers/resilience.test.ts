import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StorageDriver } from "../driver.ts";
import { memory } from "../drivers/memory.ts";
import { RegistryError } from "../errors.ts";
import { PromptRegistry } from "../registry.ts";
import { askOf, commitOf, count, documentOf, fault } from "../testing/index.ts";
import { cache } from "./cache/index.ts";
import { circuit } from "./circuit.ts";
import { fallback } from "./fallback.ts";
import { layersOf, stack } from "./layer.ts";
import { limit } from "./limit.ts";
import { prefix } from "./prefix.ts";
import { readonly } from "./readonly.ts";
import { retry } from "./retry.ts";
import { deadline, timeout } from "./timeout.ts";
import { trace } from "./trace.ts";

const ASK = [askOf("a", "latest")];
const change = { name: documentOf("a", "1.0.0").name, add: [documentOf("a", "1.0.0")] };
const failure = (code: RegistryError["code"], options: ConstructorParameters<typeof RegistryError>[2] = {}) =>
  new RegistryError(code, "injected", options);

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Runs timers until the promise has settled. */
async function run<T>(promise: Promise<T>): Promise<T> {
  let done = false;
  promise.then(
    () => {
      done = true;
    },
    () => {
      done = true;
    },
  );
  for (let i = 0; i < 1000 && !done; i++) await vi.advanceTimersByTimeAsync(50);
  return promise;
}

/** Reads of a store that must be waited for. */
function lab(faults: Parameters<typeof fault>[1] = []) {
  const faulty = Object.assign(fault(memory(), faults), { peek: () => undefined });
  return { faulty, counts: count(faulty) };
}

describe("stack", () => {
  it("takes layers from outermost to innermost and leaves out what is switched off", () => {
    const driver = stack(memory(), [
      trace(),
      cache(),
      false,
      fallback([]),
      undefined,
      retry(),
      circuit(),
      timeout(),
      limit(),
    ]);
    expect(layersOf(driver).map(({ layer }) => layer)).toEqual([
      ...["trace", "cache", "fallback", "retry", "circuit", "timeout", "limit"],
    ]);
    expect([driver.kind, driver.location]).toEqual(["memory", "memory:"]);
  });

  it.each([
    ["retry", "cache", () => retry()(cache()(memory()))],
    ["timeout", "retry", () => stack(memory(), [timeout(), retry()])],
    ["limit", "timeout", () => stack(memory(), [limit(), timeout()])],
    ["fallback", "cache", () => stack(memory(), [fallback([]), cache()])],
    ["circuit", "retry", () => stack(memory(), [circuit(), retry()])],
    ["readonly", "cache", () => stack(memory(), [readonly(), cache()])],
    ["prefix", "limit", () => stack(memory(), [prefix("a"), limit()])],
  ])("refuses %s around %s, naming both", (outer, inner, build) => {
    expect(build).toThrow(
      expect.objectContaining({ code: "CONFIG", message: expect.stringMatching(`${outer} .*${inner}`) }),
    );
  });

  it("refuses the same layer twice: two retries would multiply", () => {
    expect(() => stack(memory(), [retry(), timeout(), retry()])).toThrow(/retry/);
    expect(() => retry()(retry()(memory()))).toThrow(/retry stands around another retry/);
  });

  it("refuses options that mean nothing", () => {
    for (const bad of [
      () => retry({ attempts: 0 }),
      () => timeout(-1),
      () => timeout(Number.NaN),
      () => timeout(2 ** 31),
      () => limit({ rate: 0 }),
      () => limit({ concurrency: 0.5 }),
      () => circuit({ failures: 0 }),
      () => cache({ ttl: -1 }),
      () => prefix("A B"),
    ]) {
      expect(bad).toThrow(expect.objectContaining({ code: "CONFIG" }));
    }
  });
});

describe("retry", () => {
  it("tries again what did not happen, and says how often it tried", async () => {
    const { counts, faulty } = lab({ method: "read", call: 1, what: "fail" });
    const driver = retry()(counts);
    await run(driver.read(ASK));
    expect(counts.counts.calls.read).toBe(2);
    faulty.plan({ method: "read", what: "fail" });
    counts.reset();
    await expect(run(driver.read(ASK))).rejects.toMatchObject({ code: "UNAVAILABLE", context: { attempts: 3 } });
    expect(counts.counts.calls.read).toBe(3);
  });

  it.each([
    ["FORBIDDEN", "final"],
    ["UNAUTHENTICATED", "final"],
    ["CORRUPT", "final"],
    ["UNAVAILABLE", "unknown"],
    ["UNAVAILABLE", "final"],
  ] as const)("looks at the outcome only: %s that is %s is told at once", async (code, outcome) => {
    const { counts } = lab({ method: "read", what: "fail", error: failure(code, { outcome }) });
    await expect(retry()(counts).read(ASK)).rejects.toMatchObject({ code, context: { attempts: 1 } });
    expect(counts.counts.calls.read).toBe(1);
  });

  it("never sends a commit again whose outcome is unknown", async () => {
    const { counts } = lab({ method: "commit", what: "dropReply" });
    await expect(retry()(counts).commit(commitOf(change))).rejects.toMatchObject({ outcome: "unknown" });
    expect(counts.counts.calls.commit).toBe(1);
  });

  it("sends again only those changes of a commit that did not happen", async () => {
    const store = memory();
    const sent: string[][] = [];
    let first = true;
    const inner: StorageDriver = Object.assign(fault(store), {
      commit: async (commit: Parameters<StorageDriver["commit"]>[0]) => {
        sent.push(commit.changes.map((c) => c.name));
        const outcomes = await store.commit({
          ...commit,
          changes: commit.changes.filter((c) => !first || c.name === "a"),
        });
        const isFirst = first;
        first = false;
        if (!isFirst) return outcomes;
        return commit.changes.map((c) => {
          if (c.name === "a") return outcomes[0] as (typeof outcomes)[number];
          const outcome = c.name === "b" ? "temporary" : "unknown";
          return { status: "failed" as const, error: failure("UNAVAILABLE", { outcome }) };
        });
      },
    });
    const changes = ["a", "b", "c"].map((n) => ({ name: documentOf(n, "1.0.0").name, add: [documentOf(n, "1.0.0")] }));
    const outcomes = await run(retry()(inner).commit(commitOf(changes)));
    expect(sent).toEqual([["a", "b", "c"], ["b"]]);
    expect(outcomes.map((o) => o.status)).toEqual(["done", "done", "failed"]);
  });

  it("waits a random part of a growing time, and as long as the store asks for", async () => {
    const waits: number[] = [];
    const real = globalThis.setTimeout;
    vi.spyOn(globalThis, "setTimeout").mockImplementation(((run: () => void, ms: number) => {
      waits.push(ms);
      return real(run, 0);
    }) as typeof setTimeout);
    const { counts, faulty } = lab({ method: "read", what: "fail" });
    const driver = retry({ attempts: 4, baseDelay: 100, random: () => 0.5, budget: 100 })(counts);
    await run(driver.read(ASK)).catch(() => {});
    expect(waits).toEqual([50, 100, 200]);
    waits.length = 0;
    faulty.plan({ method: "read", what: "fail", error: failure("RATE_LIMITED", { retryAfter: 1000 }) });
    await run(driver.read(ASK)).catch(() => {});
    expect(waits).toEqual([1050, 1100, 1200]);
    waits.length = 0;
    faulty.plan({ method: "read", what: "fail", error: failure("RATE_LIMITED", { retryAfter: 3_600_000 }) });
    await expect(driver.read(ASK)).rejects.toMatchObject({ context: { attempts: 1 } });
  });

  it("stops with the caller's signal", async () => {
    const { counts } = lab({ method: "read", what: "fail" });
    const controller = new AbortController();
    const reading = retry({ baseDelay: 10_000, random: () => 1 })(counts).read(ASK, { signal: controller.signal });
    const end = expect(reading).rejects.toMatchObject({ code: "ABORTED" });
    await vi.advanceTimersByTimeAsync(10);
    controller.abort();
    await end;
    expect(counts.counts.calls.read).toBe(1);
  });

  it("spends one budget: in an outage the load hardly grows, and successes earn retries back", async () => {
    const { counts, faulty } = lab({ method: "read", what: "fail" });
    const driver = retry({ budget: 10 })(counts);
    const offered = 100;
    for (let i = 0; i < offered; i++) await run(driver.read(ASK)).catch(() => {});
    expect(counts.counts.calls.read / offered).toBeLessThanOrEqual(1.2);
    faulty.plan([]);
    for (let i = 0; i < 10; i++) await driver.read(ASK);
    faulty.plan({ method: "read", call: 1, what: "fail" });
    await run(driver.read(ASK));
  });
});

describe("timeout and deadline", () => {
  it.each([
    ["read", "temporary", (d: StorageDriver) => d.read(ASK)],
    ["history", "temporary", (d: StorageDriver) => d.history(change.name, { limit: 1 })],
    ["commit", "unknown", (d: StorageDriver) => d.commit(commitOf(change))],
  ] as const)("a %s that hangs ends as TIMEOUT, %s", async (method, outcome, call) => {
    for (const listens of [true, false]) {
      const { faulty } = lab({ method, what: "hang" });
      const deaf = listens ? faulty : Object.assign(faulty, { [method]: () => new Promise(() => {}) });
      const calling = call(timeout(1000)(deaf));
      const end = expect(calling).rejects.toMatchObject({ code: "TIMEOUT" });
      await vi.advanceTimersByTimeAsync(1001);
      await end;
      // The driver that listens knows that nothing happened.
      if (!listens) await expect(calling).rejects.toMatchObject({ outcome });
    }
  });

  it("the caller's own signal still ends the call, also of a driver that is deaf", async () => {
    for (const [reason, code] of [
      [undefined, "ABORTED"],
      [new DOMException("late", "TimeoutError"), "TIMEOUT"],
    ] as const) {
      const deaf = Object.assign(fault(memory()), { commit: () => new Promise(() => {}) }) as StorageDriver;
      const controller = new AbortController();
      const calling = timeout(1000)(deaf).commit(commitOf(change), { signal: controller.signal });
      const end = expect(calling).rejects.toMatchObject({ code, outcome: "unknown" });
      await vi.advanceTimersByTimeAsync(10);
      controller.abort(reason);
      await vi.advanceTimersByTimeAsync(10);
      await end;
    }
  });

  it("deadline bounds all attempts together", async () => {
    const { counts } = lab({ method: "read", what: "hang" });
    const driver = stack(counts, [deadline(2500), retry({ attempts: 10, baseDelay: 0 }), timeout(1000)]);
    const end = expect(driver.read(ASK)).rejects.toMatchObject({ code: "TIMEOUT" });
    await vi.advanceTimersByTimeAsync(2510);
    await end;
    expect(counts.counts.calls.read).toBe(3);
  });

  it("leaves no timer and no listener behind", async () => {
    const controller = new AbortController();
    const remove = vi.spyOn(controller.signal, "removeEventListener");
    const driver = timeout(1000)(memory());
    await driver.read(ASK, { signal: controller.signal });
    expect(vi.getTimerCount()).toBe(0);
    expect(remove).toHaveBeenCalled();
  });

  it("check of a store that hangs is a sick store, not an error", async () => {
    const { faulty } = lab({ method: "check", what: "hang" });
    const checking = timeout(1000)(faulty).check();
    await vi.advanceTimersByTimeAsync(1001);
    expect(await checking).toMatchObject({ ok: false, checks: [{ name: "timeout", ok: false }] });
  });
});

describe("circuit", () => {
  const options = { failures: 3, cooldown: 1000, random: () => 1 };

  it("opens after failures in a row, lets one call through after a while, and closes when it succeeds", async () => {
    const { counts, faulty } = lab({ method: "read", what: "fail" });
    const driver = circuit(options)(counts);
    for (let i = 0; i < 10; i++) await expect(driver.read(ASK)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(counts.counts.calls.read).toBe(3);
    await expect(driver.commit(commitOf(change))).rejects.toMatchObject({
      outcome: "temporary",
      context: { retryAfter: 1000 },
    });
    expect((await driver.check()).ok).toBe(false);
    await vi.advanceTimersByTimeAsync(1001);
    await Promise.allSettled([driver.read(ASK), driver.read(ASK), driver.read(ASK)]);
    expect(counts.counts.calls.read).toBe(4);
    await vi.advanceTimersByTimeAsync(1001);
    await expect(driver.read(ASK)).rejects.toThrow(/left alone/);
    await vi.advanceTimersByTimeAsync(1000);
    faulty.plan([]);
    await driver.read(ASK);
    await Promise.all([driver.read(ASK), driver.read(ASK)]);
    expect((await driver.check()).ok).toBe(true);
  });

  it("a store that says no is there: only outages count, and a caller who gave up does not", async () => {
    const { counts, faulty } = lab({ method: "read", what: "fail", error: failure("FORBIDDEN") });
    const driver = circuit(options)(counts);
    for (let i = 0; i < 10; i++) await expect(driver.read(ASK)).rejects.toMatchObject({ code: "FORBIDDEN" });
    faulty.plan({ method: "read", what: "hang" });
    for (let i = 0; i < 10; i++) {
      const controller = new AbortController();
      const reading = driver.read(ASK, { signal: controller.signal }).catch(() => {});
      controller.abort(new DOMException("late", "TimeoutError"));
      await reading;
    }
    faulty.plan([]);
    await driver.read(ASK);
  });
});

describe("limit", () => {
  it("keeps to so many calls at once, in order", async () => {
    let running = 0;
    let most = 0;
    const inner = Object.assign(fault(memory()), {
      read: async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 100));
        running--;
        return [];
      },
    });
    const driver = limit({ concurrency: 3 })(inner);
    await run(Promise.all(Array.from({ length: 20 }, () => driver.read(ASK))));
    expect(most).toBe(3);
  });

  it("keeps to so many calls a second", async () => {
    const { counts } = lab();
    const driver = limit({ rate: 10, burst: 2 })(counts);
    const all = Promise.all(Array.from({ length: 12 }, () => driver.read(ASK)));
    await vi.advanceTimersByTimeAsync(0);
    expect(counts.counts.calls.read).toBe(2);
    await vi.advanceTimersByTimeAsync(500);
    expect(counts.counts.calls.read).toBeLessThanOrEqual(7);
    await run(all);
  });

  it("a call that is aborted while it waits was never sent; one too many is RATE_LIMITED", async () => {
    const { counts } = lab({ method: "read", what: "hang" });
    const driver = limit({ concurrency: 1, queue: 1 })(counts);
    const holder = new AbortController();
    const first = driver.read(ASK, { signal: holder.signal }).catch(() => {});
    const controller = new AbortController();
    const waiting = driver.commit(commitOf(change), { signal: controller.signal });
    await expect(driver.read(ASK)).rejects.toMatchObject({ code: "RATE_LIMITED", outcome: "temporary" });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: "ABORTED", outcome: "final" });
    holder.abort();
    await first;
    expect(counts.counts.calls.commit).toBe(0);
  });
});

describe("readonly and prefix", () => {
  it("readonly refuses every write before it is sent", async () => {
    const { counts } = lab();
    const registry = new PromptRegistry(readonly()(counts));
    const request = { name: "a", version: "1.0.0", text: "a" };
    await expect(registry.storePrompt(request)).rejects.toMatchObject({ code: "READ_ONLY" });
    await expect(readonly()(counts).commit(commitOf(change))).rejects.toMatchObject({ code: "READ_ONLY" });
    expect(counts.counts.total).toBe(0);
  });

  it("prefix shows a part of the store, and writes no other", async () => {
    const store = memory();
    const all = new PromptRegistry(store);
    for (const name of ["team/a", "team/b", "teams", "other"])
      await all.storePrompt({ name, version: "1.0.0", text: name });
    const registry = new PromptRegistry(prefix("team/")(store));
    const names = async (start?: string) =>
      (await registry.listPrompts(start === undefined ? {} : { prefix: start })).items.map((p) => p.name);
    expect([await names(), await names("te"), await names("team/b"), await names("other")]).toEqual([
      ["team/a", "team/b"],
      ["team/a", "team/b"],
      ["team/b"],
      [],
    ]);
    expect((await registry.getPrompt("team/a")).text).toBe("team/a");
    await expect(registry.getPrompt("teams")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(registry.storePrompt({ name: "teams", version: "1.1.0", text: "x" })).rejects.toMatchObject({
      code: "FORBIDDEN",
    });
    const both = await registry.storePrompts(
      ["team/a", "other"].map((name) => ({ name, version: "1.1.0", text: "x" })),
    );
    expect(both.map((r) => r.status)).toEqual(["created", "failed"]);
    expect((await all.getPrompt("other")).version).toBe("1.0.0");
  });

  it("prefix never shows an empty page of the feed while something inside is still to come", async () => {
    const store = memory();
    const all = new PromptRegistry(store);
    const start = await prefix("team/")(store).changes({ limit: 10 });
    for (const name of ["other/a", "other/b", "other/c", "team/a"])
      await all.storePrompt({ name, version: "1.0.0", text: name });
    const inside = prefix("team/")(store);
    const page = await inside.changes({ cursor: start.cursor as string, limit: 1 });
    expect(page.items).toEqual([{ name: "team/a" }]);
    expect((await inside.changes({ cursor: page.cursor as string, limit: 1 })).items).toEqual([]);
  });
});
