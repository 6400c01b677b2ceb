import { randomUUID } from "node:crypto";
import type { SealedDocument } from "../document.ts";
import type { Change, Operation, Outcome, StorageDriver } from "../driver.ts";
import { isRegistryError, RegistryError, throwIfAborted } from "../errors.ts";
import type { PromptName } from "../names.ts";
import { backOff } from "../registry/write.ts";
import type { Version } from "../semver.ts";
import { isEmptyPlan, type PlanOptions, planTransfer, type TransferPlan } from "./plan.ts";
import { type FoundText, type PromptState, readState, readTexts } from "./state.ts";

/** What a prompt is copied from. */
export interface PromptSource {
  readonly state: PromptState;
  /** The texts of some versions, in ascending order. Called at most once. */
  texts(versions: ReadonlySet<Version>): AsyncIterable<SealedDocument>;
}

export interface ApplyOptions {
  readonly mode?: PlanOptions["mode"];
  readonly dryRun: boolean;
  readonly op: Operation;
}

export interface Applied {
  readonly plan: TransferPlan;
  /** What was written, all rounds together. */
  readonly done: Pick<TransferPlan, "name" | "add" | "remove" | "restore" | "head">;
}

/** UTF-8 bytes of documents that one commit carries, about. */
const COMMIT_BYTES = 8 * 2 ** 20;
const MAX_COMMIT_DOCUMENTS = 256;
const MAX_ROUNDS = 20;
// A storage that is away is asked a few times; running it all again later is as good.
const MAX_TRIES = 4;

/**
 * Brings one prompt to the target. Documents go first where they are too many for one commit; the last commit carries the
 * rest with head and tombstones. Whoever was faster is looked at again.
 *
 * @throws RegistryError what the storage has to say; nothing that a second run would not finish
 */
export async function applyPrompt(
  source: PromptSource,
  target: StorageDriver,
  before: PromptState,
  committer: Committer,
  options: ApplyOptions,
): Promise<Applied> {
  const { name } = source.state;
  const planOptions: PlanOptions = {
    maxDocumentBytes: target.capabilities.maxDocumentBytes,
    ...(options.mode === undefined ? {} : { mode: options.mode }),
  };
  let state = before;
  let plan = planTransfer(source.state, state, planOptions);
  if (options.dryRun || isEmptyPlan(plan)) return { plan, done: plan };
  const written = { add: [] as TransferPlan["add"][number][] };
  const kept = new Map<Version, SealedDocument>();
  const additions = new Map(plan.add.map((slot) => [slot.version, slot]));
  const wanted = new Set([...plan.add, ...plan.remove, ...plan.restore].map((slot) => slot.version));
  let ready: SealedDocument[] = [];
  let bytes = 0;
  let moved = false;
  for await (const document of source.texts(wanted)) {
    const slot = additions.get(document.version);
    if (slot === undefined) {
      kept.set(document.version, document);
      continue;
    }
    if (ready.length > 0 && (bytes + slot.size > COMMIT_BYTES || ready.length >= MAX_COMMIT_DOCUMENTS)) {
      const added = await addEarly(committer, name, ready);
      written.add.push(...added.map((d) => additions.get(d.version) as TransferPlan["add"][number]));
      if (added.length < ready.length) moved = true;
      ready = [];
      bytes = 0;
    }
    ready.push(document);
    bytes += slot.size;
  }
  for (const document of ready) kept.set(document.version, document);
  const early = new Set(written.add.map((slot) => slot.version));
  const lookAgain = async () => {
    state = await readState(target, name, { op: options.op });
    plan = planTransfer(source.state, state, planOptions);
    return plan;
  };
  // A head must not point to what somebody else put there, or nobody did.
  let final: TransferPlan = moved
    ? await lookAgain()
    : { ...plan, add: plan.add.filter((slot) => !early.has(slot.version)) };
  let tries = 0;
  for (let round = 0; ; round++) {
    // A plan that became impossible meanwhile says why; what was written is still written.
    if (isEmptyPlan(final)) return { plan, done: { ...final, add: written.add } };
    const outcome = await committer.commit(changeOf(final, state, kept));
    if (outcome.status === "done") {
      return { plan, done: { ...final, add: [...written.add, ...final.add] } };
    }
    if (outcome.status === "failed" && outcome.error.outcome === "final") throw outcome.error;
    if (outcome.status === "failed" && ++tries >= MAX_TRIES) throw outcome.error;
    if (round >= MAX_ROUNDS) throw busy(name);
    await backOff(round);
    throwIfAborted(options.op.signal, "copy");
    final = await lookAgain();
  }
}

/** @returns the documents that were surely written here and now; for the others the target has to be looked at again */
async function addEarly(
  committer: Committer,
  name: PromptName,
  documents: readonly SealedDocument[],
): Promise<readonly SealedDocument[]> {
  // One by one where somebody else is adding the same: the last look decides what that means.
  const outcome = await committer.commit({ name, add: documents });
  if (outcome.status === "done") return documents;
  const added: SealedDocument[] = [];
  for (const document of documents) {
    for (let tries = 1; ; tries++) {
      const single = await committer.commit({ name, add: [document] });
      if (single.status === "done") added.push(document);
      if (single.status !== "failed") break;
      // Its text is not held any longer than this, so it can't be left for later.
      if (single.error.outcome === "final" || tries >= MAX_TRIES) throw single.error;
      await backOff(tries);
    }
  }
  return added;
}

function changeOf(plan: TransferPlan, target: PromptState, texts: ReadonlyMap<Version, SealedDocument>): Change {
  const pick = (slots: TransferPlan["add"]) =>
    slots.map((slot) => {
      const document = texts.get(slot.version);
      if (document !== undefined) return document;
      throw new RegistryError("CONFLICT", `${plan.name}@${slot.version} changed while it was copied; run it again`, {
        name: plan.name,
        version: slot.version,
        outcome: "temporary",
      });
    });
  return {
    name: plan.name,
    ...(plan.add.length === 0 ? {} : { add: pick(plan.add) }),
    ...(plan.head === undefined
      ? {}
      : { head: { expect: target.revision, next: plan.head.next, entries: plan.head.entries } }),
    ...(plan.remove.length === 0 ? {} : { remove: pick(plan.remove) }),
    ...(plan.restore.length === 0 ? {} : { restore: pick(plan.restore) }),
  };
}

function busy(name: PromptName): RegistryError {
  return new RegistryError("CONFLICT", `${name} is being changed by others all the time; run it again`, {
    name,
    outcome: "temporary",
  });
}

/** The texts of a prompt in a storage; those that the state kept are not read again. */
export function textsOf(
  driver: StorageDriver,
  state: PromptState,
  op: Operation,
): (versions: ReadonlySet<Version>) => AsyncGenerator<SealedDocument, void, undefined> {
  return async function* texts(versions) {
    const { name, slots } = state;
    let unread: Version[] = [];
    const read = async function* (): AsyncGenerator<SealedDocument, void, undefined> {
      for await (const found of readTexts(driver, name, unread, op)) {
        if ("error" in found) throw found.error;
        requireSame(found, state);
        yield found.document;
      }
      unread = [];
    };
    for (const [version, { text, digest }] of slots) {
      if (!versions.has(version)) continue;
      if (text === undefined) {
        unread.push(version);
        continue;
      }
      yield* read();
      yield { name, version, text, digest };
    }
    yield* read();
  };
}

function requireSame(found: FoundText, { name, slots }: PromptState): void {
  if (slots.get(found.version)?.digest === found.document.digest) return;
  throw new RegistryError("CONFLICT", `${name}@${found.version} changed while it was copied; run it again`, {
    name,
    version: found.version,
    outcome: "temporary",
  });
}

export interface CommitterOptions {
  readonly author?: string | undefined;
  readonly message: string;
  readonly op: Operation;
  readonly now?: (() => Date) | undefined;
  /** How many callers wait at most; when that many do, nobody else can join. */
  readonly width: number;
}

interface Waiting {
  readonly change: Change;
  readonly size: number;
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

/**
 * Puts the changes of several prompts into one commit where they come at the same time: a remote store pays per commit.
 * What may be tried again is an outcome of each change; the rest is thrown.
 */
export class Committer {
  readonly #driver: StorageDriver;
  readonly #options: CommitterOptions;
  #queue: Waiting[] = [];
  #scheduled = false;

  constructor(driver: StorageDriver, options: CommitterOptions) {
    this.#driver = driver;
    this.#options = options;
  }

  commit(change: Change): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const documents = [...(change.add ?? []), ...(change.restore ?? []), ...(change.remove ?? [])];
      const size = documents.reduce((sum, d) => sum + d.text.length, 0);
      this.#queue.push({ change, size, resolve, reject });
      if (this.#queue.length >= this.#options.width) this.#flush();
      else if (!this.#scheduled) {
        this.#scheduled = true;
        // A few turns let the readers that are nearly done join.
        setTimeout(() => this.#flush(), 1);
      }
    });
  }

  #flush(): void {
    this.#scheduled = false;
    const queue = this.#queue;
    this.#queue = [];
    const { maxBatch } = this.#driver.capabilities;
    let part: Waiting[] = [];
    let size = 0;
    const names = new Set<string>();
    const send = () => {
      if (part.length > 0) void this.#send(part);
      part = [];
      size = 0;
      names.clear();
    };
    for (const waiting of queue) {
      if (part.length >= maxBatch || (part.length > 0 && size + waiting.size > COMMIT_BYTES)) send();
      // A commit holds at most one change of a prompt.
      if (names.has(waiting.change.name)) send();
      names.add(waiting.change.name);
      part.push(waiting);
      size += waiting.size;
    }
    send();
  }

  async #send(part: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await this.#try(part.map((w) => w.change));
      for (const [i, waiting] of part.entries()) {
        const outcome = outcomes[i];
        if (outcome === undefined) throw new RegistryError("INTERNAL", "the driver gave too few outcomes");
        waiting.resolve(outcome);
      }
    } catch (error) {
      for (const waiting of part) waiting.reject(error);
    }
  }

  async #try(changes: readonly Change[]): Promise<readonly Outcome[]> {
    const { author, message, op, now = () => new Date() } = this.#options;
    try {
      const by = author === undefined ? {} : { by: author };
      return await this.#driver.commit({ id: randomUUID(), at: now().toISOString(), ...by, message, changes }, op);
    } catch (error) {
      if (!isRegistryError(error) || error.outcome === "final" || error.code === "ABORTED") throw error;
      // Each change is planned anew from what is there then, so an outcome that nobody knows needs no asking.
      return changes.map(() => ({ status: "failed", error }));
    }
  }
}
