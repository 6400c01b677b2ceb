import type { ChangeEvent, Cursor, Page, StorageDriver } from "../../driver.ts";
import { abortable, isRegistryError } from "../../errors.ts";
import { feedPages, refusesCursor } from "../../feed.ts";
import type { PromptName } from "../../names.ts";

/** Milliseconds after which an unreachable feed vouches for nothing any more. */
const MAX_SILENCE = 10_000;
/**
 * Milliseconds in which a page has to be answered. Twice as many after each that was not, as a feed that is read off a long
 * listing takes what it takes.
 */
const PATIENCE = 5000;
const MAX_PATIENCE = 5 * 60_000;
/** What was answered in time leaves so many times as long for the next. */
const ROOM = 4;
/** After a change made here, listeners are told without waiting for the next look. Milliseconds. */
const SOON = 10;

/** A page of the feed; `gap`: something may have been missed; `end`: the watcher stopped. */
export type News = { readonly names: readonly PromptName[]; readonly cursor: Cursor } | "gap" | "end";

/**
 * Looks at the change feed for all who need to know, and only while somebody does: what it costs does not grow with those
 * who listen. It keeps no process alive.
 */
export class Watcher {
  readonly #driver: StorageDriver;
  readonly #interval: number;
  readonly #changed: (name: PromptName | undefined) => void;
  readonly #leastPatience: number;
  #patience: number;
  readonly #listeners = new Set<(news: News) => void>();
  #cursor: Cursor | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #looking = false;
  #again = false;
  #soon = false;
  #stopped = false;
  /** When the last look that succeeded began. */
  #seen = 0;
  #needed = 0;

  /** Grows with everything that was heard; what was read before it grew may be old. */
  epoch = 0;

  /** @param changed told each name that may have changed; `undefined`: any may have */
  constructor(
    driver: StorageDriver,
    interval: number,
    changed: (name: PromptName | undefined) => void,
    patience = PATIENCE,
  ) {
    this.#driver = driver;
    this.#interval = interval;
    this.#changed = changed;
    this.#leastPatience = patience;
    this.#patience = patience;
  }

  /** Whether every change since some instant before now is heard of. Asking keeps it going for a minute. */
  isWatching(): boolean {
    this.touch();
    this.#start();
    return this.vouches();
  }

  /** Whether what was kept may still be believed: the feed was there not long ago. */
  vouches(): boolean {
    return this.#cursor !== undefined && Date.now() - this.#seen <= this.#interval + MAX_SILENCE;
  }

  /** Somebody still relies on it. */
  touch(): void {
    this.#needed = Date.now();
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /**
   * Tells everything that is heard of from now on.
   *
   * @returns ends it
   */
  listen(listener: (news: News) => void): () => void {
    this.touch();
    this.#listeners.add(listener);
    this.#start();
    return () => this.#listeners.delete(listener);
  }

  /** Something changed here: nobody needs to wait for the next look. */
  noteChange(): void {
    this.epoch++;
    if (this.#listeners.size === 0 || !this.#running || this.#stopped) return;
    if (this.#looking) this.#again = true;
    else if (!this.#soon) this.#lookSoon();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#tell("end");
  }

  #start(): void {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    this.#seen = Date.now();
    void this.#look();
  }

  /** Not put off by the changes that come until then. */
  #lookSoon(): void {
    this.#soon = true;
    this.#lookIn(Math.min(SOON, this.#interval));
  }

  #lookIn(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), milliseconds).unref();
  }

  async #look(): Promise<void> {
    const began = Date.now();
    this.#looking = true;
    this.#again = false;
    this.#soon = false;
    try {
      await this.#follow();
      this.#seen = began;
    } catch (error) {
      if (isRegistryError(error, "ABORTED")) this.stop();
      if (refusesCursor(error) || this.#stopped || Date.now() - this.#seen > MAX_SILENCE) this.#forget();
    }
    this.#looking = false;
    const isIdle = this.#listeners.size === 0 && Date.now() - this.#needed > 60_000;
    if (isIdle || this.#stopped) {
      this.#running = false;
      this.#forget();
      return;
    }
    if (this.#again) this.#lookSoon();
    else this.#lookIn(this.#interval);
  }

  async #follow(): Promise<void> {
    if (this.#cursor === undefined) {
      this.#cursor = (await this.#page({ limit: 1 })).cursor;
      this.#hear(undefined);
      // Before this nobody watched: who listens looks for himself.
      this.#tell("gap");
      return;
    }
    for await (const { names, cursor } of feedPages((query) => this.#page(query), this.#cursor)) {
      this.#cursor = cursor;
      for (const name of names) this.#hear(name);
      if (names.length > 0) this.#tell({ names, cursor });
    }
  }

  /** One that hangs must not keep anybody believing that nothing happens. */
  async #page(query: { readonly cursor?: Cursor; readonly limit: number }): Promise<Page<ChangeEvent>> {
    const patience = this.#patience;
    const signal = AbortSignal.timeout(patience);
    const began = performance.now();
    try {
      const page = await abortable(this.#driver.changes(query, { signal }), { signal }, "changes");
      // That of nothing but where the feed stands says nothing of the others.
      if (query.cursor !== undefined) {
        const needed = ROOM * (performance.now() - began);
        this.#patience = Math.min(patience, Math.max(needed, this.#leastPatience));
      }
      return page;
    } catch (error) {
      if (signal.aborted) this.#patience = Math.min(2 * patience, MAX_PATIENCE);
      throw error;
    }
  }

  #hear(name: PromptName | undefined): void {
    this.epoch++;
    this.#changed(name);
  }

  #tell(news: News): void {
    for (const listener of [...this.#listeners]) listener(news);
  }

  /** The next look that succeeds tells who listens that there is a gap. */
  #forget(): void {
    this.#cursor = undefined;
    this.#hear(undefined);
  }
}
