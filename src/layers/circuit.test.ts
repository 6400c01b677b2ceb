import { describe, expect, it, vi } from "vitest";
import { ASK, change, failure, lab } from "../../test/support/layers-lab.ts";
import type { Outcome, StorageDriver } from "../driver.ts";
import { memory } from "../drivers/memory.ts";
import { commitOf, fault } from "../testing/index.ts";
import { circuit } from "./circuit.ts";

const options = { failures: 5, cooldown: 1000, random: () => 1 };

describe("circuit: what counts", () => {
  it.each([5, 32, 200])("%i calls that were on their way open it once", async (calls) => {
    const { faulty } = lab({ method: "read", what: "delay", wait: () => new Promise((r) => setTimeout(r, 20)) });
    const driver = circuit(options)(
      Object.assign(faulty, {
        read: async () => {
          await new Promise((resolve) => setTimeout(resolve, 20));
          throw failure("UNAVAILABLE");
        },
      }),
    );
    const all = Promise.allSettled(Array.from({ length: calls }, () => driver.read(ASK)));
    await vi.advanceTimersByTimeAsync(20);
    await all;
    await expect(driver.read(ASK)).rejects.toMatchObject({ context: { retryAfter: 1000 } });
    // A try that fails doubles it, and those that fail late change nothing of that.
    await vi.advanceTimersByTimeAsync(1001);
    const probe = driver.read(ASK).catch(() => {});
    await vi.advanceTimersByTimeAsync(20);
    await probe;
    await expect(driver.read(ASK)).rejects.toMatchObject({ context: { retryAfter: 2000 } });
  });

  const committing = (...outcomes: (() => Outcome)[]) => {
    let calls = 0;
    const inner: StorageDriver = Object.assign(fault(memory()), {
      commit: async () => {
        calls++;
        return outcomes.map((outcome) => outcome());
      },
    });
    return { driver: circuit(options)(inner), calls: () => calls };
  };
  const failed = (code: "UNAVAILABLE" | "FORBIDDEN") => (): Outcome => ({ status: "failed", error: failure(code) });
  const commit = commitOf(change);

  it("a commit of which every change failed in an outage is a failure", async () => {
    for (const outcomes of [[failed("UNAVAILABLE")], [failed("UNAVAILABLE"), (): Outcome => ({ status: "skipped" })]]) {
      const { driver, calls } = committing(...outcomes);
      for (let i = 0; i < 5; i++) expect(await driver.commit(commit)).toHaveLength(outcomes.length);
      await expect(driver.commit(commit)).rejects.toThrow(/left alone/);
      expect(calls()).toBe(5);
    }
  });

  it("a commit of which something got an answer is none", async () => {
    const answers: (() => Outcome)[] = [
      failed("FORBIDDEN"),
      () => ({ status: "done" }),
      () => ({ status: "conflict", added: false }),
    ];
    for (const answer of answers) {
      const { driver, calls } = committing(failed("UNAVAILABLE"), answer);
      for (let i = 0; i < 20; i++) await driver.commit(commit);
      expect(calls()).toBe(20);
    }
  });
});
