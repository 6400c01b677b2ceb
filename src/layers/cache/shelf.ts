import { openStored } from "../../document.ts";
import type {
  DriverSelector,
  HeadState,
  Lease,
  Page,
  Provenance,
  ReadAnswer,
  ReadAsk,
  Revision,
  StoredDocument,
  VersionEntry,
} from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import type { Label, PromptName } from "../../names.ts";
import type { Version } from "../../semver.ts";
import type { Trip } from "./trip.ts";

export const SOURCE = "cache";
/** A lease hides hits from the cache; a short one lets it see what is in use. */
const LEASE_SPAN = 60_000;
/** What an entry costs beside its text. */
const ENTRY_BYTES = 512;

export type Answer = Exclude<ReadAnswer, { status: "unchanged" }>;

/** One instant on both clocks: a wall clock may be set, and a monotonic one stands still while a machine sleeps. */
export interface Instant {
  readonly wall: number;
  readonly mono: number;
}

export function instant(): Instant {
  return { wall: Date.now(), mono: performance.now() };
}

export interface Entry {
  readonly cell: Cell;
  /** Frozen; the same object for every hit, so that a registry need not verify it again. */
  readonly answer: Answer;
  readonly lease: Lease;
  /** When the question was sent to the store: what came back was true then. */
  readonly at: Instant;
  readonly ttl: number;
  /** To be sent with a refresh; not every answer came with a revision of its own. */
  readonly known: Revision | undefined;
  readonly bytes: number;
  /** Must be asked for again, whatever its age. */
  expired: boolean;
  used: boolean;
  stale: Answer | undefined;
}

export interface PageEntry {
  readonly cell: PageCell;
  readonly page: Page<VersionEntry>;
  readonly at: Instant;
  readonly bytes: number;
  expired: boolean;
  used: boolean;
}

/** The place of one answer. */
export interface Cell {
  readonly shelf: Shelf;
  readonly selector: DriverSelector;
  entry: Entry | undefined;
  flight: Trip<Map<Cell, ReadAnswer>> | undefined;
}

export interface PageCell {
  readonly shelf: Shelf;
  readonly key: string;
  entry: PageEntry | undefined;
  flight: Trip<Page<VersionEntry>> | undefined;
}

/** Everything about one prompt. */
export class Shelf {
  readonly name: PromptName;
  readonly versions = new Map<Version, Cell>();
  readonly labels = new Map<Label, Cell>();
  readonly pages = new Map<string, PageCell>();
  latest: Cell | undefined;
  head: Cell | undefined;
  /** Grows when something changed: an answer to a question of before must not be kept. */
  epoch = 0;
  /** Monotonic; something was found gone or moved by a question sent then: answers to earlier ones are not kept. */
  changedAt = Number.NEGATIVE_INFINITY;
  /** The newest head that an answer brought, and when it did (monotonic). */
  told: { readonly state: HeadState; readonly at: number } | undefined;
  /** What lies on disk was read, or need not be. */
  loaded = true;
  loading: Promise<void> | undefined;
  /** What was true before this time (on disk) must be asked for again. */
  expiredBefore = 0;

  /** Counts leases that were ended; one for all shelves of a cache. */
  readonly ended: { changes: number };

  constructor(name: PromptName, ended: { changes: number }) {
    this.name = name;
    this.ended = ended;
  }

  /** The kinds have a map each: version `3` and a label `3` can't meet (I10), and no key is built for a hit. */
  find(selector: DriverSelector): Cell | undefined {
    switch (selector.kind) {
      case "version":
        return this.versions.get(selector.version);
      case "label":
        return this.labels.get(selector.label);
      case "latest":
        return this.latest;
      case "head":
        return this.head;
    }
  }

  cell(selector: DriverSelector): Cell {
    const found = this.find(selector);
    if (found !== undefined) return found;
    const cell: Cell = { shelf: this, selector, entry: undefined, flight: undefined };
    if (selector.kind === "version") this.versions.set(selector.version, cell);
    else if (selector.kind === "label") this.labels.set(selector.label, cell);
    else if (selector.kind === "latest") this.latest = cell;
    else this.head = cell;
    return cell;
  }

  pageCell(key: string): PageCell {
    const found = this.pages.get(key);
    if (found !== undefined) return found;
    const cell: PageCell = { shelf: this, key, entry: undefined, flight: undefined };
    this.pages.set(key, cell);
    return cell;
  }

  *cells(): IterableIterator<Cell> {
    yield* this.versions.values();
    yield* this.labels.values();
    if (this.latest !== undefined) yield this.latest;
    if (this.head !== undefined) yield this.head;
  }

  /** Who asks from now on waits for nothing that was asked for before. */
  closeFlights(): void {
    for (const { flight } of this.cells()) if (flight !== undefined) flight.isClosed = true;
    for (const { flight } of this.pages.values()) if (flight !== undefined) flight.isClosed = true;
  }

  /** Removes what is empty; says whether anything is left. */
  tidy(): boolean {
    const idle = (cell: Cell | PageCell) => cell.entry === undefined && cell.flight === undefined;
    for (const [key, cell] of this.versions) if (idle(cell)) this.versions.delete(key);
    for (const [key, cell] of this.labels) if (idle(cell)) this.labels.delete(key);
    for (const [key, cell] of this.pages) if (idle(cell)) this.pages.delete(key);
    if (this.latest !== undefined && idle(this.latest)) this.latest = undefined;
    if (this.head !== undefined && idle(this.head)) this.head = undefined;
    return this.versions.size + this.labels.size + this.pages.size > 0 || (this.latest ?? this.head) !== undefined;
  }
}

/** From now on it is asked for again before it is given, unless the store can't be asked. */
export function expire(entry: Entry): void {
  entry.expired = true;
  endLease(entry);
}

export function ageOf(entry: { readonly at: Instant }): number {
  const { wall, mono } = entry.at;
  return Math.max(Date.now() - wall, performance.now() - mono);
}

export function createEntry(
  cell: Cell,
  source: Answer,
  at: Instant,
  ttl: number,
  options: { readonly expired?: boolean; readonly known?: Revision | undefined } = {},
): Entry {
  const lease: Lease = { until: 0, store: cell.shelf.ended };
  const entry: Entry = {
    cell,
    answer: withProvenance(source, { source: SOURCE, fetchedAt: at.wall, stale: false }, lease),
    lease,
    at,
    ttl,
    known: "known" in options ? options.known : revisionOf(source),
    bytes: bytesOf(source),
    expired: options.expired ?? false,
    used: true,
    stale: undefined,
  };
  if (!entry.expired) extendLease(entry);
  return entry;
}

/** Of an answer; pages have none. */
export function endLease(entry: Entry | PageEntry): void {
  if (!("lease" in entry) || entry.lease.until === 0) return;
  entry.lease.until = 0;
  entry.cell.shelf.ended.changes++;
}

/**
 * Given with a hit; the lease of a version is prolonged as long as it is asked for. What is left is told by both clocks, and
 * from now on by the wall clock alone, as one is all that a hot read may look at: see {@link Keeper.followClock}.
 */
export function extendLease(entry: Entry): void {
  const now = Date.now();
  if (entry.lease.until > now) return;
  entry.lease.until = now + Math.min(entry.ttl - ageOf(entry), LEASE_SPAN);
}

export function staleAnswer(entry: Entry): Answer {
  entry.stale ??= withProvenance(entry.answer, { source: SOURCE, fetchedAt: entry.at.wall, stale: true });
  return entry.stale;
}

/** What the store itself said, without what a cache adds. */
export function plainAnswer(answer: Answer): Answer {
  return withProvenance(answer);
}

function withProvenance(answer: Answer, provenance?: Provenance, lease?: Lease): Answer {
  const added = {
    ...(provenance === undefined ? {} : { provenance: Object.freeze(provenance) }),
    ...(lease === undefined ? {} : { lease }),
  };
  switch (answer.status) {
    case "found":
    case "removed": {
      const { status, document, head, revision } = answer;
      return Object.freeze({ status, document, revision, ...(head === undefined ? {} : { head }), ...added });
    }
    case "head":
      return Object.freeze({ status: "head", head: answer.head, revision: answer.revision, ...added });
    case "absent":
      return Object.freeze({ status: "absent", ...(answer.head === undefined ? {} : { head: answer.head }), ...added });
  }
}

export function revisionOf(answer: ReadAnswer): Revision | undefined {
  return "revision" in answer ? answer.revision : undefined;
}

/** The short form where the caller knows the answer already. */
export function respond(ask: ReadAsk, answer: ReadAnswer): ReadAnswer {
  if (ask.known === undefined || revisionOf(answer) !== ask.known || answer.status === "unchanged") return answer;
  // Within its TTL an answer counts as the store's; beyond it the caller must know.
  const { provenance } = answer;
  return { status: "unchanged", revision: ask.known, ...(provenance?.stale === true ? { provenance } : {}) };
}

function bytesOf(answer: Answer): number {
  const text = "document" in answer ? answer.document.text.length : 0;
  const head = answer.head?.head;
  const marks = head === undefined ? 0 : Object.keys(head.labels).length + Object.keys(head.yanked).length;
  return ENTRY_BYTES + text + marks * 128;
}

export function bytesOfPage(page: Page<VersionEntry>): number {
  return ENTRY_BYTES + page.items.length * 96;
}

/** `damaged` texts are for the registry to refuse, and never kept; an unsealed one may be edited by hand at any time. */
export function qualityOf(document: StoredDocument): "sealed" | "unsealed" | "damaged" {
  try {
    const opened = openStored(document.text, document);
    return opened.kind === "tombstone" || opened.sealed ? "sealed" : "unsealed";
  } catch (error) {
    if (isRegistryError(error)) return "damaged";
    throw error;
  }
}
