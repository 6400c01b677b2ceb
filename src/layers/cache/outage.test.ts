import { describe, expect, it, vi } from "vitest";
import { createLab, DAY, MINUTE, publish, refusal, settle } from "../../../test/support/cache-lab.ts";
import { outage } from "../../../test/support/outage.ts";
import type { ReadAnswer, StorageDriver } from "../../driver.ts";
import { memory } from "../../drivers/memory.ts";
import { RegistryError } from "../../errors.ts";
import { PromptRegistry } from "../../registry.ts";
import { askOf } from "../../testing/index.ts";
import { fallback } from "../fallback.ts";
import { stack } from "../layer.ts";
import { cache } from "./index.ts";

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

it("who may be given what a fallback has does not wait for one who may not", async () => {
  const [main, second] = [memory(), memory()];
  for (const store of [main, second]) await publish(new PromptRegistry(store), "1.0.0", ["production"]);
  const down: StorageDriver = {
    ...main,
    peek: () => undefined,
    read: async () => {
      await Promise.resolve();
      throw new RegistryError("UNAVAILABLE", "down", { outcome: "temporary" });
    },
  };
  const driver = stack(down, [cache(), fallback([second])]);
  const ask = askOf("a", "production");
  const fresh = driver.read([ask], { fresh: true });
  const other = driver.read([ask]);
  await expect(fresh).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(await other).toMatchObject([{ status: "found", document: { version: "1.0.0" } }]);
});
