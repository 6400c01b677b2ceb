/**
 * The storage contract. These comments are the specification: `prompt-registry/testing` checks a driver against them,
 * and every layer is a driver too.
 *
 * A driver knows two nouns. A **document** is immutable: a name, a version and a sealed text. A **head** is the one
 * small mutable record of a prompt: labels, pin, yanks, deprecation. Documents are the truth; a head holds no list of
 * versions, so losing a head update can never lose a version. A driver has no rules of its own: it is handed changes
 * that were planned by {@link PromptRegistry}, and it applies them or says exactly why not.
 *
 * Every method may throw `RegistryError` only. `outcome: "temporary"` means nothing happened, `"unknown"` means it may
 * have happened. Doubt is thrown, never returned: `absent` says that an authenticated, complete answer of the store
 * itself said so. Every method honours `op.signal`.
 */
import type { Digest, SealedDocument } from "./document.ts";
import type { RegistryError } from "./errors.ts";
import type { Label, PromptName } from "./names.ts";
import type { Version } from "./semver.ts";

/**
 * An opaque token that changes whenever what it stands for changes, and never comes back (no ABA), also not when the store is
 * replaced by a copy of yesterday: a count alone would. It may change more often than that.
 */
export type Revision = string;
/**
 * Opaque keyset position; comes from a page and goes back to the same method of the same storage. One that this method
 * never gives out (`""` too) is `INVALID`, never the first page.
 */
export type Cursor = string;
/** UTC instant, `2026-11-24T05:00:00.000Z`. */
export type Timestamp = string;

export interface Operation {
  /** Ends the call with `ABORTED`, or `TIMEOUT` when the signal is a deadline. */
  readonly signal?: AbortSignal;
  /**
   * For layers that remember answers. `true`: only what the store itself says now will do, since a write is planned on it;
   * the caller does not `peek` then. `false`: a remembered answer is as good. Absent: the layer decides. A layer passes
   * it on, and so does a driver whose store may remember answers itself; others ignore it.
   */
  readonly fresh?: boolean;
  /**
   * For `check`. `false`: what is only tried by writing, or by many requests, is left out; figures are told all the same. A
   * driver whose check is cheap ignores it.
   */
  readonly probe?: boolean;
}

/** A stored version: the text as it lies in the store. Whether it is sealed and undamaged is for the reader to check. */
export interface StoredDocument {
  readonly name: PromptName;
  readonly version: Version;
  readonly text: string;
}

export interface Yank {
  readonly at: Timestamp;
  readonly by?: string;
  readonly reason?: string;
  /** Set when the version was removed: its slot holds (or is about to hold) a tombstone. */
  readonly removed?: true;
}

export interface Deprecation {
  readonly at: Timestamp;
  readonly by?: string;
  readonly message: string;
}

/** The mutable record of a prompt. A prompt without one behaves as if it had `EMPTY_HEAD`. */
export interface Head {
  /** Grows by one with every head that is written; a head never goes back. */
  readonly generation: number;
  readonly labels: Readonly<Record<Label, Version>>;
  /** Where `latest` was pinned by a rollback. Never a yanked version. */
  readonly pin?: Version;
  readonly yanked: Readonly<Record<Version, Yank>>;
  readonly deprecated?: Deprecation;
  readonly updatedAt?: Timestamp;
}

/**
 * The head of a prompt of which none was ever written.
 *
 * @example
 * const head = (await stored(name)) ?? EMPTY_HEAD;
 */
export const EMPTY_HEAD: Head = Object.freeze({
  generation: 0,
  labels: Object.freeze({}),
  yanked: Object.freeze({}),
});

export interface HeadState {
  readonly head: Head;
  /** `null`: no head was ever written. Compare-and-set against it with `expect: null`. */
  readonly revision: Revision | null;
  /** What `latest` selects now: the pin, else `highestStable` of the live versions (`resolveLatest`). */
  readonly latest?: Version;
}

/** Ranges never reach a driver: the registry resolves them from {@link StorageDriver.listVersions}. */
export type DriverSelector =
  | { readonly kind: "version"; readonly version: Version }
  | { readonly kind: "label"; readonly label: Label }
  | { readonly kind: "latest" }
  | { readonly kind: "head" };

export interface ReadAsk {
  readonly name: PromptName;
  readonly selector: DriverSelector;
  /** The `revision` of an earlier answer to the same ask; `unchanged` is answered when it still holds. */
  readonly known?: Revision;
}

/** Set by layers that answer from somewhere else than the store they wrap; a plain driver leaves it out. */
export interface Provenance {
  /** Which storage the answer came from, e.g. `cache`, `fallback:file`. */
  readonly source: string;
  /** Milliseconds since the epoch at which the answer was last known to be true. */
  readonly fetchedAt: number;
  /** The answer is older than it was allowed to get, because the store could not be asked. */
  readonly stale: boolean;
}

/**
 * A promise that an answer stands: until the time in `until` (milliseconds since the epoch), or until the driver itself
 * ends it by setting `until` to 0. A reader that keeps both may give the answer again without asking, which is what makes
 * a hot read cost one look-up. Only a driver that sees every change of its store, or an age it was allowed, gives one.
 */
export interface Lease {
  until: number;
  /**
   * Grows whenever a lease that names this very object is ended before its time: while the count stays, each of them stands
   * until the `until` that was read. A layer that ends leases by itself gives them a `store` of its own, or none.
   */
  readonly store?: { readonly changes: number };
}

/**
 * - `found`: the document; `head` too for `label` and `latest` (it was needed to answer)
 * - `head`: the answer to a `head` ask of a prompt that has any document, tombstone or head
 * - `removed`: the slot holds a tombstone (its text is in `document`)
 * - `absent`: surely not there. `head` where the prompt exists all the same, so that the caller can say what is missing
 * - `unchanged`: `known` still holds
 */
export type ReadAnswer = (
  | {
      readonly status: "found";
      readonly document: StoredDocument;
      readonly head?: HeadState;
      readonly revision: Revision;
    }
  | { readonly status: "head"; readonly head: HeadState; readonly revision: Revision }
  | {
      readonly status: "removed";
      readonly document: StoredDocument;
      readonly head?: HeadState;
      readonly revision: Revision;
    }
  | { readonly status: "absent"; readonly head?: HeadState }
  | { readonly status: "unchanged"; readonly revision: Revision }
) & { readonly provenance?: Provenance; readonly lease?: Lease };

export interface Page<T> {
  readonly items: readonly T[];
  /** Absent on the last page only: a short or even empty page may still have a cursor. */
  readonly cursor?: Cursor;
  /** Set by layers, as on {@link ReadAnswer}. */
  readonly provenance?: Provenance;
}

export interface PageQuery {
  /** At most this many items, 1 to 1000. */
  readonly limit: number;
  readonly cursor?: Cursor;
}

export interface ListQuery extends PageQuery {
  /** Only names that start with these bytes: no character stands for others. One that no name can have may be `INVALID`. */
  readonly prefix?: string;
  /**
   * Only prompts whose latest text or name holds this, letters in either case; needs `capabilities.search`, else `UNSUPPORTED`.
   * Everything else in the query holds as it does without.
   */
  readonly text?: string;
  readonly include?: "heads";
  /** Also prompts of which every version was removed, and those that have a head only: all that a `head` ask finds. */
  readonly includeRemoved?: boolean;
}

export interface PromptEntry {
  readonly name: PromptName;
  /** Given when `include: "heads"` was asked. */
  readonly head?: HeadState;
  /** `true` when no version is live. */
  readonly removed?: true;
}

export interface VersionQuery extends PageQuery {
  readonly includeRemoved?: boolean;
}

/** Versions come in descending SemVer precedence. */
export interface VersionEntry {
  readonly version: Version;
  readonly yanked?: Yank;
  readonly removed?: true;
}

export type HistoryAction =
  | "publish"
  | "label"
  | "unlabel"
  | "rollback"
  | "unpin"
  | "yank"
  | "unyank"
  | "deprecate"
  | "undeprecate"
  | "remove"
  | "restore";

/**
 * One change of a prompt. Entries are data that travels: drivers keep what they are given, field for field, and a copy
 * takes them along with their original times. `publish` entries are not stored: they are `publishEntry(document)`, read
 * off the documents and tombstones themselves, so they can neither be lost nor disagree.
 */
export interface HistoryEntry {
  readonly at: Timestamp;
  readonly by?: string;
  readonly action: HistoryAction;
  readonly label?: Label;
  readonly from?: Version;
  readonly to?: Version;
  readonly message?: string;
  /** Id of the commit that made the change. */
  readonly commit?: string;
}

/** Says that a prompt may have changed since the cursor; the reader reads it again. At least once, never never. */
export interface ChangeEvent {
  readonly name: PromptName;
}

/**
 * What happens to one prompt. The order is always: add documents (create-only), replace the head, put the tombstones.
 * A crash between two steps leaves at worst an older head, never a pointer to a version that is not there.
 */
export interface Change {
  readonly name: PromptName;
  /** Created where the slot is free. A taken slot, by whatever text or tombstone, ends the change with `exists`. */
  readonly add?: readonly SealedDocument[];
  /**
   * Add the documents only if the head's revision is this one, and advance its generation with them, so that of
   * several writers with the same guard one wins and the others add nothing.
   */
  readonly guard?: Revision | null;
  readonly head?: {
    /** Compare-and-set: the head is replaced only if its revision is this one (`null`: no head yet). */
    readonly expect: Revision | null;
    /** The driver sets `generation`. */
    readonly next: Omit<Head, "generation">;
    /** Head entries only (never `publish`), oldest first; appended to the prompt's history with the head. */
    readonly entries: readonly HistoryEntry[];
  };
  /**
   * Tombstones. Each takes the place of the document at its slot at once; a slot already holding a tombstone stays as
   * it is; an empty slot is taken by the tombstone (copies of a registry bring tombstones of versions never seen here).
   */
  readonly remove?: readonly SealedDocument[];
  /**
   * Documents that replace the tombstone of the same digest at their slot; an empty slot is taken by the document. Anything
   * else ends in `exists`. Nothing is restored where the head is seen to be another than the one expected.
   */
  readonly restore?: readonly SealedDocument[];
}

export interface Commit {
  /** Unique; lets a lost reply be recognised. */
  readonly id: string;
  readonly at: Timestamp;
  readonly by?: string;
  readonly message?: string;
  /** All or nothing; refused with `UNSUPPORTED` for more than one change unless `capabilities.atomicity` is `batch`. */
  readonly atomic?: boolean;
  /** At most `capabilities.maxBatch`, each about another prompt. */
  readonly changes: readonly Change[];
}

/**
 * Index-aligned with the changes.
 *
 * - `done`: durable, and visible to every later read. `head` is the state after it, as far as the driver had to look;
 *   `stored`, index-aligned with `add`, are the documents as stored, where the store seals documents itself
 * - `exists`: a slot in `add` or `restore` was taken by `existing`, which is durable. Nothing of this change was applied,
 *   unless (atomicity `prompt` and `document`) the slot was taken while documents before it were being created
 * - `conflict`: the head was not the expected one. `added` tells whether the documents were created all the same (with
 *   `guard` only after it held: somebody moved the head between the documents and it)
 * - `failed`: see `error.outcome`
 * - `skipped`: nothing was done, since another change of an atomic commit was refused
 */
export type Outcome =
  | {
      readonly status: "done";
      readonly head?: HeadState;
      readonly warnings?: readonly string[];
      readonly stored?: readonly StoredDocument[];
    }
  | { readonly status: "exists"; readonly existing: StoredDocument }
  | { readonly status: "conflict"; readonly added: boolean }
  | { readonly status: "failed"; readonly error: RegistryError }
  | { readonly status: "skipped" };

export interface Capabilities {
  readonly write: boolean;
  /**
   * What moves together: everything in a commit (`batch`), a document and what it does to `latest` (`prompt`), or one
   * document or head at a time (`document`). With `prompt` and `document`, several documents of one change become visible
   * one after the other, and a crash may leave the first of them. All keep the order of {@link Change}.
   */
  readonly atomicity: "batch" | "prompt" | "document";
  /** `indexed`: a page costs its own length; `scan`: the first page may look at every name. */
  readonly listing: "indexed" | "scan";
  /** `listPrompts({text})` works. */
  readonly search: boolean;
  /** Bytes of a stored text. */
  readonly maxDocumentBytes: number;
  /** Changes in one commit, asks in one read. */
  readonly maxBatch: number;
  /** Reads and writes of one prompt are linearizable; else read-your-writes and monotonic reads within a bound. */
  readonly consistency: "linearizable" | "session";
}

export type FindingKind =
  /** A temporary file of a writer that is gone. */
  | "temp"
  /** A link or other projection that does not show what the head says, and that nobody moved on purpose. */
  | "projection"
  /** A label link that somebody moved by hand; repairing adopts it as the label's new version. */
  | "moved-link"
  /** A document without seal; repairing seals it as it stands. */
  | "unsealed"
  /** A document in a layout of old; repairing moves it to its place. */
  | "legacy"
  /** Two heads of one generation differ, or a pointer names a version that is not there. */
  | "head"
  /** Something that should not be there and that only a person can judge. */
  | "foreign"
  /** Bytes that do not match their digest. Never repaired here: restore them from a copy. */
  | "corrupt";

export interface Finding {
  readonly kind: FindingKind;
  readonly name?: PromptName;
  readonly version?: Version;
  readonly label?: Label;
  /** Where, relative to the storage's root. */
  readonly path?: string;
  /** What is wrong and, where it was not repaired, what to do. */
  readonly detail: string;
  readonly repaired: boolean;
}

export interface RepairPlan {
  /** Which kinds to repair; the others are only reported. Empty: look, touch nothing. */
  readonly repair: readonly FindingKind[];
  readonly name?: PromptName;
  /** Temporary files younger than this are somebody's work in progress. Milliseconds; default 24 hours. */
  readonly minTempAge?: number;
  readonly at: Timestamp;
  readonly by?: string;
}

export interface RepairReport {
  readonly findings: readonly Finding[];
}

export interface HealthCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** For machines: hits, retries, bytes and the like. */
  readonly figures?: Readonly<Record<string, number | string | null>>;
}

export interface Health {
  readonly ok: boolean;
  readonly kind: string;
  readonly location: string;
  /** Milliseconds that the checks took. */
  readonly latency: number;
  readonly checks: readonly HealthCheck[];
  /** Of wrapped drivers, for layers. */
  readonly inner?: readonly Health[];
}

/** A storage backend, or a layer around one. All methods are required, so that no layer can forget one. */
export interface StorageDriver<Native = unknown> {
  /** `memory`, `fs`, `sql`, … */
  readonly kind: string;
  /** For messages; never holds a secret. */
  readonly location: string;
  readonly capabilities: Capabilities;
  /** The client or path underneath, for what the contract does not cover. */
  readonly native: Native;
  /**
   * The answer to one ask if it can be had at once, from memory or by one small local read, without waiting for a lock
   * or a network; else `undefined`, and the caller asks `read`. Never throws: what goes wrong is `read`'s to say. Equal
   * answers may be the same frozen object, which lets callers remember what they derived from it.
   */
  peek(ask: ReadAsk): ReadAnswer | undefined;
  /**
   * Answers, index-aligned, in one round trip where the store has round trips. A label or latest answer never names a
   * version that it does not bring. Texts come as they lie in the store; bytes that are no UTF-8 are `CORRUPT`. A batch
   * fails as a whole.
   */
  read(asks: readonly ReadAsk[], op?: Operation): Promise<readonly ReadAnswer[]>;
  /** Names in UTF-8 byte order. A prompt is listed when it has at least one live version (or: see `includeRemoved`). */
  listPrompts(query: ListQuery, op?: Operation): Promise<Page<PromptEntry>>;
  /** Empty page for a prompt that is not there. Removed versions only when asked. */
  listVersions(name: PromptName, query: VersionQuery, op?: Operation): Promise<Page<VersionEntry>>;
  /**
   * Newest first by `at`, which is the time of each writer's own clock. Before it is turned around, equal times stand so:
   * publishes in ascending precedence, then head entries in the order in which they were written.
   */
  history(name: PromptName, query: PageQuery, op?: Operation): Promise<Page<HistoryEntry>>;
  /**
   * The feed. Without a cursor: an empty page and the cursor of now. Every page has a cursor. Events after a cursor are
   * never lost; they may repeat.
   */
  changes(query: { readonly cursor?: Cursor; readonly limit: number }, op?: Operation): Promise<Page<ChangeEvent>>;
  /** Applies a commit. Rejects only when nothing at all is known of any change; else each outcome speaks for itself. */
  commit(commit: Commit, op?: Operation): Promise<readonly Outcome[]>;
  repair(plan: RepairPlan, op?: Operation): Promise<RepairReport>;
  /** Proves, by doing it, that the store can be reached and does what `capabilities` says. Never throws for a sick store. */
  check(op?: Operation): Promise<Health>;
  /**
   * Idempotent. Afterwards every method throws `ABORTED`, but `peek`, which gives `undefined`, and `check`, which may
   * answer `ok: false` instead.
   */
  close(): Promise<void>;
}

export type { Digest };
