import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sqlite } from "../../src/drivers/sql/index.ts";
import { isRegistryError } from "../../src/errors.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { createRandom } from "../../src/testing/random.ts";
import { type PostgresServer, postgresProblem, startPostgres } from "../support/postgres.ts";
import { skipSuite } from "../support/skip.ts";
import { openBackend, problemsOf } from "./sql-worker.ts";
import { createWorkers, floodUntilKilled, type Workers } from "./sql-workers.ts";

const SEED = Number(process.env.PROCESS_SEED ?? 20_261_124);
let workers: Workers;
const root = mkdtempSync(join(tmpdir(), "sql-kill-"));
beforeAll(async () => {
  workers = await createWorkers();
});
afterAll(() => {
  workers?.dispose();
  rmSync(root, { recursive: true, force: true });
});

describe("writers of a SQLite file killed with SIGKILL", () => {
  test("20 times: what was acknowledged is there, and the file is sound", async () => {
    const random = createRandom(SEED);
    let acked = 0;
    for (let round = 0; round < 20; round++) {
      const path = join(root, `k${round % 4}.db`);
      const acks = await floodUntilKilled(workers, { sqlite: { path, busyTimeout: 60_000 } }, round, random.int(60));
      acked += acks.length;
      const registry = new PromptRegistry(await sqlite({ path }));
      expect(await problemsOf(registry, acks)).toEqual([]);
      await registry.close();
    }
    expect(acked).toBeGreaterThan(100);
  });
});

const problem = postgresProblem();
if (problem !== undefined) skipSuite("a PostgreSQL server killed with SIGKILL", problem);
else {
  describe("a PostgreSQL server killed with SIGKILL under load", () => {
    let server: PostgresServer;
    beforeAll(async () => {
      server = await startPostgres();
    });
    afterAll(() => server?.stop());

    test("4 times: what was acknowledged is there after the restart, and nothing else is told", async () => {
      const driver = await openBackend({ postgres: { url: server.url, pool: { max: 8 } } });
      const registry = new PromptRegistry(driver);
      const acks: string[] = [];
      const errors: string[] = [];
      for (let round = 0; round < 4; round++) {
        let stop = false;
        const writers = Array.from({ length: 6 }, async (_, who) => {
          for (let i = 0; !stop; i++) {
            const version = `1.${round * 10 + who}.${i}`;
            try {
              await registry.storePrompt({ name: `kill/p${who % 3}`, version, text: `version ${version} by ${who}\n` });
              acks.push(`kill/p${who % 3}@${version}`);
            } catch (error) {
              if (!isRegistryError(error, "UNAVAILABLE")) errors.push(String(error));
              return;
            }
          }
        });
        const before = acks.length;
        while (acks.length < before + 20) await sleep(2);
        await server.kill();
        stop = true;
        await Promise.all(writers);
        await server.start();
        expect(await problemsOf(registry, acks)).toEqual([]);
      }
      expect(errors).toEqual([]);
      expect(acks.length).toBeGreaterThanOrEqual(80);
      await registry.close();
    });
  });
}
