import { createHash, randomBytes } from "node:crypto";
import type { SealedDocument } from "../../document.ts";
import type { Change, Commit, Head, HistoryEntry, Operation, Outcome, StoredDocument } from "../../driver.ts";
import { isRegistryError, RegistryError, throwIfAborted } from "../../errors.ts";
import { highestStable } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import { type Burials, LATEST_SEND_MS, openBurials, withBurial, withoutBurials } from "./burials.ts";
import { buries, type Documents, type Slot } from "./documents.ts";
import type { Heads } from "./heads.ts";
import { settle } from "./limiter.ts";
import { type Claim, emptyRecord, type HeadRecord, needsListing, revisionOf, stateOf, withVersions } from "./record.ts";
import type { Progress, Slots } from "./slots.ts";

export const MAX_DOCUMENT_BYTES = 2 ** 21;

/** One change on its way: documents, then the head, then tombstones. */
export class Writing {
  readonly #documents: Documents;
  readonly #heads: Heads;
  readonly #slots: Slots;
  readonly #commit: Commit;
  readonly #change: Change;
  readonly #op: Operation | undefined;
  readonly #progress: Progress = { touched: false };
  /** Names this try to the tombstones it sends, and to the head that tells of them. */
  readonly #attempt = randomBytes(6).toString("base64url");
  /** Tries to remove what is restored here that are over. */
  readonly #over = new Set<string>();

  constructor(
    parts: { readonly documents: Documents; readonly heads: Heads; readonly slots: Slots },
    commit: Commit,
    change: Change,
    op: Operation | undefined,
  ) {
    this.#documents = parts.documents;
    this.#heads = parts.heads;
    this.#slots = parts.slots;
    this.#commit = commit;
    this.#change = change;
    this.#op = op;
  }

  /** Never rejects: what went wrong is the outcome. */
  async run(): Promise<Outcome> {
    try {
      const invalid = problemOf(this.#change);
      if (invalid !== undefined) return { status: "failed", error: invalid };
      return await this.#apply();
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      const unsure = this.#progress.touched && error.outcome !== "unknown";
      return { status: "failed", error: unsure ? asUnknown(error) : error };
    }
  }

  async #apply(): Promise<Outcome> {
    const { name, add = [], restore = [], remove = [], head, guard } = this.#change;
    throwIfAborted(this.#op?.signal, "commit");
    if (add.length + restore.length + remove.length === 0 && head === undefined && guard === undefined) {
      return { status: "done" };
    }
    const refused = await this.#refusal();
    if (refused !== undefined) return refused;
    if ((await this.#awaitBurials()) === "conflict") return { status: "conflict", added: false };
    const guarded = guard !== undefined && add.length > 0;
    const existing = guarded ? await this.#claimed(guard) : await this.#putAll(add);
    if (existing === "conflict") return { status: "conflict", added: false };
    const taken = existing ?? (await this.#restoreAll(restore));
    if (taken !== undefined) return { status: "exists", existing: taken };
    if (guarded && restore.length + remove.length === 0) {
      return { status: "done", head: stateOf(await this.#heads.settled(name, this.#op, this.#progress)) };
    }
    if (head === undefined && guard === undefined && restore.length + remove.length === 0)
      return await this.#counted(add);
    const versions = [...add, ...restore].map((document) => document.version);
    const plan = (now: HeadRecord | undefined) => this.#next(now ?? emptyRecord(name), versions, guarded);
    const moved = await this.#heads.move(name, plan, this.#op, this.#progress).catch((error: unknown) => {
      // The head may name this try all the same, and no tombstone of it was sent.
      this.#slots.answered.set(this.#attempt, true);
      throw error;
    });
    if (moved === "conflict") {
      if (versions.length > 0) await this.#count(versions);
      return { status: "conflict", added: add.length > 0 };
    }
    this.#progress.touched = true;
    if (remove.length === 0) return { status: "done", head: stateOf(moved) };
    // By the head that stands, which need not be the last that was planned.
    const began = remove.map(({ version }) => moved.burials[version]?.[this.#attempt] ?? 0);
    const burial = { attempt: this.#attempt, notAfter: Math.min(...began) + LATEST_SEND_MS };
    await settle(
      remove.map((document) => this.#slots.bury(document, this.#commit.id, this.#op, this.#progress, burial)),
    ).finally(() => {
      if (this.#progress.heldUp !== true) this.#slots.answered.set(this.#attempt, true);
    });
    return await this.#announced(moved);
  }

  /** What can be told before anything is written. One new document alone is left to its own condition. */
  async #refusal(): Promise<Outcome | undefined> {
    const { name, add = [], restore = [], head, guard } = this.#change;
    if (guard !== undefined && !(await this.#holds(guard))) return { status: "conflict", added: false };
    const looksFirst = guard !== undefined || add.length > 1 || restore.length > 0;
    const wrong = head !== undefined && !(await this.#holds(head.expect));
    for (const document of looksFirst || wrong ? add : []) {
      const slot = await this.#documents.read(name, document.version, this.#op);
      if (slot === undefined || this.#slots.isOwn(slot, document, this.#commit.id)) continue;
      if (!slot.tombstone) await this.#heal(slot);
      return { status: "exists", existing: slot.document };
    }
    for (const document of restore) {
      const slot = await this.#documents.read(name, document.version, this.#op);
      if (slot === undefined || this.#slots.isOwn(slot, document, this.#commit.id)) continue;
      if (!slot.tombstone || !buries(slot.document, document)) return { status: "exists", existing: slot.document };
    }
    return wrong ? { status: "conflict", added: false } : undefined;
  }

  async #holds(expect: string | null): Promise<boolean> {
    const { name } = this.#change;
    const holds = (record: HeadRecord | undefined) => (record === undefined ? null : revisionOf(record)) === expect;
    const seen = this.#heads.objects.seen(name);
    // A head that was seen before may be old; that it holds is proven when it is replaced.
    if (seen !== undefined && holds(seen.record)) return true;
    const there = (await this.#heads.objects.load(name, this.#op))?.record;
    // Whoever reads a prompt whose head was lost is told what is left of it, and it need not be there again by now.
    return holds(there ?? (expect === null ? undefined : await this.#heads.lost.remains(name, this.#op)));
  }

  /**
   * Names the documents in the head before any is put: of several writers with the same guard one gets that far, and all
   * others complete its change before they look whether theirs still holds.
   */
  async #claimed(guard: string | null): Promise<StoredDocument | "conflict" | undefined> {
    const { name, add = [], head } = this.#change;
    const next = head === undefined ? {} : { head: { ...head.next, generation: 0 } };
    const claim: Claim = { commit: this.#commit.id, documents: add, entries: head?.entries ?? [], ...next };
    const plan = (now: HeadRecord | undefined): HeadRecord | "conflict" => {
      const record = now ?? emptyRecord(name);
      return revisionOf(record) === guard && !this.#isBeingBuried(record) ? { ...record, claim } : "conflict";
    };
    if ((await this.#heads.move(name, plan, this.#op, this.#progress)) === "conflict") return "conflict";
    this.#progress.touched = true;
    const slots = await settle(
      add.map((document) => this.#slots.create(document, this.#commit.id, this.#op, this.#progress)),
    );
    // Somebody may have completed the change already, and somebody else removed what it brought.
    const taken = slots.find((slot, i) => slot !== undefined && !isBuried(slot, add[i] as SealedDocument));
    if (taken === undefined) return undefined;
    await this.#heads.settled(name, this.#op, this.#progress);
    if (!taken.tombstone) await this.#heal(taken);
    return taken.document;
  }

  /** @returns what stands where one of the documents was to be created */
  async #putAll(documents: readonly SealedDocument[]): Promise<StoredDocument | undefined> {
    const results = await settle(
      documents.map((document) => this.#slots.create(document, this.#commit.id, this.#op, this.#progress)),
    );
    const taken = results.find((slot) => slot !== undefined);
    if (taken === undefined) return undefined;
    const put = documents.filter((_, i) => results[i] === undefined).map((document) => document.version);
    if (put.length > 0) await this.#count(put);
    if (!taken.tombstone) await this.#heal(taken);
    return taken.document;
  }

  async #restoreAll(documents: readonly SealedDocument[]): Promise<StoredDocument | undefined> {
    for (const document of documents) {
      const taken = await this.#slots.unbury(document, this.#commit.id, this.#op, this.#progress);
      if (taken !== undefined) return taken.document;
    }
    return undefined;
  }

  /** Versions that come back: also one whose tombstone is not in place yet, and which the head alone calls removed. */
  #comeBack(now: HeadRecord | undefined): Version[] {
    const { restore = [], head } = this.#change;
    const { yanked = {} } = now?.head ?? {};
    const isFreed = (version: Version) =>
      yanked[version]?.removed === true && head?.next.yanked[version]?.removed !== true;
    const freed = head === undefined ? [] : (Object.keys(yanked) as Version[]).filter(isFreed);
    return [...new Set([...restore.map(({ version }) => version), ...freed])];
  }

  async #awaitBurials(): Promise<"conflict" | undefined> {
    const { name, head, restore = [] } = this.#change;
    const { objects } = this.#heads;
    const load = head !== undefined && head.expect !== null;
    const known = objects.seen(name) ?? (load ? await objects.load(name, this.#op) : undefined);
    const look = async (): Promise<Burials> => (await objects.load(name, this.#op))?.record.burials ?? {};
    for (const version of this.#comeBack(known?.record)) {
      const { over, isBuried } = await this.#slots.awaitBurials({ name, version }, look, this.#op);
      for (const attempt of over) this.#over.add(attempt);
      // Whoever planned this saw the document, and has to put it back now.
      if (isBuried && !restore.some((document) => document.version === version)) return "conflict";
    }
    return undefined;
  }

  /** Whether somebody began to remove meanwhile what comes back here. */
  #isBeingBuried(now: HeadRecord): boolean {
    const at = this.#slots.now();
    const isOpen = (version: Version) => openBurials(now.burials, version, at).some((one) => !this.#over.has(one));
    return this.#comeBack(now).some(isOpen);
  }

  /** The documents are there for good; that they count may have to wait, and says so. */
  async #counted(documents: readonly SealedDocument[]): Promise<Outcome> {
    try {
      const record = await this.#count(documents.map((document) => document.version));
      return { status: "done", head: stateOf(record) };
    } catch (error) {
      if (!isRegistryError(error) || this.#op?.signal?.aborted === true) throw error;
      const what = `${this.#change.name}: stored, but latest could not be moved yet (${error.message}); the next publish or doctor --fix does it`;
      return { status: "done", warnings: [what] };
    }
  }

  /**
   * The head is written once more after the tombstones: whoever was told of it when it was moved, and looked before they
   * were in place, is told again.
   */
  async #announced(record: HeadRecord): Promise<Outcome> {
    try {
      const told = (now: HeadRecord | undefined): HeadRecord => {
        const { burials, ...rest } = now ?? record;
        return { ...rest, burials: withoutBurials(burials, this.#slots.answered) };
      };
      const after = await this.#heads.move(this.#change.name, told, this.#op, this.#progress);
      return { status: "done", head: stateOf(after === "conflict" ? record : after) };
    } catch (error) {
      if (!isRegistryError(error) || this.#op?.signal?.aborted === true) throw error;
      const what = `${this.#change.name}: removed, but the feed could not be told (${error.message}); the next change does it`;
      return { status: "done", head: stateOf(record), warnings: [what] };
    }
  }

  async #count(versions: readonly Version[]): Promise<HeadRecord> {
    this.#progress.touched = true;
    return await this.#heads.count(this.#change.name, versions, this.#op, this.#progress);
  }

  /** Somebody put this version, and may have been stopped before it counted. Whoever is told that it exists relies on it. */
  async #heal({ document: { name, version }, modified: put }: Slot): Promise<void> {
    const object = await this.#heads.objects.load(name, this.#op);
    if (object !== undefined) {
      const { record, modified = 0 } = object;
      const after = withVersions(record, [version]);
      // A head that was written later has told the feed of it, too. The store's clock shows whole seconds.
      if (modified > put && after.highest === record.highest && after.live === record.live) return;
    }
    await this.#heads.count(name, [version], this.#op, { touched: false });
  }

  /** The head as the change wants it, and what `latest` is then. */
  async #next(now: HeadRecord, versions: readonly Version[], guarded: boolean): Promise<HeadRecord | "conflict"> {
    const { name, restore = [], remove = [], guard } = this.#change;
    // A guarded head was moved together with its documents.
    const wanted = guarded ? undefined : this.#change.head;
    if (wanted !== undefined && revisionOf(now) !== wanted.expect) return "conflict";
    if (!guarded && guard !== undefined && revisionOf(now) !== guard) return "conflict";
    const advances = wanted !== undefined || (!guarded && guard !== undefined);
    const head: Head = { ...(wanted?.next ?? now.head), generation: now.head.generation + (advances ? 1 : 0) };
    const history: readonly HistoryEntry[] = wanted === undefined ? now.history : [...now.history, ...wanted.entries];
    const removed = remove.map((document) => document.version);
    const gone = { ...now.gone };
    const at = this.#slots.now();
    if (this.#isBeingBuried(now)) return "conflict";
    const back: ReadonlySet<string> = new Set(this.#comeBack(now));
    for (const { version } of restore) delete gone[version];
    const kept = Object.fromEntries(Object.entries(now.burials).filter(([version]) => !back.has(version)));
    const burials = withBurial(withoutBurials(kept, this.#slots.answered), removed, this.#attempt, at);
    for (const { version, text } of remove) gone[version] = md5(text);
    const next = withVersions({ ...now, head, history, gone, burials }, versions);
    if (!needsListing(now, head, removed)) return next;
    const there = await this.#documents.live(name, next, this.#op);
    const live = there.filter((version) => !removed.includes(version));
    return { ...next, highest: highestStable(live, head.yanked), live: live.length > 0 };
  }
}

function md5(text: string): string {
  try {
    return createHash("md5").update(text).digest("hex");
  } catch {
    // Not to be had in FIPS mode. It only saves looking at the slot.
    return "";
  }
}

function isBuried(slot: Slot, document: SealedDocument): boolean {
  return slot.tombstone && buries(slot.document, document);
}

export function asUnknown(error: RegistryError): RegistryError {
  return new RegistryError(error.code, error.message, { ...error.context, outcome: "unknown", cause: error.cause });
}

function problemOf({ name, add = [], restore = [], remove = [] }: Change): RegistryError | undefined {
  for (const { version, text } of [...add, ...restore, ...remove]) {
    if (text.length * 3 <= MAX_DOCUMENT_BYTES || Buffer.byteLength(text) <= MAX_DOCUMENT_BYTES) continue;
    const problem = `is too large to be stored; at most ${MAX_DOCUMENT_BYTES} bytes`;
    return new RegistryError("INVALID", `${name}@${version} ${problem}`, { name, version });
  }
  for (const part of [[...add, ...restore], remove]) {
    if (part.length > 1 && new Set(part.map((document) => document.version)).size < part.length) {
      return new RegistryError("INVALID", `${name}: one change holds the same version twice`, { name });
    }
  }
  return undefined;
}
