import type { Client, Pool } from "pg";
import type { Commit, Operation, Outcome, ReadAnswer, ReadAsk, StorageDriver } from "../../../driver.ts";
import { RegistryError, throwIfAborted } from "../../../errors.ts";
import { versionSortKey } from "../../../semver.ts";
import { applyCommit, isPlain, type Touched, type Writing } from "../apply.ts";
import { createBuilder } from "../builder.ts";
import { capabilitiesOf, MAX_BATCH } from "../capabilities.ts";
import { loadKysely } from "../kysely.ts";
import { history, listPrompts, listVersions, namesPage, namesQuery } from "../pages.ts";
import { ABSENT, answerKnown, readOne } from "../reading.ts";
import { repair } from "../repair.ts";
import { slotAnswer } from "../rows.ts";
import { searchPrompts } from "../searching.ts";
import { createStatements } from "../statements.ts";
import { all, type Statement, type Task } from "../task.ts";
import { toTsquery } from "../trigrams.ts";
import { checkPostgres } from "./check.ts";
import { PostgresEngine } from "./engine.ts";
import { postgresFailure, sqlState } from "./failure.ts";
import { createFeed } from "./feed.ts";
import { type ListenHandler, listen, payloads } from "./listen.ts";
import { adoptFeed, migratePostgres, probe, type Server } from "./migrate.ts";
import { type PostgresOptions, resolveOptions } from "./options.ts";
import { publishArgs, publishOutcome, publishStatement } from "./publish.ts";
import { readMany, readManyStatement } from "./reading.ts";
import { followFeed, searchStatements } from "./search.ts";
import { ConnectionSettings } from "./settings.ts";

export interface PostgresNative {
  readonly pool: Pool;
  /**
   * Calls the handler with the names of prompts whenever a commit changed them, by `LISTEN` on a connection of its own; or
   * with `undefined` when the connection was lost for a while, and anything may have changed. A speed-up of `changes`,
   * never a replacement: what must not be missed is read there.
   *
   * @returns a function that stops it
   */
  listen(handler: ListenHandler): Promise<() => Promise<void>>;
}

const INSUFFICIENT_PRIVILEGE = "42501";

async function loadPg(): Promise<typeof import("pg")> {
  try {
    const { default: pg } = await import("pg");
    return pg as typeof import("pg");
  } catch (cause) {
    throw new RegistryError("CONFIG", "PostgreSQL needs the package pg: npm install pg", { field: "storage", cause });
  }
}

/**
 * A PostgreSQL database, or one that speaks like it. Reads, plain publishes and pages take one round trip each.
 *
 * @throws RegistryError CONFIG, UNAUTHENTICATED, FORBIDDEN, UNAVAILABLE
 * @example
 * const registry = new PromptRegistry(await postgres({ url: process.env.DATABASE_URL }));
 */
export async function postgres(options: PostgresOptions): Promise<StorageDriver<PostgresNative>> {
  const { config, location, schema, rawSchema } = resolveOptions(options);
  const [pg, kysely] = await Promise.all([loadPg(), loadKysely()]);
  const settings = new ConnectionSettings();
  const pool = new pg.Pool({ ...config, onConnect: settings.tell });
  settings.listenTo(pool);
  // An unused connection that breaks is no news: the pool forgets it.
  pool.on("error", () => {});
  // One that breaks in use says so to whoever waits for its answer; without a listener Node would end the process.
  pool.on("connect", (client) => void client.on("error", () => {}));
  const engine = new PostgresEngine(pool, location, options.prepare ?? true);
  const server = await open(engine, settings, schema, options);
  const statements = createStatements(createBuilder(kysely, "postgres", { schema: rawSchema }));
  const feed = createFeed(server.feed, schema);
  const publishOne = publishStatement(schema, server.feed, true);
  const publishMany = publishStatement(schema, server.feed, false);
  const many = readManyStatement(schema);
  const searching = searchStatements(schema);
  const channel = `prompt_registry_${rawSchema}`.slice(0, 63);
  const notify = options.notify ?? server.feed === "snapshot";
  const told: Statement = {
    name: "notify",
    sql: "SELECT pg_notify($1, n) FROM unnest($2::text[]) AS n",
    params: ["channel", "notes"],
  };
  const writing: Writing = {
    statements,
    *announce(prompts: readonly Touched[]) {
      yield* feed.announce(prompts);
      if (notify) yield* all(told, { channel, notes: payloads(prompts.map((p) => p.name)) });
    },
  };
  const stops = new Set<() => Promise<void>>();
  const running = new Set<Promise<unknown>>();
  let closing: Promise<void> | undefined;

  function enter(op: Operation | undefined, operation: string): void {
    if (closing !== undefined) {
      throw new RegistryError("ABORTED", "the PostgreSQL storage is closed", { backend: "postgres", operation });
    }
    throwIfAborted(op?.signal, operation);
  }

  /** What `close` waits for. */
  async function tracked<T>(op: Operation | undefined, operation: string, run: () => Promise<T>): Promise<T> {
    enter(op, operation);
    const work = run();
    running.add(work);
    try {
      return await work;
    } finally {
      running.delete(work);
    }
  }

  const look = <T>(make: () => Task<T>, op: Operation | undefined, operation: string) =>
    tracked(op, operation, () => engine.read(make, op, operation));

  async function commitAll(commit: Commit, op: Operation | undefined): Promise<readonly Outcome[]> {
    const { changes } = commit;
    const alone =
      changes.length === 1 || (commit.atomic !== true && new Set(changes.map((c) => c.name)).size === changes.length);
    if (!alone || !changes.every(isPlain)) return await engine.write(() => applyCommit(writing, commit), op, "commit");
    const notes = notify ? payloads(changes.map((c) => c.name)) : [];
    const rows = await engine.writeOnce(
      changes.length === 1 ? publishOne : publishMany,
      publishArgs(changes, channel, notes),
      op,
      "commit",
    );
    const outcomes = changes.map((change, i) => publishOutcome(change, rows[i]));
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome !== undefined) continue;
      const one = { ...commit, changes: [changes[i]] as Commit["changes"] };
      try {
        outcomes[i] = (await engine.write(() => applyCommit(writing, one), op, "commit"))[0];
      } catch (error) {
        if (outcomes.length === 1) throw error;
        outcomes[i] = { status: "failed", error: postgresFailure(error, "commit failed", location) };
      }
    }
    return outcomes as Outcome[];
  }

  /** The commonest question without any ceremony; `undefined` where the version is missing from a prompt that is there. */
  async function readVersion({ name, selector }: ReadAsk): Promise<ReadAnswer | undefined> {
    if (selector.kind !== "version") return undefined;
    const sortKey = versionSortKey(selector.version);
    const [row] = await engine.ask(statements.readVersion, { name, sortKey }, "read");
    if (row === undefined) return ABSENT;
    return row.version === null ? undefined : slotAnswer(row, name);
  }

  async function follow(op: Operation | undefined): Promise<void> {
    if (server.readOnly) return;
    while (await engine.write(() => followFeed(statements, searching, feed), op, "listPrompts"))
      enter(op, "listPrompts");
  }

  return {
    kind: "postgres",
    location,
    capabilities: capabilitiesOf(!server.readOnly),
    native: Object.freeze({
      pool,
      async listen(handler: ListenHandler) {
        enter(undefined, "listen");
        const stop = await listen(() => new pg.Client(config) as Client, `"${channel}"`, handler).catch(
          (error: unknown) => {
            throw postgresFailure(error, "listen failed", location);
          },
        );
        stops.add(stop);
        return async () => {
          stops.delete(stop);
          await stop();
        };
      },
    }),
    peek: () => undefined,
    async read(asks, op) {
      enter(op, "read");
      if (asks.length === 0) return [];
      if (asks.length > 1) return await look(() => readMany(many, asks), op, "read");
      const [ask] = asks as readonly [ReadAsk];
      if (ask.selector.kind === "version" && op?.signal === undefined) {
        const answer = await tracked(op, "read", () => readVersion(ask));
        if (answer !== undefined) return [answerKnown(ask, answer)];
      }
      function* one(): Task<readonly ReadAnswer[]> {
        return [answerKnown(ask, yield* readOne(statements, ask))];
      }
      return await look(one, op, "read");
    },
    async listPrompts(query, op) {
      const { text } = query;
      if (text === undefined) {
        if (op?.signal !== undefined) return await look(() => listPrompts(statements, query), op, "listPrompts");
        const { statement, args } = namesQuery(statements, query);
        return namesPage(query, await tracked(op, "listPrompts", () => engine.ask(statement, args, "listPrompts")));
      }
      enter(op, "listPrompts");
      return await tracked(op, "listPrompts", async () => {
        await follow(op);
        const search = () => searchPrompts(statements, { ...query, text }, toTsquery, {}, !server.readOnly);
        return await engine.read(search, op, "listPrompts");
      });
    },
    async listVersions(name, query, op) {
      return await look(() => listVersions(statements, name, query), op, "listVersions");
    },
    async history(name, query, op) {
      return await look(() => history(statements, name, query), op, "history");
    },
    async changes(query, op) {
      const { items, cursor } = await look(() => feed.changes(query), op, "changes");
      return { items, cursor };
    },
    async commit(commit, op) {
      enter(op, "commit");
      if (server.readOnly)
        throw new RegistryError("READ_ONLY", `${location} can only be read`, { backend: "postgres", location });
      if (commit.changes.length > MAX_BATCH) {
        throw new RegistryError("INVALID", `${commit.changes.length} changes in one commit; at most ${MAX_BATCH}`, {
          backend: "postgres",
        });
      }
      if (commit.changes.length === 0) return [];
      return await tracked(op, "commit", () => commitAll(commit, op));
    },
    async repair(plan, op) {
      const own = server.readOnly ? { ...plan, repair: [] } : plan;
      if (own.repair.length > 0)
        return await tracked(op, "repair", () => engine.write(() => repair(statements, own), op, "repair"));
      return (await look(() => repair(statements, own), op, "repair")).value;
    },
    async check(op) {
      throwIfAborted(op?.signal, "check");
      const started = performance.now();
      const checks =
        closing === undefined
          ? await checkPostgres(engine, schema, !server.readOnly, op)
          : [{ name: "open", ok: false, detail: "closed" }];
      throwIfAborted(op?.signal, "check");
      const latency = performance.now() - started;
      return { ok: checks.every((one) => one.ok), kind: "postgres", location, latency, checks };
    },
    async close() {
      closing ??= (async () => {
        await Promise.allSettled([...running]);
        await Promise.allSettled([...stops].map((stop) => stop()));
        await pool.end();
      })();
      await closing;
    },
  } satisfies StorageDriver<PostgresNative>;
}

async function open(
  engine: PostgresEngine,
  settings: ConnectionSettings,
  schema: string,
  options: PostgresOptions,
): Promise<Server> {
  const { pool, location } = engine;
  try {
    let server: Server;
    const client = await pool.connect();
    try {
      server = await probe(client);
      // A call that was given up closes its connection. A server that waits for a lock does not notice, goes on waiting, and has
      // one connection more for each (https://www.postgresql.org/docs/current/runtime-config-connection.html).
      // Where the system can't do it, the statement timeout ends what nobody waits for.
      if (server.clientCheck === "0") settings.add("SET client_connection_check_interval = 500", false);
      // Asynchronous commits are lost in a crash after they were acknowledged.
      if (server.synchronousCommit === "off") settings.add("SET synchronous_commit = on", true);
      await settings.tell(client);
    } finally {
      client.release();
    }
    if (options.feed !== undefined) server = { ...server, feed: options.feed };
    await migratePostgres(pool, schema, server.readOnly);
    const again = await pool.connect();
    try {
      await adoptFeed(again, schema, server);
    } catch (error) {
      if (sqlState(error) !== INSUFFICIENT_PRIVILEGE) throw error;
      // A role that may only look.
      server = { ...server, readOnly: true };
    } finally {
      again.release();
    }
    return server;
  } catch (error) {
    await pool.end();
    throw postgresFailure(error, `${location} can't be opened`, location);
  }
}
