import type { HistoryEntry, Operation } from "../../driver.ts";
import { EMPTY_HEAD } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import { decodeHead, encodeHead } from "../../head.ts";
import type { PromptName } from "../../names.ts";
import type { Keys } from "./keys.ts";
import { Recent } from "./limiter.ts";
import { type HeadRecord, KEPT_ENTRIES } from "./record.ts";
import { type S3Store, sha256 } from "./store.ts";

export const KEEP_AT_MOST = KEPT_ENTRIES * 2;

/** Head entries that are too old to be written again with every head: files that never change, named by the head. */
export class Archives {
  readonly #store: S3Store;
  readonly #keys: Keys;
  readonly #read = new Recent<string, readonly HistoryEntry[]>(1000);

  constructor(store: S3Store, keys: Keys) {
    this.#store = store;
    this.#keys = keys;
  }

  /** Puts all but the newest entries into a file first, and names it in the record that drops them. */
  async shorten(record: HeadRecord, op: Operation | undefined): Promise<HeadRecord> {
    const { name } = record;
    const old = record.history.slice(0, -KEPT_ENTRIES);
    const body = encodeHead({ name, head: EMPTY_HEAD, history: old });
    // Named by its content, so that a second try finds the file of the first.
    const number = String(record.archives.length).padStart(8, "0");
    const file = `${number}-${sha256(body).toString("hex").slice(0, 16)}.json`;
    const key = this.#keys.archive(name, file);
    try {
      await this.#store.put(
        {
          ...{ key, body, contentType: "application/json", cacheControl: "max-age=31536000, immutable" },
          expect: { etag: null },
        },
        op,
      );
      const written = await this.#load(name, file, op);
      if (written.length !== old.length) return record;
    } catch (error) {
      // Not needed yet: the head only grows a little longer, and the next write tries again.
      if (isRegistryError(error) && op?.signal?.aborted !== true) return record;
      throw error;
    }
    return { ...record, history: record.history.slice(-KEPT_ENTRIES), archives: [...record.archives, file] };
  }

  /**
   * The files of a prompt, oldest first. Of several that writers put aside for one place, each from the same beginning, only the
   * head told which one counts: the longest leaves nothing out.
   */
  async files(name: PromptName, op: Operation | undefined): Promise<string[]> {
    const prefix = this.#keys.archive(name, "");
    const places = new Map<string, string[]>();
    for (let after: string | undefined; ; ) {
      const { objects, more } = await this.#store.list({ prefix, ...(after === undefined ? {} : { after }) }, op);
      for (const { key } of objects) {
        const file = key.slice(prefix.length);
        if (!/^\d{8}-[0-9a-f]{16}\.json$/.test(file)) continue;
        const place = file.slice(0, 8);
        places.set(place, [...(places.get(place) ?? []), file]);
      }
      after = objects.at(-1)?.key;
      if (!more || after === undefined) break;
    }
    return await Promise.all([...places.values()].map((files) => this.#longest(name, files, op)));
  }

  async #longest(name: PromptName, files: readonly string[], op: Operation | undefined): Promise<string> {
    const [only] = files;
    if (only !== undefined && files.length === 1) return only;
    const read = await Promise.all(
      files.map(async (file) => ({ file, length: (await this.#load(name, file, op)).length })),
    );
    return read.reduce((best, one) => (one.length > best.length ? one : best)).file;
  }

  /** All head entries, oldest first. */
  async entries(record: HeadRecord, op: Operation | undefined): Promise<HistoryEntry[]> {
    const parts = await Promise.all(record.archives.map((file) => this.#load(record.name, file, op)));
    return [...parts.flat(), ...record.history];
  }

  async #load(name: PromptName, file: string, op: Operation | undefined): Promise<readonly HistoryEntry[]> {
    const key = this.#keys.archive(name, file);
    const known = this.#read.get(key);
    if (known !== undefined) return known;
    const found = await this.#store.get(key, op);
    if (found === undefined || found === "unchanged" || !found.sound) {
      throw new RegistryError(
        "CORRUPT",
        `${key} is ${found === undefined ? "gone" : "damaged"}; restore it from a copy`,
        {
          ...{ backend: "s3", name, path: key },
        },
      );
    }
    const { history } = decodeHead(found.bytes.toString(), name, key);
    this.#read.set(key, history);
    return history;
  }
}
