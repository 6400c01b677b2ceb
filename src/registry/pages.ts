import type { Cursor, Page } from "../driver.ts";
import { RegistryError, show } from "../errors.ts";

export const DEFAULT_LIMIT = 100;
export const MAX_LIMIT = 1000;

export function checkLimit(limit: number | undefined): number {
  if (limit === undefined) return DEFAULT_LIMIT;
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new RegistryError("INVALID", `limit ${show(limit)} must be a whole number from 1 to ${MAX_LIMIT}`, {
    field: "limit",
  });
}

/**
 * A list that can be awaited for one page or iterated for everything. Nothing is asked of the store until then.
 *
 * @example
 * const { items, cursor } = await registry.listPrompts({ limit: 20 });
 * for await (const entry of registry.listPrompts()) console.log(entry.name);
 */
export class Listing<T> implements PromiseLike<Page<T>>, AsyncIterable<T> {
  readonly #fetch: (cursor: Cursor | undefined) => Promise<Page<T>>;
  readonly #start: Cursor | undefined;

  constructor(fetch: (cursor: Cursor | undefined) => Promise<Page<T>>, start?: Cursor) {
    this.#fetch = fetch;
    this.#start = start;
  }

  // biome-ignore lint/suspicious/noThenProperty: a listing is awaited for its page
  then<A = Page<T>, B = never>(
    resolve?: ((page: Page<T>) => A | PromiseLike<A>) | null,
    reject?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#fetch(this.#start).then(resolve, reject);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const page of this.pages()) yield* page.items;
  }

  /** Page by page, for those who hold something open in between. */
  async *pages(): AsyncGenerator<Page<T>, void, undefined> {
    let cursor = this.#start;
    do {
      const page = await this.#fetch(cursor);
      yield page;
      if (page.cursor !== undefined && page.cursor === cursor) {
        throw new RegistryError("INTERNAL", "the storage answered a page with the cursor it was given");
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  /** Everything at once; for lists that are known to be short. */
  async all(): Promise<T[]> {
    const items: T[] = [];
    for await (const item of this) items.push(item);
    return items;
  }
}
