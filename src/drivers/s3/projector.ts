import type { PromptName } from "../../names.ts";
import type { Keys } from "./keys.ts";
import { encodePublic, type HeadRecord } from "./record.ts";
import type { S3Store } from "./store.ts";

/**
 * Keeps `latest.json` next to the documents, for readers over plain HTTP. Nothing here reads it, so it is written behind
 * the caller's back, newest state first; a write that is lost is made good by the next one, or by `repair`.
 */
export class Projector {
  readonly #store: S3Store;
  readonly #keys: Keys;
  readonly #next = new Map<PromptName, HeadRecord>();
  readonly #running = new Map<PromptName, Promise<void>>();
  failures = 0;

  constructor(store: S3Store, keys: Keys) {
    this.#store = store;
    this.#keys = keys;
  }

  note(record: HeadRecord): void {
    if (!this.#store.options.latestJson) return;
    this.#next.set(record.name, record);
    if (!this.#running.has(record.name)) this.#running.set(record.name, this.#run(record.name));
  }

  async #run(name: PromptName): Promise<void> {
    // Whatever comes in the same turn becomes one write.
    await undefined;
    for (let record = this.#next.get(name); record !== undefined; record = this.#next.get(name)) {
      this.#next.delete(name);
      await this.write(record).catch(() => {
        this.failures++;
      });
    }
    this.#running.delete(name);
  }

  async write(record: HeadRecord): Promise<void> {
    await this.#store.put({
      key: this.#keys.latest(record.name),
      body: encodePublic(record),
      contentType: "application/json",
      cacheControl: "no-cache",
    });
  }

  /** Until all that was noted is written, or has failed. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }
}
