import { describe, expect, it, vi } from "vitest";
import { ASK, change, failure, lab, run } from "../../test/support/layers-lab.ts";
import type { StorageDriver } from "../driver.ts";
import { memory } from "../drivers/memory.ts";
import { commitOf, documentOf, fault } from "../testing/index.ts";
import { retry } from "./retry.ts";

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
