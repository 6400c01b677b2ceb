/**
 * Pure rules for moving a head: (state, request) → the next head with its history entries, or `undefined` when there is
 * nothing to change. No I/O and no clock; what is refused throws.
 */
import { EMPTY_HEAD, type Head, type HeadState, type HistoryEntry, type Timestamp, type Yank } from "../driver.ts";
import { RegistryError } from "../errors.ts";
import type { Label, PromptName } from "../names.ts";
import { compareVersions, isPrerelease, type Version } from "../semver.ts";
import { isAhead, notBefore } from "./clocks.ts";
import { highestStable, labelTarget } from "./latest.ts";

/** Who asks for a change, when, and under which commit id. */
export interface Act {
  readonly at: Timestamp;
  readonly by?: string | undefined;
  readonly message?: string | undefined;
  readonly commit: string;
}

export interface HeadPlan {
  readonly next: Omit<Head, "generation">;
  readonly entries: readonly HistoryEntry[];
}

type Draft = { -readonly [K in keyof Omit<Head, "generation">]: Omit<Head, "generation">[K] };

export function headOf(state: HeadState | undefined): Head {
  return state?.head ?? EMPTY_HEAD;
}

function draft(head: Head): Draft {
  const { generation: _, ...rest } = head;
  return rest;
}

function entry(act: Act, at: Timestamp, fields: Omit<HistoryEntry, "at" | "by" | "commit" | "message">): HistoryEntry {
  return {
    at,
    ...(act.by === undefined ? {} : { by: act.by }),
    ...fields,
    ...(act.message === undefined ? {} : { message: act.message }),
    commit: act.commit,
  };
}

function without<T>(record: Readonly<Record<string, T>>, key: string): Record<string, T> {
  const { [key]: _, ...rest } = record;
  return rest;
}

/** `undefined` expects nothing; `null` expects that the label is not set. */
export function checkLabelExpectation(name: PromptName, head: Head, label: Label, expect?: Version | null): void {
  if (expect === undefined) return;
  const now = labelTarget(head, label) ?? null;
  if (now === expect) return;
  throw new RegistryError(
    "CONFLICT",
    `${name}: label ${label} is ${now === null ? "not set" : `on ${now}`}, not ${expect === null ? "unset" : `on ${expect}`} as expected; look again and repeat`,
    { name, label, ...(now === null ? {} : { version: now }) },
  );
}

/** Puts labels on `version`, and lifts a pin when asked. */
export function planLabels(
  head: Head,
  version: Version,
  labels: readonly Label[],
  act: Act,
  options: { readonly unpin?: boolean | undefined } = {},
): HeadPlan | undefined {
  const at = notBefore(head, act.at);
  const next = draft(head);
  const entries: HistoryEntry[] = [];
  for (const label of labels) {
    const from = labelTarget(next, label);
    if (from === version) continue;
    next.labels = { ...next.labels, [label]: version };
    entries.push(entry(act, at, { action: "label", label, ...(from === undefined ? {} : { from }), to: version }));
  }
  if (options.unpin && next.pin !== undefined) {
    entries.push(entry(act, at, { action: "unpin", from: next.pin }));
    delete next.pin;
  }
  return entries.length === 0 ? undefined : { next: { ...next, updatedAt: at }, entries };
}

export function planUnlabel(head: Head, label: Label, act: Act): HeadPlan | undefined {
  const from = labelTarget(head, label);
  if (from === undefined) return undefined;
  const at = notBefore(head, act.at);
  return {
    next: { ...draft(head), labels: without(head.labels, label), updatedAt: at },
    entries: [entry(act, at, { action: "unlabel", label, from })],
  };
}

/** The version that a rollback without a target goes to: the next lower one that `latest` could have been. */
export function rollbackTarget(name: PromptName, state: HeadState, live: readonly Version[]): Version {
  const { latest } = state;
  if (latest !== undefined) {
    const lower = live.filter((v) => compareVersions(v, latest) < 0 && (isPrerelease(latest) || !isPrerelease(v)));
    const target = highestStable(lower, state.head.yanked);
    if (target !== undefined) return target;
  }
  throw new RegistryError(
    "CONFLICT",
    `${name} can't be rolled back: ${latest === undefined ? "nothing is published" : `there is no earlier version than ${latest}`}`,
    { name },
  );
}

/** Pins `latest` to a live version. */
export function planRollback(name: PromptName, state: HeadState, to: Version, act: Act): HeadPlan | undefined {
  const { head } = state;
  refuseYanked(name, head, to, "can't be rolled back to");
  if (head.pin === to) return undefined;
  const at = notBefore(head, act.at);
  return {
    next: { ...draft(head), pin: to, updatedAt: at },
    entries: [
      entry(act, at, { action: "rollback", ...(state.latest === undefined ? {} : { from: state.latest }), to }),
    ],
  };
}

export function planUnpin(head: Head, act: Act): HeadPlan | undefined {
  const { pin, ...next } = draft(head);
  if (pin === undefined) return undefined;
  const at = notBefore(head, act.at);
  return { next: { ...next, updatedAt: at }, entries: [entry(act, at, { action: "unpin", from: pin })] };
}

export function refuseYanked(name: PromptName, head: Head, version: Version, what: string): void {
  const yank = head.yanked[version];
  if (yank === undefined) return;
  throw new RegistryError(
    "CONFLICT",
    `${name}@${version} ${what}: it is ${yank.removed ? "removed" : "yanked"}${yank.reason === undefined ? "" : ` (${yank.reason})`}${yank.removed ? "" : "; unyank it first"}`,
    { name, version },
  );
}

function yankRecord(act: Act, at: Timestamp, removed: boolean): Yank {
  return {
    at,
    ...(act.by === undefined ? {} : { by: act.by }),
    ...(act.message === undefined ? {} : { reason: act.message }),
    ...(removed ? { removed: true as const } : {}),
  };
}

/** Yanked versions stay readable by exact version and by label, never by range or latest. */
export function planYank(name: PromptName, head: Head, version: Version, act: Act): HeadPlan | undefined {
  if (head.yanked[version] !== undefined) return undefined;
  if (head.pin === version) {
    throw new RegistryError(
      "CONFLICT",
      `${name}@${version} can't be yanked while latest is pinned to it; unpin or roll back to another version first`,
      { name, version },
    );
  }
  const at = notBefore(head, act.at);
  return {
    next: { ...draft(head), yanked: { ...head.yanked, [version]: yankRecord(act, at, false) }, updatedAt: at },
    entries: [entry(act, at, { action: "yank", to: version })],
  };
}

export function planUnyank(name: PromptName, head: Head, version: Version, act: Act): HeadPlan | undefined {
  const yank = head.yanked[version];
  if (yank === undefined) return undefined;
  if (yank.removed) refuseYanked(name, head, version, "can't be unyanked");
  const at = notBefore(head, act.at);
  return {
    next: { ...draft(head), yanked: without(head.yanked, version), updatedAt: at },
    entries: [entry(act, at, { action: "unyank", to: version })],
  };
}

/** Sets or, with `message: null`, lifts a deprecation of the whole prompt. */
export function planDeprecate(head: Head, message: string | null, act: Act): HeadPlan | undefined {
  if (message === null ? head.deprecated === undefined : head.deprecated?.message === message) return undefined;
  const at = notBefore(head, act.at);
  const { deprecated: _, ...next } = draft(head);
  const by = act.by === undefined ? {} : { by: act.by };
  return {
    next: { ...next, ...(message === null ? {} : { deprecated: { at, ...by, message } }), updatedAt: at },
    entries: [
      message === null
        ? entry(act, at, { action: "undeprecate" })
        : entry({ ...act, message }, at, { action: "deprecate" }),
    ],
  };
}

/** Marks versions as removed. A labelled or pinned version is refused, unless the whole prompt goes. */
export function planRemove(
  name: PromptName,
  head: Head,
  versions: readonly Version[],
  act: Act,
  options: { readonly wholePrompt: boolean },
): HeadPlan | undefined {
  const at = notBefore(head, act.at);
  const next = draft(head);
  const entries: HistoryEntry[] = [];
  if (options.wholePrompt) {
    for (const [label, from] of Object.entries(head.labels) as [Label, Version][]) {
      entries.push(entry(act, at, { action: "unlabel", label, from }));
    }
    next.labels = {};
    if (next.pin !== undefined) entries.push(entry(act, at, { action: "unpin", from: next.pin }));
    delete next.pin;
  }
  for (const version of versions) {
    const labels = Object.keys(next.labels).filter((label) => next.labels[label as Label] === version);
    if (labels.length > 0 || next.pin === version) {
      const pointer = labels.length > 0 ? `label ${labels.join(", ")} is on it` : "latest is pinned to it";
      throw new RegistryError("CONFLICT", `${name}@${version} can't be deleted: ${pointer}; move that first`, {
        name,
        version,
      });
    }
    if (next.yanked[version]?.removed) continue;
    next.yanked = { ...next.yanked, [version]: yankRecord(act, at, true) };
    entries.push(entry(act, at, { action: "remove", from: version }));
  }
  return entries.length === 0 ? undefined : { next: { ...next, updatedAt: at }, entries };
}

/** @param yanked what the version was yanked for before it was removed: to bring it back is not to trust it again */
export function planRestore(head: Head, version: Version, act: Act, yanked?: Yank): HeadPlan | undefined {
  if (head.yanked[version]?.removed !== true) return undefined;
  const at = notBefore(head, act.at);
  const entries = [entry(act, at, { action: "restore", to: version })];
  const others = without(head.yanked, version);
  if (yanked !== undefined)
    entries.push(entry({ ...act, message: yanked.reason }, at, { action: "yank", to: version }));
  return {
    next: { ...draft(head), yanked: yanked === undefined ? others : { ...others, [version]: yanked }, updatedAt: at },
    entries,
  };
}

/**
 * What a version that was removed had been yanked for.
 *
 * @param entries of its prompt, newest first, all of them
 * @param now entries of a clock that was ahead stand first, and tell of what was before the others
 */
export function yankedBefore(version: Version, entries: readonly HistoryEntry[], now: Timestamp): Yank | undefined {
  const own = entries.filter((entry) => entry.to === version);
  const ahead = (entry: HistoryEntry) => isAhead(entry.at, now);
  for (const { action, at, by, message } of [...own.filter((e) => !ahead(e)), ...own.filter(ahead)]) {
    if (action === "yank")
      return { at, ...(by === undefined ? {} : { by }), ...(message === undefined ? {} : { reason: message }) };
    // A restore that left it yanked would have been followed by that. A publish proves nothing: it has its own writer's time.
    if (action === "unyank" || action === "restore") return undefined;
  }
  return undefined;
}
