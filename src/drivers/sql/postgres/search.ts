import { textOf } from "../rows.ts";
import type { Statements } from "../statements.ts";
import { all, type Decision, first, type Statement, type Task } from "../task.ts";
import { folded, toTsvector } from "../trigrams.ts";
import type { Feed } from "./feed.ts";

const CHUNK = 100;

export interface SearchStatements {
  readonly position: Statement;
  readonly learn: Statement;
}

export function searchStatements(schema: string): SearchStatements {
  return {
    // Whoever holds it follows the feed; the others find nothing left to do.
    position: {
      name: "search_lock",
      sql: `SELECT position FROM ${schema}.search_state FOR UPDATE`,
      params: [],
      one: true,
    },
    learn: {
      name: "search_learn",
      sql: `INSERT INTO ${schema}.search (prompt_id, trigrams)
SELECT i.id, CAST(i.trigrams AS tsvector) FROM unnest($1::bigint[], $2::text[]) AS i (id, trigrams)
ON CONFLICT (prompt_id) DO UPDATE SET trigrams = excluded.trigrams`,
      params: ["ids", "trigrams"],
      none: true,
    },
  };
}

/**
 * Lets the text index follow the feed by one step, so that a publish does not pay for it.
 *
 * @returns whether there may be more
 */
export function* followFeed(statements: Statements, own: SearchStatements, feed: Feed): Task<Decision<boolean>> {
  const position = String((yield* first(own.position))?.position ?? "");
  const page = yield* feed.changes({ cursor: position === "" ? "*" : position, limit: CHUNK });
  const ids = [...new Set(page.ids.map(String))];
  if (ids.length === 0) return { keep: false, value: false };
  const rows = yield* all(statements.latestText, { id: ids });
  const trigrams = rows.map((row) => {
    return row.content === null ? "" : toTsvector(folded(textOf(row.content, "" as never, "")));
  });
  yield* all(own.learn, { ids: rows.map((row) => row.id), trigrams });
  yield* all(statements.setSearchPosition, { position: page.cursor });
  return { keep: true, value: page.items.length === CHUNK };
}
