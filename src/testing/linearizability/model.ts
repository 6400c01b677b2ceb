import type { Revision } from "../../driver.ts";
import type { Label, PromptName } from "../../names.ts";
import { highestStable, labelTarget } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";

/** The head that a client had read before, and wants to be there still. */
export interface Expectation {
  readonly generation: number;
  readonly revision: Revision | null;
}

/** What a client did. */
export type ClientCall =
  | {
      readonly kind: "publish";
      readonly version: Version;
      readonly text: string;
      readonly guard?: Expectation;
      /** It is there before it counts for `latest`: see `count`. */
      readonly counts?: "later";
    }
  | { readonly kind: "read"; readonly version: Version }
  | { readonly kind: "latest" }
  | { readonly kind: "label"; readonly label: Label }
  | { readonly kind: "head" }
  | { readonly kind: "setLabel"; readonly expect: Expectation; readonly label: Label; readonly version: Version }
  | { readonly kind: "yank"; readonly expect: Expectation; readonly version: Version }
  | { readonly kind: "remove"; readonly expect: Expectation; readonly version: Version; readonly text: string }
  /** The first half of a guarded publish, where documents and head don't move together. */
  | { readonly kind: "claim"; readonly expect: Expectation }
  /** The second half of a publish, where a document and what it does to `latest` don't move together. */
  | { readonly kind: "count"; readonly version: Version }
  /** The second half of `remove`, where head and tombstone don't move together. */
  | { readonly kind: "entomb"; readonly version: Version; readonly text: string };

/** What it was told. */
export type ClientResult =
  | { readonly status: "done" | "conflict" | "unknown" }
  | { readonly status: "exists"; readonly text: string }
  | { readonly status: "found" | "removed"; readonly version: Version; readonly text: string; readonly seen?: Seen }
  | { readonly status: "absent" | "head"; readonly seen?: Seen };

/** The head that came with an answer. */
export interface Seen extends Expectation {
  readonly latest: Version | undefined;
  readonly labels: Readonly<Record<string, Version>>;
}

export interface ClientEvent {
  readonly client: number;
  readonly prompt: PromptName;
  readonly call: ClientCall;
  readonly result: ClientResult;
  /** Places in one order of all calls and returns. */
  readonly called: number;
  readonly returned: number;
}

type Field = "slots" | "uncounted" | "labels" | "yanked" | "generation" | "spent";

/** A whole prompt, as the contract describes it, one call after the other. Never changed: steps make a new one. */
export class ModelState {
  readonly slots: ReadonlyMap<Version, { readonly text: string; readonly removed: boolean }>;
  /** Versions that are there and do not count for `latest` yet. */
  readonly uncounted: readonly Version[];
  readonly labels: Readonly<Record<string, Version>>;
  readonly yanked: Readonly<Record<string, { readonly at: string; readonly removed?: true }>>;
  readonly generation: number;
  /**
   * Revisions of this generation that were answered with a conflict: a driver may change the revision more often than
   * the generation, but one that is gone must never come back.
   */
  readonly spent: readonly (Revision | null)[];
  #key: string | undefined;
  #latest: { readonly version: Version | undefined } | undefined;

  constructor(from: Partial<Pick<ModelState, Field>> = {}) {
    this.slots = from.slots ?? new Map();
    this.uncounted = from.uncounted ?? [];
    this.labels = from.labels ?? {};
    this.yanked = from.yanked ?? {};
    this.generation = from.generation ?? 0;
    this.spent = from.spent ?? [];
  }

  /** Equal states have equal keys. */
  get key(): string {
    this.#key ??= [
      this.generation,
      ...this.spent,
      ...[...this.slots].map(([v, slot]) => `${v}${slot.removed ? "!" : "="}${slot.text}`).sort(),
      ...this.uncounted.map((version) => `${version}?`),
      ...Object.entries(this.labels)
        .map(([label, v]) => `${label}>${v}`)
        .sort(),
      ...Object.keys(this.yanked).sort(),
    ].join("|");
    return this.#key;
  }

  get latest(): Version | undefined {
    if (this.#latest === undefined) {
      const live = [...this.slots]
        .filter(([version, slot]) => !slot.removed && !this.uncounted.includes(version))
        .map(([version]) => version);
      this.#latest = { version: highestStable(live, this.yanked) };
    }
    return this.#latest.version;
  }

  with(change: Partial<Pick<ModelState, Field>>): ModelState {
    return new ModelState({
      slots: change.slots ?? this.slots,
      uncounted: change.uncounted ?? this.uncounted,
      labels: change.labels ?? this.labels,
      yanked: change.yanked ?? this.yanked,
      generation: change.generation ?? this.generation,
      spent: change.spent ?? (change.generation === undefined ? this.spent : []),
    });
  }

  withSlot(version: Version, text: string, removed: boolean): ReadonlyMap<Version, { text: string; removed: boolean }> {
    return new Map([...this.slots, [version, { text, removed }]]);
  }
}

const MARK = { at: "" };
const REMOVED = { at: "", removed: true as const };

/**
 * The state after a call that was answered so; the same state where it changed nothing; `undefined` where the answer is
 * none that this state gives.
 *
 * @param together whether head and tombstone of a removal move in one step
 */
export function stepModel(
  state: ModelState,
  call: ClientCall,
  result: ClientResult,
  together: boolean,
): ModelState | undefined {
  switch (call.kind) {
    case "publish":
      return publish(state, call, result);
    case "read": {
      const slot = state.slots.get(call.version);
      return sees(slot === undefined ? undefined : { ...slot, version: call.version }, result) ? state : undefined;
    }
    case "label":
    case "latest": {
      const version = call.kind === "latest" ? state.latest : labelTarget(state, call.label);
      const slot = version === undefined ? undefined : state.slots.get(version);
      const target = slot === undefined || version === undefined ? undefined : { ...slot, version };
      return sees(target, result) && seesHead(state, result) ? state : undefined;
    }
    case "head": {
      const exists = state.slots.size > 0 || state.generation > 0;
      return result.status === (exists ? "head" : "absent") && (!exists || seesHead(state, result)) ? state : undefined;
    }
    case "count":
      if (!state.slots.has(call.version)) return undefined;
      if (!state.uncounted.includes(call.version)) return state;
      return state.with({ uncounted: state.uncounted.filter((version) => version !== call.version) });
    case "entomb":
      // Its mark in the head comes first.
      if (!state.yanked[call.version]?.removed) return undefined;
      return state.with({ slots: state.withSlot(call.version, call.text, true) });
    default:
      return move(state, call, result, together);
  }
}

function publish(
  state: ModelState,
  call: Extract<ClientCall, { kind: "publish" }>,
  result: ClientResult,
): ModelState | undefined {
  const slot = state.slots.get(call.version);
  if (result.status === "conflict") return call.guard === undefined ? undefined : refuse(state, call.guard);
  if (call.guard !== undefined && !holds(state, call.guard)) return undefined;
  if (result.status === "exists") return slot !== undefined && slot.text === result.text ? state : undefined;
  if (slot !== undefined) return undefined;
  const slots = state.withSlot(call.version, call.text, false);
  const uncounted = call.counts === "later" ? [...state.uncounted, call.version].sort() : state.uncounted;
  const generation = state.generation + 1;
  return state.with(call.guard === undefined ? { slots, uncounted } : { slots, uncounted, generation });
}

function holds(state: ModelState, { generation, revision }: Expectation): boolean {
  return generation === state.generation && !state.spent.includes(revision);
}

function refuse(state: ModelState, expect: Expectation): ModelState {
  return holds(state, expect) ? state.with({ spent: [...state.spent, expect.revision].sort() }) : state;
}

function move(
  state: ModelState,
  call: Extract<ClientCall, { readonly expect: Expectation }>,
  result: ClientResult,
  together: boolean,
): ModelState | undefined {
  if (result.status === "conflict") return refuse(state, call.expect);
  if (!holds(state, call.expect)) return undefined;
  const generation = state.generation + 1;
  if (call.kind === "claim") return state.with({ generation });
  if (call.kind === "setLabel") {
    return state.with({ generation, labels: { ...state.labels, [call.label]: call.version } });
  }
  if (call.kind === "yank") return state.with({ generation, yanked: { ...state.yanked, [call.version]: MARK } });
  const yanked = { ...state.yanked, [call.version]: REMOVED };
  const slots = state.withSlot(call.version, call.text, true);
  return state.with(together ? { generation, yanked, slots } : { generation, yanked });
}

function sees(
  slot: { readonly version: Version; readonly text: string; readonly removed: boolean } | undefined,
  result: ClientResult,
): boolean {
  if (result.status === "absent") return slot === undefined;
  if (result.status !== "found" && result.status !== "removed") return false;
  if (slot === undefined || slot.removed !== (result.status === "removed")) return false;
  return slot.version === result.version && slot.text === result.text;
}

function seesHead(state: ModelState, result: ClientResult): boolean {
  if (!("seen" in result) || result.seen === undefined) {
    // An unknown prompt has no head to tell; any other tells it.
    return result.status === "absent" && state.slots.size === 0 && state.generation === 0;
  }
  const { latest, labels } = result.seen;
  const names = Object.keys(labels);
  return (
    holds(state, result.seen) &&
    latest === state.latest &&
    names.length === Object.keys(state.labels).length &&
    names.every((label) => labels[label] === state.labels[label])
  );
}
