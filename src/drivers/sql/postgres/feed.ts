import type { ChangeEvent, Cursor, Page } from "../../../driver.ts";
import { RegistryError } from "../../../errors.ts";
import { badCursor } from "../../../history.ts";
import type { PromptName } from "../../../names.ts";
import type { Touched } from "../apply.ts";
import { all, first, type Row, type Statement, type Task } from "../task.ts";

/**
 * How an event of a transaction that commits late is not skipped. A sequence alone would skip it: its number is drawn
 * when it is written, and others that drew later may be seen earlier.
 *
 * - `snapshot`: events carry the number of their transaction, and a cursor is the whole snapshot in which somebody looked:
 *   what was not visible in it and is now, is new. Exact, and it waits for nobody.
 * - `lock`: where the server does not show its transactions (CockroachDB), numbers are drawn from a row that stays locked
 *   until the commit, so their order is that of the commits.
 */
export type FeedKind = "snapshot" | "lock";

export interface FeedPage extends Page<ChangeEvent> {
  readonly cursor: Cursor;
  readonly ids: readonly unknown[];
}

export interface Feed {
  readonly kind: FeedKind;
  announce(prompts: readonly Touched[]): Task<void>;
  changes(query: { readonly cursor?: Cursor | undefined; readonly limit: number }): Task<FeedPage>;
}

/** Lower than any transaction: everything is new since then, also what was adopted with the number 0. */
const BEGINNING = "1:1:";
/** A standby does not know which transactions are under way, only the oldest of them: nothing from it on counts as seen. */
const SEEN = `CASE WHEN pg_is_in_recovery()
  THEN concat(pg_snapshot_xmin(pg_current_snapshot()), ':', pg_snapshot_xmin(pg_current_snapshot()), ':')::pg_snapshot
  ELSE pg_current_snapshot() END`;
const SNAPSHOT_CURSOR = /^(\d{1,20}:\d{1,20}:[\d,]*)(?:~(\d{1,20}:\d{1,20}:[\d,]*)~(\d{1,19})~(\d{1,19}))?$/;
const LOCK_CURSOR = /^\d{1,18}$/;

export function createFeed(kind: FeedKind, schema: string): Feed {
  return kind === "snapshot" ? snapshotFeed(schema) : lockFeed(schema);
}

function page(rows: readonly Row[], cursor: Cursor): FeedPage {
  return {
    items: rows.map((row) => ({ name: row.name as PromptName })),
    cursor,
    ids: rows.map((row) => row.prompt_id),
  };
}

function snapshotFeed(schema: string): Feed {
  const add: Statement = {
    name: "feed_add",
    sql: `INSERT INTO ${schema}.feed (txid, prompt_id) 
SELECT pg_current_xact_id()::text::bigint, id FROM unnest($1::bigint[]) AS id`,
    params: ["prompts"],
    none: true,
  };
  const now: Statement = {
    name: "feed_now",
    sql: `SELECT (${SEEN})::text AS snapshot`,
    params: [],
    one: true,
  };
  const since: Statement = {
    name: "feed_since",
    params: ["base", "upto", "txid", "seq", "limit"],
    sql: `SELECT s.now::text AS snapshot, f.txid, f.seq, f.prompt_id, p.name,
  pg_snapshot_xmax($1::pg_snapshot)::text::bigint > pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS rewritten
FROM (SELECT coalesce($2::pg_snapshot, ${SEEN}) AS now) AS s
LEFT JOIN LATERAL (
  SELECT e.txid, e.seq, e.prompt_id FROM ${schema}.feed AS e
  WHERE e.txid >= pg_snapshot_xmin($1::pg_snapshot)::text::bigint - 1 AND (e.txid, e.seq) > ($3::bigint, $4::bigint)
    AND NOT pg_visible_in_snapshot(greatest(e.txid, 1)::text::xid8, $1::pg_snapshot)
    AND pg_visible_in_snapshot(e.txid::text::xid8, s.now)
  ORDER BY e.txid, e.seq LIMIT $5
) AS f ON true
LEFT JOIN ${schema}.prompts AS p ON p.id = f.prompt_id
ORDER BY f.txid, f.seq`,
  };
  return {
    kind: "snapshot",
    *announce(prompts) {
      yield* all(add, { prompts: prompts.map((p) => p.id) });
    },
    *changes({ cursor, limit }) {
      if (cursor === undefined) return page([], (yield* first(now))?.snapshot as string);
      const match = SNAPSHOT_CURSOR.exec(cursor === "*" ? BEGINNING : cursor);
      if (match === null) throw badCursor(cursor);
      const [, base, upto = null, txid = "0", seq = "0"] = match;
      const rows = yield* all(since, { base, upto, txid, seq, limit });
      const { snapshot, rewritten } = rows[0] as Row;
      if (rewritten === true) {
        throw new RegistryError(
          "HISTORY_REWRITTEN",
          "the database is older than this cursor: it was restored from a copy; start again without a cursor",
        );
      }
      const events = rows.filter((row) => row.seq !== null);
      const last = events.at(-1);
      if (last === undefined || events.length < limit) return page(events, snapshot as string);
      return page(events, `${base}~${snapshot}~${last.txid}~${last.seq}`);
    },
  };
}

function lockFeed(schema: string): Feed {
  const add: Statement = {
    name: "feed_add",
    sql: `WITH drawn AS (UPDATE ${schema}.feed_lock SET seq = seq + cardinality($1::bigint[]) RETURNING seq)
INSERT INTO ${schema}.feed (seq, txid, prompt_id)
SELECT d.seq - i.place + 1, 0, i.id FROM drawn AS d, unnest($1::bigint[]) WITH ORDINALITY AS i (id, place)`,
    params: ["prompts"],
    none: true,
  };
  const now: Statement = { name: "feed_now", sql: `SELECT seq FROM ${schema}.feed_lock`, params: [], one: true };
  const since: Statement = {
    name: "feed_since",
    sql: `SELECT f.seq, f.prompt_id, p.name FROM ${schema}.feed AS f JOIN ${schema}.prompts AS p ON p.id = f.prompt_id
WHERE f.txid = 0 AND f.seq > $1 ORDER BY f.seq LIMIT $2`,
    params: ["seq", "limit"],
  };
  return {
    kind: "lock",
    *announce(prompts) {
      yield* all(add, { prompts: prompts.map((p) => p.id) });
    },
    *changes({ cursor, limit }) {
      if (cursor === undefined) return page([], String((yield* first(now))?.seq));
      const seq = cursor === "*" ? "0" : cursor;
      if (!LOCK_CURSOR.test(seq)) throw badCursor(cursor);
      const rows = yield* all(since, { seq, limit });
      return page(rows, rows.length === 0 ? seq : String(rows.at(-1)?.seq));
    },
  };
}
