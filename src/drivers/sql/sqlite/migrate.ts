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

/**
 * Brings the file up to {@link SCHEMA_VERSION}, and to a journal that lets readers be.
 *
 * @throws RegistryError CONFIG of a file of something else or of a later version, which stays as it is
 */
export function prepareSqlite(connection: Connection, location: string, readOnly: boolean): void {
  // Before the first that is written.
  const found = lookAt(connection, location, readOnly);
  if (!readOnly) connection.exec("PRAGMA journal_mode = WAL");
  if (found !== SCHEMA_VERSION) migrate(connection, location);
}

/** The schema version of the file, at one moment: another process may be making its tables just now. */
function lookAt(connection: Connection, location: string, readOnly: boolean): number | undefined {
  connection.exec("BEGIN");
  try {
    const found = version(connection);
    refuseOther(connection, location, found);
    if (readOnly && found !== SCHEMA_VERSION) {
      throw new RegistryError(
        "CONFIG",
        `${location} has schema version ${found ?? 0} and can only be read; open it once for writing to bring it to ${SCHEMA_VERSION}`,
        { location },
      );
    }
    return found;
  } finally {
    rollback(connection);
  }
}

/** Two processes that open a new file at once make it once. */
function migrate(connection: Connection, location: string): void {
  connection.exec("BEGIN IMMEDIATE");
  try {
    // Looked at again under the lock.
    const found = version(connection);
    refuseOther(connection, location, found);
    const current = found ?? 0;
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
    rollback(connection);
    throw error;
  }
}

function rollback(connection: Connection): void {
  try {
    connection.exec("ROLLBACK");
  } catch {
    // SQLite has done so itself where it could not go on.
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
