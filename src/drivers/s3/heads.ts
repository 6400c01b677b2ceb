import { randomBytes } from "node:crypto";
import type { SealedDocument } from "../../document.ts";
import type { Operation } from "../../driver.ts";
import { isRegistryError, RegistryError, throwIfAborted } from "../../errors.ts";
import { unlessAborted } from "../../layers/signal.ts";
import type { PromptName } from "../../names.ts";
import { highestStable } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import { type Archives, KEEP_AT_MOST } from "./archives.ts";
import { buries, type Documents, type Slot } from "./documents.ts";
import type { HeadObject, HeadObjects } from "./head-objects.ts";
import type { Keys } from "./keys.ts";
import { pause, Queues, settle } from "./limiter.ts";
import { Lost } from "./lost.ts";
import {
  type Claim,
  emptyRecord,
  encodeRecord,
  type HeadRecord,
  KEPT_WRITES,
  needsListing,
  withoutClaim,
  withVersions,
} from "./record.ts";
import type { Progress, Slots } from "./slots.ts";
import { type S3Store, sha256 } from "./store.ts";

/** The record to write, or that the head is not the one that was expected, or that nothing is to be done. */
export type Plan = (now: HeadRecord | undefined) => Promise<Planned> | Planned;
type Planned = HeadRecord | "conflict" | "same";

const MAX_ROUNDS = 400;
/** How often a write is sent again of which the store says neither that it was carried out nor that it was refused. */
const MAX_DOUBTS = 7;

interface Job {
  readonly versions: Set<Version>;
  readonly done: Promise<HeadRecord>;
}

/**
 * The head objects. Each is replaced only where it is still the one that was read, in a loop; whether a write was carried
 * out is decided by reading back and looking for its id, whatever the store answered.
 */
export class Heads {
  readonly objects: HeadObjects;
  readonly lost: Lost;
  readonly #store: S3Store;
  readonly #keys: Keys;
  readonly #documents: Documents;
  readonly #slots: Slots;
  readonly #archives: Archives;
  readonly #queues = new Queues();
  readonly #jobs = new Map<PromptName, Job>();

  constructor(
    store: S3Store,
    keys: Keys,
    objects: HeadObjects,
    documents: Documents,
    slots: Slots,
    archives: Archives,
  ) {
    this.lost = new Lost(store, keys, documents, archives);
    this.objects = objects;
    this.#store = store;
    this.#keys = keys;
    this.#documents = documents;
    this.#slots = slots;
    this.#archives = archives;
  }

  /**
   * The head; of a prompt that has documents and none (its first writer was stopped between the two), one that is made
   * here, so that all readers see the same.
   */
  async loadOrHeal(name: PromptName, op?: Operation): Promise<HeadObject | undefined> {
    const object = await this.objects.load(name, op);
    if (object !== undefined) return object;
    const record = await this.lost.fromDocuments(name, op);
    if (!record.live) return undefined;
    const begun = (await this.lost.remains(name, op)) ?? record;
    const made = { ...begun, sequence: begun.sequence + 1 };
    if (this.#store.proven && !this.#store.options.readOnly) {
      try {
        const result = await this.objects.put(made, null, op);
        if (typeof result === "object") return result;
      } catch (error) {
        // Reading must go on without the right to write.
        if (!isRegistryError(error) || op?.signal?.aborted === true) throw error;
      }
    }
    // Stands for this very answer, as the ETag of a head would.
    const etag = sha256(encodeRecord(made)).toString("hex");
    return (await this.objects.load(name, op)) ?? { etag, record: made };
  }

  /** For what is answered from a listing of the documents anyway. */
  async loadOrRemains(name: PromptName, op?: Operation): Promise<HeadRecord | undefined> {
    return (await this.objects.load(name, op))?.record ?? (await this.lost.remains(name, op));
  }

  /** Lets these versions count for `latest`. What is stored is to count even where nobody waits for it any more. */
  async count(
    name: PromptName,
    versions: readonly Version[],
    op: Operation | undefined,
    progress: Progress,
  ): Promise<HeadRecord> {
    if (this.#store.conditional)
      return await unlessAborted(this.#share(name, versions, progress), op?.signal, "commit");
    // But under a lock nothing may go on when the turn is over.
    const plan = (now: HeadRecord | undefined) => withVersions(now ?? emptyRecord(name), versions);
    return (await this.move(name, plan, op, progress)) as HeadRecord;
  }

  /** Calls that wait for the same prompt share one write. */
  #share(name: PromptName, versions: readonly Version[], progress: Progress): Promise<HeadRecord> {
    const waiting = this.#jobs.get(name);
    if (waiting !== undefined) {
      for (const version of versions) waiting.versions.add(version);
      return waiting.done;
    }
    const wanted = new Set(versions);
    const done = this.#queues.run(name, async () => {
      this.#jobs.delete(name);
      const plan = (now: HeadRecord | undefined) => withVersions(now ?? emptyRecord(name), [...wanted]);
      return (await this.#loop(name, plan, undefined, progress)) as HeadRecord;
    });
    this.#jobs.set(name, { versions: wanted, done });
    return done;
  }

  /** @returns the record after the write, or `conflict` as the plan said of a head that was read after the call */
  async move(
    name: PromptName,
    plan: Plan,
    op: Operation | undefined,
    progress: Progress,
  ): Promise<HeadRecord | "conflict"> {
    return await this.#queues.run(name, () => this.#loop(name, plan, op, progress));
  }

  /** The head when no claim is under way any more. */
  async settled(name: PromptName, op: Operation | undefined, progress: Progress): Promise<HeadRecord> {
    this.objects.forget(name);
    const record = await this.move(name, () => "same", op, progress);
    return record === undefined || record === "conflict" ? emptyRecord(name) : record;
  }

  async #loop(
    name: PromptName,
    plan: Plan,
    op: Operation | undefined,
    progress: Progress,
  ): Promise<HeadRecord | "conflict"> {
    const mine = new Set<string>();
    let isFresh = this.objects.seen(name) === undefined;
    // With documents in place already there is no way back: then one failed read must not end it.
    const first = () => (progress.touched ? this.#readBack(name, op, undefined) : this.objects.load(name, op));
    let object = isFresh ? await first() : this.objects.seen(name);
    let doubts = 0;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      throwIfAborted(op?.signal, "commit");
      const claimed = object?.record.claim !== undefined ? object.record : undefined;
      const now = object?.record ?? (await this.lost.remains(name, op));
      const planned = claimed === undefined ? await plan(now) : await this.#complete(claimed, op, progress);
      if (planned === "same") return now as HeadRecord;
      if (planned === "conflict") {
        // What was remembered may be old: only the store can say that somebody was faster.
        if (isFresh) return "conflict";
        object = await this.objects.load(name, op);
        isFresh = true;
        continue;
      }
      const id = randomBytes(6).toString("base64url");
      if (claimed === undefined) mine.add(id);
      const next = await this.#number(planned, now, id, op);
      let doubt: RegistryError | undefined;
      let raced = false;
      try {
        const written = await this.objects.put(next, object?.etag ?? null, op);
        if (typeof written === "object" && claimed === undefined) return written.record;
        raced = written === "raced";
        if (typeof written === "object") {
          object = written;
          isFresh = true;
          continue;
        }
      } catch (error) {
        if (!isRegistryError(error) || error.outcome === "final") throw error;
        if (error.outcome === "unknown") progress.touched = true;
        doubt = error;
      }
      const there = await this.#readBack(name, op, doubt).catch((error: unknown) => {
        // Until it is read back even a refusal may be that of a write which was carried out before.
        if (doubt === undefined) progress.touched = true;
        throw error;
      });
      isFresh = true;
      if (there?.record.writes.some((write) => mine.has(write)) === true) return there.record;
      if (there?.etag === object?.etag) {
        // Refused although nothing has changed: some stores want the ETag as they say it, without HTTP's quotes.
        if (doubt === undefined && !raced && object !== undefined) this.#store.quoted = !this.#store.quoted;
        if (++doubts > MAX_DOUBTS || op?.signal?.aborted === true) {
          throw doubt ?? unwilling(this.#keys.head(name), this.#store.options.location);
        }
      } else if (doubt?.outcome === "unknown" && overrun(object, there)) throw doubt;
      object = there;
      await pause(round, op?.signal);
    }
    throw new RegistryError("UNAVAILABLE", `${name} is being changed by others all the time; try again`, {
      ...{ backend: "s3", name },
    });
  }

  /** Puts the documents of somebody's claim, or finds them put, and gives the record that says so. */
  async #complete(record: HeadRecord, op: Operation | undefined, progress: Progress): Promise<HeadRecord> {
    const { commit, documents } = record.claim as Claim;
    const taken = await settle(documents.map((document) => this.#slots.create(document, commit, op, { ...progress })));
    // What was put and is removed by now was put all the same.
    const isPut = (document: SealedDocument, slot: Slot | undefined) =>
      slot === undefined || (slot.tombstone && buries(slot.document, document));
    const put = documents.filter((document, i) => isPut(document, taken[i])).map((document) => document.version);
    const next = withoutClaim(record, put);
    const head = record.claim?.head;
    if (put.length < documents.length || head === undefined || !needsListing(record, head, [])) return next;
    const live = await this.#documents.live(record.name, next, op);
    return { ...next, highest: highestStable(live, head.yanked), live: live.length > 0 };
  }

  /** Numbers the write, and puts history aside that has become too long for the head. */
  async #number(
    planned: HeadRecord,
    before: HeadRecord | undefined,
    id: string,
    op: Operation | undefined,
  ): Promise<HeadRecord> {
    const writes = [id, ...(before?.writes ?? [])].slice(0, KEPT_WRITES);
    const next = { ...planned, sequence: (before?.sequence ?? 0) + 1, writes };
    return next.history.length > KEEP_AT_MOST ? await this.#archives.shorten(next, op) : next;
  }

  async #readBack(
    name: PromptName,
    op: Operation | undefined,
    doubt: RegistryError | undefined,
  ): Promise<HeadObject | undefined> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.objects.load(name, op);
      } catch (error) {
        if (!isRegistryError(error) || error.outcome === "final" || tries === 3) throw doubt ?? error;
        await pause(tries + 2, op?.signal).catch((aborted: unknown) => {
          throw doubt ?? aborted;
        });
      }
    }
  }
}

function unwilling(key: string, location: string): RegistryError {
  return new RegistryError(
    "UNAVAILABLE",
    `writing ${key}: the store refuses it although nothing has changed; run check`,
    {
      ...{ backend: "s3", location },
    },
  );
}

/** Whether so many others have written that the id of a write may no longer stand in the record. */
function overrun(before: HeadObject | undefined, now: HeadObject | undefined): boolean {
  return (now?.record.sequence ?? 0) - (before?.record.sequence ?? 0) >= KEPT_WRITES;
}
