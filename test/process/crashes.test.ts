import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fs } from "../../src/drivers/fs/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { gist } from "../support/process-check.ts";
import { faultyIo } from "../support/process-faults.ts";
import { judgeCrash } from "../support/process-judge.ts";
import { BOTH, callsOf, copy, type Stage, scenarios, stage, titleOf } from "../support/process-scenarios.ts";
import { ending, perform } from "../support/process-steps.ts";
import { inParallel, straceMissing, trace } from "../support/process-strace.ts";
import { type Bench, createBench, summary } from "../support/process-workers.ts";
import { STRACE_EVERY } from "../support/sizes.ts";
import { skipSuite } from "../support/skip.ts";

// Also where nothing is changed: while it reads, and while it closes files.
const THOROUGH = ["store, next version", "label"];
const LONG = ["import", "import of next versions", "copy"];

let bench: Bench;
const stages: Stage[] = [];
beforeAll(async () => {
  bench = await createBench("memory");
  for (const scenario of scenarios) stages.push(await stage(scenario, bench.folder("template")));
});
afterAll(() => bench?.dispose());

describe("crashes", () => {
  // The same without strace: the driver's calls go through a shim that stops at the nth one and makes none after it.
  // Between two changes all points are the same to those who come after.
  test("the driver stopped before each call that changes anything, and after the last", async () => {
    let runs = 0;
    const problems: string[] = [];
    for (const one of stages) {
      const { scenario } = one;
      const calls = await callsOf(one, bench.folder());
      for (const nth of [...calls.flatMap((call, i) => (call.changes ? [i + 1] : [])), calls.length]) {
        const path = bench.folder();
        copy(one.template, path);
        const fault = faultyIo({ nth, kind: "die" });
        const registry = new PromptRegistry(fs({ path, ...scenario.layout, io: fault.io }));
        const end = await ending(() => perform(registry, scenario.step), scenario.step);
        fault.dispose();
        runs++;
        const acked = end.every((e) => e.ok);
        const found = await judgeCrash(one, path, acked);
        problems.push(...found.map((p) => `${titleOf(scenario)}, stopped at call ${nth} (${fault.fired()}): ${p}`));
        rmSync(path, { recursive: true, force: true });
      }
    }
    summary(`crashes (shim): ${runs} runs of ${stages.length} operations, ${problems.length} violations`);
    expect(gist(problems)).toEqual([]);
    expect(runs).toBeGreaterThanOrEqual(300);
  });

  const missing = straceMissing();
  if (missing !== undefined)
    skipSuite("crashes at system calls", `${missing}; the run through the shim covers the same calls`);
  else {
    test("the process killed at each system call on the registry", async () => {
      let runs = 0;
      let elsewhere = 0;
      const calls = new Map<string, number>();
      const problems: string[] = [];
      const tasks: { one: Stage; call: string; nth: number; text: string }[] = [];
      await inParallel(2, stages, async (one) => {
        const path = bench.folder();
        copy(one.template, path);
        const plain = await trace(bench, { fs: { path, ...one.scenario.layout }, step: one.scenario.step });
        expect(
          plain.endings[0]?.every((e) => e.ok),
          titleOf(one.scenario),
        ).toBe(true);
        expect(plain.points.length, titleOf(one.scenario)).toBeGreaterThan(3);
        const { layout, title } = one.scenario;
        const thorough = THOROUGH.includes(title) && layout === BOTH;
        // Of the long rows, and where the shim has shown the same, a smaller part.
        const step = STRACE_EVERY * (layout === BOTH ? (LONG.includes(title) ? 3 : 1) : 6);
        const changes = plain.points.filter((point) => point.changes);
        const all = plain.points.filter((point, i) => point.changes || i % STRACE_EVERY === 0);
        for (const point of thorough ? all : changes.filter((_, i) => i % step === 0)) {
          tasks.push({ one, ...point });
        }
        rmSync(path, { recursive: true, force: true });
      });
      await inParallel(2, tasks, async ({ one, call, nth, text }) => {
        const path = bench.folder();
        copy(one.template, path);
        const what = { call, nth, what: "signal=KILL" };
        const run = await trace(bench, { fs: { path, ...one.scenario.layout }, step: one.scenario.step }, what);
        if (!run.killed || !run.begun) elsewhere++;
        else {
          runs++;
          calls.set(call, (calls.get(call) ?? 0) + 1);
          const found = await judgeCrash(one, path, run.endings.length > 0);
          problems.push(...found.map((p) => `${titleOf(one.scenario)}, killed at ${call} ${nth} (${text}): ${p}`));
        }
        rmSync(path, { recursive: true, force: true });
      });
      const kinds = [...calls].sort(([, a], [, b]) => b - a).map(([call, n]) => `${call} ${n}`);
      summary(
        `crashes (strace): ${runs} runs of ${stages.length} operations, ${problems.length} violations; ` +
          `${elsewhere} missed; ${kinds.join(", ")}`,
      );
      expect(gist(problems)).toEqual([]);
      expect(runs).toBeGreaterThanOrEqual(480 / STRACE_EVERY);
      expect(elsewhere, "kills that hit another call than meant").toBeLessThan(tasks.length * 0.05);
    });
  }
});
