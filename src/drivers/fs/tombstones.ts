import { openStored, type SealedDocument } from "../../document.ts";
import type { Head } from "../../driver.ts";
import type { Version } from "../../semver.ts";
import { createOnly, discard, NotCreated, writeLoose, writeTemp } from "./create.ts";
import { readVersion, type StoredVersion } from "./documents.ts";
import { errno } from "./failure.ts";
import { syncFolder } from "./folder.ts";
import { oldVersionFile, removedMark, versionFile } from "./layout.ts";
import { takenSlot, type Writing } from "./slots.ts";
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

/** Puts tombstones in the place of documents. One that is there stays: the first removal is the one that happened. */
export function* putTombstones(
  writing: Writing,
  tombstones: readonly SealedDocument[],
  head: Pick<Head, "yanked">,
): Task<void> {
  const { folder } = writing;
  for (const tombstone of tombstones) {
    const { version } = tombstone;
    // Written ahead, so that a list that can't tell a tombstone by its name knows where to look.
    if (head.yanked[version]?.removed !== true) yield* mark(writing, version);
    for (let done = false; !done; ) {
      const { file, stored } = yield* slotOf(writing, version);
      if (stored?.tombstone === true) break;
      if (stored === undefined) done = (yield* fill(writing, tombstone)) === "created";
      else {
        done = yield* replace(writing, tombstone.text, file, function* () {
          return (yield* slotOf(writing, version)).stored?.tombstone === false;
        });
      }
    }
  }
  if (tombstones.length > 0) yield* syncFolder(folder);
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
