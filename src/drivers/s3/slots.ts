import type { SealedDocument } from "../../document.ts";
import type { Operation } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import { type Burials, HELD_UP_MS, openBurials } from "./burials.ts";
import { buries, type Documents, type Slot } from "./documents.ts";
import type { Keys } from "./keys.ts";
import { pause, Recent } from "./limiter.ts";
import { type S3Store, sha256 } from "./store.ts";

/** What is written down of a change while it is under way. */
export interface Progress {
  /** From here on an error no longer means that nothing happened. */
  touched: boolean;
  /** A tombstone may be on its way that no answer of the store has told of. */
  heldUp?: boolean;
}

/** A try to put tombstones. */
export interface Burial {
  readonly attempt: string;
  /** By {@link Slots.now}: what was not sent by then is not sent. */
  readonly notAfter: number;
}

/** How often a request is made again that the store refused without a reason that can be seen. */
const MAX_ROUNDS = 12;
/** How often it is looked whether a removal is over: for about two seconds. */
const MAX_LOOKS = 10;

/** Writes documents and tombstones. Each write is decided by what stands there afterwards, not by the store's answer. */
export class Slots {
  /** Tries to put tombstones of this process that have nothing under way any more. */
  readonly answered = new Recent<string, true>(10_000);
  readonly #store: S3Store;
  readonly #keys: Keys;
  readonly #documents: Documents;

  constructor(store: S3Store, keys: Keys, documents: Documents) {
    this.#store = store;
    this.#keys = keys;
    this.#documents = documents;
  }

  /** The time that the store judges requests by, in milliseconds since the epoch. */
  now(): number {
    return this.#store.now();
  }

  /** Whether an earlier try of the same commit put this very text. */
  isOwn(slot: Slot, document: SealedDocument, commit: string): boolean {
    return slot.publish === publishId(commit) && slot.document.text === document.text;
  }

  /** @returns the slot, where it is somebody else's */
  async create(
    document: SealedDocument,
    commit: string,
    op: Operation | undefined,
    progress: Progress,
  ): Promise<Slot | undefined> {
    const taken = await this.#write(document, commit, op, progress, () => null, undefined);
    if (taken === undefined) this.#documents.learn(document);
    return taken;
  }

  /** Puts a tombstone in the place of whatever document is there, or where nothing is. */
  async bury(
    tombstone: SealedDocument,
    commit: string,
    op: Operation | undefined,
    progress: Progress,
    burial: Burial,
  ): Promise<void> {
    const slot = await this.#documents.read(tombstone.name, tombstone.version, op);
    const replace = (there: Slot | undefined) => (there?.tombstone === true ? "taken" : (there?.etag ?? null));
    await this.#write(tombstone, commit, op, progress, replace, slot, burial);
  }

  /**
   * Until no tombstone can come any more that would bury what is about to come back.
   *
   * @returns the tries to remove it that are over, and whether one put its tombstone while it was waited for
   * @throws RegistryError UNAVAILABLE where one may be on its way for longer than anybody wants to wait
   */
  async awaitBurials(
    { name, version }: Pick<SealedDocument, "name" | "version">,
    look: () => Promise<Burials>,
    op: Operation | undefined,
  ): Promise<{ readonly over: readonly string[]; readonly isBuried: boolean }> {
    for (let round = 0; ; round++) {
      const burials = await look();
      const tries = Object.keys(burials[version] ?? {});
      // After the head: the tombstone that stands there tells of the one request that its try has sent.
      const slot = tries.length === 0 && round === 0 ? undefined : await this.#documents.read(name, version, op);
      const isOver = (attempt: string) => attempt === slot?.attempt || this.answered.get(attempt) === true;
      const open = openBurials(burials, version, this.now()).filter((attempt) => !isOver(attempt));
      if (open.length === 0) return { over: tries, isBuried: round > 0 && slot?.tombstone === true };
      if (round === MAX_LOOKS) {
        const began = open.map((attempt) => burials[version]?.[attempt] ?? 0);
        const left = Math.max(...began) + HELD_UP_MS - this.now();
        const what = `a removal whose request was lost may still arrive; restore it in ${Math.ceil(left / 60_000)} minutes`;
        throw new RegistryError("UNAVAILABLE", `${name}@${version}: ${what}`, {
          ...{ backend: "s3", name, version, retryAfter: left },
        });
      }
      // Most are about to say that they are over.
      await pause(round, op?.signal);
    }
  }

  /** @returns the slot, where it holds anything but the tombstone of this document */
  async unbury(
    document: SealedDocument,
    commit: string,
    op: Operation | undefined,
    progress: Progress,
  ): Promise<Slot | undefined> {
    const slot = await this.#documents.read(document.name, document.version, op);
    const replace = (there: Slot | undefined) => {
      if (there === undefined) return null;
      return there.tombstone && buries(there.document, document) ? there.etag : "taken";
    };
    const taken = await this.#write(document, commit, op, progress, replace, slot);
    if (taken === undefined) this.#documents.learn(document);
    return taken;
  }

  /** @param replace the ETag that may be replaced, `null` for an empty slot only, `taken` where nothing is to be written */
  async #write(
    document: SealedDocument,
    commit: string,
    op: Operation | undefined,
    progress: Progress,
    replace: (there: Slot | undefined) => string | null | "taken",
    first: Slot | undefined,
    burial?: Burial,
  ): Promise<Slot | undefined> {
    const { name, version } = document;
    let slot = first;
    let lost = false;
    for (let round = 0; ; round++) {
      const etag = replace(slot);
      if (slot !== undefined && (etag === "taken" || (etag === null && round > 0))) {
        return this.isOwn(slot, document, commit) ? undefined : slot;
      }
      if (burial !== undefined && this.now() > burial.notAfter) throw tooLate(document);
      // The id tells that nothing of this try is under way any more, which is not so once a request was lost.
      const doubt = await this.#put(document, commit, etag, op, lost ? undefined : burial?.attempt);
      if (doubt === "stored") {
        progress.touched = true;
        return undefined;
      }
      const unsure = typeof doubt === "object" && doubt.outcome === "unknown";
      const before = slot;
      try {
        slot = await this.#documents.read(name, version, op);
      } catch (error) {
        // A refusal too is only believed once it was read back: stores refuse what they carried out before.
        if (unsure || typeof doubt === "string") progress.touched = true;
        if (unsure && burial !== undefined) progress.heldUp = true;
        throw unsure ? doubt : error;
      }
      if (unsure && burial !== undefined && (lost || slot?.attempt !== burial.attempt)) {
        lost = true;
        progress.heldUp = true;
      }
      if (slot !== undefined && this.isOwn(slot, document, commit)) {
        progress.touched = true;
        return undefined;
      }
      // Whatever stands there now that was not there before: our own write can no longer replace it.
      if (slot?.etag !== before?.etag) continue;
      // It may arrive yet, whatever becomes of the other documents of this change.
      if (unsure) progress.touched = true;
      if (typeof doubt === "object") throw doubt;
      // Refused although nothing has changed: a race that nobody won (409), or an ETag that is wanted without quotes.
      if (round >= MAX_ROUNDS) throw this.#unwilling(document);
      if (slot !== undefined && doubt === "refused") this.#store.quoted = !this.#store.quoted;
      await pause(round, op?.signal);
    }
  }

  async #put(
    document: SealedDocument,
    commit: string,
    etag: string | null,
    op: Operation | undefined,
    attempt: string | undefined,
  ): Promise<"stored" | "refused" | "raced" | RegistryError> {
    const { name, version, text, digest } = document;
    try {
      const result = await this.#store.put(
        {
          key: this.#keys.document(name, version),
          body: text,
          contentType: "text/markdown; charset=utf-8",
          cacheControl: "public, max-age=31536000, immutable",
          expect: { etag },
          metadata: { digest, publish: publishId(commit), ...(attempt === undefined ? {} : { attempt }) },
          storageClass: this.#store.options.storageClass,
        },
        op,
      );
      return result.status === "refused" && result.raced === true ? "raced" : result.status;
    } catch (error) {
      if (isRegistryError(error) && error.outcome !== "final") return error;
      throw error;
    }
  }

  #unwilling({ name, version }: SealedDocument): RegistryError {
    const { location } = this.#store.options;
    return new RegistryError(
      "UNAVAILABLE",
      `writing ${name}@${version}: the store refuses it although nothing is there`,
      {
        ...{ backend: "s3", name, version, location },
      },
    );
  }
}

function tooLate({ name, version }: SealedDocument): RegistryError {
  return new RegistryError("UNAVAILABLE", `removing ${name}@${version}: was held up for too long; try again`, {
    ...{ backend: "s3", name, version, outcome: "temporary" as const },
  });
}

/** A commit's id as a header can carry it. */
export function publishId(commit: string): string {
  return /^[\x21-\x7e]{1,128}$/.test(commit) ? commit : sha256(commit).toString("hex");
}
