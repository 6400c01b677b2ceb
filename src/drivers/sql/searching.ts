import type { ListQuery, Page, PromptEntry } from "../../driver.ts";
import type { PromptName } from "../../names.ts";
import { nameBounds, promptEntry } from "./pages.ts";
import { textOf } from "./rows.ts";
import type { Statements } from "./statements.ts";
import { type Args, all, type Task } from "./task.ts";
import { folded, wantedTrigrams } from "./trigrams.ts";

/**
 * One page of a search. The index only narrows it down: every text is looked at, so a page may be short.
 *
 * @param isIndexed whether the index has followed what was changed; else every text is looked at
 */
export function* searchPrompts(
  statements: Statements,
  query: ListQuery & { readonly text: string },
  toMatch: (trigrams: readonly string[]) => string,
  pending: Args,
  isIndexed = true,
): Task<Page<PromptEntry>> {
  // No text holds it, and no database can even be asked.
  if (query.text.includes("\0")) return { items: [] };
  const wanted = folded(query.text);
  const trigrams = wantedTrigrams(wanted);
  const { any, matched } = statements.found;
  const rows = yield* all(isIndexed && trigrams.length > 0 ? matched : any, {
    ...nameBounds(query),
    limit: query.limit + 1,
    removed: query.includeRemoved === true ? 1 : 0,
    wanted,
    match: toMatch(trigrams),
    ...pending,
  });
  const items: PromptEntry[] = [];
  for (const row of rows.slice(0, query.limit)) {
    const name = row.name as PromptName;
    const holds = name.includes(wanted) || (row.version !== null && holdsText(row.content, name, row.version, wanted));
    if (holds) items.push(promptEntry(row, query.include === "heads", query.includeRemoved === true));
  }
  return rows.length > query.limit ? { items, cursor: rows[query.limit - 1]?.name as string } : { items };
}

function holdsText(content: unknown, name: PromptName, version: unknown, wanted: string): boolean {
  try {
    return folded(textOf(content, name, version)).includes(wanted);
  } catch {
    // Damaged: found by verify, not by a search.
    return false;
  }
}
