import type { Cursor, Operation, StorageDriver } from "../driver.ts";
import { RegistryError } from "../errors.ts";
import type { PromptName } from "../names.ts";

/** Every name, removed prompts too, page by page. */
export async function* listNames(
  driver: StorageDriver,
  { prefix, op = {} }: { readonly prefix?: string | undefined; readonly op?: Operation } = {},
): AsyncGenerator<PromptName, void, undefined> {
  let cursor: Cursor | undefined;
  do {
    const page = await driver.listPrompts(
      {
        limit: 1000,
        includeRemoved: true,
        ...(prefix === undefined || prefix === "" ? {} : { prefix }),
        ...(cursor === undefined ? {} : { cursor }),
      },
      op,
    );
    for (const { name } of page.items) yield name;
    if (page.cursor !== undefined && page.cursor === cursor) {
      throw new RegistryError("INTERNAL", "the storage answered a page with the cursor it was given");
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
}

/** Counts names; for a progress bar. */
export async function countNames(names: AsyncIterable<PromptName>): Promise<number> {
  let count = 0;
  for await (const _ of names) count++;
  return count;
}

const MAX_EMPTY_PAGES = 10_000;

/**
 * The names that may have changed since a cursor of the feed, each once, and the cursor of the end.
 *
 * @throws RegistryError what the storage has to say of the cursor
 */
export async function changedNames(
  driver: StorageDriver,
  since: Cursor,
  op: Operation = {},
): Promise<{ readonly names: readonly PromptName[]; readonly cursor: Cursor }> {
  const names = new Set<PromptName>();
  let cursor = since;
  let empty = 0;
  for (;;) {
    const page = await driver.changes({ cursor, limit: 1000 }, op);
    for (const { name } of page.items) names.add(name);
    const next = page.cursor ?? cursor;
    // An empty page with a cursor that moved may have more behind it: a layer left out what is not its own.
    empty = page.items.length === 0 ? empty + 1 : 0;
    // A feed that never stands still ends here all the same; what comes later is behind the cursor.
    if (empty > 0 && (next === cursor || empty > MAX_EMPTY_PAGES)) return { names: [...names].sort(), cursor: next };
    cursor = next;
  }
}
