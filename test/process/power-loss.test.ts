import { mkdirSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fs } from "../../src/drivers/fs/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { createRandom } from "../../src/testing/random.ts";
import { aftermath, between, describeError, gist, inspect, type State, sameState } from "../support/process-check.ts";
import {
  Disk,
  identity,
  isChange,
  type LoggedCall,
  materialise,
  type Remains,
  recorded,
} from "../support/process-disk.ts";
import { BOTH, copy, type Layout, NEITHER, scenarios, stage, titleOf } from "../support/process-scenarios.ts";
import { perform, type Step } from "../support/process-steps.ts";
import { type Bench, createBench, summary } from "../support/process-workers.ts";

// Replays what the driver asked of the system on a model of a disk that keeps only what was flushed, cuts the power after
// each call, and checks what readers find in every mix of what had not been flushed yet.
const SEED = Number(process.env.PROCESS_SEED ?? 20_261_124);
const ALL_SUBSETS_UP_TO = 5;
const SAMPLES = 8;
/** Of the states that no earlier cut had. */
const PER_CUT = Number(process.env.PROCESS_STATES ?? 2);

let bench: Bench;
beforeAll(async () => {
  bench = await createBench("memory");
});
afterAll(() => bench?.dispose());

interface Played {
  readonly title: string;
  readonly layout: Layout;
  readonly template: string;
  /** Where it was played, which the log names. */
  readonly path: string;
  readonly steps: readonly Step[];
  readonly log: readonly LoggedCall[];
  /** How long the log was when each step was acknowledged. */
  readonly acks: readonly number[];
  /** What readers see before the first step and after each. */
  readonly states: readonly State[];
}

async function play(title: string, layout: Layout, template: string, steps: readonly Step[]): Promise<Played> {
  const path = bench.folder("played");
  copy(template, path);
  const log: LoggedCall[] = [];
  const acks: number[] = [];
  const registry = new PromptRegistry(fs({ path, ...layout, mode: "embedded", io: recorded(log) }));
  const see = async () => (await inspect(new PromptRegistry(fs({ path, ...layout })))).state;
  const states = [await see()];
  for (const step of steps) {
    await perform(registry, step);
    acks.push(log.length);
    states.push(await see());
  }
  // The model must agree with the real folder while the power is on, or it proves nothing.
  const disk = new Disk(template, path);
  for (const call of log) disk.apply(call);
  expect(identity(disk.live()), `${title}: the model of the disk`).toBe(identity(new Disk(path, path).live()));
  rmSync(path, { recursive: true });
  return { title, layout, template, path, steps, log, acks, states };
}

function* remainsOf(disk: Disk, seed: number): Generator<Remains> {
  const random = createRandom(seed);
  const n = disk.pending;
  const parts = [() => 0, (length: number) => length >> 1];
  if (n <= ALL_SUBSETS_UP_TO) {
    for (let mask = 0; mask < 2 ** n; mask++) {
      const kept = new Set(Array.from({ length: n }, (_, i) => i).filter((i) => mask & (1 << i)));
      for (const part of parts) yield disk.remains(kept, part);
    }
    return;
  }
  for (let i = 0; i < n; i++) {
    const others = Array.from({ length: n }, (_, j) => j).filter((j) => j !== i);
    for (const part of parts) {
      yield disk.remains(new Set([i]), part);
      yield disk.remains(new Set(others), part);
    }
  }
  for (let i = 0; i < SAMPLES; i++) {
    const kept = new Set(Array.from({ length: n }, (_, j) => j).filter(() => random.chance()));
    yield disk.remains(kept, random.pick(parts));
  }
}

async function judge(played: Played, remains: Remains, acked: number): Promise<string[]> {
  const { steps, states, layout } = played;
  const path = bench.folder();
  mkdirSync(path);
  materialise(remains, path);
  const open = () => new PromptRegistry(fs({ path, ...layout }));
  const now = await inspect(open());
  const before = states[acked] as State;
  const problems = [...now.problems, ...between(before, states[acked + 1] ?? before, now.state)];
  try {
    const registry = open();
    for (const step of steps.slice(acked)) await perform(registry, step);
    const again = await inspect(open());
    problems.push(...again.problems, ...sameState(states.at(-1) as State, again.state));
    problems.push(...(await aftermath({ path, ...layout })));
  } catch (error) {
    problems.push(`doing the rest: ${describeError(error)}`);
  }
  rmSync(path, { recursive: true, force: true });
  return problems;
}

describe("power loss", () => {
  test("what was acknowledged survives whatever else is lost", async () => {
    const all: Played[] = [];
    for (const scenario of scenarios) {
      // A copy is a row of the same commits, and many of them at once.
      if (scenario.layout.mode === "server" || scenario.title === "copy") continue;
      const { template } = await stage(scenario, bench.folder("template"));
      all.push(await play(titleOf(scenario), scenario.layout, template, [scenario.step]));
    }
    for (const layout of [BOTH, NEITHER]) {
      const template = bench.folder("template");
      mkdirSync(template);
      const title = layout === BOTH ? "a row of calls (links)" : "a row of calls (no links)";
      all.push(await play(title, layout, template, ROW));
    }
    const problems: string[] = [];
    let states = 0;
    let cuts = 0;
    for (const played of all) {
      const seen = new Set<string>();
      const disk = new Disk(played.template, played.path);
      for (let k = 0; k <= played.log.length; k++) {
        const last = played.log[k - 1];
        if (last !== undefined) disk.apply(last);
        // After a call that changes nothing the states are those of before, unless it was what the caller waited for.
        if (last !== undefined && !isChange(last) && !played.acks.includes(k)) continue;
        cuts++;
        const acked = played.acks.filter((at) => at <= k).length;
        const fresh: Remains[] = [];
        for (const remains of remainsOf(disk, SEED + k)) {
          const id = `${acked} ${identity(remains)}`;
          if (seen.has(id)) continue;
          seen.add(id);
          fresh.push(remains);
        }
        for (const remains of createRandom(SEED + k)
          .shuffle(fresh)
          .slice(0, PER_CUT)) {
          states++;
          const found = await judge(played, remains, acked);
          const at = `${played.title}, power cut after call ${k} (${last?.name} ${String(last?.args[0])}), seed ${SEED}`;
          problems.push(...found.map((p) => `${at}: ${p}`));
        }
      }
    }
    summary(`power loss: ${cuts} cuts, ${states} different states, ${problems.length} violations`);
    expect(gist(problems)).toEqual([]);
    expect(states).toBeGreaterThanOrEqual(1000);
  });
});

const row = (version: string, more: object = {}): Step => ({
  method: "storePrompt",
  args: [{ name: "row/one", version, text: `text of ${version}\n${"x".repeat(300)}\n`, ...more }],
});

const ROW: readonly Step[] = [
  row("1.0.0"),
  row("1.1.0", { labels: ["production"] }),
  { method: "setLabel", args: ["row/one", "production", "1.0.0"] },
  row("1.2.0", { expect: "1.1.0" }),
  { method: "rollback", args: ["row/one", { to: "1.1.0" }] },
  { method: "yank", args: ["row/one", "1.2.0"] },
  { method: "deleteVersion", args: ["row/one", "1.2.0"] },
  { method: "unpin", args: ["row/one"] },
  row("1.3.0"),
];
