import type { PromptName } from "../../names.ts";
import type { DiskTier } from "./disk.ts";
import { ageOf, type Cell, type Entry, endLease, expire, type PageCell, type PageEntry, Shelf } from "./shelf.ts";

/** Milliseconds; less than that is two clocks that were not read at once. */
const MAX_SET_BACK = 50;

/** What is in memory: shelves by name, within a bound of bytes, and with the disk behind it where there is one. */
export class Keeper {
  readonly #shelves = new Map<PromptName, Shelf>();
  /** In the order in which they came; those used since they were last looked at get a second chance. */
  readonly #entries = new Set<Entry | PageEntry>();
  /** By how much the wall clock is ahead of the one that can't be set. */
  #drift = Date.now() - performance.now();
  readonly #maxBytes: number;
  readonly #disk: DiskTier | undefined;
  readonly #ended = { changes: 0 };
  #bytes = 0;
  dropped = 0;

  constructor(maxBytes: number, disk: DiskTier | undefined) {
    this.#maxBytes = maxBytes;
    this.#disk = disk;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get entries(): number {
    return this.#entries.size;
  }

  get names(): IterableIterator<PromptName> {
    return this.#shelves.keys();
  }

  find(name: PromptName): Shelf | undefined {
    return this.#shelves.get(name);
  }

  shelf(name: PromptName): Shelf {
    const found = this.#shelves.get(name);
    if (found !== undefined) return found;
    const shelf = new Shelf(name, this.#ended);
    shelf.loaded = this.#disk === undefined;
    this.#shelves.set(name, shelf);
    return shelf;
  }

  /** The shelf of a prompt about which something is kept, in memory or on disk. */
  known(name: PromptName): Shelf | undefined {
    return this.find(name) ?? (this.#disk === undefined ? undefined : this.shelf(name));
  }

  /** Reads what lies on disk about a prompt, once; what is in doubt must be asked for again. */
  async load(shelf: Shelf, isInDoubt: (cell: Cell | PageCell) => boolean): Promise<void> {
    const disk = this.#disk;
    if (shelf.loaded || disk === undefined) return;
    shelf.loading ??= (async () => {
      const { epoch } = shelf;
      await disk.load(shelf, (entry) => {
        // What came meanwhile is newer.
        if (shelf.loaded || entry.cell.entry !== undefined) return;
        const isOld = shelf.epoch !== epoch || entry.at.wall <= shelf.expiredBefore;
        if (isOld || isInDoubt(entry.cell)) entry.expired = true;
        if (entry.expired) endLease(entry);
        this.#add(entry);
      });
      shelf.loaded = true;
      this.save(shelf);
      this.#trim();
    })();
    await shelf.loading;
  }

  put(entry: Entry | PageEntry): void {
    this.#remove(entry.cell);
    this.#add(entry);
    this.save(entry.cell.shelf);
    this.#trim();
  }

  drop(cell: Cell | PageCell): void {
    if (cell.entry === undefined) return;
    this.#remove(cell);
    this.save(cell.shelf);
  }

  /** Hands the shelf to the disk; it is written a little later. */
  save(shelf: Shelf): void {
    // Of a shelf that was not read yet, what lies on disk is more than what is here.
    if (shelf.loaded) this.#disk?.save(shelf);
  }

  /** A question about this shelf that is on its way gets no place any more: what it brings is of before. */
  supersede(shelf: Shelf): void {
    shelf.epoch++;
    for (const cell of shelf.cells()) cell.flight = undefined;
    for (const cell of shelf.pages.values()) cell.flight = undefined;
  }

  /** Everything must be asked for again before it is given, unless the store can't be asked. */
  expire(shelf: Shelf): void {
    this.supersede(shelf);
    shelf.expiredBefore = Date.now();
    for (const { entry } of shelf.cells()) if (entry !== undefined) expire(entry);
    for (const { entry } of shelf.pages.values()) if (entry !== undefined) entry.expired = true;
    this.save(shelf);
  }

  /** Forgets everything about a prompt. */
  evict(shelf: Shelf): void {
    this.supersede(shelf);
    for (const cell of shelf.cells()) this.#remove(cell);
    for (const cell of shelf.pages.values()) this.#remove(cell);
    shelf.loaded = true;
    this.save(shelf);
    this.tidy(shelf);
  }

  /** Forgets a shelf that holds nothing. */
  tidy(shelf: Shelf): void {
    if (shelf.tidy() || !shelf.loaded || this.#shelves.get(shelf.name) !== shelf) return;
    this.#shelves.delete(shelf.name);
  }

  /**
   * Ends all leases where the wall clock was set back since the last look, as by that clock they would stand for longer; who
   * asks next gets one for what is left. To be called often: what lies between two looks is how much longer one can stand.
   */
  followClock(): void {
    const drift = Date.now() - performance.now();
    if (drift < this.#drift - MAX_SET_BACK) for (const entry of this.#entries) endLease(entry);
    this.#drift = drift;
  }

  /** Drops what nobody may be given any more. */
  sweep(maxStale: number): void {
    for (const entry of this.#entries) {
      const ttl = "ttl" in entry ? entry.ttl : 0;
      const age = ageOf(entry);
      if (age > ttl) endLease(entry);
      if (age > ttl + maxStale) this.drop(entry.cell);
    }
  }

  /** Ends every lease and forgets everything in memory. */
  clear(): void {
    for (const shelf of this.#shelves.values()) this.supersede(shelf);
    for (const entry of this.#entries) this.#remove(entry.cell);
    this.#shelves.clear();
  }

  #add(entry: Entry | PageEntry): void {
    // A cell and its entry are of one kind.
    (entry.cell as { entry: Entry | PageEntry | undefined }).entry = entry;
    this.#entries.add(entry);
    this.#bytes += entry.bytes;
  }

  #remove(cell: Cell | PageCell): void {
    const { entry } = cell;
    if (entry === undefined) return;
    // A lease that outlives its entry could not be ended any more.
    endLease(entry);
    cell.entry = undefined;
    this.#entries.delete(entry);
    this.#bytes -= entry.bytes;
  }

  #trim(): void {
    let chances = this.#entries.size;
    for (const entry of this.#entries) {
      if (this.#bytes <= this.#maxBytes) return;
      if (entry.used && chances-- > 0) {
        entry.used = false;
        this.#entries.delete(entry);
        this.#entries.add(entry);
        continue;
      }
      this.#makeRoom(entry);
    }
  }

  #makeRoom(entry: Entry | PageEntry): void {
    const { shelf } = entry.cell;
    this.dropped++;
    if (this.#disk === undefined) {
      this.#remove(entry.cell);
      this.tidy(shelf);
      return;
    }
    // What is on disk is a whole shelf: it stays there as it is, and leaves the memory as a whole.
    for (const cell of shelf.cells()) this.#remove(cell);
    for (const cell of shelf.pages.values()) this.#remove(cell);
    shelf.loaded = false;
    shelf.loading = undefined;
    const busy = [...shelf.cells(), ...shelf.pages.values()].some((cell) => cell.flight !== undefined);
    if (!busy && shelf.expiredBefore === 0) this.#shelves.delete(shelf.name);
  }
}
