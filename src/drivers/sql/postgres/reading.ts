import type { ReadAnswer, ReadAsk } from "../../../driver.ts";
import { versionSortKey } from "../../../semver.ts";
import { ABSENT, answerKnown, pointedAnswer } from "../reading.ts";
import { headAnswer, slotAnswer, stateOf } from "../rows.ts";
import { all, type Row, type Statement, type Task } from "../task.ts";

/** What `latest` is unless it is pinned, of the prompt `p`; the same as in `statements.ts`. */
export function latestSql(schema: string, column: "version" | "sort_key"): string {
  const live = `SELECT v.${column} FROM ${schema}.versions AS v
    WHERE v.prompt_id = p.id AND v.tombstone = 0 AND (p.yanked IS NULL OR NOT p.yanked ? v.version)`;
  const highest = "ORDER BY v.sort_key DESC LIMIT 1";
  return `coalesce((${live} AND v.sort_key LIKE '%~' ${highest}), (${live} ${highest}))`;
}

/** Any number of asks in one round trip. Each is a step in an index: of plain joins the server may make scans of whole tables. */
export function readManyStatement(schema: string): Statement {
  return {
    name: "read_many",
    params: ["name", "kind", "target"],
    sql: `SELECT a.place, p.id, p.generation, p.labels, p.pin, p.yanked, p.deprecated, p.updated_at, ${latestSql(schema, "version")} AS highest,
  t.version, t.tombstone, t.revision, t.content
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS a (name, kind, target, place)
CROSS JOIN LATERAL (SELECT * FROM ${schema}.prompts WHERE name = a.name LIMIT 1) AS p
LEFT JOIN LATERAL (
  SELECT * FROM ${schema}.versions WHERE prompt_id = p.id AND sort_key = CASE a.kind
    WHEN 'version' THEN a.target WHEN 'label' THEN p.label_keys ->> a.target
    WHEN 'latest' THEN coalesce(p.pin_key, ${latestSql(schema, "sort_key")}) END
  LIMIT 1
) AS t ON true`,
  };
}

export function* readMany(statement: Statement, asks: readonly ReadAsk[]): Task<readonly ReadAnswer[]> {
  const rows = yield* all(statement, {
    name: asks.map((ask) => ask.name),
    kind: asks.map((ask) => ask.selector.kind),
    target: asks.map(({ selector }) =>
      selector.kind === "version" ? versionSortKey(selector.version) : selector.kind === "label" ? selector.label : "",
    ),
  });
  const answers: ReadAnswer[] = asks.map(() => ABSENT);
  for (const row of rows) {
    const i = Number(row.place) - 1;
    const ask = asks[i] as ReadAsk;
    answers[i] = answerKnown(ask, answerOf(ask, row));
  }
  return answers;
}

function answerOf({ name, selector }: ReadAsk, row: Row): ReadAnswer {
  if (selector.kind === "head") return headAnswer(row);
  if (selector.kind !== "version") return pointedAnswer(row, name);
  return row.version === null ? Object.freeze({ status: "absent", head: stateOf(row) }) : slotAnswer(row, name);
}
