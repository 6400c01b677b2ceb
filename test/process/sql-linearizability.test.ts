import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkLinearizable, runHistory } from "../../src/testing/linearizability/index.ts";
import { COMPOSED, composed } from "../support/composed.ts";
import { type PostgresServer, postgresProblem, startPostgres } from "../support/postgres.ts";
import { HISTORY_CALLS } from "../support/sizes.ts";
import { skipSuite } from "../support/skip.ts";
import { type Backend, openBackend } from "./sql-worker.ts";

const HISTORIES = 20;
const problem = postgresProblem();
const root = mkdtempSync(join(tmpdir(), "sql-lin-"));
let server: PostgresServer | undefined;
beforeAll(async () => {
  if (problem === undefined) server = await startPostgres({ fsync: "off" });
});
afterAll(async () => {
  await server?.stop();
  rmSync(root, { recursive: true, force: true });
});

const backends: { title: string; make: () => Backend }[] = [
  { title: "sqlite", make: () => ({ sqlite: { path: join(root, "lin.db") } }) },
];
if (problem === undefined) {
  backends.push({
    title: "postgres",
    make: () => ({ postgres: { url: (server as PostgresServer).url, pool: { max: 8 } } }),
  });
} else skipSuite("linearizability (postgres)", problem);

describe.each(backends)(`$title: 8 clients on two handles, ${HISTORY_CALLS} calls each`, ({ make }) => {
  test.each(Array.from({ length: HISTORIES }, (_, i) => i + 1))(
    "history %i is linearizable per prompt",
    async (seed) => {
      const handles = [await openBackend(make()), await openBackend(make())];
      const history = await runHistory({ handles, clients: 8, ops: HISTORY_CALLS, seed });
      const verdict = checkLinearizable(history, { together: true });
      expect(verdict.ok, verdict.message).toBe(true);
      await Promise.all(handles.map((handle) => handle.close()));
    },
  );
});

if (problem === undefined) {
  // Twenty of this stack are run over memory; these are for what only a network and a transaction show.
  test.each(Array.from({ length: 6 }, (_, i) => i + 1))(
    `${COMPOSED} over postgres: history %i is linearizable per prompt`,
    async (seed) => {
      const driver = composed(
        await openBackend({ postgres: { url: (server as PostgresServer).url, pool: { max: 8 } } }),
      );
      const history = await runHistory({ handles: [driver], clients: 8, ops: HISTORY_CALLS, seed, prefix: "composed" });
      const verdict = checkLinearizable(history, { together: true });
      expect(verdict.ok, verdict.message).toBe(true);
      await driver.close();
    },
  );
}
