import type { Pool, PoolClient } from "pg";
import { RegistryError } from "../../../errors.ts";
import { MIGRATIONS, POSTGRES_GUARD, POSTGRES_STORAGE, SCHEMA_VERSION } from "../schema.ts";
import { BEGIN } from "./engine.ts";
import { sqlState } from "./failure.ts";
import type { FeedKind } from "./feed.ts";

/** What a server can do and is, found out when it is opened. */
export interface Server {
  readonly feed: FeedKind;
  readonly readOnly: boolean;
  readonly synchronousCommit: string;
  /** How often, in milliseconds, the server looks whether its client is still there; `0`: never; `undefined`: it can't. */
  readonly clientCheck: string | undefined;
  readonly version: string;
}

// What two processes that make the same thing at the same moment get, in spite of IF NOT EXISTS.
const RACED: ReadonlySet<string> = new Set(["23505", "42P06", "42P07", "42710", "40001", "40P01", "XX000"]);

interface Settings {
  readonly version: string;
  readonly encoding: string;
  readonly sync: string | null;
  readonly only: string | null;
  readonly client_check: string | null;
}

export async function probe(client: PoolClient): Promise<Server> {
  const { rows } = await client.query<Settings>(
    `SELECT version() AS version, current_setting('server_encoding') AS encoding,
  current_setting('synchronous_commit', true) AS sync, current_setting('transaction_read_only', true) AS only,
  current_setting('client_connection_check_interval', true) AS client_check`,
  );
  const { version, encoding, sync, only, client_check: check } = rows[0] as Settings;
  if (!/^utf-?8$/i.test(encoding)) {
    throw new RegistryError(
      "CONFIG",
      `the database has the encoding ${encoding}, which can't hold every text; use one with UTF8`,
    );
  }
  return {
    feed: await probeFeed(client),
    readOnly: only === "on",
    synchronousCommit: sync ?? "unknown",
    clientCheck: check ?? undefined,
    version,
  };
}

async function probeFeed(client: PoolClient): Promise<FeedKind> {
  try {
    await client.query("SELECT pg_visible_in_snapshot('3'::xid8, pg_current_snapshot())");
    return "snapshot";
  } catch (error) {
    if (sqlState(error)?.startsWith("42") || sqlState(error) === "0A000") return "lock";
    throw error;
  }
}

async function version(client: PoolClient, schema: string): Promise<number | undefined> {
  try {
    const { rows } = await client.query<{ version: number | null }>(
      `SELECT max(version) AS version FROM ${schema}.prompt_registry_schema`,
    );
    return rows[0]?.version ?? 0;
  } catch (error) {
    if (sqlState(error) === "42P01" || sqlState(error) === "3F000") return undefined;
    throw error;
  }
}

function refuseNewer(found: number | undefined): void {
  if (found === undefined || found <= SCHEMA_VERSION) return;
  throw new RegistryError(
    "CONFIG",
    `the database has schema version ${found} of a later prompt-registry; this one knows ${SCHEMA_VERSION}: update it`,
  );
}

/** Brings the schema up to {@link SCHEMA_VERSION}; of several processes one does it while the others wait for its row. */
export async function migratePostgres(pool: Pool, schema: string, readOnly: boolean): Promise<void> {
  const client = await pool.connect();
  let broken = false;
  try {
    const found = await version(client, schema);
    refuseNewer(found);
    if (found === SCHEMA_VERSION) return;
    if (readOnly) {
      throw new RegistryError(
        "CONFIG",
        `the database has schema version ${found ?? 0} and can only be read; open it once for writing to bring it to ${SCHEMA_VERSION}`,
      );
    }
    // Also where the table is there and its row may not be yet: somebody else is just making them.
    if (found === undefined || found === 0) await createLockRow(client, schema);
    await migrate(client, schema);
  } catch (error) {
    broken = !(error instanceof RegistryError);
    throw error;
  } finally {
    client.release(broken);
  }
}

/** The row that is the lock: there are advisory locks here and there, but rows everywhere. */
async function createLockRow(client: PoolClient, schema: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      const { rowCount } = await client.query(
        "SELECT 1 FROM pg_namespace WHERE quote_ident(nspname) = $1 OR nspname = $1",
        [schema],
      );
      if (rowCount === 0) await client.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
      await client.query(
        `CREATE TABLE IF NOT EXISTS ${schema}.prompt_registry_schema (version integer PRIMARY KEY, applied_at text NOT NULL, detail text NOT NULL)`,
      );
      await client.query(
        `INSERT INTO ${schema}.prompt_registry_schema VALUES (0, '', 'lock') ON CONFLICT (version) DO NOTHING`,
      );
      return;
    } catch (error) {
      if (tries >= 20 || !RACED.has(sqlState(error) ?? "")) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20 * (tries + 1)));
    }
  }
}

async function migrate(client: PoolClient, schema: string): Promise<void> {
  // With a snapshot of before it has the lock it would not see what the one before it has made.
  await client.query(BEGIN);
  try {
    const lock = `SELECT version FROM ${schema}.prompt_registry_schema WHERE version = 0 FOR UPDATE`;
    if ((await client.query(lock)).rowCount !== 1)
      throw new RegistryError("INTERNAL", "the row that guards migrations is gone");
    const current = (await version(client, schema)) ?? 0;
    refuseNewer(current);
    for (const migration of MIGRATIONS.filter((m) => m.version > current)) {
      for (const sql of migration.postgres) await client.query(sql.replaceAll("$schema", () => schema));
      await client.query(`INSERT INTO ${schema}.prompt_registry_schema VALUES ($1, $2, $3)`, [
        migration.version,
        new Date().toISOString(),
        migration.detail,
      ]);
      if (migration.version > 1) continue;
      // No procedural language here? The driver itself never writes over a text.
      await attempt(client, schema, POSTGRES_GUARD);
      await attempt(client, schema, POSTGRES_STORAGE);
    }
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    throw error;
  }
}

/** Does what the server may not know how to do. */
async function attempt(client: PoolClient, schema: string, statements: readonly string[]): Promise<void> {
  await client.query("SAVEPOINT attempt");
  try {
    for (const sql of statements) await client.query(sql.replaceAll("$schema", () => schema));
  } catch {
    await client.query("ROLLBACK TO SAVEPOINT attempt");
  }
}

/**
 * Numbers of transactions mean nothing in another server: those of a restored copy become older than all of this one's, and
 * the text index, which has followed them up to a place that is none here, begins anew.
 */
export async function adoptFeed(client: PoolClient, schema: string, server: Server): Promise<void> {
  if (server.feed !== "snapshot" || server.readOnly) return;
  const end = "pg_snapshot_xmax(pg_current_snapshot())::text";
  // `snapshot`, or `snapshot~snapshot~txid~seq`.
  const last = "CASE WHEN position LIKE '%~%' THEN split_part(position, '~', 2) ELSE position END";
  await client.query(
    `WITH adopted AS (UPDATE ${schema}.feed SET txid = 0 WHERE txid >= ${end}::bigint RETURNING 1)
UPDATE ${schema}.search_state SET position = '' WHERE position <> '' AND (EXISTS (SELECT 1 FROM adopted)
  OR coalesce(nullif(split_part(${last}, ':', 2), '')::numeric > ${end}::numeric, true))`,
  );
}
