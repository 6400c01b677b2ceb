import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../../src/testing/random.ts";
import { killRounds } from "../support/process-kills.ts";
import { createPowerDisk, FILE_SYSTEMS, type PowerDisk, powerProblem } from "../support/process-power.ts";
import { type Bench, createBench, summary } from "../support/process-workers.ts";
import { skipSuite } from "../support/skip.ts";
import { createWorkers, floodUntilKilled, type SqlWorker, type Workers } from "./sql-workers.ts";

// What power-loss.test.ts does with a model of a disk, here with the file systems themselves: writers are killed, and at once
// their file system stops without writing anything more, its journal included, and is mounted again.
const CUTS = Number(process.env.PROCESS_CUTS ?? 14);
const SEED = Number(process.env.PROCESS_SEED ?? 20_261_124);

let bench: Bench;
beforeAll(async () => {
  bench = await createBench();
});
afterAll(() => bench?.dispose());

for (const kind of FILE_SYSTEMS) {
  const problem = powerProblem(kind);
  if (problem !== undefined) {
    skipSuite(`power cuts on ${kind}`, problem);
    continue;
  }
  describe.each([
    { title: "hard links, symlinks", hardLinks: "auto", links: "symlink", share: 0.7 },
    { title: "neither", hardLinks: "never", links: "text", share: 0.3 },
  ] as const)(`power cuts on ${kind} ($title)`, ({ title, hardLinks, links, share }) => {
    let disk: PowerDisk;
    beforeAll(() => {
      disk = createPowerDisk(kind);
    });
    afterAll(() => disk?.dispose());

    const cuts = Math.ceil(CUTS * share);
    test(`${cuts} cuts lose nothing that was acknowledged`, async () => {
      let made = 0;
      const { acknowledged, underWay } = await killRounds(bench, {
        title,
        layout: { hardLinks, links },
        kills: 2 * cuts,
        seed: SEED,
        folder: () => join(disk.path, `registry-${made++}`),
        cut: () => disk.cut(),
      });
      expect(acknowledged).toBeGreaterThan(cuts);
      summary(
        `power cuts on ${kind} (${title}): ${cuts} cuts, ${acknowledged} acknowledged calls, ${underWay} under way; 0 lost, 0 violations`,
      );
    });
  });

  describe(`power cuts on ${kind} (SQLite)`, () => {
    let disk: PowerDisk;
    let workers: Workers;
    beforeAll(async () => {
      disk = createPowerDisk(kind);
      workers = await createWorkers();
    });
    afterAll(() => {
      workers?.dispose();
      disk?.dispose();
    });

    const cuts = Math.ceil(CUTS / 2);
    test(`${cuts} cuts lose nothing that was acknowledged`, async () => {
      const random = createRandom(SEED);
      const acks: string[] = [];
      const backend = { sqlite: { path: join(disk.path, "registry.db"), busyTimeout: 60_000 } };
      for (let round = 0; round < cuts; round++) {
        acks.push(...(await floodUntilKilled(workers, backend, round, random.int(60))));
        disk.cut();
        // In a process of its own: libsql keeps files open that were closed, and then nothing can be unmounted.
        const [witness] = (await workers.start(backend, 1)) as [SqlWorker];
        const { problems } = await witness.obey({ what: "judge", who: 0, rounds: 0, acks });
        await witness.kill();
        expect(problems, `cut ${round}`).toEqual([]);
      }
      expect(acks.length).toBeGreaterThan(3 * cuts);
      summary(`power cuts on ${kind} (SQLite): ${cuts} cuts, ${acks.length} acknowledged versions; 0 lost`);
    });
  });
}
