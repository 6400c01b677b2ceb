import type { ChangeEvent, Cursor, Page } from "./driver.ts";
import { isRegistryError } from "./errors.ts";
import type { PromptName } from "./names.ts";

/** Events of a page. */
const LIMIT = 1000;
/** Empty pages in a row that are the end of a feed whose cursor never stands still. */
const EMPTY = 3;

export interface FeedPage {
  readonly names: readonly PromptName[];
  /** Of what comes after it. */
  readonly cursor: Cursor;
}

/**
 * Reads the change feed from a cursor to its end, page by page. An empty page need not be the end, as a layer may have left
 * out what is not its own; one that leads to itself is.
 *
 * @param changes asks for a page; where it is asked without a cursor is the caller's business
 * @throws what `changes` throws; see {@link refusesCursor}
 * @example
 * for await (const { names, cursor } of feedPages((query) => driver.changes(query), from)) forget(names);
 */
export async function* feedPages(
  changes: (query: { readonly cursor: Cursor; readonly limit: number }) => Promise<Page<ChangeEvent>>,
  from: Cursor,
): AsyncGenerator<FeedPage, void, undefined> {
  let cursor = from;
  for (let empty = 0; empty < EMPTY; ) {
    const page = await changes({ cursor, limit: LIMIT });
    const next = page.cursor ?? cursor;
    yield { names: page.items.map(({ name }) => name), cursor: next };
    if (next === cursor) return;
    empty = page.items.length === 0 ? empty + 1 : 0;
    cursor = next;
  }
}

/** The feed does not know the cursor (any more): everything may have changed since then. */
export function refusesCursor(error: unknown): boolean {
  return isRegistryError(error, "INVALID") || isRegistryError(error, "HISTORY_REWRITTEN");
}
