/** Pure: what to write to one side so that it holds what the other holds. No I/O and no clock; refuses nothing. */
import type { HistoryEntry } from "../driver.ts";
import { RegistryError } from "../errors.ts";
import type { PromptName } from "../names.ts";
import type { Version } from "../semver.ts";
import { type HeadRelation, isBlank, joinHeads, missing, relate } from "./heads.ts";
import type { Damage, PromptState, Slot } from "./state.ts";

/**
 * Something that a person must decide.
 *
 * - `version`: both sides have this version with other bytes; nothing of the prompt is written
 * - `removed`: a version is removed on one side and there on the other, and the history does not tell which is newer;
 *   nothing of the prompt is written
 * - `head`: labels, pin, yanks or deprecation were changed on both sides, and not to the same, or, in a copy, at the target;
 *   missing documents are added, pointers and removals are left as they are
 */
export interface TransferConflict {
  readonly kind: "version" | "removed" | "head";
  readonly name: PromptName;
  readonly version?: Version;
  /** What differs, and what to do. */
  readonly detail: string;
}

export interface TransferPlan {
  readonly name: PromptName;
  /** Ascending. */
  readonly add: readonly Slot[];
  readonly remove: readonly Slot[];
  readonly restore: readonly Slot[];
  /** Move the head to that of the source, or to the one that both sides can have, with these entries. */
  readonly head?: { readonly next: PromptState["head"]; readonly entries: readonly HistoryEntry[] };
  readonly relation: HeadRelation;
  readonly conflicts: readonly TransferConflict[];
  /** Versions that can't be copied; the head then stays as it is, since it could name one of them. */
  readonly failures: readonly Damage[];
}

export interface PlanOptions {
  /**
   * `sync`: a target that is ahead is no conflict, since its turn comes, and so heads that say the same can be joined.
   * Default `copy`.
   */
  readonly mode?: "copy" | "sync";
  /** Of the target. */
  readonly maxDocumentBytes: number;
}

export function planTransfer(source: PromptState, target: PromptState, options: PlanOptions): TransferPlan {
  const { name } = source;
  const failures: Damage[] = [...source.damaged];
  const conflicts: TransferConflict[] = [];
  const add: Slot[] = [];
  const remove: Slot[] = [];
  const restore: Slot[] = [];
  const related = relate(source, target);
  const joined = related === "diverged" ? joinHeads(source, target) : undefined;
  // A copy writes to one side only, which then would still not be equal to the other.
  const joins = joined !== undefined && options.mode === "sync";
  const relation = joins ? joined.relation : related;
  const leads = relation === "source-newer" || relation === "same";
  const broken = new Map(target.damaged.map((d) => [d.version, d.error]));
  for (const slot of source.slots.values()) {
    const { version } = slot;
    const there = target.slots.get(version);
    const damage = broken.get(version);
    if (damage !== undefined) {
      failures.push({ version, error: damage.with({ name, version }) });
    } else if (there === undefined) {
      if (slot.size > options.maxDocumentBytes) failures.push({ version, error: tooLarge(name, slot, options) });
      else (slot.kind === "document" ? add : remove).push(slot);
    } else if (contentOf(slot) !== contentOf(there)) {
      conflicts.push(otherBytes(name, slot, there));
    } else if (slot.kind === there.kind) {
      // Tombstones of the same bytes, too: each side keeps its own, whose removal is the one that happened there.
    } else if (leads && slot.kind === "tombstone") {
      if (source.head.yanked[version]?.removed === true) remove.push(slot);
      else if (options.mode !== "sync" || relation !== "same" || !wasRestored(target, source, version)) {
        conflicts.push(removalUnclear(name, version));
      }
    } else if (leads && slot.kind === "document") {
      if (wasRestored(source, target, version)) restore.push(slot);
      else if (options.mode !== "sync" || relation !== "same") conflicts.push(removalUnclear(name, version));
      // Sync with equal heads: the removal goes the other way, in the other plan.
      else if (target.head.yanked[version]?.removed !== true) conflicts.push(removalUnclear(name, version));
    }
  }
  for (const { what, version } of pointersOf(source)) {
    if (isLive(source, version) || isLive(target, version)) continue;
    if (failures.some((f) => f.version === version)) continue;
    const detail = `${what} of ${name} points to ${version}, which is no stored version; set it anew at the source`;
    failures.push({ version, error: new RegistryError("CORRUPT", detail, { name, version }) });
  }
  if (conflicts.length > 0) return { name, add: [], remove: [], restore: [], relation, conflicts, failures };
  // Damage may hide a part of the history; the head is left alone anyway.
  const told = source.damaged.length === 0 || !isBlank(source);
  if (told && (relation === "diverged" || (relation === "target-newer" && options.mode !== "sync"))) {
    conflicts.push(headConflict(source, target, relation, joined !== undefined));
  }
  const next = joins ? joined.head : relation === "source-newer" ? source.head : undefined;
  const held = conflicts.length + failures.length + target.damaged.length > 0;
  return {
    name,
    add,
    // A tombstone for an empty slot only reserves it; one for a document takes a text away, which the head must say.
    remove: held || !leads ? remove.filter((slot) => !target.slots.has(slot.version)) : remove,
    restore: held ? [] : restore,
    ...(next === undefined || held ? {} : { head: { next, entries: missing(source.entries, target.entries) } }),
    relation,
    conflicts,
    failures,
  };
}

/** Whether a plan asks for any write. */
export function isEmptyPlan(plan: TransferPlan): boolean {
  return plan.add.length + plan.remove.length + plan.restore.length === 0 && plan.head === undefined;
}

function pointersOf({ head }: PromptState): { readonly what: string; readonly version: Version }[] {
  const labels = Object.entries(head.labels).map(([label, version]) => ({ what: `the label ${label}`, version }));
  return head.pin === undefined ? labels : [...labels, { what: "the pin", version: head.pin }];
}

function isLive(state: PromptState, version: Version): boolean {
  return state.slots.get(version)?.kind === "document";
}

/** The digest of what was stored under a version, whether it is still there or not. */
function contentOf(slot: Slot): string {
  return slot.removed ?? slot.digest;
}

function wasRestored(source: PromptState, target: PromptState, version: Version): boolean {
  if (source.head.yanked[version]?.removed === true) return false;
  const restores = (state: PromptState) =>
    state.entries.filter((e) => e.action === "restore" && e.to === version).length;
  // With equal heads, a crash came between the head and the document; both say that it is back.
  return restores(source) > restores(target) || (restores(source) > 0 && target.head.yanked[version]?.removed !== true);
}

function otherBytes(name: PromptName, source: Slot, target: Slot): TransferConflict {
  const { version } = source;
  const what = (slot: Slot) => (slot.kind === "tombstone" ? `the removal of ${slot.removed}` : slot.digest);
  return {
    kind: "version",
    name,
    version,
    detail: `the source has ${what(source)}, the target ${what(target)}; a version is written once: publish one of them under another version`,
  };
}

function removalUnclear(name: PromptName, version: Version): TransferConflict {
  return {
    kind: "removed",
    name,
    version,
    detail: "removed on one side and there on the other, and no history says which is newer; delete or restore it",
  };
}

function tooLarge(name: PromptName, slot: Slot, { maxDocumentBytes }: PlanOptions): RegistryError {
  const { version, size } = slot;
  return new RegistryError(
    "INVALID",
    `${name}@${version} has ${size} bytes; the target takes at most ${maxDocumentBytes}`,
    { field: "text", name, version },
  );
}

function headConflict(
  source: PromptState,
  target: PromptState,
  relation: HeadRelation,
  joinable: boolean,
): TransferConflict {
  const lacks = missing(target.entries, source.entries).length;
  const ahead = missing(source.entries, target.entries).length;
  const both = `changed on both sides (${ahead} only at the source, ${lacks} only at the target)`;
  const detail =
    relation === "target-newer"
      ? `the target has ${lacks} change${lacks === 1 ? "" : "s"} of labels, pin, yanks or deprecation that the source lacks; copy the other way first, or sync`
      : joinable
        ? `${both}, to the same end; sync joins the two histories`
        : `${both}; on one side, set labels, pin, yanks and deprecation by hand to what the other has, then sync`;
  return { kind: "head", name: source.name, detail };
}
