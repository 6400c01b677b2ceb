import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fs } from "../../src/drivers/fs/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { gist } from "../support/process-check.ts";
import { type Fault, faultyIo } from "../support/process-faults.ts";
import { judgeError } from "../support/process-judge.ts";
import { BOTH, callsOf, copy, type Stage, scenarios, stage, titleOf } from "../support/process-scenarios.ts";
import { ending, perform } from "../support/process-steps.ts";
import { inParallel, straceMissing, trace } from "../support/process-strace.ts";
import { type Bench, createBench, summary } from "../support/process-workers.ts";
import { STRACE_EVERY } from "../support/sizes.ts";
import { skipSuite } from "../support/skip.ts";

let bench: Bench;
const stages: Stage[] = [];
beforeAll(async () => {
  bench = await createBench("memory");
  // A copy reports failures prompt by prompt; it has tests of its own.
  for (const scenario of scenarios.filter(({ title }) => title !== "copy"))
    stages.push(await stage(scenario, bench.folder("template")));
});
afterAll(() => bench?.dispose());

/** What a call can really fail with. */
const ERRORS: Readonly<Record<string, readonly string[]>> = {
  EIO: "open openat read pread64 write pwrite64 fsync fdatasync link linkat symlink symlinkat rename renameat renameat2 unlink unlinkat mkdir mkdirat rmdir readdir getdents64 lstat fstat newfstatat statx readlink close".split(
    " ",
  ),
  ENOSPC:
    "open openat write pwrite64 fsync link linkat symlink symlinkat rename renameat renameat2 mkdir mkdirat".split(" "),
  EMFILE: ["open", "openat"],
  EACCES:
    "open openat link linkat symlink symlinkat rename renameat renameat2 unlink unlinkat mkdir mkdirat rmdir lstat".split(
      " ",
    ),
};

describe("errors of the operating system", () => {
  test.each(["once", "from then on", "reply lost"] as const)("each call of the driver fails: %s", async (how) => {
    let runs = 0;
    const failed = new Map<string, number>();
    const problems: string[] = [];
    for (const one of stages) {
      const { scenario, template } = one;
      const calls = await callsOf(one, bench.folder());
      for (const [i, { name, changes }] of calls.entries()) {
        if (!changes && (how !== "once" || i % 6 !== 0)) continue;
        const codes =
          how === "reply lost" ? lostCodes(name) : Object.keys(ERRORS).filter((e) => ERRORS[e]?.includes(name));
        // Each error at each change where it matters most; elsewhere they take turns.
        const all = changes && how === "once" && scenario.layout === BOTH;
        for (const code of all ? codes : codes.filter((_, n) => n === i % codes.length)) {
          const nth = i + 1;
          const fault: Fault =
            how === "reply lost"
              ? { nth, kind: "lost", code }
              : { nth, kind: "error", code, forever: how === "from then on" };
          const path = bench.folder();
          copy(template, path);
          const faulty = faultyIo(fault);
          const registry = new PromptRegistry(fs({ path, ...scenario.layout, io: faulty.io }));
          const end = await ending(() => perform(registry, scenario.step), scenario.step);
          faulty.heal();
          const at = faulty.fired();
          runs++;
          for (const e of end) failed.set(e.ok ? "ok" : e.code, (failed.get(e.ok ? "ok" : e.code) ?? 0) + 1);
          const found = await judgeError(one, path, end, code, registry);
          problems.push(...found.map((p) => `${titleOf(one.scenario)}, ${code} at call ${nth} (${at}): ${p}`));
          faulty.dispose();
          rmSync(path, { recursive: true, force: true });
        }
      }
    }
    const ends = [...failed].map(([code, n]) => `${code} ${n}`).join(", ");
    summary(`errors (shim, ${how}): ${runs} runs, ${problems.length} violations; ends: ${ends}`);
    expect(gist(problems)).toEqual([]);
  });

  const missing = straceMissing();
  if (missing !== undefined)
    skipSuite("errors of system calls", `${missing}; the runs through the shim cover the same calls`);
  else {
    test("each system call on the registry fails once", async () => {
      let runs = 0;
      let elsewhere = 0;
      const ends = new Map<string, number>();
      const problems: string[] = [];
      const tasks: { one: Stage; call: string; nth: number; code: string }[] = [];
      await inParallel(2, stages, async (one) => {
        const path = bench.folder();
        copy(one.template, path);
        const plain = await trace(bench, { fs: { path, ...one.scenario.layout }, step: one.scenario.step });
        if (one.scenario.layout !== BOTH) return;
        for (const { call, nth, changes } of plain.points) {
          // Node itself aborts when it can't close or look at an open file.
          if (["close", "fstat", "newfstatat", "statx"].includes(call)) continue;
          const codes = Object.keys(ERRORS).filter((code) => ERRORS[code]?.includes(call));
          // One for each call; they take turns, as the shim does all of them.
          const code = codes[nth % codes.length];
          const isTaken = nth % (changes ? STRACE_EVERY : 6) === 0;
          if (code !== undefined && isTaken) tasks.push({ one, call, nth, code });
        }
        rmSync(path, { recursive: true, force: true });
      });
      await inParallel(2, tasks, async ({ one, call, nth, code }) => {
        const path = bench.folder();
        copy(one.template, path);
        const options = { fs: { path, ...one.scenario.layout }, step: one.scenario.step };
        const run = await trace(bench, options, { call, nth, what: `error=${code}` });
        const [first] = run.endings;
        if (run.injected === undefined || first === undefined) elsewhere++;
        else {
          runs++;
          for (const e of first) ends.set(e.ok ? "ok" : e.code, (ends.get(e.ok ? "ok" : e.code) ?? 0) + 1);
          const found = await judgeError(one, path, first, code);
          problems.push(...found.map((p) => `${titleOf(one.scenario)}, ${code} at ${run.injected}: ${p}`));
        }
        rmSync(path, { recursive: true, force: true });
      });
      const kinds = [...ends].map(([code, n]) => `${code} ${n}`).join(", ");
      summary(`errors (strace): ${runs} runs, ${problems.length} violations; ${elsewhere} missed; ends: ${kinds}`);
      expect(gist(problems)).toEqual([]);
      expect(elsewhere, "errors that hit another call than meant").toBeLessThan(tasks.length * 0.05);
    });
  }
});

function lostCodes(name: string): readonly string[] {
  // A call that is sent again after its reply was lost finds its own work done.
  if (name === "link" || name === "mkdir" || name === "symlink") return ["ETIMEDOUT", "EEXIST"];
  if (name === "rename" || name === "unlink" || name === "rmdir") return ["ETIMEDOUT", "ENOENT"];
  return [];
}
