import { randomUUID } from "node:crypto";
import { openStored, type SealedDocument } from "../../document.ts";
import type { Head } from "../../driver.ts";
import type { Version } from "../../semver.ts";
import { createOnly, discard, NotCreated, writeLoose, writeTemp } from "./create.ts";
import { readVersion, type StoredVersion } from "./documents.ts";
import { errno } from "./failure.ts";
import { syncFolder } from "./folder.ts";
import {
  generationFile,
  HEADS_DIR,
  isPending,
  oldVersionFile,
  type Pending,
  pendingFile,
  removedMark,
  versionFile,
} from "./layout.ts";
import { takenSlot, type Writing } from "./slots.ts";
import { loadState } from "./state.ts";
import { call, type Task } from "./task.ts";

interface Slot {
  readonly file: string;
  readonly stored: StoredVersion | undefined;
}

function* slotOf({ store, root, change, folder }: Writing, version: Version): Task<Slot> {
  for (const file of [versionFile(version), oldVersionFile(version)]) {
    const stored = yield* readVersion(store, root, change.name, version, `${folder.path}/${file}`);
    if (stored !== undefined) return { file, stored };
  }
  return { file: versionFile(version), stored: undefined };
}

/** Renames over what is there. Only for a slot that was just seen to hold what may be replaced. */
function* replace(
  writing: Writing,
  { text, file, temp: name }: { readonly text: string; readonly file: string; readonly temp: string },
  stillFits: () => Task<boolean>,
): Task<boolean> {
  const { folder } = writing;
  const temp = yield* writeTemp(folder, text, false, name);
  try {
    if (!(yield* stillFits())) return false;
    writing.visible = true;
    try {
      yield* call("rename", `${folder.at}/${temp.file}`, `${folder.at}/${file}`);
    } catch (error) {
      // It was taken away, see `callOff`.
      if (errno(error) === "ENOENT" && (yield* call("lstat", `${folder.at}/${temp.file}`)) === undefined) return false;
      throw error;
    }
    return true;
  } finally {
    yield* discard(folder, temp);
  }
}

function* fill(writing: Writing, document: SealedDocument): Task<"created" | "exists"> {
  const { store, folder } = writing;
  const temp = yield* writeTemp(folder, document.text, store.hardLinks === false);
  try {
    return yield* createOnly(store, folder, temp, versionFile(document.version));
  } catch (error) {
    if (error instanceof NotCreated) throw error.error;
    writing.visible = true;
    throw error;
  } finally {
    yield* discard(folder, temp);
  }
}

/**
 * Puts tombstones in the place of documents. One that is there stays: the first removal is the one that happened. So does a
 * version that somebody has restored since: it was removed when the head said so, and no longer is.
 *
 * @param head says that they are removed
 * @param generation of that head
 */
export function* putTombstones(
  writing: Writing,
  tombstones: readonly SealedDocument[],
  head: Pick<Head, "yanked">,
  generation: number,
): Task<void> {
  const { folder } = writing;
  let last = generation;
  yield* callOff(
    writing,
    "unbury",
    tombstones.filter(({ version }) => head.yanked[version]?.removed === true),
  );
  for (const tombstone of tombstones) {
    const { version } = tombstone;
    const known = head.yanked[version]?.removed === true;
    // Written ahead, so that a list that can't tell a tombstone by its name knows where to look.
    if (!known) yield* mark(writing, version);
    for (let done = false; !done; ) {
      const said: number | undefined = known ? yield* removedAt(writing, version, last) : last;
      if (said === undefined) break;
      last = said;
      const { file, stored } = yield* slotOf(writing, version);
      if (stored?.tombstone === true) break;
      if (stored === undefined) done = (yield* fill(writing, tombstone)) === "created";
      else {
        const temp = pendingFile("bury", version, randomUUID());
        done = yield* replace(writing, { text: tombstone.text, file, temp }, function* () {
          if ((yield* slotOf(writing, version)).stored?.tombstone !== false) return false;
          // Last of all: of a document that is still there, only the head tells that it was restored.
          return !known || !(yield* isOvertaken(writing, said));
        });
      }
    }
  }
  if (tombstones.length > 0) yield* syncFolder(folder);
}

function* isOvertaken({ folder }: Writing, generation: number): Task<boolean> {
  const next = `${folder.at}/${HEADS_DIR}/${generationFile(generation + 1)}`;
  return (yield* call("lstat", next)) !== undefined;
}

/** Generation of the newest head, which most often is the one known; `undefined` when it does not call the version removed. */
function* removedAt(writing: Writing, version: Version, generation: number): Task<number | undefined> {
  if (!(yield* isOvertaken(writing, generation))) return generation;
  const { store, root, change, folder } = writing;
  const state = yield* loadState(store, root, change.name, folder.at);
  return state?.state.head.yanked[version]?.removed === true ? state.loaded.generation : undefined;
}

function* mark({ folder }: Writing, version: Version): Task<void> {
  const temp = yield* writeLoose(folder, "");
  yield* call("rename", `${folder.at}/${temp.file}`, `${folder.at}/${removedMark(version)}`);
}

/** What is in the way of the first that can't be restored. */
export function* firstKept(writing: Writing, documents: readonly SealedDocument[]): Task<StoredVersion | undefined> {
  for (const document of documents) {
    const { file, stored } = yield* slotOf(writing, document.version);
    if (stored !== undefined && !marksRemoved(stored, document))
      return yield* takenSlot(writing, document.version, file);
  }
  return undefined;
}

/** @returns what got in the way meanwhile */
export function* restoreDocuments(
  writing: Writing,
  documents: readonly SealedDocument[],
): Task<StoredVersion | undefined> {
  const { folder } = writing;
  for (const document of documents) {
    for (let done = false; !done; ) {
      const { file, stored } = yield* slotOf(writing, document.version);
      if (stored === undefined) done = (yield* fill(writing, document)) === "created";
      else if (!marksRemoved(stored, document)) return yield* takenSlot(writing, document.version, file);
      else {
        done = yield* replace(
          writing,
          { text: document.text, file, temp: pendingFile("unbury", document.version, randomUUID()) },
          function* () {
            const again = (yield* slotOf(writing, document.version)).stored;
            return again !== undefined && marksRemoved(again, document);
          },
        );
      }
    }
    writing.visible = true;
  }
  if (documents.length > 0) yield* syncFolder(folder);
  for (const { version } of documents) yield* unmark(writing, version);
  return undefined;
}

function* unmark({ folder }: Writing, version: Version): Task<void> {
  try {
    yield* call("unlink", `${folder.at}/${removedMark(version)}`);
  } catch (error) {
    if (errno(error) !== "ENOENT") throw error;
  }
}

/**
 * What comes back with this change: what it restores, and documents that are still there and which only the head calls
 * removed, since a remover has not come to them yet.
 *
 * @returns `buried` where the remover has come to one by now: who planned this saw its document, and has to put it back
 */
export function* comingBack(
  writing: Writing,
  before: Head,
  next: Pick<Head, "yanked">,
): Task<SealedDocument[] | "buried"> {
  const isRemoved = (head: Pick<Head, "yanked">, version: Version) => head.yanked[version]?.removed === true;
  const found = (writing.change.restore ?? []).filter(({ version }) => !isRemoved(next, version));
  const given = new Set(found.map(({ version }) => version));
  for (const version of Object.keys(before.yanked) as Version[]) {
    if (given.has(version) || !isRemoved(before, version) || isRemoved(next, version)) continue;
    const { stored } = yield* slotOf(writing, version);
    if (stored === undefined) continue;
    if (stored.tombstone) return "buried";
    try {
      const { digest } = openStored(stored.document.text, stored.document);
      found.push({ ...stored.document, digest });
    } catch {
      // Damaged: nothing could put it back.
    }
  }
  return found;
}

/**
 * Takes away what others are about to put in the place of these versions: of one that looked before the head was moved, and is
 * stalled before its rename, the rename fails then, and it looks again. Who begins later sees the head.
 */
export function* callOff(
  { folder }: Writing,
  what: Pending,
  documents: readonly Pick<SealedDocument, "version">[],
): Task<void> {
  if (documents.length === 0) return;
  for (const file of yield* call("readdir", folder.at)) {
    if (!documents.some(({ version }) => isPending(what, file, version))) continue;
    try {
      yield* call("unlink", `${folder.at}/${file}`);
    } catch (error) {
      if (errno(error) !== "ENOENT") throw error;
    }
  }
}

/**
 * Puts back what a remover buried all the same, before its tombstone could be taken away.
 *
 * @param generation of the head that says that they are back
 */
export function* putBack(writing: Writing, documents: readonly SealedDocument[], generation: number): Task<void> {
  const { folder } = writing;
  let isAny = false;
  for (const document of documents) {
    const { version, text } = document;
    for (let done = false; !done; ) {
      const { file, stored } = yield* slotOf(writing, version);
      if (stored === undefined || !marksRemoved(stored, document)) break;
      if (yield* removedSince(writing, version, generation)) break;
      done = yield* replace(writing, { text, file, temp: pendingFile("unbury", version, randomUUID()) }, function* () {
        const again = (yield* slotOf(writing, version)).stored;
        if (again === undefined || !marksRemoved(again, document)) return false;
        // Last of all: somebody may have removed it again, who takes away what is not in place by then.
        return !(yield* removedSince(writing, version, generation));
      });
      isAny ||= done;
    }
  }
  if (!isAny) return;
  yield* syncFolder(folder);
  for (const { version } of documents) yield* unmark(writing, version);
}

function* removedSince(writing: Writing, version: Version, generation: number): Task<boolean> {
  if (!(yield* isOvertaken(writing, generation))) return false;
  return (yield* removedAt(writing, version, generation)) !== undefined;
}

function marksRemoved({ document, tombstone }: StoredVersion, { digest }: SealedDocument): boolean {
  if (!tombstone) return false;
  const opened = openStored(document.text, document);
  return opened.kind === "tombstone" && opened.removed.digest === digest;
}
