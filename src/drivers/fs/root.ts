/** The folder of prompts as a whole: where it really is, and whether it is still the one that was seen before. */
import type { Stats } from "node:fs";
import { RegistryError } from "../../errors.ts";
import { errno, failure, isErrno } from "./failure.ts";
import type { Store } from "./store.ts";
import { call, type Task } from "./task.ts";

/** Another folder was put in the place of the root: what was being read is to be read once more, from there. */
export class Replaced extends RegistryError {
  constructor(store: Store) {
    super("UNAVAILABLE", `${store.base} was replaced while it was read; try again`, {
      backend: "fs",
      path: store.base,
    });
  }
}

/**
 * The real path of the folder of prompts; `undefined` while there never was one, which is an empty registry.
 *
 * @throws RegistryError UNAVAILABLE where it was there before and now is not
 */
export function* rootOf(store: Store): Task<string | undefined> {
  if (store.root !== undefined) return store.root;
  let root: string;
  try {
    root = yield* call("realpath", store.base);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR") && store.place !== undefined) throw gone(store, "is gone");
    if (errno(error) === "ENOENT") return undefined;
    if (errno(error) === "ENOTDIR") {
      throw new RegistryError("CONFIG", `${store.base} can't be a registry: a part of this path is a file`, {
        backend: "fs",
        path: store.base,
        cause: error,
      });
    }
    throw failure(error, `${store.base} can't be opened`, { path: store.base });
  }
  const stats = yield* call("lstat", root);
  if (stats === undefined) {
    if (store.place !== undefined) throw gone(store, "is gone");
    return undefined;
  }
  const place = placeOf(stats);
  if (store.place !== undefined && store.place !== place) {
    if (store.inhabited && (yield* isEmpty(root))) throw gone(store, "is another folder than before, and empty");
    forget(store);
  }
  store.root = root;
  store.place = place;
  return root;
}

/**
 * Whether the root is still the folder that it was. To be asked before something is called absent, and only then: a folder
 * whose disk went away looks like one in which nothing was ever stored, and "not there" is final, ends up in caches and
 * calls off every fallback. Where another folder with something in it took its place, that one is the root from now on.
 *
 * @throws RegistryError UNAVAILABLE where it is gone
 */
export function* rootHolds(store: Store, root: string): Task<boolean> {
  const stats = yield* call("lstat", root);
  if (stats !== undefined && placeOf(stats) === store.place) return true;
  store.root = undefined;
  yield* rootOf(store);
  return false;
}

/** {@link rootOf}, looked at now: another folder that took its place is the root from here on. */
export function* freshRootOf(store: Store): Task<string | undefined> {
  const root = yield* rootOf(store);
  return root === undefined || (yield* rootHolds(store, root)) ? root : yield* rootOf(store);
}

/** {@link rootHolds} for who has read: what is absent must have been looked for in the folder that is there now. */
export function* sureOfRoot(store: Store, root: string): Task<void> {
  if (!(yield* rootHolds(store, root))) throw new Replaced(store);
}

export function placeOf({ dev, ino }: Pick<Stats, "dev" | "ino">): string {
  return `${dev}:${ino}`;
}

function gone(store: Store, what: string): RegistryError {
  return new RegistryError(
    "UNAVAILABLE",
    `the folder ${store.base} ${what}: is its disk mounted? If this is meant to be, open the registry again`,
    { backend: "fs", path: store.base },
  );
}

/** What a mount point without its disk, or a disk without its files, looks like. */
export function* isEmpty(root: string): Task<boolean> {
  try {
    return (yield* call("readdir", root)).every((name) => name.startsWith(".") || name === "lost+found");
  } catch (error) {
    throw failure(error, `${root} can't be listed`, { path: root });
  }
}

/** Paths and stamps of one folder say nothing of another. */
function forget(store: Store): void {
  store.documents.clear();
  store.states.clear();
  store.known.clear();
  store.durable.clear();
  store.folders.clear();
  store.procFd = undefined;
  // What the file system can't do it is not asked again; what it could do, another one may not.
  if (store.hardLinks === true) store.hardLinks = undefined;
  if (store.symlinks === true) store.symlinks = undefined;
}
