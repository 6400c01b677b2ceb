import type { Cursor, Operation, StorageDriver } from "../../driver.ts";
import { feedPages, refusesCursor } from "../../feed.ts";
import type { PromptName } from "../../names.ts";
import type { CursorStore } from "./cursor.ts";

const LIMIT = 500;

/** Which prompts may differ between a storage and its mirror, as far as the storage's feed tells. */
export class Differing {
  readonly #main: StorageDriver;
  readonly #kept: CursorStore | undefined;
  readonly #signal: AbortSignal;
  readonly #found: (name: PromptName) => void;
  #isLoaded = false;
  #cursor: Cursor | undefined;

  /**
   * @param found told every name; the same one any number of times
   */
  constructor(
    main: StorageDriver,
    kept: CursorStore | undefined,
    signal: AbortSignal,
    found: (name: PromptName) => void,
  ) {
    this.#main = main;
    this.#kept = kept;
    this.#signal = signal;
    this.#found = found;
  }

  /**
   * Reads the feed from where it was read to its end.
   *
   * @param fresh the end is to be that of now, also where the storage answers from memory as each look costs it something
   * @returns that end, for {@link reached}
   */
  async look(fresh: boolean): Promise<Cursor> {
    const op = { signal: this.#signal, ...(fresh ? { fresh } : {}) };
    try {
      return await this.#look(op);
    } catch (error) {
      // Then everything is compared instead.
      if (!refusesCursor(error) || this.#cursor === undefined) throw error;
      this.#cursor = undefined;
      return this.#look(op);
    }
  }

  /** Everything that was found up to there was tried. */
  reached(upTo: Cursor): void {
    this.#cursor = upTo;
  }

  /** Everything that was found up to there is in the mirror: a restart begins there. */
  async save(upTo: Cursor): Promise<void> {
    await this.#kept?.save(upTo);
  }

  /** Without a cursor of before, everything may differ. */
  async #look(op: Operation): Promise<Cursor> {
    // Only once: a cursor that was refused must not come back.
    if (!this.#isLoaded) this.#cursor = await this.#kept?.load();
    this.#isLoaded = true;
    if (this.#cursor === undefined) {
      const now = await this.#main.changes({ limit: 1 }, op);
      await this.#all();
      return now.cursor as Cursor;
    }
    for await (const page of feedPages((query) => this.#main.changes(query, op), this.#cursor)) {
      for (const name of page.names) this.#found(name);
      this.#cursor = page.cursor;
    }
    return this.#cursor;
  }

  async #all(): Promise<void> {
    let at: Cursor | undefined;
    do {
      const query = { limit: LIMIT, includeRemoved: true, ...(at === undefined ? {} : { cursor: at }) };
      const page = await this.#main.listPrompts(query, { signal: this.#signal });
      for (const { name } of page.items) this.#found(name);
      at = page.cursor;
    } while (at !== undefined);
  }
}
