import type { Keeper } from "./keeper.ts";
import type { CacheSettings } from "./options.ts";
import { type Answer, type Cell, createEntry, type Instant, qualityOf, type Shelf } from "./shelf.ts";
import type { Writes } from "./writes.ts";

export function createCounts() {
  return {
    ...{ hits: 0, misses: 0, joined: 0, revalidating: 0, stale: 0 },
    ...{ refreshes: 0, refreshFailures: 0, evicted: 0, invalidated: 0 },
  };
}

/** What becomes of an answer of the store: kept with its age, or thrown out. */
export class Filling {
  readonly #keeper: Keeper;
  readonly #writes: Writes;
  readonly #settings: CacheSettings;
  readonly #counts: ReturnType<typeof createCounts>;

  constructor(keeper: Keeper, writes: Writes, settings: CacheSettings, counts: ReturnType<typeof createCounts>) {
    this.#keeper = keeper;
    this.#writes = writes;
    this.#settings = settings;
    this.#counts = counts;
  }

  evict(shelf: Shelf): void {
    this.#counts.evicted++;
    this.#keeper.evict(shelf);
  }

  /** Puts a good answer in its place. */
  keep(cell: Cell, answer: Answer, at: Instant, known: string | undefined): void {
    if (answer.status === "absent" || answer.status === "removed") return;
    if (answer.status === "head") {
      this.#put(cell, answer, at, this.#settings.ttl, known);
      return;
    }
    const quality = qualityOf(answer.document);
    if (quality === "damaged") {
      this.#keeper.drop(cell);
      return;
    }
    const isVersion = cell.selector.kind === "version";
    const { head: _, ...bare } = answer;
    const shared = this.#shared(cell.shelf, isVersion ? bare : answer);
    const ttl = isVersion && quality === "sealed" ? this.#settings.documentMaxAge : this.#settings.ttl;
    this.#put(cell, shared, at, ttl, known);
    if (!isVersion && quality === "sealed") this.#keepVersion(cell.shelf, shared, at);
  }

  #put(cell: Cell, answer: Answer, at: Instant, ttl: number, known: string | undefined): void {
    const expired = this.#writes.isInDoubt(cell.shelf.name, cell.selector);
    this.#keeper.put(createEntry(cell, answer, at, ttl, { known, expired }));
  }

  /** A label that brings a version proves that this version is there; its revision is that of the label, though. */
  #keepVersion(shelf: Shelf, answer: Extract<Answer, { status: "found" }>, at: Instant): void {
    const cell = shelf.cell({ kind: "version", version: answer.document.version });
    if (cell.entry !== undefined && cell.entry.at.mono > at.mono) return;
    const same = cell.entry?.answer.status === "found" && cell.entry.answer.document === answer.document;
    const known = same ? cell.entry?.known : undefined;
    const revision = known ?? "cache:found";
    const version: Answer = { status: "found", document: answer.document, revision };
    this.#put(cell, version, at, this.#settings.documentMaxAge, known);
  }

  /** One text is in memory once, however many pointers show it. */
  #shared<A extends Extract<Answer, { status: "found" }>>(shelf: Shelf, answer: A): A {
    const { document } = answer;
    const there = shelf.versions.get(document.version)?.entry?.answer;
    if (there?.status === "found" && there.document.text === document.text)
      return { ...answer, document: there.document };
    return Object.isFrozen(document) ? answer : { ...answer, document: Object.freeze({ ...document }) };
  }

  /** The store said no: nothing of it may be given again, not in an outage either (I10). */
  gone(cell: Cell, answer: Extract<Answer, { status: "absent" | "removed" }>, at: Instant): void {
    const { shelf, selector } = cell;
    shelf.changedAt = Math.max(shelf.changedAt, at.mono);
    if (cell.entry !== undefined && cell.entry.answer.status !== "absent") this.#counts.evicted++;
    const isAll = answer.status === "absent" && selector.kind !== "version" && answer.head === undefined;
    // What lies on disk and was not read yet can only be thrown out as a whole.
    if (isAll || !shelf.loaded) {
      this.#keeper.evict(shelf);
    } else {
      this.#keeper.drop(cell);
      // A page that names it would be believed until its TTL, and each range asked of the store.
      if (selector.kind === "version") for (const page of shelf.pages.values()) this.#keeper.drop(page);
      // Something of this prompt is gone that was there: what else is known of it is asked for again.
      if (answer.status === "removed") {
        for (const other of shelf.cells()) if (shows(other, answer.document.version)) this.#keeper.drop(other);
      }
    }
    const { negativeTtl } = this.#settings;
    if (negativeTtl > 0 && answer.status === "absent") {
      const kept = this.#keeper.shelf(shelf.name).cell(selector);
      this.#put(kept, answer, at, negativeTtl, undefined);
    }
  }
}

function shows(cell: Cell, version: string): boolean {
  const answer = cell.entry?.answer;
  return answer?.status === "found" && answer.document.version === version;
}
