import { lstatSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fs } from "../../src/drivers/fs/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { compareVersions, parseVersion, type Version } from "../../src/semver.ts";
import { createRandom } from "../../src/testing/random.ts";
import { type Bench, createBench, summary, type Worker, withWorkers } from "../support/process-workers.ts";
import type { Answer, Ended } from "./workers/registry.ts";

// Nothing of the driver locks: every promise below is kept by create-if-absent alone.
const WRITERS = 8;
const SEED = Number(process.env.PROCESS_SEED ?? 20_261_124);

let bench: Bench;
beforeAll(async () => {
  bench = await createBench();
});
afterAll(() => bench?.dispose());

interface Setup {
  readonly title: string;
  readonly hardLinks: "auto" | "never";
  readonly links: "symlink" | "text";
  readonly versions: number;
  readonly bursts: number;
  readonly rounds: number;
}

const setups: Setup[] = [
  { title: "hard links, symlinks", hardLinks: "auto", links: "symlink", versions: 200, bursts: 200, rounds: 60 },
  { title: "neither", hardLinks: "never", links: "text", versions: 50, bursts: 40, rounds: 60 },
];

const textOf = (version: string, who: number | string) => `version ${version} by ${who}\n${"body ".repeat(200)}\n`;
const failure = (answer: Answer) => (answer.ok ? undefined : `${answer.code} ${answer.outcome} ${answer.message}`);

describe.each(setups)("races of 8 processes ($title)", ({ title, hardLinks, links, versions, bursts, rounds }) => {
  const run = <T>(path: string, act: (workers: readonly Worker[]) => Promise<T>, count = WRITERS) =>
    withWorkers(bench.script("registry"), count, { path, hardLinks, links }, act);
  const open = (path: string) => new PromptRegistry(fs({ path, hardLinks, links }));

  test(`one winner of each of ${versions} versions`, async () => {
    const path = bench.folder();
    const name = "race/same";
    const names = Array.from({ length: versions }, (_, i) => `1.${Math.floor(i / 20)}.${i % 20}`);
    const random = createRandom(SEED);
    const all: Answer[][] = [];
    await run(path, async (workers) => {
      for (const version of names) {
        // All at once, and told in another order each time.
        const answers: Promise<Answer>[] = [];
        for (const who of random.shuffle([...workers.keys()])) {
          const request = { name, version, text: textOf(version, who) };
          answers[who] = (workers[who] as Worker).call("storePrompt", request);
        }
        all.push(await Promise.all(answers));
      }
    });
    const registry = open(path);
    const winnersOf = new Array<number>(WRITERS).fill(0);
    for (const [i, version] of names.entries()) {
      const answers = all[i] as Answer[];
      const winners = answers.flatMap((answer, who) => (answer.ok ? [who] : []));
      expect(winners, version).toHaveLength(1);
      winnersOf[winners[0] as number] = (winnersOf[winners[0] as number] as number) + 1;
      const codes = answers.flatMap((answer) => (answer.ok ? [] : [`${answer.code} ${answer.outcome}`]));
      expect(new Set(codes)).toEqual(new Set(["ALREADY_EXISTS final"]));
      expect((await registry.getPrompt(`${name}@${version}`)).text).toBe(textOf(version, winners[0] as number));
    }
    expect((await registry.verify()).problems).toEqual([]);
    summary(
      `races (${title}): ${WRITERS} x ${versions} versions, 1 winner each; wins a process: ${winnersOf.join(" ")}`,
    );
  });

  test(`${bursts} bursts end with the right latest, and readers never see a gap`, async () => {
    const path = bench.folder();
    const random = createRandom(SEED);
    const registry = open(path);
    const perName = 10;
    const names = Array.from({ length: Math.ceil(bursts / perName) }, (_, i) => `burst/p${i}`);
    for (const name of names) await registry.storePrompt({ name, version: "0.0.1", text: textOf("0.0.1", "first") });
    let staleLinks = 0;
    const ended: Ended[] = [];
    await run(path, (workers) =>
      withWorkers(bench.script("registry"), 2, { path, hardLinks, links }, async (readers) => {
        for (const [i, name] of names.entries()) {
          for (const reader of readers) await reader.watch({ names: [name], links: links === "symlink" });
          const stored: Version[] = [parseVersion("0.0.1")];
          for (let burst = 0; burst < perName && i * perName + burst < bursts; burst++) {
            // Some bursts are below what is there already, and must not move latest back.
            const minor = random.chance(0.3) ? random.int(burst + 1) : burst;
            const patches = random.shuffle([1, 2, 3, 4, 5, 6, 7, 8]);
            const wanted = patches.map((p) => parseVersion(`1.${minor}.${burst * 10 + p}`));
            const answers = await Promise.all(
              workers.map((w, who) => {
                const version = wanted[who] as Version;
                return w.call("storePrompt", { name, version, text: textOf(version, who) });
              }),
            );
            const at = `seed ${SEED}, ${name}, burst ${burst}`;
            expect(answers.map(failure).filter(Boolean), at).toEqual([]);
            stored.push(...wanted);
            const highest = stored.toSorted(compareVersions).at(-1) as Version;
            expect((await open(path).getPrompt(name)).version, at).toBe(highest);
            expect((await open(path).listVersions(name, { limit: 1000 })).items, at).toHaveLength(stored.length);
            if (links === "symlink" && readlinkSync(join(path, "prompts", name, "latest.md")) !== `v${highest}.md`)
              staleLinks++;
          }
          for (const reader of readers) ended.push(await reader.stop());
        }
      }),
    );
    expect(ended.flatMap((r) => r.violations)).toEqual([]);
    expect(staleLinks, "latest.md after all publishers were told yes").toBe(0);
    expect((await registry.verify()).problems).toEqual([]);
    if (links === "symlink") expect(lstatSync(join(path, "prompts/burst/p0/latest.md")).isSymbolicLink()).toBe(true);
    const reads = ended.reduce((sum, r) => sum + r.reads, 0);
    summary(
      `races (${title}): ${bursts} bursts of ${WRITERS}, latest right each time; ${reads} reads meanwhile, 0 violations`,
    );
  });

  test(`${rounds} rounds of a label's compare-and-set: one winner each`, async () => {
    const path = bench.folder();
    const name = "race/label";
    const registry = open(path);
    const targets = ["1.0.0", ...Array.from({ length: WRITERS }, (_, i) => `1.0.${i + 1}`)];
    for (const version of targets) await registry.storePrompt({ name, version, text: textOf(version, "first") });
    await registry.setLabel(name, "production", "1.0.0");
    let current = "1.0.0";
    await run(path, async (workers) => {
      for (let round = 0; round < rounds; round++) {
        const others = targets.filter((v) => v !== current);
        const answers = await Promise.all(
          workers.map((w, who) => w.call("setLabel", name, "production", others[who], { expect: current })),
        );
        const winners = answers.flatMap((answer, who) => (answer.ok ? [others[who] as string] : []));
        expect(winners, `round ${round}: ${JSON.stringify(answers)}`).toHaveLength(1);
        for (const answer of answers)
          if (!answer.ok) expect(answer, failure(answer)).toMatchObject({ code: "CONFLICT" });
        current = winners[0] as string;
        expect((await open(path).getPrompt(`${name}@production`)).version).toBe(current);
      }
    });
    const moves = (await registry.history(name, { limit: 1000 }).all()).filter((e) => e.action === "label");
    expect(moves).toHaveLength(rounds + 1);
    for (const [i, move] of moves.entries()) {
      // Newest first: each starts where the one before it ended.
      const before = moves[i + 1];
      if (before !== undefined) expect(move.from).toBe(before.to);
    }
    expect((await registry.verify()).problems).toEqual([]);
    summary(`races (${title}): ${rounds} label rounds of ${WRITERS}, 1 winner each`);
  });

  test(`${rounds} rounds of a guarded publish: one winner, nothing of the losers`, async () => {
    const path = bench.folder();
    const name = "race/guard";
    const registry = open(path);
    await registry.storePrompt({ name, version: "1.0.0", text: textOf("1.0.0", "first") });
    let latest = "1.0.0";
    const stored = new Set([latest]);
    await run(path, async (workers) => {
      for (let round = 1; round <= rounds; round++) {
        const wanted = workers.map((_, who) => `1.${round}.${who}`);
        const answers = await Promise.all(
          workers.map((w, who) => {
            const version = wanted[who] as string;
            return w.call("storePrompt", { name, version, text: textOf(version, who), expect: latest });
          }),
        );
        const winners = answers.flatMap((answer, who) => (answer.ok ? [wanted[who] as string] : []));
        expect(winners, `round ${round}: ${JSON.stringify(answers)}`).toHaveLength(1);
        for (const answer of answers)
          if (!answer.ok) expect(answer, failure(answer)).toMatchObject({ code: "CONFLICT" });
        latest = winners[0] as string;
        stored.add(latest);
        const reader = open(path);
        expect((await reader.getPrompt(name)).version).toBe(latest);
        expect(new Set((await reader.listVersions(name, { limit: 1000 })).items.map((v) => v.version))).toEqual(stored);
      }
    });
    expect((await registry.verify()).problems).toEqual([]);
    summary(`races (${title}): ${rounds} guarded rounds of ${WRITERS}, 1 winner each, no loser's version exists`);
  });

  test("first publish of a new prompt by all at once", async () => {
    const path = bench.folder();
    await run(path, async (workers) => {
      for (let round = 0; round < 20; round++) {
        const name = `new${round}/a/b`;
        const answers = await Promise.all(
          workers.map((w, who) =>
            w.call("storePrompt", { name, version: `1.0.${who}`, text: textOf("x", who), labels: ["all"] }),
          ),
        );
        expect(answers.map(failure).filter(Boolean)).toEqual([]);
        const prompt = await open(path).getPrompt(name);
        expect(prompt.version).toBe("1.0.7");
        expect((await open(path).listVersions(name)).items).toHaveLength(WRITERS);
        await open(path).getPrompt(`${name}@all`);
      }
    });
    expect((await open(path).verify()).problems).toEqual([]);
  });
});
