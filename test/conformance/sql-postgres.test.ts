import { afterAll, beforeAll, describe, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { type PostgresNative, type PostgresOptions, postgres } from "../../src/drivers/sql/index.ts";
import { driverSuite } from "../../src/testing/index.ts";
import { type PostgresServer, postgresProblem, startPostgres } from "../support/postgres.ts";
import { skipSuite } from "../support/skip.ts";

/** Groups whose tests run the same statements with both feeds: once is enough. */
const READING = new Set([
  "latest",
  "reads",
  "texts",
  "list of prompts",
  "list of versions",
  "history",
  "capabilities",
  "damage",
  "registry",
]);

const problem = postgresProblem();
if (problem !== undefined) skipSuite("postgres", problem);
else {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ fsync: "off" });
  });
  afterAll(() => server.stop());

  const describeWriting = (group: string, define: () => void) => {
    if (!READING.has(group)) describe(group, define);
  };
  let schemas = 0;
  for (const feed of ["snapshot", "lock"] as const) {
    const opened = new Map<StorageDriver, PostgresOptions>();
    const open = async (options: PostgresOptions) => {
      const driver = await postgres(options);
      opened.set(driver, options);
      return driver;
    };
    const optionsOf = (driver: StorageDriver) => opened.get(driver) as PostgresOptions;
    const fresh = () => ({
      url: server.url,
      schema: `suite_${++schemas}`,
      pool: { max: 6 },
      ...(feed === "lock" ? { feed } : {}),
    });
    driverSuite({
      name: feed === "snapshot" ? "postgres" : "postgres without transaction numbers",
      runner: feed === "snapshot" ? { describe, it } : { describe: describeWriting, it },
      open: () => open(fresh()),
      another: (driver) => open(optionsOf(driver)),
      reopen: async (driver) => {
        await driver.close();
        return open(optionsOf(driver));
      },
      async damage(driver, name, version, edit) {
        const { schema } = optionsOf(driver);
        const { pool } = driver.native as PostgresNative;
        // The database itself refuses to change a stored version.
        await pool.query(`DROP TRIGGER IF EXISTS versions_write_once ON ${schema}.versions`);
        const where = `version = $1 AND prompt_id = (SELECT id FROM ${schema}.prompts WHERE name = $2)`;
        const { rows } = await pool.query<{ content: string }>(
          `SELECT content FROM ${schema}.versions WHERE ${where}`,
          [version, name],
        );
        const bytes = edit(Buffer.from(rows[0]?.content as string));
        // The server keeps texts: what is no UTF-8, and NUL, can't get into it by any way.
        const content = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes).replaceAll("\0", "");
        await pool.query(`UPDATE ${schema}.versions SET content = $3 WHERE ${where}`, [version, name, content]);
      },
      dispose: async (driver) => {
        await server.query(`DROP SCHEMA ${optionsOf(driver).schema} CASCADE`);
      },
    });
  }
}
