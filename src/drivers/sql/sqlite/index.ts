import { resolve } from "node:path";
import type { Operation, Outcome, ReadAnswer, ReadAsk, StorageDriver } from "../../../driver.ts";
import { RegistryError, show, throwIfAborted } from "../../../errors.ts";
import { versionSortKey } from "../../../semver.ts";
import { applyCommit } from "../apply.ts";
import { createBuilder } from "../builder.ts";
import { capabilitiesOf, MAX_BATCH } from "../capabilities.ts";
import { loadKysely } from "../kysely.ts";
import { history, listPrompts, listVersions } from "../pages.ts";
import { answerKnown, readOne } from "../reading.ts";
import { repair } from "../repair.ts";
import { slotAnswer } from "../rows.ts";
import { searchPrompts } from "../searching.ts";
import { createStatements } from "../statements.ts";
import { type Row, runSync, type Task } from "../task.ts";
import { toFts } from "../trigrams.ts";
import { Answers } from "./answers.ts";
import { checkSqlite } from "./check.ts";
import { SqliteEngine } from "./engine.ts";
import { sqliteFailure } from "./failure.ts";
import { announce, changes, feedPosition } from "./feed.ts";
import { DatabaseFile, isReadOnly } from "./file.ts";
import { prepareSqlite } from "./migrate.ts";
import { openConnection, prepareFolder } from "./open.ts";
import { publishOne } from "./publish.ts";
import { followFeed, searchPosition } from "./search.ts";

export interface SqliteOptions {
  /** The database file, or `:memory:`. It is created, with its folders, when it is not there. */
  readonly path: string;
  /** Milliseconds to wait while another process writes. Default 5000. */
  readonly busyTimeout?: number | undefined;
  /** Which module talks to SQLite. Default: `node:sqlite` where this Node has it, else `libsql`. */
  readonly module?: "node:sqlite" | "libsql" | undefined;
  /** Refuse to write. Default: only where the file or its folder can't be written. */
  readonly readOnly?: boolean | undefined;
  /** Bytes of answers kept in memory. Default 64 MiB; 0 keeps none. */
  readonly cacheBytes?: number | undefined;
}

export interface SqliteNative {
  readonly module: "node:sqlite" | "libsql";
  /** `DatabaseSync` of `node:sqlite`, or `Database` of `libsql`. */
  readonly database: unknown;
}

const CACHE_BYTES = 64 * 2 ** 20;

function check(options: SqliteOptions): void {
  const bad = (field: string, problem: string) => new RegistryError("CONFIG", `sqlite: ${field} ${problem}`, { field });
  const { path, busyTimeout = 0, module } = options;
  if (typeof path !== "string" || path === "" || path.includes("\0")) throw bad("path", "must name a file");
  if (!Number.isFinite(busyTimeout) || busyTimeout < 0) throw bad("busyTimeout", "must be a number of milliseconds");
  if (module !== undefined && module !== "node:sqlite" && module !== "libsql") {
    throw bad("module", `${show(module)} is neither node:sqlite nor libsql`);
  }
}

/**
 * A SQLite database file. Any number of processes on one machine may write it; what was stored survives a power cut.
 * Calls run on this thread, a few microseconds each, a store as long as its sync takes; nobody waits for a lock in them.
 *
 * @throws RegistryError CONFIG, FORBIDDEN, CORRUPT, UNAVAILABLE
 * @example
 * const registry = new PromptRegistry(await sqlite({ path: "./registry.db" }));
 */
export async function sqlite(options: SqliteOptions): Promise<StorageDriver<SqliteNative>> {
  check(options);
  const memory = options.path === ":memory:";
  const path = memory ? ":memory:" : resolve(options.path);
  const location = `sqlite:${path}`;
  const readOnly = !memory && (options.readOnly ?? isReadOnly(path));
  const kysely = await loadKysely();
  const engine = await open(path, location, memory, readOnly, options);
  const bytes = engine.connection.module === "libsql";
  const statements = createStatements(createBuilder(kysely, "sqlite", { bytes }));
  const writing = { statements, announce };
  const answers = new Answers(options.cacheBytes ?? CACHE_BYTES);
  const dataVersion = engine.connection.prepare("PRAGMA data_version");
  const version = engine.prepared(statements.readVersion);
  let seen: unknown;
  let closed = false;

  function enter(op: Operation | undefined, operation: string): void {
    if (closed) throw new RegistryError("ABORTED", "the SQLite storage is closed", { backend: "sqlite", operation });
    throwIfAborted(op?.signal, operation);
  }

  /** Whether what is remembered still stands: nobody else has written since. What this handle writes it forgets itself. */
  function isCurrent(): boolean {
    const now = (dataVersion.get([]) as { data_version: unknown }).data_version;
    if (now === seen) return true;
    seen = now;
    answers.clear();
    return false;
  }

  /** The commonest question without any ceremony. */
  function answerVersion({ name, selector }: ReadAsk): ReadAnswer | undefined {
    if (selector.kind !== "version") return undefined;
    const row = version.get([versionSortKey(selector.version), name]) as Row | null | undefined;
    return row === undefined || row === null || row.version === null ? undefined : slotAnswer(row, name);
  }

  function answer(ask: ReadAsk): ReadAnswer {
    if (engine.file?.isImmutable === true) engine.file.requireUnchanged();
    const known = answers.get(ask);
    if (known !== undefined && isCurrent()) return known;
    // Read after `seen`: if somebody has written in between, that is noticed when this is asked for again.
    const fresh = answerVersion(ask) ?? runSync(readOne(statements, ask), engine.query);
    answers.set(ask, fresh);
    return fresh;
  }

  /** `undefined` where somebody else writes just now, and for whatever goes wrong: asked again, it is waited for or told. */
  function attempt(ask: ReadAsk): ReadAnswer | undefined {
    try {
      return answer(ask);
    } catch {
      return undefined;
    }
  }

  async function look<T>(
    make: () => Task<T>,
    op: Operation | undefined,
    operation: string,
    several = false,
  ): Promise<T> {
    enter(op, operation);
    return await engine.read(make, op, operation, several);
  }

  /** The text index follows the feed before it is asked; between its steps others get their turn. */
  async function follow(op: Operation | undefined): Promise<void> {
    if (readOnly) return;
    while (await engine.write(() => followFeed(statements), op, "listPrompts")) {
      await new Promise((turn) => setImmediate(turn));
      enter(op, "listPrompts");
    }
  }

  isCurrent();
  return {
    kind: "sqlite",
    location,
    capabilities: capabilitiesOf(!readOnly),
    native: Object.freeze({ module: engine.connection.module, database: engine.connection.database }),
    peek(ask) {
      return closed || ask.known !== undefined ? undefined : attempt(ask);
    },
    async read(asks, op) {
      enter(op, "read");
      if (asks.length === 0) return [];
      if (asks.length === 1) {
        const [ask] = asks as readonly [ReadAsk];
        return [answerKnown(ask, attempt(ask) ?? (await engine.patiently(op, "read", () => answer(ask))))];
      }
      function* many(): Task<ReadAnswer[]> {
        const found: ReadAnswer[] = [];
        for (const ask of asks) found.push(answerKnown(ask, yield* readOne(statements, ask)));
        return found;
      }
      return await engine.read(many, op, "read", true);
    },
    async listPrompts(query, op) {
      enter(op, "listPrompts");
      const { text } = query;
      if (text === undefined) return await look(() => listPrompts(statements, query), op, "listPrompts");
      await follow(op);
      function* search() {
        const pending = feedPosition(yield* searchPosition(statements));
        return yield* searchPrompts(statements, { ...query, text: text as string }, toFts, { ...pending });
      }
      return await look(search, op, "listPrompts", true);
    },
    async listVersions(name, query, op) {
      return await look(() => listVersions(statements, name, query), op, "listVersions");
    },
    async history(name, query, op) {
      return await look(() => history(statements, name, query), op, "history");
    },
    async changes(query, op) {
      const { items, cursor } = await look(() => changes(query), op, "changes", true);
      return { items, cursor };
    },
    async commit(commit, op) {
      enter(op, "commit");
      if (readOnly)
        throw new RegistryError("READ_ONLY", `${location} can only be read`, { backend: "sqlite", location });
      if (commit.changes.length > MAX_BATCH) {
        throw new RegistryError("INVALID", `${commit.changes.length} changes in one commit; at most ${MAX_BATCH}`, {
          backend: "sqlite",
        });
      }
      if (commit.changes.length === 0) return [];
      try {
        const decide = () => {
          const outcome = publishOne(engine, statements, commit);
          if (outcome !== undefined) return { keep: true, value: [outcome] };
          return runSync(applyCommit(writing, commit), engine.query);
        };
        return await engine.transact<readonly Outcome[]>(decide, op, "commit");
      } finally {
        for (const { name } of commit.changes) answers.drop(name);
      }
    },
    async repair(plan, op) {
      enter(op, "repair");
      if (readOnly)
        return await engine.read(
          function* () {
            return (yield* repair(statements, { ...plan, repair: [] })).value;
          },
          op,
          "repair",
        );
      return await engine.write(() => repair(statements, plan), op, "repair");
    },
    async check(op) {
      throwIfAborted(op?.signal, "check");
      const started = performance.now();
      const checks = closed ? [{ name: "open", ok: false, detail: "closed" }] : await checkSqlite(engine, !readOnly);
      const latency = performance.now() - started;
      return { ok: checks.every((one) => one.ok), kind: "sqlite", location, latency, checks };
    },
    async close() {
      if (closed) return;
      closed = true;
      answers.clear();
      engine.close();
    },
  } satisfies StorageDriver<SqliteNative>;
}

async function open(
  path: string,
  location: string,
  memory: boolean,
  readOnly: boolean,
  options: SqliteOptions,
): Promise<SqliteEngine> {
  if (!memory) prepareFolder(path, readOnly);
  try {
    const file = memory ? undefined : new DatabaseFile(path, readOnly);
    const connection = openConnection({ path: file?.target ?? path, module: options.module, readOnly });
    const engine = new SqliteEngine(connection, location, options.busyTimeout ?? 5000, file);
    try {
      file?.opened();
      await engine.patiently(undefined, "open", () => {
        // This process waits by itself, in between: SQLite's own waiting would stop all else.
        connection.exec("PRAGMA busy_timeout = 0");
        // Of a new file only. A prompt of 2 KB leaves half of a page of 4 KB empty, and a commit writes whole pages, twice.
        if (!readOnly) connection.exec("PRAGMA page_size = 8192");
        // NORMAL may lose the last commits in a power cut (https://sqlite.org/pragma.html#pragma_synchronous).
        connection.exec("PRAGMA synchronous = FULL");
        connection.exec("PRAGMA foreign_keys = ON");
        connection.exec("PRAGMA cache_size = -32768");
        connection.exec("PRAGMA trusted_schema = OFF");
        prepareSqlite(connection, location, readOnly);
      });
      return engine;
    } catch (error) {
      engine.close();
      throw error;
    }
  } catch (error) {
    throw sqliteFailure(error, `${location} can't be opened`, location);
  }
}
