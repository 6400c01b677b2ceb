import type { ChangeEvent, Cursor, HistoryEntry, Page, PromptEntry, StorageDriver, VersionEntry } from "../driver.ts";
import { parseName, parsePrefix } from "../names.ts";
import { operation } from "./asks.ts";
import { checkLimit, Listing } from "./pages.ts";

export interface ListOptions {
  /** Only names that start with this. */
  readonly prefix?: string | undefined;
  /** Only prompts whose name or latest text holds this; where the storage can search. */
  readonly text?: string | undefined;
  /** Items a page, 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
  readonly cursor?: Cursor | undefined;
  /** `heads`: labels, latest version and the like with each name, without a call each. */
  readonly include?: "heads" | undefined;
  /** Also prompts of which every version was removed. */
  readonly includeRemoved?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PageOptions {
  readonly limit?: number | undefined;
  readonly cursor?: Cursor | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface VersionListOptions extends PageOptions {
  /** Also removed versions. */
  readonly includeRemoved?: boolean | undefined;
}

export function listPrompts(driver: StorageDriver, options: ListOptions): Listing<PromptEntry> {
  const { prefix, text, include, includeRemoved } = options;
  const op = operation(options);
  return new Listing(async (cursor) => {
    const query = {
      limit: checkLimit(options.limit),
      ...(prefix === undefined ? {} : { prefix: parsePrefix(prefix) }),
      ...(text === undefined ? {} : { text }),
      ...(include === undefined ? {} : { include }),
      ...(includeRemoved === undefined ? {} : { includeRemoved }),
    };
    return driver.listPrompts(at(query, cursor), op);
  }, options.cursor);
}

export function listVersions(driver: StorageDriver, name: string, options: VersionListOptions): Listing<VersionEntry> {
  const { includeRemoved } = options;
  const op = operation(options);
  return new Listing(async (cursor) => {
    const query = { limit: checkLimit(options.limit), ...(includeRemoved === undefined ? {} : { includeRemoved }) };
    return driver.listVersions(parseName(name), at(query, cursor), op);
  }, options.cursor);
}

export function history(driver: StorageDriver, name: string, options: PageOptions): Listing<HistoryEntry> {
  const op = operation(options);
  return new Listing(
    async (cursor) => driver.history(parseName(name), at({ limit: checkLimit(options.limit) }, cursor), op),
    options.cursor,
  );
}

export async function changes(driver: StorageDriver, options: PageOptions): Promise<Page<ChangeEvent>> {
  return driver.changes(at({ limit: checkLimit(options.limit) }, options.cursor), operation(options));
}

function at<Q extends object>(query: Q, cursor: Cursor | undefined): Q & { cursor?: Cursor } {
  return cursor === undefined ? query : { ...query, cursor };
}
