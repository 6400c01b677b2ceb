import { openStored, type SealedDocument } from "../../document.ts";
import type { Head } from "../../driver.ts";
import type { Version } from "../../semver.ts";
import { createOnly, discard, NotCreated, writeLoose, writeTemp } from "./create.ts";
import { readVersion, type StoredVersion } from "./documents.ts";
import { errno } from "./failure.ts";
import { syncFolder } from "./folder.ts";
import { generationFile, HEADS_DIR, oldVersionFile, removedMark, versionFile } from "./layout.ts";
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
function* replace(writing: Writing, text: string, file: string, stillFits: () => Task<boolean>): Task<boolean> {
  const { folder } = writing;
  const temp = yield* writeTemp(folder, text, false);
  try {
    if (!(yield* stillFits())) return false;
    writing.visible = true;
    yield* call("rename", `${folder.at}/${temp.file}`, `${folder.at}/${file}`);
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
        done = yield* replace(writing, tombstone.text, file, function* () {
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
        done = yield* replace(writing, document.text, file, function* () {
          const again = (yield* slotOf(writing, document.version)).stored;
          return again !== undefined && marksRemoved(again, document);
        });
      }
    }
    writing.visible = true;
  }
  if (documents.length > 0) yield* syncFolder(folder);
  for (const { version } of documents) {
    try {
      yield* call("unlink", `${folder.at}/${removedMark(version)}`);
    } catch (error) {
      if (errno(error) !== "ENOENT") throw error;
    }
  }
  return undefined;
}

function marksRemoved({ document, tombstone }: StoredVersion, { digest }: SealedDocument): boolean {
  if (!tombstone) return false;
  const opened = openStored(document.text, document);
  return opened.kind === "tombstone" && opened.removed.digest === digest;
}
