import { isUtf8 } from "node:buffer";
import { type Digest, isDigest, openStored, type SealedDocument } from "../../document.ts";
import type { HistoryEntry, Operation, StoredDocument } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import { publishEntry } from "../../history.ts";
import type { PromptName } from "../../names.ts";
import type { Version } from "../../semver.ts";
import type { Keys } from "./keys.ts";
import { Recent } from "./limiter.ts";
import type { HeadRecord } from "./record.ts";
import type { S3Store, Stored } from "./store.ts";

export interface Slot {
  readonly document: StoredDocument;
  readonly tombstone: boolean;
  readonly etag: string;
  /** Id of the commit that put it. */
  readonly publish: string | undefined;
  /** Of a tombstone: the try that sent it. */
  readonly attempt: string | undefined;
  /** When it was put, by the store's clock. */
  readonly modified: number;
}

/** A slot as a listing shows it. */
export interface ListedSlot {
  readonly version: Version;
  readonly etag: string;
}

/** What is known of one content of one slot, for good: an ETag stands for its bytes. */
interface Known {
  readonly tombstone: boolean;
  readonly entry: HistoryEntry | undefined;
}

/** Finding out that a text is no tombstone must not cost a digest: only a text that bears the mark is opened. */
export function isTombstone(document: StoredDocument): boolean {
  if (!document.text.includes("registry.removed: ")) return false;
  try {
    return openStored(document.text, document).kind === "tombstone";
  } catch {
    // Damaged: the reader, who verifies, is to say so.
    return false;
  }
}

/** Whether a tombstone is that of this very document. */
export function buries(tombstone: StoredDocument, document: SealedDocument): boolean {
  const stored = openStored(tombstone.text, tombstone);
  return stored.kind === "tombstone" && stored.removed.digest === document.digest;
}

/** The documents of the store, and what this process has learned about them. */
export class Documents {
  readonly #store: S3Store;
  readonly #keys: Keys;
  readonly #known = new Recent<string, Known>(20_000);
  /** Of versions that were put or read here: hints for `latest.json`, which is not worth a request. */
  readonly #digests = new Recent<string, Digest>(20_000);

  constructor(store: S3Store, keys: Keys) {
    this.#store = store;
    this.#keys = keys;
  }

  digest(name: PromptName, version: Version): Digest | undefined {
    return this.#digests.get(`${name}@${version}`);
  }

  learn({ name, version, digest }: SealedDocument): void {
    this.#digests.set(`${name}@${version}`, digest);
  }

  async read(name: PromptName, version: Version, op: Operation | undefined): Promise<Slot | undefined> {
    const found = await this.#store.get(this.#keys.document(name, version), op);
    return found === undefined || found === "unchanged" ? undefined : this.slotOf(name, version, found);
  }

  async readUnless(
    name: PromptName,
    version: Version,
    known: string | undefined,
    op: Operation | undefined,
  ): Promise<Slot | "unchanged" | undefined> {
    const found = await this.#store.get(this.#keys.document(name, version), op, known);
    return found === undefined || found === "unchanged" ? found : this.slotOf(name, version, found);
  }

  slotOf(name: PromptName, version: Version, { bytes, etag, metadata, modified, sound }: Stored): Slot {
    if (!isUtf8(bytes)) {
      throw new RegistryError(
        "CORRUPT",
        `${name}@${version} is damaged: its bytes are no UTF-8; restore it from a copy`,
        {
          ...{ backend: "s3", name, version, path: this.#keys.document(name, version) },
        },
      );
    }
    const document = Object.freeze({ name, version, text: bytes.toString() });
    const tombstone = isTombstone(document);
    const { digest = "", sha256 } = metadata;
    // Both stand in one object's metadata: where the bytes are those that were put, so is the digest.
    if (!tombstone && sound && sha256 !== undefined && isDigest(digest))
      this.#digests.set(`${name}@${version}`, digest);
    const { publish, attempt } = metadata;
    return { document, tombstone, etag, publish, attempt, modified };
  }

  /** Every slot of a prompt: one request a thousand. */
  async list(name: PromptName, op: Operation | undefined): Promise<ListedSlot[]> {
    const { prefix, after: start, last } = this.#keys.versions(name);
    const slots: ListedSlot[] = [];
    for (let after = start; ; ) {
      const { objects, folders, more } = await this.#store.list({ prefix, after, folders: true }, op);
      for (const { key, etag } of objects) {
        const version = this.#keys.versionOf(name, key);
        if (version !== undefined) slots.push({ version, etag });
      }
      const end = [objects.at(-1)?.key ?? "", folders.at(-1) ?? ""].sort().at(-1) as string;
      if (!more || end >= last) return slots;
      // A folder stands for all keys below it.
      after = end.endsWith("/") ? `${end.slice(0, -1)}0` : end;
    }
  }

  /**
   * Which of the listed slots hold tombstones. The head, read after the listing, names every slot that may: only where the
   * content is not the one it foretells must the slot be looked at.
   */
  async removed(
    name: PromptName,
    slots: readonly ListedSlot[],
    record: HeadRecord | undefined,
    op: Operation | undefined,
  ): Promise<ReadonlySet<Version>> {
    const doubtful: ListedSlot[] = [];
    const removed = new Set<Version>();
    for (const slot of slots) {
      if (record !== undefined && !Object.hasOwn(record.gone, slot.version)) continue;
      if (record?.gone[slot.version] === slot.etag) removed.add(slot.version);
      else doubtful.push(slot);
    }
    await Promise.all(
      doubtful.map(async (slot) => {
        if ((await this.#look(name, slot, op))?.tombstone === true) removed.add(slot.version);
      }),
    );
    return removed;
  }

  async live(name: PromptName, record: HeadRecord | undefined, op: Operation | undefined): Promise<Version[]> {
    const slots = await this.list(name, op);
    const removed = await this.removed(name, slots, record, op);
    return slots.map((slot) => slot.version).filter((version) => !removed.has(version));
  }

  /** The entries of all slots, tombstones included. */
  async entries(name: PromptName, slots: readonly ListedSlot[], op: Operation | undefined): Promise<HistoryEntry[]> {
    const known = await Promise.all(slots.map((slot) => this.#look(name, slot, op)));
    return known.flatMap((one) => (one?.entry === undefined ? [] : [one.entry]));
  }

  async #look(name: PromptName, { version, etag }: ListedSlot, op: Operation | undefined): Promise<Known | undefined> {
    const key = this.#keys.document(name, version);
    const known = this.#known.get(`${etag} ${key}`);
    if (known !== undefined) return known;
    const found = await this.#store.get(key, op);
    if (found === undefined || found === "unchanged") return undefined;
    // Damaged bytes are for `verify` to tell of.
    if (!isUtf8(found.bytes)) return { tombstone: false, entry: undefined };
    const slot = this.slotOf(name, version, found);
    const fresh = { tombstone: slot.tombstone, entry: publishEntry(slot.document) };
    this.#known.set(`${found.etag} ${key}`, fresh);
    return fresh;
  }
}
