/** Pure: how two heads with their histories stand to each other, and what both can agree on. */
import type { Deprecation, HistoryEntry, Yank } from "../driver.ts";
import { entryToJson } from "../head.ts";
import type { Label } from "../names.ts";
import { labelTarget } from "../rules/latest.ts";
import type { Version } from "../semver.ts";
import { headJson, inOrder } from "./manifest.ts";
import type { PromptState } from "./state.ts";

type PlainHead = PromptState["head"];

export type HeadRelation = "same" | "source-newer" | "target-newer" | "diverged";

/**
 * A head is an ancestor of another when the other's history goes on from its own. Equal histories under different heads,
 * or entries that would come to lie in another order, tell nothing.
 */
export function relate(source: PromptState, target: PromptState): HeadRelation {
  const equalHeads =
    headJson(source.name, source.head, source.entries) === headJson(target.name, target.head, target.entries);
  if (equalHeads) return "same";
  if (isBlank(target)) return "source-newer";
  if (isBlank(source)) return "target-newer";
  const [from, to] = [source.entries, target.entries];
  if (from.length > to.length && isSameOrder([...to, ...missing(from, to)], from)) return "source-newer";
  if (to.length > from.length && isSameOrder([...from, ...missing(to, from)], to)) return "target-newer";
  return "diverged";
}

export interface Joined {
  /** Whose pointers these are; `same` where both have them. */
  readonly relation: Exclude<HeadRelation, "diverged">;
  readonly head: PlainHead;
}

/**
 * The head that two diverged ones can both have, the same from either side: that of one of them, where the other says the
 * same of everything that it changed itself. Of a yank, removal or deprecation that both made, the earlier record counts, as
 * in one registry, where the second would have found nothing to do.
 *
 * @returns `undefined` where both changed something, and not to the same
 */
export function joinHeads(source: PromptState, target: PromptState): Joined | undefined {
  const forth = missing(source.entries, target.entries);
  const back = missing(target.entries, source.entries);
  if (forth.length === 0 || back.length === 0) return undefined;
  // Else the two would still differ afterwards, and be told to be joined for ever.
  if (!isSameOrder([...source.entries, ...back], [...target.entries, ...forth])) return undefined;
  const differing = differencesOf(source.head, target.head);
  const [moved, movedBack] = [pointersIn(forth), pointersIn(back)];
  if (differing.length === 0) return { relation: "same", head: joinedHead(source.head, target.head, moved, movedBack) };
  // What no entry tells of was changed by nobody knows whom.
  if (differing.every((p) => moved.has(p) && !movedBack.has(p))) {
    return { relation: "source-newer", head: joinedHead(source.head, target.head, moved, movedBack) };
  }
  if (differing.every((p) => movedBack.has(p) && !moved.has(p))) {
    return { relation: "target-newer", head: joinedHead(target.head, source.head, movedBack, moved) };
  }
  return undefined;
}

/**
 * The head that leads. Of a mark that both have, it has the record of the side that made it since; the earlier one where both did.
 *
 * @param own what entries of the leading side alone moved, and `others` those of the other side
 */
function joinedHead(
  leading: PlainHead,
  other: PlainHead,
  own: ReadonlySet<string>,
  others: ReadonlySet<string>,
): PlainHead {
  const pick = <T extends Yank | Deprecation>(pointer: string, mine: T, theirs: T): T =>
    own.has(pointer) === others.has(pointer) ? earlier(mine, theirs) : own.has(pointer) ? mine : theirs;
  const yanked = Object.entries(leading.yanked).map(([version, mine]): [string, Yank] => {
    const theirs = ownOf(other.yanked, version);
    return [
      version,
      theirs !== undefined && theirs.removed === mine.removed ? pick(`version ${version}`, mine, theirs) : mine,
    ];
  });
  const { deprecated, updatedAt = "" } = leading;
  const theirs = other.deprecated;
  const last = other.updatedAt !== undefined && other.updatedAt > updatedAt ? other.updatedAt : leading.updatedAt;
  return {
    ...leading,
    yanked: Object.fromEntries(yanked),
    ...(deprecated !== undefined && theirs?.message === deprecated.message
      ? { deprecated: pick("deprecated", deprecated, theirs) }
      : {}),
    ...(last === undefined ? {} : { updatedAt: last }),
  };
}

function earlier<T extends Yank | Deprecation>(a: T, b: T): T {
  // At the same time: whichever it is, it must be the same from either side.
  const key = (record: T) => JSON.stringify([record.at, record.by, "reason" in record ? record.reason : undefined]);
  return key(b) < key(a) ? b : a;
}

/** Everything that two heads do not say the same of, spelled as {@link pointersIn} does. */
function differencesOf(a: PlainHead, b: PlainHead): string[] {
  const labels = new Set([...Object.keys(a.labels), ...Object.keys(b.labels)] as Label[]);
  const marked = new Set([...Object.keys(a.yanked), ...Object.keys(b.yanked)] as Version[]);
  const markOf = (head: PlainHead, version: Version) => {
    const yank = ownOf(head.yanked, version);
    return yank === undefined ? "none" : yank.removed === true ? "removed" : "yanked";
  };
  return [
    ...[...labels].filter((l) => labelTarget(a, l) !== labelTarget(b, l)).map((l) => `label ${l}`),
    ...[...marked].filter((v) => markOf(a, v) !== markOf(b, v)).map((v) => `version ${v}`),
    ...(a.pin === b.pin ? [] : ["pin"]),
    ...(a.deprecated?.message === b.deprecated?.message ? [] : ["deprecated"]),
  ];
}

function pointersIn(entries: readonly HistoryEntry[]): Set<string> {
  return new Set(entries.map(pointerOf));
}

function pointerOf({ action, label, from, to }: HistoryEntry): string {
  switch (action) {
    case "label":
    case "unlabel":
      return `label ${label}`;
    case "rollback":
    case "unpin":
      return "pin";
    case "yank":
    case "unyank":
    case "restore":
      return `version ${to}`;
    case "remove":
      return `version ${from}`;
    case "deprecate":
    case "undeprecate":
      return "deprecated";
    case "publish":
      return "nothing";
  }
}

function ownOf<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** Nobody ever moved anything here; a guard may have advanced the head all the same. */
export function isBlank({ head, entries }: PromptState): boolean {
  const { labels, pin, yanked, deprecated } = head;
  const pointers = Object.keys(labels).length + Object.keys(yanked).length;
  return entries.length === 0 && pointers === 0 && pin === undefined && deprecated === undefined;
}

function entryKey(entry: HistoryEntry): string {
  return JSON.stringify(entryToJson(entry));
}

/** Entries of `of` that `without` lacks; equal ones count one by one. */
export function missing(of: readonly HistoryEntry[], without: readonly HistoryEntry[]): HistoryEntry[] {
  const known = new Map<string, number>();
  for (const entry of without) {
    const key = entryKey(entry);
    known.set(key, (known.get(key) ?? 0) + 1);
  }
  return of.filter((entry) => {
    const key = entryKey(entry);
    const left = known.get(key) ?? 0;
    if (left > 0) known.set(key, left - 1);
    return left === 0;
  });
}

function isSameOrder(a: readonly HistoryEntry[], b: readonly HistoryEntry[]): boolean {
  if (a.length !== b.length) return false;
  const other = inOrder(b);
  return inOrder(a).every((entry, i) => entryKey(entry) === entryKey(other[i] as HistoryEntry));
}
