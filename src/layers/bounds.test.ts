import { describe, expect, it, vi } from "vitest";
import { ASK, change, failure, lab, run } from "../../test/support/layers-lab.ts";
import type { StorageDriver } from "../driver.ts";
import { memory } from "../drivers/memory.ts";
import { commitOf, fault } from "../testing/index.ts";
import { circuit } from "./circuit.ts";
import { stack } from "./layer.ts";
import { limit } from "./limit.ts";
import { retry } from "./retry.ts";
import { deadline, timeout } from "./timeout.ts";

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
