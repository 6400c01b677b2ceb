import { randomBytes } from "node:crypto";
import type { Operation } from "../../driver.ts";
import { isRegistryError, RegistryError, throwIfAborted } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import { highestStable } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import { type Archives, KEEP_AT_MOST } from "./archives.ts";
import type { Documents } from "./documents.ts";
import type { Keys } from "./keys.ts";
import { pause, Queues, Recent } from "./limiter.ts";
import type { Projector } from "./projector.ts";
import {
  type Claim,
  decodeRecord,
  emptyRecord,
  encodeRecord,
  type HeadRecord,
  KEPT_WRITES,
  needsListing,
  withoutClaim,
  withVersions,
} from "./record.ts";
import type { Progress, Slots } from "./slots.ts";
import type { S3Store } from "./store.ts";

export interface HeadObject {
  readonly etag: string;
  readonly record: HeadRecord;
}

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
  readonly #store: S3Store;
  readonly #keys: Keys;
  readonly #documents: Documents;
  readonly #slots: Slots;
  readonly #archives: Archives;
  readonly #projector: Projector;
  /** As last seen. Never an answer by itself: it saves a read where an ETag proves that it stands. */
  readonly #seen = new Recent<PromptName, HeadObject>(20_000);
  readonly #queues = new Queues();
  readonly #jobs = new Map<PromptName, Job>();

  constructor(
    store: S3Store,
    keys: Keys,
    documents: Documents,
    slots: Slots,
    archives: Archives,
    projector: Projector,
  ) {
    this.#store = store;
    this.#keys = keys;
    this.#documents = documents;
    this.#slots = slots;
    this.#archives = archives;
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
    if (before?.etag === found.etag && found.sound) return before;
    if (!found.sound) {
      throw new RegistryError("CORRUPT", `the head ${key} is damaged; restore it from a copy or an older version`, {
        ...{ backend: "s3", name, path: key },
      });
    }
    const object = { etag: found.etag, record: decodeRecord(found.bytes, name, key) };
    this.#keep(name, object);
    return object;
  }

  /**
   * The head; of a prompt that has documents and none (its first writer was stopped between the two), one that is made
   * here, so that all readers see the same.
   */
  async loadOrHeal(name: PromptName, op?: Operation): Promise<HeadObject | undefined> {
    const object = await this.load(name, op);
    if (object !== undefined) return object;
    const live = await this.#documents.live(name, undefined, op);
    if (live.length === 0) return undefined;
    const made = { ...emptyRecord(name), live: true, highest: highestStable(live, {}), sequence: 1 };
    if (this.#store.proven && !this.#store.options.readOnly) {
      try {
        const result = await this.#put(made, null, op);
        if (typeof result === "object") return result;
      } catch (error) {
        // Reading must go on without the right to write.
        if (!isRegistryError(error) || op?.signal?.aborted === true) throw error;
      }
    }
    return (await this.load(name, op)) ?? { etag: "", record: made };
  }

  /** Lets these versions count for `latest`. Calls that wait for the same prompt share one write. */
  count(name: PromptName, versions: readonly Version[], progress: Progress): Promise<HeadRecord> {
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
    this.#seen.delete(name);
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
    let isFresh = this.#seen.get(name) === undefined;
    // With documents in place already there is no way back: then one failed read must not end it.
    const first = () => (progress.touched ? this.#readBack(name, op, undefined) : this.load(name, op));
    let object = isFresh ? await first() : this.#seen.get(name);
    let doubts = 0;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      throwIfAborted(op?.signal, "commit");
      const claimed = object?.record.claim !== undefined ? object.record : undefined;
      const planned = claimed === undefined ? await plan(object?.record) : await this.#complete(claimed, op, progress);
      if (planned === "same") return object?.record as HeadRecord;
      if (planned === "conflict") {
        // What was remembered may be old: only the store can say that somebody was faster.
        if (isFresh) return "conflict";
        object = await this.load(name, op);
        isFresh = true;
        continue;
      }
      const id = randomBytes(6).toString("base64url");
      if (claimed === undefined) mine.add(id);
      const next = await this.#number(planned, object?.record, id, op);
      let doubt: RegistryError | undefined;
      let raced = false;
      try {
        const written = await this.#put(next, object?.etag ?? null, op);
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
      const now = await this.#readBack(name, op, doubt);
      isFresh = true;
      if (now?.record.writes.some((write) => mine.has(write)) === true) return now.record;
      if (now?.etag === object?.etag) {
        // Refused although nothing has changed: some stores want the ETag as they say it, without HTTP's quotes.
        if (doubt === undefined && !raced && object !== undefined) this.#store.quoted = !this.#store.quoted;
        if (++doubts > MAX_DOUBTS || op?.signal?.aborted === true) {
          throw doubt ?? unwilling(this.#keys.head(name), this.#store.options.location);
        }
      } else if (doubt?.outcome === "unknown" && overrun(object, now)) throw doubt;
      object = now;
      await pause(round, op?.signal);
    }
    throw new RegistryError("UNAVAILABLE", `${name} is being changed by others all the time; try again`, {
      ...{ backend: "s3", name },
    });
  }

  /** Puts the documents of somebody's claim, or finds them put, and gives the record that says so. */
  async #complete(record: HeadRecord, op: Operation | undefined, progress: Progress): Promise<HeadRecord> {
    const { commit, documents } = record.claim as Claim;
    const taken = await Promise.all(
      documents.map((document) => this.#slots.create(document, commit, op, { ...progress })),
    );
    const put = documents.filter((_, i) => taken[i] === undefined).map((document) => document.version);
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
        return await this.load(name, op);
      } catch (error) {
        if (!isRegistryError(error) || error.outcome === "final" || tries === 3) throw doubt ?? error;
        await pause(tries + 2, op?.signal).catch((aborted: unknown) => {
          throw doubt ?? aborted;
        });
      }
    }
  }

  async #put(
    record: HeadRecord,
    etag: string | null,
    op: Operation | undefined,
  ): Promise<HeadObject | "refused" | "raced"> {
    const { name } = record;
    const body = encodeRecord(record);
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
    this.#keep(name, object);
    this.#projector.note(stored);
    return object;
  }

  #keep(name: PromptName, object: HeadObject): void {
    const before = this.#seen.get(name);
    if (before === undefined || before.record.sequence <= object.record.sequence) this.#seen.set(name, object);
  }

  forget(): void {
    this.#seen.clear();
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
