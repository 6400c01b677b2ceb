import type { Kysely } from "kysely";
import type { Pool, PoolClient } from "pg";
import { type Builder, createBuilder } from "../../drivers/sql/builder.ts";
import { loadKysely } from "../../drivers/sql/kysely.ts";
import { PostgresEngine } from "../../drivers/sql/postgres/engine.ts";
import { postgresFailure, sqlState } from "../../drivers/sql/postgres/failure.ts";
import { resolveOptions } from "../../drivers/sql/postgres/options.ts";
import { SqliteEngine } from "../../drivers/sql/sqlite/engine.ts";
import { sqliteFailure } from "../../drivers/sql/sqlite/failure.ts";
import { prepareSqlite } from "../../drivers/sql/sqlite/migrate.ts";
import { openConnection, prepareFolder } from "../../drivers/sql/sqlite/open.ts";
import type { Decision, Statement, Task } from "../../drivers/sql/task.ts";
import { RegistryError } from "../../errors.ts";
import type { PostgresPlace, SqlitePlace } from "./places.ts";
import { MIGRATIONS, SCHEMA_VERSION, type ServerTables } from "./schema-sql.ts";

/** The database of tokens and of the audit log: the registry's own, by a connection of its own. */
export interface Database {
  readonly kind: "sqlite" | "postgres";
  readonly location: string;
  readonly builder: Builder;
  readonly tables: Kysely<ServerTables>;
  read<T>(make: () => Task<T>, operation: string): Promise<T>;
  write<T>(make: () => Task<Decision<T>>, operation: string): Promise<T>;
  close(): Promise<void>;
}

export function openDatabase(place: SqlitePlace | PostgresPlace): Promise<Database> {
  return place.backend === "sqlite" ? openSqlite(place) : openPostgres(place);
}

async function openSqlite({ path, busyTimeout = 5000, module }: SqlitePlace): Promise<Database> {
  const location = `sqlite:${path}`;
  const kysely = await loadKysely();
  if (path !== ":memory:") prepareFolder(path, false);
  let engine: SqliteEngine;
  try {
    const connection = openConnection({ path, module, readOnly: false });
    engine = new SqliteEngine(connection, location, busyTimeout);
    try {
      await engine.patiently(undefined, "open", () => {
        connection.exec("PRAGMA busy_timeout = 0");
        connection.exec("PRAGMA synchronous = FULL");
        connection.exec("PRAGMA trusted_schema = OFF");
        // The registry takes no database of something else, so it makes its own tables first.
        prepareSqlite(connection, location, false);
        upgradeSqlite(engine);
      });
    } catch (error) {
      engine.close();
      throw error;
    }
  } catch (error) {
    throw sqliteFailure(error, `${location} can't be opened`, location);
  }
  const builder = createBuilder(kysely, "sqlite");
  return {
    kind: "sqlite",
    location,
    builder,
    tables: builder.db as unknown as Kysely<ServerTables>,
    read: (make, operation) => engine.read(make, undefined, operation),
    write: (make, operation) => engine.write(make, undefined, operation),
    close: async () => engine.close(),
  };
}

function upgradeSqlite({ connection }: SqliteEngine): void {
  connection.exec("BEGIN IMMEDIATE");
  try {
    connection.exec(
      "CREATE TABLE IF NOT EXISTS prompt_registry_server_schema (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL) STRICT",
    );
    const row = connection.prepare("SELECT max(version) AS version FROM prompt_registry_server_schema").get([]);
    const found = Number((row as { version: number | null }).version ?? 0);
    refuseNewer(found);
    const note = connection.prepare("INSERT INTO prompt_registry_server_schema VALUES (?, ?)");
    for (const migration of MIGRATIONS.filter((m) => m.version > found)) {
      for (const sql of migration.sqlite) connection.exec(sql);
      note.run([migration.version, new Date().toISOString()]);
    }
    connection.exec("COMMIT");
  } catch (error) {
    try {
      connection.exec("ROLLBACK");
    } catch {
      // It may have been undone already.
    }
    throw error;
  }
}

function refuseNewer(found: number): void {
  if (found <= SCHEMA_VERSION) return;
  throw new RegistryError(
    "CONFIG",
    `the tables of the server have version ${found} of a later prompt-registry; this one knows ${SCHEMA_VERSION}: update it`,
  );
}

async function openPostgres({ backend: _, ...options }: PostgresPlace): Promise<Database> {
  // Two at a time are enough: what is asked for is small, and looked up once a second.
  const { config, location, schema, rawSchema } = resolveOptions({ pool: { max: 2 }, ...options });
  const [pg, kysely] = await Promise.all([loadPg(), loadKysely()]);
  const pool: Pool = new pg.Pool(config);
  pool.on("error", () => {});
  try {
    await upgradePostgres(pool, schema);
  } catch (error) {
    await pool.end();
    throw postgresFailure(error, `${location} can't be opened`, location);
  }
  const engine = new PostgresEngine(pool, location, false);
  const builder = createBuilder(kysely, "postgres", { schema: rawSchema });
  let closed: Promise<void> | undefined;
  return {
    kind: "postgres",
    location,
    builder,
    tables: builder.db as unknown as Kysely<ServerTables>,
    read: (make, operation) => engine.read(make, undefined, operation),
    write: (make, operation) => engine.write(make, undefined, operation),
    async close() {
      closed ??= pool.end();
      await closed;
    },
  };
}

async function loadPg(): Promise<typeof import("pg")> {
  try {
    const { default: pg } = await import("pg");
    return pg as typeof import("pg");
  } catch (cause) {
    throw new RegistryError("CONFIG", "PostgreSQL needs the package pg: npm install pg", { field: "tokens", cause });
  }
}

// What two processes that make the same thing at the same moment get, in spite of IF NOT EXISTS.
const RACED: ReadonlySet<string> = new Set(["23505", "42P06", "42P07", "42710", "40001", "40P01", "XX000"]);

async function upgradePostgres(pool: Pool, schema: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    const client = await pool.connect();
    let broken = false;
    try {
      // Looked at first: what is there already must not need the right to make it.
      if ((await versionOf(client, schema)) === SCHEMA_VERSION) return;
      await migratePostgres(client, schema);
      return;
    } catch (error) {
      broken = !(error instanceof RegistryError);
      if (tries >= 20 || !RACED.has(sqlState(error) ?? "")) throw error;
    } finally {
      client.release(broken);
    }
    await new Promise((resolve) => setTimeout(resolve, 20 * (tries + 1)));
  }
}

async function versionOf(client: PoolClient, schema: string): Promise<number | undefined> {
  try {
    const { rows } = await client.query<{ version: number | null }>(
      `SELECT max(version) AS version FROM ${schema}.prompt_registry_server_schema`,
    );
    const found = rows[0]?.version ?? 0;
    refuseNewer(found);
    return found;
  } catch (error) {
    if (sqlState(error) === "42P01" || sqlState(error) === "3F000") return undefined;
    throw error;
  }
}

async function migratePostgres(client: PoolClient, schema: string): Promise<void> {
  const { rowCount } = await client.query(
    "SELECT 1 FROM pg_namespace WHERE quote_ident(nspname) = $1 OR nspname = $2",
    [schema, schema.slice(1, -1)],
  );
  if (rowCount === 0) await client.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
  const table = `${schema}.prompt_registry_server_schema`;
  await client.query(`CREATE TABLE IF NOT EXISTS ${table} (version integer PRIMARY KEY, applied_at text NOT NULL)`);
  // The row that is the lock: there are advisory locks here and there, but rows everywhere.
  await client.query(`INSERT INTO ${table} VALUES (0, '') ON CONFLICT (version) DO NOTHING`);
  await client.query("BEGIN");
  try {
    await client.query(`SELECT version FROM ${table} WHERE version = 0 FOR UPDATE`);
    const found = (await versionOf(client, schema)) ?? 0;
    for (const migration of MIGRATIONS.filter((m) => m.version > found)) {
      for (const sql of migration.postgres) await client.query(sql.replaceAll("$schema", () => schema));
      await client.query(`INSERT INTO ${table} VALUES ($1, $2)`, [migration.version, new Date().toISOString()]);
    }
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    throw error;
  }
}

/** A statement with its arguments named; `kind` says what comes back. */
export function statement(
  { builder }: Database,
  name: string,
  query: Parameters<Builder["done"]>[1],
  kind?: Parameters<Builder["done"]>[2],
): Statement {
  return builder.done(name, query, kind);
}
