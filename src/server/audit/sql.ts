import { access, constants, statfs } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { sqliteFailure } from "../../drivers/sql/sqlite/failure.ts";
import { all, type Decision, first, type Row, type Task } from "../../drivers/sql/task.ts";
import { RegistryError } from "../../errors.ts";
import { type Database, openDatabase } from "../access/database.ts";
import type { PostgresPlace, SqlitePlace } from "../access/places.ts";
import type { AuditLog } from "../types.ts";
import type { AuditOptions } from "./file.ts";
import { type AuditStore, groupedLog, type Timed } from "./group.ts";
import { formatLine } from "./line.ts";

/** The one chain of a database. */
const CHAIN = "store";
const MIN_FREE = 1 << 16;
const PAGE = 1000;

/**
 * An audit log in the registry's own SQLite or PostgreSQL database: one chain for all servers, whose end is locked while
 * entries are put to it.
 *
 * @throws RegistryError CONFIG, FORBIDDEN, UNAVAILABLE
 * @example
 * const audit = await sqlAudit({ backend: "postgres", url: process.env.DATABASE_URL });
 */
export async function sqlAudit(place: SqlitePlace | PostgresPlace, options: AuditOptions = {}): Promise<AuditLog> {
  const database = await openDatabase(place);
  return groupedLog(sqlStore(database, place, options.server ?? hostname()), options.now);
}

function sqlStore(database: Database, place: SqlitePlace | PostgresPlace, server: string): AuditStore {
  const statements = createStatements(database);

  function* put(entries: readonly Timed[]): Task<Decision<void>> {
    const head = (yield* first(statements.lockHead)) as Row;
    let seq = Number(head.seq);
    let hash = head.hash as string;
    for (const { at, entry } of entries) {
      const link = { seq: ++seq, chain: CHAIN, prev: hash === "" ? [] : [hash], at, server };
      const made = formatLine(link, entry);
      hash = made.hash;
      yield* all(statements.insert, { seq, line: made.line });
    }
    yield* all(statements.moveHead, { seq, hash });
    return { value: undefined, keep: true };
  }

  return {
    write: (entries) => database.write(() => put(entries), "audit.append"),
    async probe() {
      const [head] = await database.read(() => all(statements.head), "audit.ready");
      if (head === undefined)
        throw new RegistryError("CORRUPT", `the audit log in ${database.location} has lost its end`, {
          location: database.location,
        });
      if (place.backend === "sqlite" && place.path !== ":memory:") await probeFile(place.path, database.location);
      else if (String(head.readOnly) === "on")
        throw new RegistryError("READ_ONLY", `${database.location} only answers reads`, {
          location: database.location,
        });
    },
    close: () => database.close(),
  };
}

async function probeFile(path: string, location: string): Promise<void> {
  try {
    await access(path, constants.W_OK);
    const { blocks, bavail, bsize } = await statfs(dirname(path));
    if (blocks === 0 || bavail * bsize >= MIN_FREE) return;
  } catch (error) {
    const readOnly = { errcode: 8, message: (error as Error).message };
    throw sqliteFailure(readOnly, "the audit log can't be written", location);
  }
  throw new RegistryError("NO_SPACE", `the disk of the audit log in ${location} is full; make room`, { location });
}

function createStatements({ builder, tables, kind }: Database) {
  const { arg, done, k } = builder;
  const sqlite = kind === "sqlite";
  const head = tables.selectFrom("audit_head").where("id", "=", k.sql.lit(1));
  const readOnly = sqlite ? k.sql<string>`'off'` : k.sql<string>`current_setting('transaction_read_only')`;
  return {
    head: done("audit_head", head.select(["seq", "hash"]).select(readOnly.as("readOnly"))),
    // SQLite holds the whole file locked from the beginning of a transaction.
    lockHead: done("audit_lock", sqlite ? head.selectAll() : head.selectAll().forUpdate(), "one"),
    insert: done(
      "audit_insert",
      tables.insertInto("audit_log").values({ seq: arg<number>("seq"), line: arg<string>("line") }),
      "none",
    ),
    moveHead: done(
      "audit_move",
      tables
        .updateTable("audit_head")
        .set({ seq: arg<number>("seq"), hash: arg<string>("hash") })
        .where("id", "=", k.sql.lit(1)),
      "none",
    ),
  };
}

export interface StoredLine {
  readonly seq: number;
  readonly line: string;
}

/** Every line of a database, in order, and where its end is said to be. */
export async function readSqlAudit(place: SqlitePlace | PostgresPlace): Promise<{
  readonly lines: AsyncIterable<StoredLine>;
  /** Asked for before the first line: what comes later may be longer. */
  readonly end: StoredEnd;
  close(): Promise<void>;
}> {
  const database = await openDatabase(place);
  const { builder, tables } = database;
  const page = builder.done(
    "audit_page",
    tables
      .selectFrom("audit_log")
      .selectAll()
      .where("seq", ">", builder.arg<number>("after"))
      .orderBy("seq")
      .limit(builder.k.sql.lit(PAGE)),
  );
  const headStatement = createStatements(database).head;
  const [head] = await database.read(() => all(headStatement), "audit.read");
  async function* lines(): AsyncIterable<StoredLine> {
    // The first number is 1; what stands before it was put there.
    for (let after = Number.MIN_SAFE_INTEGER; ; ) {
      const rows = await database.read(() => all(page, { after }), "audit.read");
      for (const row of rows) yield { seq: Number(row.seq), line: row.line as string };
      const last = rows.at(-1);
      if (last === undefined) return;
      after = Number(last.seq);
    }
  }
  return {
    lines: lines(),
    end: { seq: Number(head?.seq ?? 0), hash: String(head?.hash ?? "") },
    close: () => database.close(),
  };
}

export interface StoredEnd {
  readonly seq: number;
  readonly hash: string;
}
