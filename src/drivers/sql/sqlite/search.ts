import type { Cursor } from "../../../driver.ts";
import { textOf } from "../rows.ts";
import type { Statements } from "../statements.ts";
import { all, type Decision, first, type Statement, type Task } from "../task.ts";
import { folded } from "../trigrams.ts";
import { changes } from "./feed.ts";

const CHUNK = 200;

const FORGET: Statement = {
  name: "search_forget",
  sql: "DELETE FROM search WHERE rowid = ?",
  params: ["id"],
  none: true,
};
const LEARN: Statement = {
  name: "search_learn",
  sql: "INSERT INTO search (rowid, content) VALUES (?, ?)",
  params: ["id", "content"],
  none: true,
};

export function* searchPosition(statements: Statements): Task<Cursor> {
  return String((yield* first(statements.searchPosition))?.position ?? "0.0");
}

/**
 * Lets the text index follow the feed by one step. A publish does not write the index: that would cost it more than all
 * the rest, and a search can do it for many publishes at once.
 *
 * @returns whether there may be more
 */
export function* followFeed(statements: Statements): Task<Decision<boolean>> {
  const position = yield* searchPosition(statements);
  const page = yield* changes({ cursor: position, limit: CHUNK });
  if (page.ids.length === 0) return { keep: false, value: false };
  for (const id of new Set(page.ids)) {
    const row = yield* first(statements.latestText, { id });
    yield* all(FORGET, { id });
    if (row === undefined || row.content === null) continue;
    try {
      yield* all(LEARN, { id, content: folded(textOf(row.content, "" as never, "")) });
    } catch {
      // No UTF-8: damaged, and for verify to find.
    }
  }
  yield* all(statements.setSearchPosition, { position: page.cursor });
  return { keep: true, value: page.ids.length === CHUNK };
}
