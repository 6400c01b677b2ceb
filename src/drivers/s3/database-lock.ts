import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool, PoolClient } from "pg";
import type { Operation } from "../../driver.ts";
import { isRegistryError, RegistryError, throwIfAborted } from "../../errors.ts";
import { unlessAborted } from "../../layers/signal.ts";
import { postgresFailure } from "../sql/postgres/failure.ts";
import { resolveOptions } from "../sql/postgres/options.ts";
import { isBusy, sqliteFailure } from "../sql/sqlite/failure.ts";
import { type Connection, openConnection, prepareFolder } from "../sql/sqlite/open.ts";
import { Queues } from "./limiter.ts";
import type { WriterLock } from "./lock.ts";

/**
 * A lock in a database that all writers of the bucket share. It is held as a transaction, so it ends with the process or
 * connection that holds it, and nothing has to be cleaned up after a crash.
 *
 * @param location `sqlite:./locks.db` (writers of one machine), or `postgres://host/database`
 * @param place what is locked: bucket and prefix
 * @throws RegistryError CONFIG
 */
export async function openDatabaseLock(location: string, place: string): Promise<WriterLock> {
  const sqlite = /^sqlite:(?:\/\/)?(.+)$/i.exec(location)?.[1];
  return sqlite === undefined ? await postgresLock(location, place) : sqliteLock(resolve(sqlite));
}

/** SQLite lets one connection write a file at a time: holding that right is the lock. */
function sqliteLock(path: string): WriterLock {
  const location = `sqlite:${path}`;
  const queues = new Queues();
  let connection: Connection;
  try {
    prepareFolder(path, false);
    connection = openConnection({ path, readOnly: false });
    connection.exec("PRAGMA busy_timeout = 0");
  } catch (error) {
    throw sqliteFailure(error, `the lock ${location} can't be opened`, location);
  }
  async function take(op: Operation | undefined): Promise<void> {
    for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
      throwIfAborted(op?.signal, "commit");
      try {
        connection.exec("BEGIN IMMEDIATE");
        return;
      } catch (error) {
        if (!isBusy(error)) throw sqliteFailure(error, "the writers' lock can't be had", location);
      }
      await sleep(pause * (0.5 + Math.random()));
    }
  }
  return {
    run: (op, work) =>
      queues.run(
        "",
        async () => {
          await take(op);
          try {
            return await work(op);
          } finally {
            connection.exec("ROLLBACK");
          }
        },
        op?.signal,
      ),
    // Not in the middle of a turn.
    close: () => queues.run("", async () => connection.close()),
  };
}

const TABLE = "prompt_registry_s3_writers";
/** Two that make a table at once: the slower one is told so in spite of IF NOT EXISTS. */
const MADE_BY_ANOTHER: ReadonlySet<string> = new Set(["23505", "42710", "42P07"]);

async function postgresLock(url: string, place: string): Promise<WriterLock> {
  const { config, location } = resolveOptions({ url });
  let pool: Pool;
  try {
    const { Pool } = (await import("pg")).default;
    pool = new Pool({ ...config, max: 4 });
  } catch (cause) {
    throw new RegistryError("CONFIG", "a lock in PostgreSQL needs the package pg: npm install pg", {
      field: "conditionalWrites",
      cause,
    });
  }
  pool.on("error", () => {});
  const queues = new Queues();
  let made = false;

  async function take(client: PoolClient): Promise<void> {
    if (!made) {
      await client
        .query(`CREATE TABLE IF NOT EXISTS ${TABLE} (place text PRIMARY KEY)`)
        .catch((error: { readonly code?: string }) => {
          if (!MADE_BY_ANOTHER.has(error.code ?? "")) throw error;
        });
      await client.query(`INSERT INTO ${TABLE} (place) VALUES ($1) ON CONFLICT DO NOTHING`, [place]);
      made = true;
    }
    await client.query("BEGIN");
    await client.query("SET LOCAL idle_in_transaction_session_timeout = 0");
    await client.query("SET LOCAL statement_timeout = 0");
    await client.query(`SELECT place FROM ${TABLE} WHERE place = $1 FOR UPDATE`, [place]);
  }

  async function hold<T>(op: Operation | undefined, work: (op: Operation) => Promise<T>): Promise<T> {
    throwIfAborted(op?.signal, "commit");
    const lost = new AbortController();
    let client: PoolClient;
    try {
      client = await pool.connect();
    } catch (error) {
      throw postgresFailure(error, "the writers' lock can't be had", location);
    }
    const onError = (cause: unknown) =>
      lost.abort(new RegistryError("UNAVAILABLE", "the connection that held the writers' lock broke", { cause }));
    client.on("error", onError);
    try {
      try {
        await unlessAborted(take(client), op?.signal, "commit");
      } catch (error) {
        lost.abort();
        throw isRegistryError(error) ? error : postgresFailure(error, "the writers' lock can't be had", location);
      }
      const signals = [lost.signal, ...(op?.signal === undefined ? [] : [op.signal])];
      return await work({ ...op, signal: AbortSignal.any(signals) });
    } finally {
      // A connection that still waits for the lock is given up with it.
      if (!lost.signal.aborted) await client.query("ROLLBACK").catch(() => lost.abort());
      client.off("error", onError);
      client.release(lost.signal.aborted);
    }
  }

  return { run: (op, work) => queues.run("", () => hold(op, work), op?.signal), close: () => pool.end() };
}
