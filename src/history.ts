import { openStored } from "./document.ts";
import type { Cursor, HistoryEntry, Page, PageQuery, StoredDocument } from "./driver.ts";
import { RegistryError, show } from "./errors.ts";
import { compareVersions, isVersion, type Version } from "./semver.ts";

/**
 * The `publish` entry of a document or tombstone, read off its own lines; `undefined` where it carries no time (dropped
 * in by hand) or is damaged (which is for `verify` to say, not for a log).
 *
 * @example
 * publishEntry({ name, version, text }); // { at: "2026-11-24T05:00:00.000Z", by: "ada", action: "publish", to: "1.0.0" }
 */
export function publishEntry(document: StoredDocument): HistoryEntry | undefined {
  let opened: ReturnType<typeof openStored>;
  try {
    opened = openStored(document.text, document);
  } catch {
    return undefined;
  }
  const { createdAt, author, message } = opened;
  if (createdAt === undefined) return undefined;
  return {
    at: createdAt,
    ...(author === undefined ? {} : { by: author }),
    action: "publish",
    to: document.version,
    ...(message === undefined ? {} : { message }),
  };
}

/**
 * Documents and head entries as one list, newest first, as {@link StorageDriver.history} orders it.
 *
 * @param entries those of the heads, in the order in which they were written
 * @example
 * const page = pageOf(mergeHistory(documentsAndTombstones, entries), query);
 */
export function mergeHistory(documents: Iterable<StoredDocument>, entries: readonly HistoryEntry[]): HistoryEntry[] {
  const published: HistoryEntry[] = [];
  for (const document of documents) {
    const entry = publishEntry(document);
    if (entry !== undefined) published.push(entry);
  }
  // Not in the order of writing, which a folder or a copy can't know.
  published.sort((a, b) => compareVersions(a.to as Version, b.to as Version));
  // Array.prototype.sort is stable: equal times keep the order given here.
  return [...published, ...entries].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0)).reverse();
}

/**
 * A page of a list that only grows at its front. The cursor counts from the old end, so entries that arrive meanwhile
 * neither repeat nor hide any.
 *
 * @throws RegistryError INVALID for a cursor that is none of this list
 * @example
 * pageOf(["c", "b", "a"], { limit: 2 }); // { items: ["c", "b"], cursor: "1" }
 */
export function pageOf<T>(newestFirst: readonly T[], query: PageQuery): Page<T> {
  const left = query.cursor === undefined ? newestFirst.length : cursorNumber(query.cursor);
  const start = Math.max(0, newestFirst.length - left);
  const items = newestFirst.slice(start, start + query.limit);
  const rest = newestFirst.length - start - items.length;
  return rest > 0 ? { items, cursor: String(rest) } : { items };
}

/**
 * A page of versions in descending precedence; the cursor is the last version of the page before.
 *
 * @throws RegistryError INVALID for a cursor that is no version
 * @example
 * pageOfVersions(entries.sort((a, b) => compareVersions(b.version, a.version)), query);
 */
export function pageOfVersions<T extends { readonly version: Version }>(
  descending: readonly T[],
  query: PageQuery,
): Page<T> {
  const { cursor } = query;
  if (cursor !== undefined && !isVersion(cursor)) throw badCursor(cursor);
  const start = cursor === undefined ? 0 : descending.findIndex((e) => compareVersions(e.version, cursor) < 0);
  if (start < 0) return { items: [] };
  const items = descending.slice(start, start + query.limit);
  const last = items.at(-1);
  return last !== undefined && start + items.length < descending.length ? { items, cursor: last.version } : { items };
}

export function cursorNumber(cursor: Cursor): number {
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw badCursor(cursor);
}

export function badCursor(cursor: Cursor): RegistryError {
  return new RegistryError("INVALID", `cursor ${show(cursor)} does not come from this list; start again without one`, {
    field: "cursor",
  });
}
