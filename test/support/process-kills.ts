import { type ChildProcess, spawn } from "node:child_process";
import { expect } from "vitest";
import { type FsOptions, fs } from "../../src/drivers/fs/index.ts";
import { memory } from "../../src/drivers/memory.ts";
import { isRegistryError } from "../../src/errors.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { createRandom } from "../../src/testing/random.ts";
import type { ChaosOptions, Line } from "../process/workers/chaos.ts";
import { aftermath, between, describeError, inspect, sameState } from "./process-check.ts";
import { perform, type Step } from "./process-steps.ts";
import type { Bench } from "./process-workers.ts";

const CHILDREN = 2;

export interface KillPlan {
  readonly title: string;
  readonly layout: Pick<FsOptions, "hardLinks" | "links">;
  readonly kills: number;
  readonly seed: number;
  /** Where a registry is to be; a path that does not exist yet. */
  folder(): string;
  /** What else befalls the disk, once the writers are dead and before anybody looks. */
  cut?(): void;
}

/** What became of it, for the summary. */
export interface Killed {
  readonly kills: number;
  readonly acknowledged: number;
  readonly underWay: number;
}

async function untilKilled(bench: Bench, options: ChaosOptions, delay: number): Promise<Line[]> {
  const child: ChildProcess = spawn(process.execPath, [bench.script("chaos"), JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  let timer: NodeJS.Timeout | undefined;
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    out += chunk;
    timer ??= setTimeout(() => child.kill("SIGKILL"), delay);
  });
  const signal = await new Promise((resolve) => child.once("close", (_, signal) => resolve(signal)));
  clearTimeout(timer);
  expect(signal, `the child ended by itself: ${out.slice(-500)}`).toBe("SIGKILL");
  // The last line may be cut: then its call is the one under way.
  const whole = out.slice(0, out.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
}

async function apply(registry: PromptRegistry, step: Step): Promise<string> {
  try {
    await perform(registry, step);
    return "ok";
  } catch (error) {
    if (isRegistryError(error)) return error.code;
    throw error;
  }
}

/**
 * Lets writers be killed in the middle of what they do. This process keeps the log of what they were told and replays it on a
 * registry in memory: after each kill both must be the same, but for the calls that were under way, which may be there
 * whole, in part (as `between` allows) or not; and each can then be made again.
 */
export async function killRounds(bench: Bench, plan: KillPlan): Promise<Killed> {
  const { layout, kills, seed } = plan;
  const random = createRandom(plan.seed);
  let done = 0;
  let acknowledged = 0;
  let underWay = 0;
  for (let set = 0; done < kills; set++) {
    const options = { path: plan.folder(), ...layout };
    const model = new PromptRegistry(memory());
    const childNames = [
      ["a/one", "a/two"],
      ["b/one", "b/two"],
    ];
    for (let round = 0; round < 10 && done < kills; round++) {
      const at = `seed ${seed}, set ${set}, round ${round}`;
      // Settled first: no child may outlive the test because another one failed.
      const settled = await Promise.allSettled(
        Array.from({ length: CHILDREN }, (_, i) =>
          untilKilled(
            bench,
            {
              fs: options,
              seed: random.int(2 ** 31),
              names: childNames[i] as string[],
              slot: round * CHILDREN + i,
              shared: "shared/all",
            },
            random.int(120),
          ),
        ),
      );
      const logs = settled.map((one) => {
        if (one.status === "rejected") throw one.reason;
        return one.value;
      });
      done += CHILDREN;
      plan.cut?.();
      const pending: Step[] = [];
      for (const log of logs) {
        let step: Step | undefined;
        for (const line of log) {
          if (line.t === "I") step = line.step;
          else {
            const code = await apply(model, step as Step);
            const said = line.t === "A" ? "ok" : line.code;
            if (line.t === "A") acknowledged++;
            expect(said, `${at}: ${JSON.stringify(step).slice(0, 300)}: ${JSON.stringify(line)}`).toBe(code);
            step = undefined;
          }
        }
        if (step !== undefined) pending.push(step);
      }
      underWay += pending.length;
      const before = (await inspect(model)).state;
      for (const step of pending) await apply(model, step);
      const after = (await inspect(model)).state;
      const now = await inspect(new PromptRegistry(fs(options)));
      expect([...now.problems, ...between(before, after, now.state)], at).toEqual([]);
      const registry = new PromptRegistry(fs(options));
      for (const step of pending) await apply(registry, step);
      const again = await inspect(new PromptRegistry(fs(options)));
      expect([...again.problems, ...sameState(after, again.state)], `${at}, after doing it again`).toEqual([]);
    }
    expect(await aftermath(options).catch((e) => [describeError(e)]), `seed ${seed}, set ${set}`).toEqual([]);
  }
  return { kills: done, acknowledged, underWay };
}
