import { afterAll, beforeAll, describe, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { postgres } from "../../src/drivers/sql/index.ts";
import { driverSuite } from "../../src/testing/index.ts";
import { COMPOSED, composed } from "../support/composed.ts";
import { type PostgresServer, postgresProblem, startPostgres } from "../support/postgres.ts";
import { skipSuite } from "../support/skip.ts";

const problem = postgresProblem();
if (problem !== undefined) skipSuite(`${COMPOSED} over postgres`, problem);
else {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ fsync: "off" });
  });
  afterAll(() => server.stop());

  let schemas = 0;
  const opened = new WeakMap<StorageDriver, string>();
  const schemaOf = (driver: StorageDriver) => opened.get(driver) as string;
  const open = async (schema: string) => {
    const driver = composed(await postgres({ url: server.url, schema, pool: { max: 6 } }));
    opened.set(driver, schema);
    return driver;
  };
  driverSuite({
    name: `${COMPOSED} over postgres`,
    runner: { describe, it },
    open: () => open(`layers_${++schemas}`),
    // No `another`: handles with a cache of their own see each other's changes after the TTL, which is their contract.
    reopen: async (driver) => {
      await driver.close();
      return open(schemaOf(driver));
    },
    dispose: async (driver) => {
      await server.query(`DROP SCHEMA ${schemaOf(driver)} CASCADE`);
    },
  });
}
