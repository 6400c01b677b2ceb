import type {
  Cursor,
  HeadState,
  ListQuery,
  Operation,
  PromptEntry,
  ReadAnswer,
  StorageDriver,
  VersionEntry,
} from "../../driver.ts";
import type { PromptName } from "../../names.ts";
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
      shown.push(withHead(denials, entry, []));
      continue;
    }
    const left = await leftOf(denials, storage, entry.name, op);
    if (left.length > 0) shown.push(withHead(denials, entry, left));
    else if (query.includeRemoved === true) shown.push({ ...withHead(denials, entry, left), removed: true });
  }
  return shown;
}

/** The same of one answer, which may bring a head. */
export async function shownAnswer(
  denials: Denials,
  storage: StorageDriver,
  name: PromptName,
  answer: ReadAnswer,
  op: Operation | undefined,
): Promise<ReadAnswer> {
  if (!("head" in answer) || answer.head === undefined) return answer;
  const { latest } = answer.head;
  const isPointing = latest !== undefined && denials.isGone(name, latest);
  const left = isPointing ? await leftOf(denials, storage, name, op) : [];
  return { ...answer, head: shownHead(denials, name, answer.head, left) };
}

async function leftOf(
  denials: Denials,
  storage: StorageDriver,
  name: PromptName,
  op: Operation | undefined,
): Promise<VersionEntry[]> {
  const left: VersionEntry[] = [];
  let cursor: Cursor | undefined;
  do {
    const page = await storage.listVersions(name, { limit: 1000, ...(cursor === undefined ? {} : { cursor }) }, op);
    left.push(...page.items.filter(({ version }) => !denials.isGone(name, version)));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return left;
}

function withHead(denials: Denials, entry: PromptEntry, left: readonly VersionEntry[]): PromptEntry {
  return entry.head === undefined ? entry : { ...entry, head: shownHead(denials, entry.name, entry.head, left) };
}

/**
 * A head that points at what is gone would show it, and one that has a label that is gone would bring it back.
 *
 * @param left the versions that are not gone; looked at where `latest` is
 */
function shownHead(denials: Denials, name: PromptName, state: HeadState, left: readonly VersionEntry[]): HeadState {
  const { latest, head, ...rest } = state;
  const { pin, labels, ...others } = head;
  const shown = Object.entries(labels).filter(
    ([label, version]) => !denials.isLabelGone(name, label) && !denials.isGone(name, version),
  );
  const isPinned = pin !== undefined && !denials.isGone(name, pin);
  const versions = left.map(({ version }) => version);
  const next = latest !== undefined && denials.isGone(name, latest) ? highestStable(versions, head.yanked) : latest;
  return {
    ...rest,
    head: { ...others, labels: Object.fromEntries(shown), ...(isPinned ? { pin } : {}) },
    ...(next === undefined ? {} : { latest: next }),
  };
}
