import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { memory } from "../../src/drivers/memory.ts";
import { isRegistryError, RegistryError } from "../../src/errors.ts";
import {
  cache,
  circuit,
  deadline,
  fallback,
  type Layer,
  limit,
  retry,
  stack,
  timeout,
} from "../../src/layers/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { count, createIds, type DriverMethod, type Fault, fault } from "../../src/testing/index.ts";

const DEADLINE = 3000;
const BOUND = DEADLINE * 4;

const layers = (): Layer[] => [
  cache({ random: () => 1 }),
  fallback([memory()]),
  deadline(DEADLINE),
  retry({ random: () => 1 }),
  circuit({ failures: 5 }),
  timeout(1000),
  limit({ concurrency: 8 }),
];

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-01-01T00:00:00Z") });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Runs timers until the call has settled; fails when it takes longer than any deadline allows. */
async function inTime<T>(what: string, call: () => Promise<T>): Promise<T> {
  const started = Date.now();
  let settled = false;
  const promise = call();
  promise
    .catch(() => {})
    .finally(() => {
      settled = true;
    });
  for (let turn = 0; !settled; turn++) {
    await vi.advanceTimersByTimeAsync(turn < 20 ? 0 : 25);
    if (Date.now() - started > BOUND) throw new Error(`${what} hangs`);
  }
  return promise;
}

/** As a remote one: it must be waited for. */
function remote(store: StorageDriver) {
  const faulty = Object.assign(fault(store), { peek: () => undefined });
  return { faulty, counts: count(faulty) };
}

interface Step {
  readonly title: string;
  readonly run: (registry: PromptRegistry) => Promise<unknown>;
}

const text = (n: number) => `text ${n}\n`;
const STEPS: readonly Step[] = [
  {
    title: "publish",
    run: (r) => r.storePrompt({ name: "a", version: "1.0.0", text: text(1), labels: ["production"] }),
  },
  { title: "bump", run: (r) => r.storePrompt({ name: "a", bump: "minor", text: text(2) }) },
  { title: "get", run: (r) => r.getPrompts(["a", "a@production", "a@1.0.0"]) },
  { title: "range", run: (r) => r.getPrompt("a@^1") },
  { title: "label", run: (r) => r.setLabel("a", "production", "1.1.0") },
  { title: "get by label", run: (r) => r.getPrompt("a@production") },
  { title: "batch", run: (r) => r.storePrompts(["b", "c"].map((name) => ({ name, version: "1.0.0", text: "" }))) },
  { title: "rollback", run: (r) => r.rollback("a", { to: "1.0.0" }) },
  { title: "get latest", run: (r) => r.getPrompt("a") },
  { title: "unpin", run: (r) => r.unpin("a") },
  { title: "yank", run: (r) => r.yank("b", "1.0.0") },
  { title: "delete", run: (r) => r.deletePrompt("c") },
  { title: "list", run: (r) => r.listPrompts({ include: "heads" }).all() },
  { title: "history", run: (r) => r.history("a").all() },
];

const REFS = ["a", "a@production", "a@1.0.0", "a@1.1.0", "a@^1", "b@1.0.0", "c@1.0.0", "c"];

async function shown(registry: PromptRegistry, ref: string): Promise<string> {
  try {
    const prompt = await inTime(ref, () => registry.getPrompt(ref));
    return `${prompt.version} ${prompt.text}${prompt.stale ? "stale" : ""}`;
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    return error.code;
  }
}

/** Everything that must be the same in the end, whatever happened on the way. */
async function stateOf(store: StorageDriver): Promise<unknown> {
  const registry = new PromptRegistry(store);
  const prompts = await registry.listPrompts({ include: "heads", includeRemoved: true }).all();
  return Promise.all(
    prompts.map(async ({ name, head, removed }) => ({
      name,
      removed,
      labels: head?.head.labels,
      pin: head?.head.pin,
      yanked: Object.keys(head?.head.yanked ?? {}),
      latest: head?.latest,
      generation: head?.head.generation,
      versions: (await registry.listVersions(name, { includeRemoved: true }).all()).map((v) => [v.version, v.removed]),
      log: (await registry.history(name).all()).map(({ action, from, to, label }) => [action, from, to, label]).sort(),
    })),
  );
}

describe("faults through cache, fallback, deadline, retry, circuit, timeout and limit", () => {
  const KINDS = ["fail", "dropReply", "delay", "hang"] as const;
  const METHODS: readonly DriverMethod[] = ["read", "commit", "listVersions", "listPrompts", "history"];

  it.each(KINDS)("%s of every single call: invariants hold, and nothing hangs", { timeout: 300_000 }, async (what) => {
    const clean = memory();
    const { faulty, counts } = remote(clean);
    const registry = new PromptRegistry(stack(counts, layers()), { newId: createIds() });
    for (const step of STEPS) await inTime(step.title, () => step.run(registry));
    const expected = await stateOf(clean);
    expect(faulty.struck).toEqual([]);
    let runs = 0;
    for (const method of METHODS) {
      // Checks between the steps make calls as well, so there are more than the steps alone need.
      for (let call = 1; call <= 40; call++) {
        const one: Fault = { method, call, what, wait: () => new Promise((resolve) => setTimeout(resolve, 500)) };
        const store = memory();
        const struck = await runWith(store, [one]);
        if (struck === 0) break;
        runs++;
        expect([method, call, await stateOf(store)]).toEqual([method, call, expected]);
      }
    }
    expect(runs).toBeGreaterThan(30);
  });
});

/** Runs all steps with these faults, each again where it failed; gives how many faults struck. */
async function runWith(store: StorageDriver, faults: readonly Fault[]): Promise<number> {
  const raw = new PromptRegistry(store);
  const { faulty, counts } = remote(store);
  const registry = new PromptRegistry(stack(counts, layers()), { newId: createIds() });
  faulty.plan(faults);
  for (const { title, run: step } of STEPS) {
    const before = JSON.stringify(await stateOf(store));
    const attempt = () => inTime(title, () => step(registry));
    let result: unknown;
    try {
      result = await attempt();
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      // I7: what is not unknown did not happen.
      if (error.outcome !== "unknown") expect(JSON.stringify(await stateOf(store)), title).toBe(before);
      expect(["UNAVAILABLE", "TIMEOUT"], title).toContain(error.code);
      result = await attempt();
    }
    if (Array.isArray(result) && result.some((r) => r?.status === "failed")) await attempt();
    // Read your writes: what is given is what is stored, or says that it is old.
    for (const ref of REFS) {
      const [mine, truth] = [await shown(registry, ref), await shown(raw, ref)];
      if (!mine.endsWith("stale")) expect([title, ref, mine]).toEqual([title, ref, truth]);
    }
  }
  const struck = faulty.struck.length;
  faulty.plan([]);
  await vi.advanceTimersByTimeAsync(120_000);
  for (const ref of REFS) expect([ref, await shown(registry, ref)]).toEqual([ref, await shown(raw, ref)]);
  return struck;
}

describe("a full outage", () => {
  const OUTAGES: readonly (readonly [string, (method: DriverMethod) => Fault])[] = [
    ["errors", (method) => ({ method, what: "fail" })],
    [
      "429",
      (method) => ({ method, what: "fail", error: new RegistryError("RATE_LIMITED", "busy", { retryAfter: 200 }) }),
    ],
    ["hangs", (method) => ({ method, what: "hang" })],
    ["lost replies", (method) => ({ method, what: "dropReply" })],
  ];
  const METHODS: readonly DriverMethod[] = ["read", "commit", "listVersions", "listPrompts", "history"];

  async function prepared(own: readonly Layer[]) {
    const store = memory();
    const raw = new PromptRegistry(store);
    for (let i = 0; i < 50; i++) {
      await raw.storePrompt({ name: `p${i}`, version: "1.0.0", text: text(i), labels: ["production"] });
    }
    const { faulty, counts } = remote(store);
    return { faulty, counts, registry: new PromptRegistry(stack(counts, own)) };
  }

  it.each(OUTAGES)("%s: the store is asked at most 1.2 times as often as callers ask", async (_, outage) => {
    for (const own of [layers(), layers().filter(({ layer }) => layer !== "circuit")]) {
      const { faulty, counts, registry } = await prepared(own);
      faulty.plan(METHODS.map(outage));
      const offered = 300;
      for (let i = 0; i < offered; i++) {
        await inTime("get", () => registry.getPrompt(`p${i % 50}@production`)).catch(() => {});
        await vi.advanceTimersByTimeAsync(10);
      }
      expect(counts.counts.total / offered).toBeLessThanOrEqual(1.2);
      await registry.close();
    }
  });

  it.each(OUTAGES)("%s: everything that was read before is given, at once once it is known", async (_, outage) => {
    const { faulty, counts, registry } = await prepared(layers());
    const refs = Array.from({ length: 50 }, (_, i) => [`p${i}`, `p${i}@production`, `p${i}@1.0.0`]).flat();
    for (const ref of refs) await inTime(ref, () => registry.getPrompt(ref));
    await inTime("range", () => registry.getPrompt("p7@^1"));
    faulty.plan(METHODS.map(outage));
    await vi.advanceTimersByTimeAsync(3_600_000);
    counts.reset();
    for (let round = 0; round < 3; round++) {
      for (const ref of [...refs, "p7@^1"]) {
        const prompt = await inTime(ref, () => registry.getPrompt(ref));
        expect(prompt.text).toBe(text(Number(/\d+/.exec(ref)?.[0])));
      }
    }
    expect(counts.counts.total).toBeLessThan(30);
    faulty.plan([]);
    await vi.advanceTimersByTimeAsync(120_000);
    expect((await inTime("p0", () => registry.getPrompt("p0"))).stale).toBe(false);
    await registry.close();
  });

  it("writes through an outage take nothing away, and are done when it is over", async () => {
    const { faulty, registry } = await prepared(layers());
    await inTime("get", () => registry.getPrompt("p1@production"));
    for (const [, outage] of OUTAGES.slice(0, 3)) {
      faulty.plan(METHODS.map(outage));
      const request = { name: "p1", version: "2.0.0", text: "new\n", labels: ["production"] };
      await expect(inTime("store", () => registry.storePrompt(request))).rejects.toBeInstanceOf(RegistryError);
      const old = await inTime("get", () => registry.getPrompt("p1@production"));
      expect(old.version).toBe("1.0.0");
    }
    faulty.plan([]);
    await vi.advanceTimersByTimeAsync(120_000);
    await inTime("store", () =>
      registry.storePrompt({ name: "p1", version: "2.0.0", text: "new\n", labels: ["production"] }),
    );
    expect((await inTime("get", () => registry.getPrompt("p1@production"))).version).toBe("2.0.0");
    await registry.close();
  });
});
