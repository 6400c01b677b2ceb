import { RegistryError } from "../../../errors.ts";
import { MIGRATIONS, SCHEMA_VERSION } from "../schema.ts";
import type { Connection } from "./open.ts";

/** "PRPT": what `file` and SQLite's own tools can tell this file by. */
const APPLICATION_ID = 0x50525054;

function version(connection: Connection): number | undefined {
  const known = connection.prepare("SELECT name FROM sqlite_master WHERE name = 'prompt_registry_schema'").get([]);
  if (known === undefined || known === null) return undefined;
  const row = connection.prepare("SELECT max(version) AS version FROM prompt_registry_schema").get([]) as {
    version: number;
  };
  return Number(row.version ?? 0);
}

/** Brings the file up to {@link SCHEMA_VERSION}. Two processes that open a new file at once make it once. */
export function migrateSqlite(connection: Connection, location: string, readOnly: boolean): void {
  const found = version(connection);
  if (found === SCHEMA_VERSION) return;
  refuseOther(connection, location, found);
  if (readOnly) {
    throw new RegistryError(
      "CONFIG",
      `${location} has schema version ${found ?? 0} and can only be read; open it once for writing to bring it to ${SCHEMA_VERSION}`,
      { location },
    );
  }
  connection.exec("BEGIN IMMEDIATE");
  try {
    // Looked at again under the lock.
    const current = version(connection) ?? 0;
    refuseOther(connection, location, current);
    connection.exec(
      "CREATE TABLE IF NOT EXISTS prompt_registry_schema (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL, detail TEXT NOT NULL) STRICT",
    );
    const note = connection.prepare(
      "INSERT INTO prompt_registry_schema (version, applied_at, detail) VALUES (?, ?, ?)",
    );
    for (const migration of MIGRATIONS.filter((m) => m.version > current)) {
      for (const sql of migration.sqlite) connection.exec(sql);
      note.run([migration.version, new Date().toISOString(), migration.detail]);
    }
    connection.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    connection.exec("COMMIT");
  } catch (error) {
    try {
      connection.exec("ROLLBACK");
    } catch {
      // It may never have begun.
    }
    throw error;
  }
}

function refuseOther(connection: Connection, location: string, found: number | undefined): void {
  if (found !== undefined && found > SCHEMA_VERSION) {
    throw new RegistryError(
      "CONFIG",
      `${location} has schema version ${found} of a later prompt-registry; this one knows ${SCHEMA_VERSION}: update it`,
      { location },
    );
  }
  if (found !== undefined && found > 0) return;
  const row = connection.prepare("SELECT count(*) AS tables FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").get([]);
  const others = Number((row as { tables: number }).tables);
  if (others > 0 && found === undefined) {
    throw new RegistryError(
      "CONFIG",
      `${location} is a database of something else (${others} tables); name another file`,
      {
        location,
      },
    );
  }
}
