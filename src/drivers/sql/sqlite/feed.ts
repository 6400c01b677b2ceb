import type { ChangeEvent, Cursor, Page } from "../../../driver.ts";
import { RegistryError } from "../../../errors.ts";
import { badCursor } from "../../../history.ts";
import type { PromptName } from "../../../names.ts";
import type { Touched } from "../apply.ts";
import { all, first, type Row, type Statement, type Task } from "../task.ts";

const NOW: Statement = {
  name: "feed_now",
  sql: "SELECT (SELECT coalesce(max(id), 0) FROM versions) AS added, (SELECT coalesce(max(seq), 0) FROM feed) AS changed",
  params: [],
  one: true,
};
const ADDED: Statement = {
  name: "feed_added",
  sql: "SELECT v.id AS at, v.prompt_id AS id, p.name FROM versions AS v JOIN prompts AS p ON p.id = v.prompt_id WHERE v.id > ? ORDER BY v.id LIMIT ?",
  params: ["after", "limit"],
};
const CHANGED: Statement = {
  name: "feed_changed",
  sql: "SELECT f.seq AS at, f.prompt_id AS id, p.name FROM feed AS f JOIN prompts AS p ON p.id = f.prompt_id WHERE f.seq > ? ORDER BY f.seq LIMIT ?",
  params: ["after", "limit"],
};
const NOTE: Statement = {
  name: "feed_note",
  sql: "INSERT INTO feed (prompt_id) VALUES (?)",
  params: ["prompt"],
  none: true,
};
const CURSOR = /^(\d{1,15})\.(\d{1,15})$/;

export interface FeedPage extends Page<ChangeEvent> {
  readonly cursor: Cursor;
  readonly ids: readonly number[];
}

/** A new version is its own note in the feed, which saves every publish a page of the file. */
export function* announce(prompts: readonly Touched[]): Task<void> {
  for (const { id, plain } of prompts) if (!plain) yield* all(NOTE, { prompt: id });
}

/**
 * Two feeds in one: new versions, and all that happens to them. One writer at a time, so in each what has a higher number
 * was committed later; which of two events in different ones was first, nobody needs to know.
 */
export function* changes(query: { readonly cursor?: Cursor | undefined; readonly limit: number }): Task<FeedPage> {
  const now = (yield* first(NOW)) as Row;
  if (query.cursor === undefined) return { items: [], ids: [], cursor: `${now.added}.${now.changed}` };
  const match = CURSOR.exec(query.cursor);
  if (match === null) throw badCursor(query.cursor);
  let [added, changed] = [Number(match[1]), Number(match[2])];
  if (added > Number(now.added) || changed > Number(now.changed)) {
    throw new RegistryError(
      "HISTORY_REWRITTEN",
      "the database is older than this cursor: it was restored from a copy; start again without a cursor",
    );
  }
  const fresh = yield* all(ADDED, { after: added, limit: query.limit });
  added = Number(fresh.at(-1)?.at ?? added);
  const rest = query.limit - fresh.length;
  const moved = rest === 0 ? [] : yield* all(CHANGED, { after: changed, limit: rest });
  changed = Number(moved.at(-1)?.at ?? changed);
  const rows = [...fresh, ...moved];
  return {
    items: rows.map((row) => ({ name: row.name as PromptName })),
    ids: rows.map((row) => Number(row.id)),
    cursor: `${added}.${changed}`,
  };
}

/** How far the text index has come, as arguments of a search. */
export function feedPosition(cursor: Cursor): { readonly added: number; readonly changed: number } {
  const match = CURSOR.exec(cursor);
  return { added: Number(match?.[1] ?? 0), changed: Number(match?.[2] ?? 0) };
}
