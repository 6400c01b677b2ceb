import type {
  Cursor,
  HeadState,
  ListQuery,
  Operation,
  PromptEntry,
  StorageDriver,
  VersionEntry,
} from "../../driver.ts";
import { highestStable } from "../../rules/latest.ts";
import type { Denials } from "./denials.ts";

/** Of a page of a fallback's list, what the main storage did not deny. */
export async function shownOf(
  denials: Denials,
  storage: StorageDriver,
  items: readonly PromptEntry[],
  query: ListQuery,
  op: Operation | undefined,
): Promise<PromptEntry[]> {
  const { prompts, touched } = denials.denied();
  const shown: PromptEntry[] = [];
  for (const entry of items) {
    if (prompts.has(entry.name)) continue;
    if (!touched.has(entry.name) || entry.removed === true) {
      shown.push(entry);
      continue;
    }
    const left: VersionEntry[] = [];
    let cursor: Cursor | undefined;
    do {
      const page = await storage.listVersions(
        entry.name,
        { limit: 1000, ...(cursor === undefined ? {} : { cursor }) },
        op,
      );
      left.push(...page.items.filter(({ version }) => !denials.isGone(entry.name, version)));
      cursor = page.cursor;
    } while (cursor !== undefined);
    if (left.length > 0) shown.push(withLatest(denials, entry, left));
    else if (query.includeRemoved === true) shown.push({ ...withLatest(denials, entry, left), removed: true });
  }
  return shown;
}

/** A head that points at what is gone would show it. */
function withLatest(denials: Denials, entry: PromptEntry, left: readonly VersionEntry[]): PromptEntry {
  const { latest, ...head } = entry.head ?? {};
  if (entry.head === undefined || latest === undefined || !denials.isGone(entry.name, latest)) return entry;
  const next = highestStable(
    left.map(({ version }) => version),
    entry.head.head.yanked,
  );
  return { ...entry, head: { ...(head as HeadState), ...(next === undefined ? {} : { latest: next }) } };
}
