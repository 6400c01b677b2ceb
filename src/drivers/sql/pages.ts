import type {
  HistoryEntry,
  ListQuery,
  Page,
  PageQuery,
  PromptEntry,
  VersionEntry,
  VersionQuery,
  Yank,
} from "../../driver.ts";
import { badCursor } from "../../history.ts";
import { isName, type PromptName } from "../../names.ts";
import { isVersion, type Version, versionSortKey } from "../../semver.ts";
import { entryOf, stateOf } from "./rows.ts";
import type { Statements } from "./statements.ts";
import { USUAL_LIMIT } from "./statements-read.ts";
import { type Args, all, type Query, type Row, type Statement, type Task } from "./task.ts";

/** Above every name and every sort key, which are ASCII below it. */
const END = "\u007f";

export function nameBounds(query: ListQuery): { readonly from: string; readonly to: string } {
  const { prefix = "", cursor } = query;
  if (cursor !== undefined && !isName(cursor)) throw badCursor(cursor);
  // No character of a name is as low as U+0001, so this is the first place after the cursor.
  const from = cursor !== undefined && cursor >= prefix ? `${cursor}\u0001` : prefix;
  const to = prefix === "" ? END : prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
  return { from, to };
}

export function promptEntry(row: Args, heads: boolean, removed: boolean): PromptEntry {
  const name = row.name as PromptName;
  if (!heads && !removed) return { name };
  return {
    name,
    ...(heads ? { head: stateOf(row) } : {}),
    ...(removed && Number(row.live) === 0 ? { removed: true as const } : {}),
  };
}

function namesOf(statements: Statements, query: ListQuery, heads: boolean, removed: boolean): Statement {
  const { plain, heads: withHeads } = removed ? statements.namesRemoved : statements.names;
  if (heads) return withHeads;
  if (removed || (query.prefix ?? "") !== "") return plain;
  return query.limit === USUAL_LIMIT ? statements.usualNames : statements.allNames;
}

export function namesQuery(statements: Statements, query: ListQuery): Query {
  const heads = query.include === "heads";
  const statement = namesOf(statements, query, heads, query.includeRemoved === true);
  return { statement, args: { ...nameBounds(query), limit: query.limit + 1 } };
}

/** @param rows the answer to {@link namesQuery} */
export function namesPage(query: ListQuery, rows: readonly Row[]): Page<PromptEntry> {
  const heads = query.include === "heads";
  const removed = query.includeRemoved === true;
  const more = rows.length > query.limit;
  const page = more ? rows.slice(0, query.limit) : rows;
  // Rows of names alone are entries already.
  const items =
    heads || removed ? page.map((row) => promptEntry(row, heads, removed)) : (page as unknown as PromptEntry[]);
  return more ? { items, cursor: (items.at(-1) as PromptEntry).name } : { items };
}

export function* listPrompts(statements: Statements, query: ListQuery): Task<Page<PromptEntry>> {
  return namesPage(query, yield namesQuery(statements, query));
}

export function* listVersions(statements: Statements, name: PromptName, query: VersionQuery): Task<Page<VersionEntry>> {
  const { cursor, limit } = query;
  if (cursor !== undefined && !isVersion(cursor)) throw badCursor(cursor);
  const before = cursor === undefined ? END : versionSortKey(cursor);
  const statement = query.includeRemoved === true ? statements.versionsRemoved : statements.versions;
  const rows = yield* all(statement, { name, before, limit: limit + 1 });
  const items = rows.slice(0, limit).map((row): VersionEntry => {
    const { yank } = row;
    return {
      version: row.version as Version,
      ...(yank === null ? {} : { yanked: (typeof yank === "string" ? JSON.parse(yank) : yank) as Yank }),
      ...(Number(row.tombstone) === 1 ? { removed: true as const } : {}),
    };
  });
  return rows.length > limit ? { items, cursor: (items.at(-1) as VersionEntry).version } : { items };
}

/** `time ~ number of an entry, or the version of a publish`: newest first, at equal times entries before publishes. */
const HISTORY_CURSOR = /^(\d{4}-\d\d-\d\dT[0-9:.]{5,20}Z)~(?:(\d{1,19})|(\d.*))$/;
const ABOVE_ALL = "9223372036854775807";

export function* history(statements: Statements, name: PromptName, query: PageQuery): Task<Page<HistoryEntry>> {
  const { cursor, limit } = query;
  // No time begins with a tilde: above them all.
  let at = "~";
  let id: string | undefined = ABOVE_ALL;
  let version: string | undefined;
  if (cursor !== undefined) {
    const match = HISTORY_CURSOR.exec(cursor);
    if (match === null) throw badCursor(cursor);
    [, at, id, version] = match as unknown as [string, string, string | undefined, string | undefined];
    if (version !== undefined && !isVersion(version)) throw badCursor(cursor);
  }
  const rows = yield* all(statements.history, {
    name,
    limit: limit + 1,
    entryAt: at,
    entryId: BigInt(id ?? "0"),
    publishAt: at,
    publishKey: version === undefined ? END : versionSortKey(version as Version),
  });
  const page = rows.slice(0, limit);
  const items = page.map(entryOf);
  const last = page.at(-1);
  return rows.length > limit && last !== undefined
    ? { items, cursor: `${last.at}~${Number(last.kind) === 1 ? last.id : last.to_version}` }
    : { items };
}
