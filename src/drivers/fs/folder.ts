import { constants, type Stats } from "node:fs";
import { dirname, join, sep } from "node:path";
import { RegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import { errno, failure, isErrno } from "./failure.ts";
import { placeOf, Replaced, rootHolds, rootOf } from "./root.ts";
import type { Store } from "./store.ts";
import { allOrThrow, call, release, type Task } from "./task.ts";

// Windows has no such flags, and no way to sync a folder either.
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const DIRECTORY = constants.O_DIRECTORY ?? 0;
export const READ_FILE = constants.O_RDONLY | NO_FOLLOW | (constants.O_NONBLOCK ?? 0);
export const CREATE_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW;
const WINDOWS = process.platform === "win32";

/** An open folder. `at` is what the paths of calls start with: as long as it is open, they end in this very folder. */
export interface Folder {
  readonly path: string;
  readonly at: string;
  /** -1 where folders can't be opened. */
  readonly fd: number;
}

export function promptPath(root: string, name: PromptName): string {
  return sep === "/" ? `${root}/${name}` : join(root, ...name.split("/"));
}

/** Whether calls can go through `/proc/self/fd`; found out once. */
export function* hasProcFd(store: Store, root: string): Task<boolean> {
  if (store.procFd !== undefined) return store.procFd;
  if (process.platform !== "linux") {
    store.procFd = false;
    return false;
  }
  const fd = yield* call("open", root, constants.O_RDONLY | DIRECTORY);
  try {
    store.procFd = (yield* call("readlink", `/proc/self/fd/${fd}`)) === root;
  } catch {
    store.procFd = false;
  } finally {
    yield* release(fd);
  }
  return store.procFd;
}

export function refused(path: string, why = "is reached through a symbolic link or is none"): RegistryError {
  return new RegistryError(
    "FORBIDDEN",
    `${path} is not used: it ${why}; below the registry's root folders must be folders, not links`,
    { backend: "fs", path },
  );
}

/**
 * Opens a folder below the root; `undefined` when it does not exist.
 *
 * A symbolic link anywhere below the root is refused: it could lead a write out of it. On Linux what was really opened
 * is asked of the kernel, and everything after goes through the open folder, so that a swap of folder and link at any
 * later time changes nothing. Elsewhere the way is looked at after opening, and whoever can write the root is trusted.
 *
 * @param via what to open instead of the path itself, from within an open folder
 */
export function* openFolder(store: Store, root: string, path: string, via = path): Task<Folder | undefined> {
  const proc = yield* hasProcFd(store, root);
  if (WINDOWS) {
    const stats = yield* checkWay(root, path);
    return stats === undefined ? undefined : { path, at: path, fd: -1 };
  }
  let fd: number;
  try {
    fd = yield* call("open", via, constants.O_RDONLY | DIRECTORY | NO_FOLLOW);
  } catch (error) {
    if (errno(error) === "ENOENT") return undefined;
    if (isErrno(error, "ELOOP", "ENOTDIR", "EMLINK")) throw refused(path, "is a file or a symbolic link");
    throw failure(error, `${path} can't be opened`, { path });
  }
  try {
    if (proc) {
      const real = yield* call("readlink", `/proc/self/fd/${fd}`);
      if (real === path) return { path, at: `/proc/self/fd/${fd}`, fd };
      // Renamed or removed since it was opened, or reached through a link.
      if (real === `${path} (deleted)`) {
        yield* release(fd);
        return undefined;
      }
      throw refused(path);
    }
    const stats = yield* checkWay(root, path);
    const opened = yield* call("fstat", fd);
    if (stats?.ino !== opened.ino || stats.dev !== opened.dev) throw refused(path, "changed while it was opened");
    return { path, at: path, fd };
  } catch (error) {
    yield* release(fd);
    throw failure(error, `${path} can't be opened`, { path });
  }
}

/** Looks at every level between the root and the path; gives what the last one is. */
export function* checkWay(root: string, path: string): Task<Stats | undefined> {
  const levels = path
    .slice(root.length)
    .split(sep)
    .filter((part) => part !== "");
  let way = root;
  let stats: Stats | undefined;
  for (const level of levels) {
    way = way + sep + level;
    stats = yield* call("lstat", way);
    if (stats === undefined) return undefined;
    if (!stats.isDirectory()) throw refused(way, "is a file or a symbolic link");
  }
  return stats ?? (yield* call("lstat", root));
}

export function* closeFolder(folder: Folder): Task<void> {
  if (folder.fd >= 0) yield* release(folder.fd);
}

export function* syncFolder(folder: Folder): Task<void> {
  if (folder.fd >= 0) yield* call("fsync", folder.fd);
}

function* syncPath(path: string): Task<void> {
  if (WINDOWS) return;
  const fd = yield* call("open", path, constants.O_RDONLY | DIRECTORY);
  try {
    yield* call("fsync", fd);
  } finally {
    yield* release(fd);
  }
}

/** Creates the root with its parents where they are missing; each new level is made durable in the one above. */
export function* ensureRoot(store: Store): Task<string> {
  const there = yield* rootOf(store);
  if (there !== undefined) return there;
  const missing: string[] = [];
  for (let path = store.base; (yield* call("lstat", path)) === undefined; path = dirname(path)) {
    missing.unshift(path);
    if (dirname(path) === path) break;
  }
  try {
    for (const path of missing) {
      yield* makeFolder(path);
      yield* syncPath(dirname(path));
    }
  } catch (error) {
    throw failure(error, `${store.base} can't be created`, { path: store.base });
  }
  const root = yield* rootOf(store);
  if (root !== undefined) return root;
  throw new RegistryError("CONFIG", `${store.base} is a symbolic link to nothing`, { backend: "fs", path: store.base });
}

function* makeFolder(path: string): Task<boolean> {
  try {
    yield* call("mkdir", path);
    return true;
  } catch (error) {
    if (errno(error) === "EEXIST") return false;
    throw error;
  }
}

/**
 * Makes the folders of prompts where they are missing, level by level, so that each parent is synced once however many
 * prompts come into it. A level that somebody else made, now or before, is synced all the same: they may have died before
 * they did it.
 *
 * @returns the folders that were missing
 */
export function* ensureFolders(store: Store, root: string, names: readonly PromptName[]): Task<ReadonlySet<string>> {
  const made = new Set<string>();
  const found = new Map<string, string>();
  const missing = new Map<number, Map<string, Set<string>>>();
  for (const name of names) {
    for (let path = name as string, up: string; ; path = up) {
      if (missing.get(depth(path))?.get(parent(path))?.has(leaf(path)) === true) break;
      const stats = yield* call("lstat", promptPath(root, path as PromptName));
      if (stats !== undefined) {
        // The prompt's own folder is looked at by who writes into it.
        if (path !== name) found.set(path, placeOf(stats));
        break;
      }
      up = parent(path);
      made.add(path);
      const level = missing.get(depth(path)) ?? new Map<string, Set<string>>();
      missing.set(depth(path), level.set(up, (level.get(up) ?? new Set()).add(leaf(path))));
      if (up === "") break;
    }
  }
  for (const level of [...missing.keys()].sort((a, b) => a - b)) {
    const parents = missing.get(level) as Map<string, Set<string>>;
    yield* allOrThrow([...parents].map(([up, children]) => makeLevel(store, root, up, children)));
  }
  yield* syncWays(store, root, found, new Set([...missing.values()].flatMap((parents) => [...parents.keys()])));
  for (const path of made) remember(store, path, MADE_HERE);
  return made;
}

/** Of a folder that this process made, and has not looked at since. */
const MADE_HERE = "";

function remember(store: Store, path: string, place: string): void {
  if (store.durable.size > 200_000) store.durable.clear();
  store.durable.set(path, place);
}

/**
 * Makes the names of folders and of all above them durable, up to the root: whoever made one may have died before they did.
 * What this process knows to be durable is not synced again, so it costs nothing for each further prompt.
 *
 * @param folders by name, with their places where they were just looked at
 * @param done folders that have been synced since
 */
export function* syncWays(
  store: Store,
  root: string,
  folders: ReadonlyMap<string, string | undefined>,
  done: ReadonlySet<string> = new Set(),
): Task<void> {
  const unsure = new Map<string, string>();
  for (const [name, place] of folders) {
    for (let path = name; path !== "" && !unsure.has(path); path = parent(path)) {
      let now = path === name ? place : undefined;
      if (now === undefined) {
        const stats = yield* call("lstat", promptPath(root, path as PromptName));
        // Gone: then nothing below it is, and whoever writes there is about to find out.
        if (stats === undefined) break;
        now = placeOf(stats);
      }
      const known = store.durable.get(path);
      if (known === MADE_HERE) remember(store, path, now);
      // What is remembered was synced with all above it.
      if (known === MADE_HERE || known === now) break;
      unsure.set(path, now);
    }
  }
  const parents = new Map([...unsure.keys()].map((path) => [parent(path), path]));
  const paths = [...parents].flatMap(([up, path]) => (done.has(up) ? [] : promptPath(root, path as PromptName)));
  // One after the other: they are few, and only once.
  for (const path of paths) yield* syncParent(store, root, path);
  for (const [path, now] of unsure) remember(store, path, now);
}

function* makeLevel(store: Store, root: string, up: string, children: ReadonlySet<string>): Task<void> {
  const path = up === "" ? root : promptPath(root, up as PromptName);
  // What is stored in a mount point without its disk is hidden as soon as that is back.
  if (up === "" && !(yield* rootHolds(store, root)) && store.root !== root) throw new Replaced(store);
  const folder = yield* openFolder(store, root, path);
  if (folder === undefined) {
    throw new RegistryError("UNAVAILABLE", `${path} vanished while a prompt was stored in it`, { backend: "fs", path });
  }
  try {
    for (const child of children) yield* makeFolder(`${folder.at}/${child}`);
    yield* syncFolder(folder);
  } catch (error) {
    throw failure(error, `a folder can't be created in ${path}`, { path });
  } finally {
    yield* closeFolder(folder);
  }
}

/** Syncs the folder that holds this one. */
export function* syncParent(store: Store, root: string, path: string): Task<void> {
  const folder = yield* openFolder(store, root, dirname(path));
  if (folder === undefined) return;
  try {
    yield* syncFolder(folder);
  } finally {
    yield* closeFolder(folder);
  }
}

function depth(path: string): number {
  return path.split("/").length;
}

function parent(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function leaf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
