import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { killRounds } from "../support/process-kills.ts";
import { type Bench, createBench, summary } from "../support/process-workers.ts";

const KILLS = Number(process.env.PROCESS_KILLS ?? 120);
const SEED = Number(process.env.PROCESS_SEED ?? 20_261_124);

let bench: Bench;
beforeAll(async () => {
  bench = await createBench();
});
afterAll(() => bench?.dispose());

describe.each([
  { title: "hard links, symlinks", hardLinks: "auto", links: "symlink", share: 0.8 },
  { title: "neither", hardLinks: "never", links: "text", share: 0.2 },
] as const)("random kill -9 ($title)", ({ title, hardLinks, links, share }) => {
  const kills = Math.ceil(KILLS * share);
  test(`${kills} kills lose nothing that was acknowledged`, async () => {
    const plan = { title, layout: { hardLinks, links }, kills, seed: SEED, folder: () => bench.folder() };
    const { acknowledged, underWay, ...done } = await killRounds(bench, plan);
    expect(acknowledged).toBeGreaterThan(kills);
    summary(
      `kill -9 (${title}): ${done.kills} kills, ${acknowledged} acknowledged calls, ${underWay} under way; 0 lost, 0 violations`,
    );
  });
});
