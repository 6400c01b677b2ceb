import type { SealedDocument } from "../../document.ts";
import type { Change, Commit } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import type { Version } from "../../semver.ts";
import { createOnly, discard, NotCreated, type Temp, writeTemp } from "./create.ts";
import { readVersion, type StoredVersion } from "./documents.ts";
import { readWhole } from "./files.ts";
import { type Folder, refused, syncFolder } from "./folder.ts";
import { oldVersionFile, versionFile } from "./layout.ts";
import { at, type Store } from "./store.ts";
import { all, allOrThrow, call, meet, type Task } from "./task.ts";

/** A change on its way through the protocol. */
export interface Writing {
  readonly store: Store;
  readonly root: string;
  readonly commit: Commit;
  readonly change: Change;
  readonly folder: Folder;
  /** Its folder was made for it. */
  readonly fresh: boolean;
  /** From here on an error no longer means that nothing happened. */
  visible: boolean;
}

/**
 * The first of these slots that holds anything, in whatever layout.
 *
 * @param own also in the layout of today: what nothing else depends on is left to the link itself to find out
 */
export function* firstTaken(
  writing: Writing,
  documents: readonly SealedDocument[],
  own: boolean,
): Task<StoredVersion | undefined> {
  const { folder } = writing;
  for (const { version } of documents) {
    for (const file of [oldVersionFile(version), ...(own ? [versionFile(version)] : [])]) {
      if ((yield* call("lstat", `${folder.at}/${file}`)) === undefined) continue;
      return yield* takenSlot(writing, version, file);
    }
  }
  return undefined;
}

/**
 * What stands at a taken slot. Whoever put it there may have died before it was durable, and "it exists" is an answer
 * that others build on.
 */
export function* takenSlot(
  { store, root, change, folder }: Writing,
  version: Version,
  file: string,
): Task<StoredVersion | undefined> {
  const path = `${folder.path}/${file}`;
  let found: StoredVersion | undefined;
  try {
    found = yield* readVersion(store, root, change.name, version, path);
  } catch (error) {
    // What stands there is in the way, and so surely is not ours.
    if (isRegistryError(error, "CORRUPT") && isAlone(change)) throw new NotCreated(error);
    throw error;
  }
  if (found === undefined) return undefined;
  yield* readWhole(store, root, path, at(change.name), { sync: true });
  yield* syncFolder(folder);
  return found;
}

/** One document, with nothing that is done before it. */
function isAlone({ add = [], guard, head, remove, restore }: Change): boolean {
  return add.length === 1 && [guard, head, remove, restore].every((part) => part === undefined);
}

export function* writeTemps(writing: Writing, documents: readonly SealedDocument[], boxed: boolean): Task<Temp[]> {
  const { folder } = writing;
  if (documents.length === 1) return [yield* writeTemp(folder, (documents[0] as SealedDocument).text, boxed)];
  const settled = yield* all(documents.map((document) => writeTemp(folder, document.text, boxed)));
  const temps = settled.flatMap((one) => (one.ok ? [one.value] : []));
  const failed = settled.find((one) => !one.ok);
  if (failed === undefined || failed.ok) return temps;
  yield* discardAll(writing, temps);
  throw failed.error;
}

export function* discardAll({ folder }: Writing, temps: readonly Temp[]): Task<void> {
  yield* allOrThrow(temps.map((temp) => discard(folder, temp)));
}

/** Gives the documents their names and makes those durable: the commit point. */
export function* linkAll(
  writing: Writing,
  documents: readonly SealedDocument[],
  temps: readonly Temp[],
): Task<StoredVersion | undefined> {
  const { store, folder } = writing;
  if (documents.length === 0) return undefined;
  let existing: StoredVersion | undefined;
  try {
    for (const [i, { version }] of documents.entries()) {
      const file = versionFile(version);
      const first = !writing.visible;
      writing.visible = true;
      try {
        if ((yield* createOnly(store, folder, temps[i] as Temp, file)) === "created") continue;
      } catch (error) {
        if (error instanceof NotCreated && !first) throw error.error;
        throw error;
      }
      existing = yield* takenSlot(writing, version, file);
      if (existing === undefined) throw refused(`${folder.path}/${file}`, "vanished while it was looked at");
      break;
    }
  } finally {
    yield* discardAll(writing, temps);
  }
  if (existing !== undefined) return existing;
  yield* meet();
  yield* syncFolder(folder);
  return undefined;
}
