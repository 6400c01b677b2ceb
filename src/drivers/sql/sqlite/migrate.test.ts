import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { SCHEMA_VERSION } from "../schema.ts";
import { prepareSqlite } from "./migrate.ts";
import { type Connection, openConnection } from "./open.ts";

test("a file that another process makes just now is not taken for one of something else", () => {
  const folder = mkdtempSync(join(tmpdir(), "sqlite-migrate-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const connect = () => {
    const connection = openConnection({ path: join(folder, "registry.db"), readOnly: false });
    onTestFinished(() => connection.close());
    connection.exec("PRAGMA journal_mode = WAL");
    return connection;
  };
  const [ours, other] = [connect(), connect()];
  let made = false;
  // Between the first question and the next one.
  const met: Connection = {
    ...ours,
    prepare(sql) {
      const statement = ours.prepare(sql);
      return {
        ...statement,
        get(args) {
          const row = statement.get(args);
          if (!made) prepareSqlite(other, "other", false);
          made = true;
          return row;
        },
      };
    },
  };
  prepareSqlite(met, "ours", false);
  expect(made).toBe(true);
  const { rows } = ours.prepare("SELECT count(*) AS rows FROM prompt_registry_schema").get([]) as { rows: number };
  expect(rows).toBe(SCHEMA_VERSION);
});
