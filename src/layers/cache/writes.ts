import type { Change, DriverSelector, Outcome } from "../../driver.ts";
import type { PromptName } from "../../names.ts";
import type { Version } from "../../semver.ts";
import type { Keeper } from "./keeper.ts";
import { expire, type Shelf } from "./shelf.ts";

/** The changes of one prompt that are on their way. */
interface Writing {
  readonly changes: Set<Change>;
  /** Something was answered meanwhile, which may be of before or of after. */
  isSeen: boolean;
}

/**
 * What passes through the cache as a change. While one is on its way nobody knows on which side of it an answer is. What is
 * kept is of before, and may be given until something was answered that may be of after: from then on everybody is told
 * what the store says to a question that was asked since.
 */
export class Writes {
  readonly #keeper: Keeper;
  readonly #changed: (name: PromptName) => void;
  readonly #writing = new Map<PromptName, Writing>();

  /** @param changed expires all that is kept of a prompt */
  constructor(keeper: Keeper, changed: (name: PromptName) => void) {
    this.#keeper = keeper;
    this.#changed = changed;
  }

  begin(changes: readonly Change[]): void {
    for (const change of changes) {
      const writing = this.#writing.get(change.name);
      if (writing === undefined) this.#writing.set(change.name, { changes: new Set([change]), isSeen: false });
      else writing.changes.add(change);
    }
  }

  end(changes: readonly Change[]): void {
    for (const change of changes) {
      const writing = this.#writing.get(change.name);
      writing?.changes.delete(change);
      if (writing?.changes.size === 0) this.#writing.delete(change.name);
    }
  }

  /** The store said something of a prompt, or of many. */
  answered(name?: PromptName): void {
    if (this.#writing.size === 0) return;
    for (const one of name === undefined ? this.#writing.keys() : [name]) {
      const writing = this.#writing.get(one);
      if (writing === undefined) continue;
      writing.isSeen = true;
      const shelf = this.#keeper.find(one);
      if (shelf !== undefined) this.#doubt(shelf);
    }
  }

  /** Whether an answer may be of before a change that somebody has seen already. */
  isInDoubt(name: PromptName, selector?: DriverSelector): boolean {
    if (this.#writing.size === 0) return false;
    const writing = this.#writing.get(name);
    if (writing?.isSeen !== true) return false;
    return selector?.kind !== "version" || [...writing.changes].some((change) => concerns(change, selector.version));
  }

  #doubt(shelf: Shelf): void {
    shelf.closeFlights();
    for (const { entry, selector } of shelf.cells()) {
      if (entry !== undefined && this.isInDoubt(shelf.name, selector)) expire(entry);
    }
    for (const { entry } of shelf.pages.values()) if (entry !== undefined) entry.expired = true;
  }

  settle(change: Change, outcome: Outcome | undefined): void {
    if (outcome?.status === "done") this.#settleDone(change);
    else if (outcome?.status === "exists" || outcome?.status === "conflict") this.#changed(change.name);
    else if (outcome === undefined || (outcome.status === "failed" && outcome.error.outcome === "unknown"))
      this.settleUnknown(change);
  }

  /** A change that was made: what it touched is not what it was, and what was read before it is of before. */
  #settleDone(change: Change): void {
    const shelf = this.#keeper.known(change.name);
    if (shelf === undefined) return;
    if (!shelf.loaded) {
      this.#keeper.evict(shelf);
      return;
    }
    this.#keeper.supersede(shelf);
    for (const cell of shelf.cells()) if (cell.selector.kind !== "version") this.#keeper.drop(cell);
    for (const cell of shelf.pages.values()) this.#keeper.drop(cell);
    this.#dropVersions(shelf, (version) => concerns(change, version));
    this.#keeper.tidy(shelf);
  }

  /**
   * A change of which nobody knows whether it was made. Dropping everything would turn a write that failed in an outage
   * into reads that fail; so all is asked for again, and given only marked as stale. What may be deleted is not given.
   */
  settleUnknown(change: Change): void {
    this.#changed(change.name);
    const shelf = this.#keeper.find(change.name);
    if (shelf === undefined || change.remove === undefined) return;
    if (shelf.loaded) this.#dropVersions(shelf, (version) => isAmong(change.remove, version));
    else this.#keeper.evict(shelf);
  }

  #dropVersions(shelf: Shelf, isDropped: (version: Version) => boolean): void {
    for (const cell of shelf.cells()) {
      const { entry, selector } = cell;
      const shown = entry !== undefined && "document" in entry.answer ? entry.answer.document.version : undefined;
      const asked = selector.kind === "version" ? selector.version : undefined;
      if ((shown !== undefined && isDropped(shown)) || (asked !== undefined && isDropped(asked)))
        this.#keeper.drop(cell);
    }
  }
}

function isAmong(documents: readonly { readonly version: Version }[] | undefined, version: Version): boolean {
  return documents?.some((document) => document.version === version) ?? false;
}

function concerns({ add, remove, restore }: Change, version: Version): boolean {
  return isAmong(add, version) || isAmong(remove, version) || isAmong(restore, version);
}
