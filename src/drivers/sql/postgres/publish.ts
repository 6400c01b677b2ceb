import type { Change, Outcome } from "../../../driver.ts";
import { stateAfter } from "../apply.ts";
import { documentOf } from "../rows.ts";
import { SCHEMA_VERSION } from "../schema.ts";
import { type SlotColumns, slotColumns } from "../slots.ts";
import type { Args, Row, Statement } from "../task.ts";
import type { FeedKind } from "./feed.ts";
import { latestSql } from "./reading.ts";

const COLUMNS = ["version", "sortKey", "digest", "createdAt", "author", "message", "content"] as const;

/**
 * One document of each of many prompts, in one statement and so in one round trip and one transaction.
 *
 * - `known` takes the weakest lock there is on rows that exist, which only a change of their head or a removal holds up,
 *   and not another publish. Waiting for it gives the row as it is then, while all the rest of the statement sees the
 *   state in which it began: so whether a prompt must be marked live again is read off `known`.
 * - Prompts and taken slots are looked up one by one in their indexes: of a list or a join the server may make a scan of the
 *   whole table, while its statistics are young, and it keeps such a plan while the table grows.
 * - A slot or name that somebody else took at the same time gives a row without `id` and without `existing`; the caller
 *   does such changes again, one by one.
 */
export function publishStatement(schema: string, feed: FeedKind, single: boolean): Statement {
  const told =
    feed === "snapshot"
      ? `told AS (INSERT INTO ${schema}.feed (txid, prompt_id)
  SELECT DISTINCT pg_current_xact_id()::text::bigint, prompt_id FROM added)`
      : `counted AS (UPDATE ${schema}.feed_lock SET seq = seq + (SELECT count(DISTINCT prompt_id) FROM added)
  WHERE EXISTS (SELECT 1 FROM added) RETURNING seq),
told AS (INSERT INTO ${schema}.feed (seq, txid, prompt_id)
  SELECT c.seq - row_number() OVER () + 1, 0, d.prompt_id FROM counted c, (SELECT DISTINCT prompt_id FROM added) d)`;
  // Scalars for one: of lists the server expects ten times as much, and so plans anew each time, which takes longer than
  // to do it.
  const input = single
    ? `SELECT $1::text AS name, $2::text AS version, $3::text AS sort_key, $4::text AS digest, $5::text AS created_at,
    $6::text AS author, $7::text AS message, $8::text AS content, 1 AS place`
    : `SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    WITH ORDINALITY AS i (name, version, sort_key, digest, created_at, author, message, content, place)`;
  const known = (name: string) => `SELECT id, name, live, generation, pin, labels, yanked, deprecated, updated_at
  FROM ${schema}.prompts WHERE name = ${name} LIMIT 1 FOR KEY SHARE`;
  return {
    name: single ? "publish_one" : "publish",
    params: ["name", ...COLUMNS, "schemaVersion", "channel", "notes"],
    sql: `WITH input AS (
  ${input}
  WHERE (SELECT max(version) FROM ${schema}.prompt_registry_schema) <= $9::integer
),
known AS MATERIALIZED (
  ${single ? known("$1::text") : `SELECT k.* FROM (SELECT name FROM input ORDER BY name) i CROSS JOIN LATERAL (${known("i.name")}) k`}
),
made AS (
  INSERT INTO ${schema}.prompts (name, live)
  SELECT i.name, 1 FROM input i WHERE NOT EXISTS (SELECT 1 FROM known k WHERE k.name = i.name) ORDER BY i.name
  ON CONFLICT (name) DO NOTHING RETURNING id, name
),
target AS (SELECT id, name FROM known UNION ALL SELECT id, name FROM made),
added AS (
  INSERT INTO ${schema}.versions (prompt_id, version, sort_key, digest, created_at, author, message, content)
  SELECT t.id, i.version, i.sort_key, i.digest, i.created_at, i.author, i.message, i.content
  FROM input i JOIN target t ON t.name = i.name ORDER BY t.id
  ON CONFLICT (prompt_id, sort_key) DO NOTHING RETURNING id, prompt_id
),
revived AS (
  UPDATE ${schema}.prompts AS p SET live = 1 FROM known k, added a
  WHERE p.id = k.id AND a.prompt_id = k.id AND k.live = 0
),
${told}
SELECT a.id AS added, e.id AS existing, e.version, e.content, coalesce(p.generation, 0) AS generation,
  p.pin, p.labels, p.yanked, p.deprecated, p.updated_at,
  ${latestSql(schema, "version")} AS highest,
  (SELECT count(pg_notify($10::text, n)) FROM unnest($11::text[]) AS n WHERE EXISTS (SELECT 1 FROM added)) AS notified
FROM input i
LEFT JOIN target t ON t.name = i.name
LEFT JOIN known p ON p.id = t.id
LEFT JOIN added a ON a.prompt_id = t.id
LEFT JOIN LATERAL (
  SELECT v.id, v.version, v.content FROM ${schema}.versions v
  WHERE a.id IS NULL AND v.prompt_id = t.id AND v.sort_key = i.sort_key LIMIT 1
) e ON true
ORDER BY i.place`,
  };
}

export function publishArgs(changes: readonly Change[], channel: string, notes: readonly string[]): Args {
  const shared = { schemaVersion: SCHEMA_VERSION, channel, notes };
  const rows = changes.map((change) => slotColumns((change.add as NonNullable<Change["add"]>)[0] as never, false));
  if (rows.length === 1) return { name: changes[0]?.name, ...rows[0], ...shared };
  const columns = Object.fromEntries(COLUMNS.map((key) => [key, rows.map((row: SlotColumns) => row[key])]));
  return { name: changes.map((c) => c.name), ...columns, ...shared };
}

/** `undefined`: somebody else was at it at the same time, and the change is to be done again by itself. */
export function publishOutcome(change: Change, row: Row | undefined): Outcome | undefined {
  if (row === undefined) return undefined;
  if (row.added !== null) return { status: "done", head: stateAfter(row, change.add ?? []) };
  if (row.existing !== null) return { status: "exists", existing: documentOf(row, change.name) };
  return undefined;
}
