import type { Cursor, StorageDriver } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";

const LIMIT = 1000;
/** Milliseconds after which an unreachable feed vouches for nothing any more. */
const MAX_SILENCE = 10_000;

/**
 * Looks at the change feed for all who need to know, and only while somebody does. It keeps no process alive.
 */
export class Watcher {
  readonly #driver: StorageDriver;
  readonly #interval: number;
  readonly #changed: (name: PromptName | undefined) => void;
  readonly #waiting = new Set<() => void>();
  #cursor: Cursor | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #stopped = false;
  #seen = 0;
  #needed = 0;

  /** Grows with everything that was heard; what was read before it grew may be old. */
  epoch = 0;

  /** @param changed told each name that may have changed; `undefined`: any may have */
  constructor(driver: StorageDriver, interval: number, changed: (name: PromptName | undefined) => void) {
    this.#driver = driver;
    this.#interval = interval;
    this.#changed = changed;
  }

  /** Whether every change since some instant before now is heard of. Asking keeps it going for a minute. */
  isWatching(): boolean {
    this.touch();
    this.#start();
    return this.#cursor !== undefined;
  }

  /** Somebody still relies on it. */
  touch(): void {
    this.#needed = Date.now();
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Resolves at the next change that is heard of, when the watcher or the signal stops, or after so much silence. */
  wait(signal: AbortSignal, silence: number): Promise<"heard" | "silence"> {
    // Else, between two waits, there would be nobody to keep it going for.
    this.#needed = Date.now();
    this.#start();
    return new Promise((resolve) => {
      if (signal.aborted || this.#stopped) {
        resolve("heard");
        return;
      }
      const end = (what: "heard" | "silence") => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.#waiting.delete(done);
        resolve(what);
      };
      const done = () => end("heard");
      const timer = setTimeout(() => end("silence"), silence).unref();
      this.#waiting.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  /** Something changed here: nobody needs to wait for the feed to say so. */
  noteChange(): void {
    this.epoch++;
    for (const done of [...this.#waiting]) done();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const done of [...this.#waiting]) done();
  }

  #start(): void {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    this.#seen = Date.now();
    void this.#look();
  }

  async #look(): Promise<void> {
    try {
      await this.#follow();
      this.#seen = Date.now();
    } catch (error) {
      if (isRegistryError(error, "ABORTED")) this.#stopped = true;
      const isLost = isRegistryError(error, "INVALID") || isRegistryError(error, "HISTORY_REWRITTEN");
      if (isLost || this.#stopped || Date.now() - this.#seen > MAX_SILENCE) this.#forget();
    }
    const isIdle = this.#waiting.size === 0 && Date.now() - this.#needed > 60_000;
    if (isIdle || this.#stopped) {
      this.#running = false;
      this.#forget();
      return;
    }
    this.#timer = setTimeout(() => void this.#look(), this.#interval).unref();
  }

  async #follow(): Promise<void> {
    if (this.#cursor === undefined) {
      this.#cursor = (await this.#driver.changes({ limit: LIMIT })).cursor;
      this.#hear(undefined);
      // Before this nobody watched: whoever waits looks for himself.
      this.noteChange();
      return;
    }
    for (let empty = 0; empty < 3; ) {
      const cursor: Cursor = this.#cursor as Cursor;
      const page = await this.#driver.changes({ cursor, limit: LIMIT });
      this.#cursor = page.cursor;
      for (const { name } of page.items) this.#hear(name);
      if (page.items.length > 0) this.noteChange();
      empty = page.items.length === 0 ? empty + 1 : 0;
      if (page.cursor === cursor || page.cursor === undefined) return;
    }
  }

  #hear(name: PromptName | undefined): void {
    this.epoch++;
    this.#changed(name);
  }

  #forget(): void {
    this.#cursor = undefined;
    this.#hear(undefined);
    for (const done of [...this.#waiting]) done();
  }
}
