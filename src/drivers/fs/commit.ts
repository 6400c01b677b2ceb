import { type Change, type Commit, EMPTY_HEAD, type Head, type Outcome } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import type { Label, PromptName } from "../../names.ts";
import { labelTarget } from "../../rules/latest.ts";
import { appendGeneration, generationText, settledState } from "./chain.ts";
import { NotCreated, probeLinks, type Temp } from "./create.ts";
import { failure } from "./failure.ts";
import { filesIn, MAX_FILE_BYTES } from "./files.ts";
import { closeFolder, ensureFolders, ensureRoot, openFolder, promptPath, refused, syncWays } from "./folder.ts";
import type { Reservation } from "./generations.ts";
import { checkHeadFile } from "./head-file.ts";
import { LATEST_FILE } from "./layout.ts";
import { adoptFlat } from "./legacy.ts";
import { touchChanged } from "./names.ts";
import { show, showAdded } from "./projections.ts";
import { scanOf } from "./scan.ts";
import { discardAll, firstTaken, linkAll, type Writing, writeTemps } from "./slots.ts";
import type { PromptState } from "./state.ts";
import { at, type Store } from "./store.ts";
import { all, call, type Task } from "./task.ts";
import { callOff, comingBack, firstKept, putBack, putTombstones, restoreDocuments } from "./tombstones.ts";

/** Said of a change that is committed although its links could not be brought up to date. */
const POINTER_PENDING = ["pointerPending"];

export function* commitAll(store: Store, commit: Commit): Task<Outcome[]> {
  const root = yield* ensureRoot(store);
  let made: ReadonlySet<string> = new Set();
  if (commit.changes.length > 1) {
    try {
      // Together, so that a folder many prompts come into is synced once.
      made = yield* ensureFolders(store, root, namesOf(commit.changes));
    } catch {
      // Each change tries again for itself: what stops one need not stop the others.
    }
  }
  const settled = yield* all(commit.changes.map((change) => applyChange(store, root, commit, change, made)));
  return settled.map((one) =>
    one.ok ? one.value : { status: "failed", error: failure(one.error, "commit", {}, "unknown") },
  );
}

function namesOf(changes: readonly Change[]): PromptName[] {
  return changes.map((change) => change.name);
}

function* applyChange(
  store: Store,
  root: string,
  commit: Commit,
  change: Change,
  made: ReadonlySet<string>,
): Task<Outcome> {
  const { name } = change;
  const path = promptPath(root, name);
  let writing: Writing | undefined;
  try {
    checkSizes(change);
    let fresh = made.has(name);
    let folder = yield* openFolder(store, root, path);
    if (folder === undefined) {
      fresh = (yield* ensureFolders(store, root, [name])).has(name);
      folder = yield* openFolder(store, root, path);
    }
    if (folder === undefined) throw refused(path, "vanished while it was written to");
    store.inhabited = true;
    writing = { store, root, commit, change, folder, fresh, visible: false };
    // What is written now may be what makes the prompt show up in lists.
    const appears = fresh || (yield* call("lstat", `${folder.at}/${LATEST_FILE}`)) === undefined;
    if (appears) yield* prepareFolder(writing);
    const plain = change.guard === undefined && change.head === undefined && change.restore === undefined;
    return plain && change.remove === undefined
      ? yield* applyPlain(writing, appears)
      : yield* applyFull(writing, appears);
  } catch (error) {
    const cause = error instanceof NotCreated ? error.error : error;
    const surely = error instanceof NotCreated || writing?.visible !== true;
    return {
      status: "failed",
      error: failure(cause, `${name} can't be written`, at(name), surely ? undefined : "unknown"),
    };
  } finally {
    store.states.delete(name);
    if (writing !== undefined) yield* closeFolder(writing.folder);
  }
}

function checkSizes({ name, add = [], remove = [], restore = [] }: Change): void {
  for (const { version, text } of [...add, ...remove, ...restore]) {
    if (text.length * 3 <= MAX_FILE_BYTES || Buffer.byteLength(text) <= MAX_FILE_BYTES) continue;
    throw new RegistryError(
      "INVALID",
      `${name}@${version} is too large: at most ${MAX_FILE_BYTES} bytes can be stored`,
      {
        ...at(name),
        version,
        field: "text",
      },
    );
  }
}

/**
 * A folder that holds a version was made durable, with all above it, by whoever put that there. One that does not may have
 * been made by somebody who did not come to it, or died. And in its stead a flat file of old may have counted.
 */
function* prepareFolder({ store, root, change, folder, fresh }: Writing): Task<void> {
  if (!fresh) {
    const scan = scanOf((yield* filesIn(folder.at, at(change.name))) ?? []);
    if (scan.versions.size > 0) return;
    yield* syncWays(store, root, new Map([[change.name, undefined]]));
  }
  yield* adoptFlat(store, root, change.name, folder);
}

/** Documents only: no head is read, none is written. */
function* applyPlain(writing: Writing, appears: boolean): Task<Outcome> {
  const { change, folder, fresh, store, root } = writing;
  const documents = change.add ?? [];
  if (documents.length === 0) return { status: "done" };
  const taken = yield* firstTaken(writing, documents, documents.length > 1);
  if (taken !== undefined) return { status: "exists", existing: taken.document };
  const temps = yield* writeTemps(writing, documents, store.hardLinks === false);
  const existing = yield* linkAll(writing, documents, temps);
  if (existing !== undefined) return { status: "exists", existing: existing.document };
  try {
    const versions = documents.map((document) => document.version);
    const head = yield* showAdded(store, root, change.name, folder, versions, fresh);
    yield* touchChanged(root, appears);
    return { status: "done", ...(head === undefined ? {} : { head }) };
  } catch {
    return { status: "done", warnings: POINTER_PENDING };
  }
}

/** Everything that needs the head: guard, then documents, then the head, then tombstones. */
function* applyFull(writing: Writing, appears: boolean): Task<Outcome> {
  const { store, root, change, commit, folder } = writing;
  const { name, guard, head } = change;
  const documents = change.add ?? [];
  const state = yield* settledState(store, root, name, folder);
  const revision = state?.state.revision ?? null;
  if (guard !== undefined && guard !== revision) return { status: "conflict", added: false };
  const inTheWay = (yield* firstTaken(writing, documents, true)) ?? (yield* firstKept(writing, change.restore ?? []));
  if (inTheWay !== undefined) return { status: "exists", existing: inTheWay.document };
  if (head !== undefined && head.expect !== revision) return { status: "conflict", added: false };
  if (state !== undefined) yield* checkHeadFile(store, root, folder.path, state);
  const generation = state?.loaded.generation ?? 0;
  const before: Head = state?.state.head ?? EMPTY_HEAD;
  // Before anything can be seen: from here on whatever a remover buries of it is put back.
  const back = yield* comingBack(writing, before, head?.next ?? before);
  if (back === "buried") return { status: "conflict", added: false };
  // Without documents a head of the same change is guarded by its own compare-and-set.
  const reserves = guard !== undefined && (documents.length > 0 || head === undefined);
  const base = generation + (reserves ? 1 : 0);
  const under = reserves && state !== undefined ? chained(state) : state;
  const next = head && {
    record: { name, head: { ...head.next, generation: base + 1 }, history: head.entries },
    ...{ commit: commit.id, adds: [] },
  };
  // Before anything can be seen: a head that could not be read back is refused.
  const text = next && (yield* generationText(store, root, folder, under, next));
  const boxed =
    guard === undefined || documents.length === 0 ? store.hardLinks === false : !(yield* probeLinks(store, folder));
  const temps = yield* writeTemps(writing, documents, boxed);
  if (reserves) {
    const adds = documents.map(
      ({ version, digest }, i): Reservation => ({ version, digest, temp: (temps[i] as Temp).file }),
    );
    const record = { name, head: { ...before, generation: generation + 1 }, history: [] };
    let reserved: "created" | "exists" | undefined;
    try {
      reserved = yield* appendGeneration(store, root, folder, state, { record, commit: commit.id, adds });
    } catch (error) {
      // Announced or not, nobody knows: then the files must stay for whoever completes it.
      if (error instanceof NotCreated) yield* discardAll(writing, temps);
      else writing.visible = true;
      throw error;
    }
    if (reserved === "exists") {
      yield* discardAll(writing, temps);
      return { status: "conflict", added: false };
    }
    writing.visible = true;
  }
  const existing = yield* linkAll(writing, documents, temps);
  if (existing !== undefined) return { status: "exists", existing: existing.document };
  const refusedRestore = yield* restoreDocuments(writing, change.restore ?? []);
  if (refusedRestore !== undefined) return { status: "exists", existing: refusedRestore.document };
  const added = documents.length > 0 || (change.restore ?? []).length > 0;
  yield* callOff(writing, "bury", back);
  if (next !== undefined) {
    try {
      const status = yield* appendGeneration(store, root, folder, under, next, text);
      if (status === "exists") return { status: "conflict", added };
    } catch (error) {
      if (error instanceof NotCreated && writing.visible) throw error.error;
      if (!(error instanceof NotCreated)) writing.visible = true;
      throw error;
    }
    writing.visible = true;
  }
  const newest = next?.record.head.generation ?? base;
  // Again: somebody may have begun before the head was moved.
  yield* callOff(writing, "bury", back);
  yield* putBack(writing, back, newest);
  yield* putTombstones(writing, change.remove ?? [], head?.next ?? before, newest);
  return yield* finish(writing, before, head?.next, appears);
}

/** After a reservation there surely is a chain. */
function chained(state: PromptState): PromptState {
  return { ...state, loaded: { ...state.loaded, source: "chain" } };
}

function* finish(
  writing: Writing,
  before: Head,
  next: Omit<Head, "generation"> | undefined,
  appears: boolean,
): Task<Outcome> {
  const { store, root, change, folder } = writing;
  try {
    const moved = next === undefined ? [] : movedLabels(before, next);
    const comesOrGoes = appears || change.remove !== undefined || change.restore !== undefined;
    const { state } = yield* show(store, root, change.name, folder, moved);
    yield* touchChanged(root, comesOrGoes);
    return { status: "done", head: state };
  } catch {
    return { status: "done", warnings: POINTER_PENDING };
  }
}

function movedLabels(before: Head, next: Omit<Head, "generation">): Label[] {
  const labels = [...new Set([...Object.keys(before.labels), ...Object.keys(next.labels)])] as Label[];
  return labels.filter((label) => labelTarget(before, label) !== labelTarget(next, label));
}
