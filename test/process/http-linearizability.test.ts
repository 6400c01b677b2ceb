import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PostgresOptions, postgres } from "../../src/drivers/sql/index.ts";
import { checkLinearizable, runHistory } from "../../src/testing/linearizability/index.ts";
import { httpClients } from "../support/http-suite.ts";
import { type PostgresServer, postgresProblem, startPostgres } from "../support/postgres.ts";
import { skipSuite } from "../support/skip.ts";

const HISTORIES = 20;
const problem = postgresProblem();

if (problem !== undefined) skipSuite("http linearizability", problem);
else {
  const clients = httpClients();
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ fsync: "off" });
  });
  afterAll(async () => {
    await clients.close();
    await server.stop();
  });

  describe("8 clients of two servers on one PostgreSQL, 60 calls each", () => {
    test.each(Array.from({ length: HISTORIES }, (_, i) => i + 1))(
      "history %i is linearizable per prompt",
      async (seed) => {
        const options: PostgresOptions = { url: server.url, schema: `lin_${seed}`, pool: { max: 8 } };
        const handles = [await clients.serve(await postgres(options)), await clients.serve(await postgres(options))];
        const history = await runHistory({ handles, clients: 8, ops: 60, seed });
        const verdict = checkLinearizable(history, { together: true });
        expect(verdict.ok, verdict.message).toBe(true);
        for (const handle of handles) {
          await handle.close();
          await clients.stop(handle);
        }
      },
    );
  });
}
