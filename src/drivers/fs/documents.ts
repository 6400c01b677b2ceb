import { openStored } from "../../document.ts";
import type { ReadAnswer, StoredDocument } from "../../driver.ts";
import type { PromptName } from "../../names.ts";
import type { Version } from "../../semver.ts";
import { isSettled, readWhole, type Stamp, sameStamp, stampOf } from "./files.ts";
import { at, type Store } from "./store.ts";
import { call, type Task } from "./task.ts";

type Held = Extract<ReadAnswer, { readonly status: "found" | "removed" }>;

/** A version as it was read. As long as its file has this stamp, it is given as this very object. */
export interface StoredVersion {
  readonly document: StoredDocument;
  readonly tombstone: boolean;
  /** The answer to an ask for exactly this version. */
  readonly answer: Held;
  /** Of the file alone; changes with it. */
  readonly revision: string;
  readonly path: string;
  readonly stamp: Stamp;
}

/** Finding out that a text is no tombstone must not cost a digest: only a text that bears the mark is opened. */
export function isTombstone(document: StoredDocument): boolean {
  if (!document.text.includes("registry.removed: ")) return false;
  try {
    return openStored(document.text, document).kind === "tombstone";
  } catch {
    // Damaged: the reader, who verifies, is to say so.
    return false;
  }
}

function remember(store: Store, key: string, entry: StoredVersion): void {
  store.documents.set(key, entry, entry.document.text.length * 2 + 1000);
}

export function documentKey(name: PromptName, version: Version): string {
  return `${name}@${version}`;
}

/** Reads a version from its file; `undefined` when that is not there. */
export function* readVersion(
  store: Store,
  root: string,
  name: PromptName,
  version: Version,
  path: string,
): Task<StoredVersion | undefined> {
  const key = documentKey(name, version);
  const known = store.documents.get(key);
  if (known !== undefined && known.path === path && sameStamp(known.stamp, yield* call("lstat", path))) return known;
  const now = Date.now();
  const found = yield* readWhole(store, root, path, { ...at(name), version, path });
  if (found === undefined) {
    if (known !== undefined) store.documents.delete(key);
    return undefined;
  }
  const document = Object.freeze({ name, version, text: found.text });
  const tombstone = isTombstone(document);
  const stamp = stampOf(found.stats);
  const revision = `${stamp.ino.toString(36)}-${stamp.size.toString(36)}-${stamp.mtimeMs.toString(36)}`;
  const status = tombstone ? "removed" : "found";
  const answer: Held = Object.freeze({ status, document, revision });
  const entry: StoredVersion = { document, tombstone, answer, revision, path, stamp };
  if (isSettled(stamp, now)) remember(store, key, entry);
  return entry;
}
