import type { Operation, Page, ReadAnswer, ReadAsk, StorageDriver, VersionEntry, VersionQuery } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import { asRegistryError, isOutage } from "../outage.ts";
import { createCounts, Filling } from "./filling.ts";
import type { Keeper } from "./keeper.ts";
import type { CacheSettings } from "./options.ts";
import { answerPage } from "./pages.ts";
import { headOf, hear, isNewer, isOverheard, reconcile } from "./reconcile.ts";
import {
  type Answer,
  ageOf,
  type Cell,
  type Entry,
  extendLease,
  type Instant,
  instant,
  plainAnswer,
  respond,
  type Shelf,
  staleAnswer,
} from "./shelf.ts";
import { Trip } from "./trip.ts";
import type { Writes } from "./writes.ts";

const FIRST_PAUSE = 1000;
const MAX_PAUSE = 30_000;

type Answers = Map<Cell, ReadAnswer>;

interface Sent {
  readonly cell: Cell;
  readonly entry: Entry | undefined;
  readonly epoch: number;
}

/** Decides what is answered from memory, and what the store is asked. */
export class Reads {
  readonly inner: StorageDriver;
  readonly keeper: Keeper;
  readonly writes: Writes;
  readonly settings: CacheSettings;
  readonly counts = createCounts();
  readonly #filling: Filling;
  /** While the store does not answer, those who can be given an old answer do not ask it either. Monotonic. */
  #quietUntil = 0;
  #failures = 0;
  #unloadedExpiredBefore = 0;

  constructor(inner: StorageDriver, keeper: Keeper, writes: Writes, settings: CacheSettings) {
    this.inner = inner;
    this.keeper = keeper;
    this.writes = writes;
    this.settings = settings;
    this.#filling = new Filling(keeper, writes, settings, this.counts);
  }

  /** Also what still lies on disk must be asked for again. */
  expireUnloaded(): void {
    this.#unloadedExpiredBefore = Date.now();
  }

  peek(ask: ReadAsk): ReadAnswer | undefined {
    const entry = this.keeper.find(ask.name)?.find(ask.selector)?.entry;
    if (ask.known !== undefined) return undefined;
    const isHead = ask.selector.kind === "head" && this.inner.capabilities.write;
    if (entry !== undefined && !isHead && this.isFresh(entry)) return this.#hit(entry);
    const at = instant();
    const local = this.inner.peek(ask);
    if (local !== undefined && local.status !== "unchanged") {
      const shelf = this.keeper.shelf(ask.name);
      this.#absorb({ cell: shelf.cell(ask.selector), entry: undefined, epoch: shelf.epoch }, local, at);
      this.keeper.tidy(shelf);
      return local;
    }
    return entry === undefined || isHead ? undefined : this.#old(entry);
  }

  async read(asks: readonly ReadAsk[], op: Operation | undefined): Promise<readonly ReadAnswer[]> {
    const fresh = op?.fresh;
    const answers = new Array<ReadAnswer | undefined>(asks.length);
    const open: { readonly index: number; readonly cell: Cell }[] = [];
    for (const [index, ask] of asks.entries()) {
      const shelf = this.keeper.shelf(ask.name);
      if (!shelf.loaded) await this.#load(shelf);
      const cell = shelf.cell(ask.selector);
      const answer = fresh === true ? undefined : this.#ready(cell, this.#mustAsk(cell, fresh));
      if (answer !== undefined) answers[index] = respond(ask, answer);
      else open.push({ index, cell });
    }
    if (open.length > 0) {
      const got = await this.#ask([...new Set(open.map((o) => o.cell))], fresh === true, op);
      for (const { index, cell } of open) answers[index] = respond(asks[index] as ReadAsk, got.get(cell) as ReadAnswer);
    }
    return answers as ReadAnswer[];
  }

  page(name: PromptName, query: VersionQuery, op: Operation | undefined): Promise<Page<VersionEntry>> {
    return answerPage(this, name, query, op);
  }

  async shelfOf(name: PromptName): Promise<Shelf> {
    const shelf = this.keeper.shelf(name);
    if (!shelf.loaded) await this.#load(shelf);
    return shelf;
  }

  isFresh(entry: Entry): boolean {
    return !entry.expired && ageOf(entry) <= entry.ttl;
  }

  /** Whether an old answer may be given because the store can't be asked. */
  isBearable(entry: { readonly at: Instant; readonly ttl?: number }): boolean {
    return ageOf(entry) <= (entry.ttl ?? this.settings.ttl) + this.settings.staleIfError;
  }

  get isQuiet(): boolean {
    return performance.now() < this.#quietUntil;
  }

  noteSuccess(): void {
    this.#failures = 0;
    this.#quietUntil = 0;
  }

  noteOutage(retryAfter = 0): void {
    this.counts.refreshFailures++;
    const pause = Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** Math.min(this.#failures++, 10));
    // Jitter, so that many processes do not come back at the same moment.
    const wait = Math.max(Math.min(retryAfter, MAX_PAUSE), pause * (0.5 + this.settings.random() / 2));
    this.#quietUntil = performance.now() + wait;
  }

  async #load(shelf: Shelf): Promise<void> {
    shelf.expiredBefore = Math.max(shelf.expiredBefore, this.#unloadedExpiredBefore);
    await this.keeper.load(shelf, (cell) =>
      this.writes.isInDoubt(shelf.name, "selector" in cell ? cell.selector : undefined),
    );
  }

  /**
   * Heads and lists of versions are what writes are planned on: an old one would make "nothing to do" or a false conflict
   * of a plan. Unless the caller says that it only reads, or nobody here can write, they are asked for every time.
   */
  #mustAsk(cell: Cell, fresh: boolean | undefined): boolean {
    return cell.selector.kind === "head" && (fresh ?? this.inner.capabilities.write);
  }

  #ready(cell: Cell, mustAsk: boolean): ReadAnswer | undefined {
    const { entry } = cell;
    if (entry === undefined) return undefined;
    if (mustAsk) return this.isQuiet && this.isBearable(entry) ? this.#giveStale(entry) : undefined;
    return this.isFresh(entry) ? this.#hit(entry) : this.#old(entry);
  }

  #hit(entry: Entry): Answer {
    this.counts.hits++;
    entry.used = true;
    extendLease(entry);
    return entry.answer;
  }

  /** An answer past its TTL, where it may be given at once. */
  #old(entry: Entry): ReadAnswer | undefined {
    const { cell } = entry;
    const isAllowed = !entry.expired && ageOf(entry) <= entry.ttl + this.settings.staleWhileRevalidate;
    if (isAllowed && entry.answer.status !== "absent") {
      entry.used = true;
      this.counts.revalidating++;
      if (cell.flight === undefined && !this.isQuiet) this.#send([cell]).pin();
      return entry.answer;
    }
    return this.isQuiet && this.isBearable(entry) ? this.#giveStale(entry) : undefined;
  }

  #giveStale(entry: Entry): Answer | undefined {
    // "Not there" is never said of a store that can't be asked.
    if (entry.answer.status === "absent") return undefined;
    entry.used = true;
    this.counts.stale++;
    return staleAnswer(entry);
  }

  async #ask(cells: readonly Cell[], alone: boolean, op: Operation | undefined): Promise<Answers> {
    const missing = new Set(cells.filter((cell) => alone || (cell.flight?.isClosed ?? true)));
    const sent = missing.size === 0 ? undefined : this.#send([...missing], alone);
    this.counts.misses += missing.size;
    this.counts.joined += cells.length - missing.size;
    const trips = new Map<Trip<Answers>, Cell[]>();
    for (const cell of cells) {
      const trip = (missing.has(cell) ? sent : cell.flight) as Trip<Answers>;
      trips.set(trip, [...(trips.get(trip) ?? []), cell]);
    }
    const answers: Answers = new Map();
    await Promise.all(
      [...trips].map(async ([trip, own]) => {
        try {
          const got = await trip.join(op?.signal, "read");
          for (const cell of own) answers.set(cell, got.get(cell) as ReadAnswer);
        } catch (error) {
          if (!isOutage(error) || alone) throw error;
          for (const cell of own) answers.set(cell, this.#instead(cell, error));
        }
      }),
    );
    return answers;
  }

  /** What can be given when the store could not be asked, or did not answer before the caller's own deadline. */
  #instead(cell: Cell, error: RegistryError): ReadAnswer {
    const { entry } = cell;
    const answer = entry !== undefined && this.isBearable(entry) ? this.#giveStale(entry) : undefined;
    if (answer === undefined) throw error;
    return answer;
  }

  #send(cells: readonly Cell[], fresh = false): Trip<Answers> {
    const at = instant();
    const sent = cells.map((cell): Sent => ({ cell, entry: cell.entry, epoch: cell.shelf.epoch }));
    const leave = () => {
      for (const { cell } of sent) {
        if (cell.flight !== trip) continue;
        cell.flight = undefined;
        this.keeper.tidy(cell.shelf);
      }
    };
    const call = async (signal: AbortSignal): Promise<Answers> => {
      try {
        const got = await this.inner.read(sent.map(askOf), fresh ? { signal, fresh } : { signal });
        if (got.length !== sent.length) throw miscounted(this.inner, got.length, sent.length);
        this.noteSuccess();
        return new Map(sent.map((one, i) => [one.cell, this.#absorb(one, got[i] as ReadAnswer, at)]));
      } catch (error) {
        if (!signal.aborted) this.#failed(error, sent);
        throw asRegistryError(error, this.inner.kind);
      } finally {
        leave();
      }
    };
    const trip: Trip<Answers> = new Trip(call, leave);
    // Who may be given what a fallback has does not wait for one who may not.
    trip.isClosed = fresh;
    for (const cell of cells) cell.flight = trip;
    return trip;
  }

  #failed(error: unknown, sent: readonly Sent[]): void {
    if (isOutage(error)) this.noteOutage(error.context.retryAfter);
    if (!isRegistryError(error, "FORBIDDEN")) return;
    const named = error.context.name;
    for (const { cell } of sent) if (named === undefined || named === cell.shelf.name) this.#filling.evict(cell.shelf);
  }

  /** Keeps what the store answered, if nothing changed since it was asked; gives what the caller is to be told. */
  #absorb(sent: Sent, answer: ReadAnswer, at: Instant): ReadAnswer {
    const { cell, entry } = sent;
    const { shelf } = cell;
    const isCurrent =
      shelf.epoch === sent.epoch && this.keeper.find(shelf.name) === shelf && shelf.changedAt <= at.mono;
    const { provenance } = answer;
    if (provenance?.stale === true) {
      // A fallback answered, because the store could not. What is known here may be younger.
      this.noteOutage();
      const own = cell.entry ?? entry;
      const isBetter = own !== undefined && this.isBearable(own) && !isNewer(answer, own.answer);
      return (isBetter ? this.#giveStale(own) : undefined) ?? answer;
    }
    const state = headOf(answer);
    this.writes.answered(shelf.name);
    if (state !== undefined) hear(shelf, state, at);
    if (entry !== undefined) this.counts.refreshes++;
    // A slow answer: what was asked for later came first, and is not undone.
    if (isCurrent && cell.entry !== undefined && cell.entry.at.mono > at.mono) return plainAnswer(cell.entry.answer);
    if (answer.status === "unchanged") {
      if (entry === undefined)
        throw new RegistryError("INTERNAL", `the ${this.inner.kind} storage said unchanged unasked`);
      if (isCurrent && !isOverheard(shelf, cell.selector, entry.answer, at)) {
        this.#filling.keep(cell, entry.answer, at, entry.known);
      }
      return plainAnswer(entry.answer);
    }
    if (!isCurrent || isOverheard(shelf, cell.selector, answer, at)) return answer;
    const when = provenance === undefined ? at : earlier(at, provenance.fetchedAt);
    if (answer.status === "absent" || answer.status === "removed") this.#filling.gone(cell, answer, when);
    else this.#filling.keep(cell, answer, when, answer.revision);
    if (state !== undefined) reconcile(this.keeper, shelf, state, at);
    return answer;
  }
}

function askOf({ cell, entry }: Sent): ReadAsk {
  const ask = { name: cell.shelf.name, selector: cell.selector };
  return entry?.known === undefined ? ask : { ...ask, known: entry.known };
}

/** An answer that was true at an earlier time is that much older. */
function earlier(at: Instant, wall: number): Instant {
  const older = Math.max(0, at.wall - wall);
  return { wall: at.wall - older, mono: at.mono - older };
}

function miscounted(inner: StorageDriver, got: number, asked: number): RegistryError {
  return new RegistryError("INTERNAL", `the ${inner.kind} storage gave ${got} answers to ${asked} asks`, {
    backend: inner.kind,
  });
}
