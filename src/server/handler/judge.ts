/**
 * What a commit of a client would do, worked out from the heads as they are now: which rights it takes, and whether a
 * registry could have planned it. The heads are compared-and-set afterwards, so what was judged is what happens.
 */
import { openStored, type SealedDocument } from "../../document.ts";
import { type Change, EMPTY_HEAD, type Head, type HeadState, type ReadAnswer } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import type { Label, PromptName } from "../../names.ts";
import { labelTarget } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import type { Resource, Right } from "../types.ts";

/** A head as it is, and what a change makes of it. */
export interface Difference {
  readonly from: Head;
  readonly to: Omit<Head, "generation">;
  readonly labels: readonly { readonly label: Label; readonly from?: Version; readonly to?: Version }[];
  readonly pin: boolean;
  readonly deprecated: boolean;
  /** Yanked or lifted; not those that are removed. One that comes back yanked is restored, too. */
  readonly yanked: readonly { readonly version: Version; readonly lifted: boolean }[];
  readonly removed: readonly Version[];
  readonly restored: readonly Version[];
}

export function differenceOf(change: Change, state: HeadState | undefined): Difference {
  const from = state?.head ?? EMPTY_HEAD;
  const to = change.head?.next ?? from;
  const labels: Difference["labels"][number][] = [];
  for (const label of new Set([...Object.keys(from.labels), ...Object.keys(to.labels)]) as Set<Label>) {
    const before = labelTarget(from, label);
    const after = labelTarget(to, label);
    if (before === after) continue;
    labels.push({
      label,
      ...(before === undefined ? {} : { from: before }),
      ...(after === undefined ? {} : { to: after }),
    });
  }
  const yanked: Difference["yanked"][number][] = [];
  const removed: Version[] = [];
  const restored: Version[] = [];
  for (const version of new Set([...Object.keys(from.yanked), ...Object.keys(to.yanked)]) as Set<Version>) {
    const before = own(from.yanked, version);
    const after = own(to.yanked, version);
    if (before?.removed !== after?.removed) {
      (after?.removed === true ? removed : restored).push(version);
      // A version that was yanked before it was removed comes back yanked.
      if (before?.removed === true && after !== undefined) yanked.push({ version, lifted: false });
    } else if (before === undefined || after === undefined) yanked.push({ version, lifted: after === undefined });
    else if (JSON.stringify(before) !== JSON.stringify(after)) yanked.push({ version, lifted: false });
  }
  return {
    from,
    to,
    labels,
    pin: from.pin !== to.pin,
    deprecated: JSON.stringify(from.deprecated) !== JSON.stringify(to.deprecated),
    yanked,
    removed,
    restored,
  };
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

export interface Need {
  readonly right: Right;
  readonly resource: Resource;
}

/**
 * Every right that the change takes.
 *
 * @param at,id of its commit: documents and entries of another commit are somebody else's word, to be kept as it is
 */
export function needsOf(
  change: Change,
  difference: Difference,
  { at, id }: { at: string; id: string },
): readonly Need[] {
  const { name, add = [], guard, head, remove = [], restore = [] } = change;
  const needs: Need[] = [];
  const need = (right: Right, label?: Label) =>
    needs.push({ right, resource: label === undefined ? { name } : { name, label } });
  if (add.length > 0 || guard !== undefined) need("write");
  for (const { label } of difference.labels) need("promote", label);
  if (difference.pin || difference.deprecated || difference.yanked.length > 0) need("promote");
  const takesAway = difference.removed.length > 0 || difference.restored.length > 0;
  if (takesAway || remove.length > 0 || restore.length > 0) need("admin");
  if (add.some((document) => createdAt(document) !== at) || head?.entries.some((e) => e.commit !== id)) need("import");
  // An empty head, or an empty change, is still a change.
  if (needs.length === 0) need(head === undefined ? "write" : "promote");
  return needs;
}

function createdAt(document: SealedDocument): string | undefined {
  return openStored(document.text, document).createdAt;
}

/** The slots that have to be looked at before the change can be judged. */
export function slotsOf(change: Change, difference: Difference, imports: boolean): readonly Version[] {
  const brought = new Set([...(change.add ?? []), ...(change.restore ?? [])].map((d) => d.version));
  const versions = new Set<Version>();
  for (const { to } of difference.labels) if (to !== undefined) versions.add(to);
  if (difference.pin && difference.to.pin !== undefined) versions.add(difference.to.pin);
  for (const version of difference.restored) versions.add(version);
  for (const { version } of change.remove ?? []) versions.add(version);
  if (!imports) {
    for (const { version } of difference.yanked) versions.add(version);
    for (const version of difference.removed) versions.add(version);
  }
  for (const version of brought) versions.delete(version);
  return [...versions];
}

export type Slots = ReadonlyMap<Version, ReadAnswer>;

/**
 * Refuses what no registry would have planned. Who imports brings the past of another registry along, in which less can
 * be checked: marks may come before their tombstones, tombstones without what they removed, and labels may be on yanked
 * versions.
 *
 * @throws RegistryError NOT_FOUND, CONFLICT, INVALID
 */
export function checkChange(
  change: Change,
  difference: Difference,
  slots: Slots,
  state: HeadState | undefined,
  imports: boolean,
): void {
  const { name, add = [], remove = [], restore = [] } = change;
  const { to } = difference;
  const brought = new Set([...add, ...restore].map((d) => d.version));
  const isLive = (version: Version) => brought.has(version) || slots.get(version)?.status === "found";
  const context = (version: Version) => ({ name, version });
  const requireLive = (version: Version, what: string) => {
    if (isLive(version)) return;
    throw new RegistryError("NOT_FOUND", `${name}@${version} is not there, so ${what}`, context(version));
  };
  for (const { label, to: target } of difference.labels) {
    if (target === undefined) continue;
    requireLive(target, `label ${label} can't be put on it`);
    if (!imports) refuseMarked(name, to, target, "can't be labelled");
  }
  if (to.pin !== undefined && (difference.pin || difference.yanked.length > 0)) {
    if (difference.pin) requireLive(to.pin, "latest can't be pinned to it");
    refuseMarked(name, to, to.pin, "can't be what latest is pinned to");
  }
  for (const version of difference.restored) requireLive(version, "it can't be unmarked as removed");
  const leaving = [...remove.map((d) => d.version), ...difference.removed];
  for (const version of leaving) {
    const labels = (Object.keys(to.labels) as Label[]).filter((label) => labelTarget(to, label) === version);
    if (labels.length === 0 && to.pin !== version) continue;
    const pointer = labels.length > 0 ? `label ${labels.join(", ")} is on it` : "latest is pinned to it";
    throw new RegistryError(
      "CONFLICT",
      `${name}@${version} can't be removed: ${pointer}; move that first`,
      context(version),
    );
  }
  if (imports) return;
  if (state === undefined && add.length === 0) {
    throw new RegistryError("NOT_FOUND", `there is no prompt ${name}; list the names to see what there is`, { name });
  }
  for (const { version } of difference.yanked) requireLive(version, "it can't be yanked");
  for (const version of difference.removed) {
    if (remove.some((d) => d.version === version) || slots.get(version)?.status === "removed") continue;
    throw new RegistryError(
      "INVALID",
      `${name}@${version} is marked as removed without being removed`,
      context(version),
    );
  }
  for (const document of remove) {
    if (own(to.yanked, document.version)?.removed !== true) {
      throw new RegistryError("INVALID", `${name}@${document.version} is removed without being marked so`, {
        ...context(document.version),
      });
    }
    checkTombstone(name, document, slots.get(document.version));
  }
  for (const { version } of restore) {
    if (own(to.yanked, version)?.removed !== true) continue;
    throw new RegistryError("INVALID", `${name}@${version} is restored and still marked as removed`, context(version));
  }
}

/**
 * Holds an importer's tombstones to the head that they were judged by: else a label that is put on the version meanwhile
 * would be left on nothing.
 */
export function guardRemoval(change: Change, slots: Slots, state: HeadState | undefined): Change {
  const { guard, head, remove = [] } = change;
  if (head !== undefined || guard !== undefined) return change;
  const takesAway = remove.some(({ version }) => slots.get(version)?.status === "found");
  return takesAway ? { ...change, guard: state?.revision ?? null } : change;
}

function refuseMarked(name: PromptName, to: Omit<Head, "generation">, version: Version, what: string): void {
  const mark = own(to.yanked, version);
  if (mark === undefined) return;
  const why = mark.removed === true ? "removed" : "yanked";
  throw new RegistryError("CONFLICT", `${name}@${version} ${what}: it is ${why}`, { name, version });
}

/** A tombstone names the digest under which the version can come back: that must be its own. */
function checkTombstone(name: PromptName, document: SealedDocument, answer: ReadAnswer | undefined): void {
  const { version } = document;
  if (answer?.status === "removed") return;
  if (answer?.status !== "found") {
    throw new RegistryError("NOT_FOUND", `there is no version ${version} of ${name}`, { name, version });
  }
  const tombstone = openStored(document.text, document);
  const named = tombstone.kind === "tombstone" ? tombstone.removed.digest : undefined;
  if (named === digestAt(answer.document.text, document)) return;
  throw new RegistryError("INVALID", `the tombstone of ${name}@${version} names another digest`, { name, version });
}

function digestAt(text: string, slot: SealedDocument): string | undefined {
  try {
    return openStored(text, slot).digest;
  } catch {
    // A damaged version is removed by the digest that it names itself.
    return /^registry\.digest: (sha256:[0-9a-f]{64})\r?$/m.exec(text)?.[1];
  }
}
