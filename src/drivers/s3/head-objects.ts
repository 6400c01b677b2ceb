import type { Operation } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import type { Documents } from "./documents.ts";
import type { Keys } from "./keys.ts";
import { Recent } from "./limiter.ts";
import type { Projector } from "./projector.ts";
import { decodeRecord, encodeRecord, type HeadRecord, withDigests } from "./record.ts";
import type { S3Store } from "./store.ts";

export interface HeadObject {
  readonly etag: string;
  /** When it was written, by the store's clock, where the store was asked. */
  readonly modified?: number;
  readonly record: HeadRecord;
}

/** As encoded. A head grows with its history, and holds whole documents while it holds a claim. */
const MAX_SEEN_BYTES = 64 * 2 ** 20;

/** Reads and writes the objects that heads lie in, and remembers them. */
export class HeadObjects {
  readonly #store: S3Store;
  readonly #keys: Keys;
  readonly #documents: Documents;
  readonly #projector: Projector;
  /** As last seen. Never an answer by itself: it saves a read where an ETag proves that it stands. */
  readonly #seen = new Recent<PromptName, HeadObject>(20_000, MAX_SEEN_BYTES);

  constructor(store: S3Store, keys: Keys, documents: Documents, projector: Projector) {
    this.#store = store;
    this.#keys = keys;
    this.#documents = documents;
    this.#projector = projector;
  }

  seen(name: PromptName): HeadObject | undefined {
    return this.#seen.get(name);
  }

  async load(name: PromptName, op?: Operation): Promise<HeadObject | undefined> {
    const found = await this.loadUnless(name, undefined, op);
    return found === "unchanged" ? undefined : found;
  }

  async loadUnless(
    name: PromptName,
    known: string | undefined,
    op: Operation | undefined,
  ): Promise<HeadObject | "unchanged" | undefined> {
    const key = this.#keys.head(name);
    const found = await this.#store.get(key, op, known);
    if (found === "unchanged") return found;
    if (found === undefined) {
      this.#seen.delete(name);
      return undefined;
    }
    const before = this.#seen.get(name);
    const { etag, modified } = found;
    if (before?.etag === etag && found.sound) return { ...before, modified };
    if (!found.sound) {
      throw new RegistryError("CORRUPT", `the head ${key} is damaged; restore it from a copy or an older version`, {
        ...{ backend: "s3", name, path: key },
      });
    }
    const object = { etag, modified, record: decodeRecord(found.bytes, name, key) };
    this.#keep(name, object, found.bytes.length);
    return object;
  }

  /** To read it anew. */
  forget(name: PromptName): void {
    this.#seen.delete(name);
  }

  /** Replaces only what has this ETag; `null`: nothing. */
  async put(
    record: HeadRecord,
    etag: string | null,
    op: Operation | undefined,
  ): Promise<HeadObject | "refused" | "raced"> {
    const { name } = record;
    const body = encodeRecord(withDigests(record, (version) => this.#documents.digest(name, version)));
    const result = await this.#store.put(
      {
        key: this.#keys.head(name),
        body,
        contentType: "application/json",
        cacheControl: "no-cache",
        expect: { etag },
      },
      op,
    );
    if (result.status === "refused") return result.raced === true ? "raced" : "refused";
    // Read off what was written: the caller keeps what it gave.
    const stored = decodeRecord(Buffer.from(body), name, this.#keys.head(name));
    const object = { etag: result.etag, record: stored };
    this.#keep(name, object, body.length);
    this.#projector.note(stored);
    return object;
  }

  #keep(name: PromptName, object: HeadObject, bytes: number): void {
    const before = this.#seen.get(name);
    if (before === undefined || before.record.sequence <= object.record.sequence) this.#seen.set(name, object, bytes);
  }
}
