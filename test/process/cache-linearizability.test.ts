import { describe, expect, test } from "vitest";
import type { ReadAnswer } from "../../src/driver.ts";
import { memory } from "../../src/drivers/memory.ts";
import { cache } from "../../src/layers/cache/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { askOf } from "../../src/testing/index.ts";
import { checkLinearizable, runHistory } from "../../src/testing/linearizability/index.ts";
import { createRandom } from "../../src/testing/random.ts";
import { COMPOSED, composed } from "../support/composed.ts";
import { delayed } from "../support/delayed.ts";
import { runsFrom } from "../support/sizes.ts";

/** Histories at once: most of their time is waiting. */
const TOGETHER = 10;
const HISTORIES = runsFrom("PROMPT_REGISTRY_DELAYED_HISTORIES", 60);
const seeds = Array.from({ length: HISTORIES }, (_, i) => i + 1);
const groups = Array.from({ length: Math.ceil(HISTORIES / TOGETHER) }, (_, i) => {
  const members = seeds.slice(i * TOGETHER, (i + 1) * TOGETHER);
  return { members, title: `${members[0]}-${members.at(-1)}` };
});

describe(`${COMPOSED} over a store whose replies overtake each other: 8 clients on one handle`, () => {
  test.each(groups)("histories $title are linearizable per prompt", async ({ members }) => {
    await Promise.all(
      members.map(async (seed) => {
        const driver = composed(delayed(memory(), seed));
        const history = await runHistory({ handles: [driver], clients: 8, ops: 60, seed });
        const verdict = checkLinearizable(history, { together: true });
        expect(verdict.ok, `seed ${seed}: ${verdict.message}`).toBe(true);
        await driver.close();
      }),
    );
  });
});

interface Seen {
  generation: number;
  /** Its major version; all that is published here are x.0.0. */
  latest: number;
}

function seenIn(answer: ReadAnswer | undefined): Seen {
  const state = answer !== undefined && "head" in answer ? answer.head : undefined;
  if (state === undefined) throw new Error(`${answer?.status} came without a head`);
  return { generation: state.head.generation, latest: Number(state.latest?.split(".")[0]) };
}

/** Others publish and label; six readers share a cache, and none may be told less than any of them was told before it asked. */
async function readBesideWriters(seed: number): Promise<string[]> {
  const random = createRandom(seed);
  const store = memory();
  const others = new PromptRegistry(store);
  await others.storePrompt({ name: "a", version: "1.0.0", text: "1", labels: ["production", "staging"] });
  const options = { ttl: random.pick([1, 5, 20, 1000]), staleWhileRevalidate: random.pick([0, 1, 5, 50]) };
  const cached = cache(options)(delayed(store, seed));
  const newest: Seen = { generation: 0, latest: 0 };
  const problems: string[] = [];
  let isOver = false;

  async function read(): Promise<void> {
    while (!isOver) {
      const before = { ...newest };
      const ask = askOf("a", random.pick(["latest", "production", "staging", "head"]));
      const ready = random.chance() ? cached.peek(ask) : undefined;
      const seen = seenIn(ready ?? (await cached.read([ask]))[0]);
      if (seen.generation < before.generation || seen.latest < before.latest)
        problems.push(`${ask.selector.kind}: ${JSON.stringify(seen)} after ${JSON.stringify(before)}`);
      newest.generation = Math.max(newest.generation, seen.generation);
      newest.latest = Math.max(newest.latest, seen.latest);
      if (ready !== undefined) await new Promise((resolve) => setTimeout(resolve, random.int(3)));
    }
  }

  async function write(): Promise<void> {
    for (let i = 2; i < 40; i++) {
      await new Promise((resolve) => setTimeout(resolve, random.int(12)));
      if (random.chance()) await others.storePrompt({ name: "a", version: `${i}.0.0`, text: `${i}` });
      else await others.setLabel("a", random.pick(["production", "staging"]), (await others.getPrompt("a")).version);
    }
    isOver = true;
  }

  await Promise.all([write(), ...Array.from({ length: 6 }, read)]);
  await cached.close();
  return problems;
}

test.each(groups)(
  "cache beside writers elsewhere: nobody is told of an older state than was told before ($title)",
  async ({ members }) => {
    expect((await Promise.all(members.map(readBesideWriters))).flat()).toEqual([]);
  },
);
