import { afterAll, beforeAll } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { type PostgresOptions, postgres } from "../../src/drivers/sql/index.ts";
import { httpSuite } from "../support/http-suite.ts";
import { type PostgresServer, postgresProblem, startPostgres } from "../support/postgres.ts";
import { skipSuite } from "../support/skip.ts";

const problem = postgresProblem();
if (problem !== undefined) skipSuite("http to postgres", problem);
else {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ fsync: "off" });
  });
  afterAll(() => server.stop());

  const opened = new Map<StorageDriver, PostgresOptions>();
  let schemas = 0;
  const open = async (options: PostgresOptions) => {
    const driver = await postgres(options);
    opened.set(driver, options);
    return driver;
  };
  const optionsOf = (driver: StorageDriver) => opened.get(driver) as PostgresOptions;
  // Damage is tried over memory: what carries damaged bytes is the same here.
  httpSuite({
    name: "http to postgres, two servers",
    open: () => open({ url: server.url, schema: `http_${++schemas}`, pool: { max: 6 } }),
    again: (storage) => open(optionsOf(storage)),
    dispose: async (storage) => {
      await server.query(`DROP SCHEMA IF EXISTS ${optionsOf(storage).schema} CASCADE`);
    },
  });
}
