/**
 * How a file comes into being: complete, durable, and never over another one.
 *
 * With hard links, `link(temp, final)` creates the name of a complete file or fails, in one step.
 *
 * Without them (FAT, some network shares) a slot is won by renaming a *folder* that holds the complete file to
 * `.claim-<final>`: a folder can't be renamed over one that is not empty, so of all who try one wins, and what it won
 * with is already in there. The file is then moved out to its name, by whoever comes first:
 *
 * - a claim never has to time out: it is no lock but the file itself, so that the next writer completes what a crashed
 *   one left, and a stalled one that wakes up finds its file moved and nothing to do;
 * - a file is moved only while its final name is free, and a claim can be won again only after it was emptied, which is
 *   after its final name was taken: so whoever wins a second claim finds the name taken and loses, and as each file in a
 *   claim has a name of its own, nobody who looked at the first claim can move the file of the second;
 * - readers never look into a claim: they see a whole file or none.
 */
import { randomUUID } from "node:crypto";
import type { Stats } from "node:fs";
import { errno, isErrno } from "./failure.ts";
import { CREATE_FILE, type Folder, READ_FILE } from "./folder.ts";
import { claimDir, tempFile } from "./layout.ts";
import type { Store } from "./store.ts";
import { call, release, type Task } from "./task.ts";

const NO_LINKS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "EXDEV", "EMLINK", "ENOSYS"];

/** A complete and durable file under a temporary name. */
export interface Temp {
  readonly file: string;
  readonly bytes: Buffer;
  /** It lies in a folder of the name `file`, as it is needed without hard links. */
  readonly boxed: boolean;
}

function inBox(file: string): string {
  return `${file}/${file.slice(tempFile("").length)}`;
}

/** Where its file lies, in its folder. */
export function pathOfTemp({ file, boxed }: Pick<Temp, "file" | "boxed">): string {
  return boxed ? inBox(file) : file;
}

export function* writeTemp(folder: Folder, text: string, boxed: boolean, file = tempFile(randomUUID())): Task<Temp> {
  const temp: Temp = { file, bytes: Buffer.from(text), boxed };
  try {
    if (boxed) yield* call("mkdir", `${folder.at}/${file}`);
    yield* writeDurably(`${folder.at}/${boxed ? inBox(file) : file}`, temp.bytes);
  } catch (error) {
    yield* discard(folder, temp);
    throw error;
  }
  return temp;
}

function* writeDurably(path: string, bytes: Buffer): Task<void> {
  const fd = yield* call("open", path, CREATE_FILE, 0o666);
  try {
    for (let at = 0; at < bytes.length; ) at += yield* call("write", fd, bytes, at, bytes.length - at);
    // A failed fsync is not tried again: the kernel forgets what it could not write, so the second one would lie.
    yield* call("fsync", fd);
  } catch (error) {
    yield* release(fd);
    throw error;
  }
  yield* call("close", fd);
}

/** Writes a file that is no more than a projection: complete when it gets its name, but not durable. */
export function* writeLoose(folder: Folder, text: string): Task<Temp> {
  const temp: Temp = { file: tempFile(randomUUID()), bytes: Buffer.from(text), boxed: false };
  const fd = yield* call("open", `${folder.at}/${temp.file}`, CREATE_FILE, 0o666);
  try {
    for (let at = 0; at < temp.bytes.length; ) {
      at += yield* call("write", fd, temp.bytes, at, temp.bytes.length - at);
    }
  } finally {
    yield* call("close", fd);
  }
  return temp;
}

/** Removes a temporary file; what can't be removed is left to `repair`. */
export function* discard(folder: Folder, temp: Pick<Temp, "file" | "boxed">): Task<void> {
  try {
    if (!temp.boxed) {
      yield* call("unlink", `${folder.at}/${temp.file}`);
      return;
    }
    for (const file of yield* call("readdir", `${folder.at}/${temp.file}`)) {
      yield* call("unlink", `${folder.at}/${temp.file}/${file}`);
    }
    yield* call("rmdir", `${folder.at}/${temp.file}`);
  } catch {
    // Gone already, or to be found later.
  }
}

/** The name was surely not made. */
export class NotCreated {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/**
 * Makes the name without overwriting anything. The temporary name may remain: {@link discard} it.
 *
 * @throws NotCreated, or anything else when it may have been made all the same
 */
export function* createOnly(store: Store, folder: Folder, temp: Temp, final: string): Task<"created" | "exists"> {
  if (temp.boxed) return yield* claim(folder, temp, final);
  try {
    yield* call("link", `${folder.at}/${temp.file}`, `${folder.at}/${final}`);
    store.hardLinks = true;
    return "created";
  } catch (error) {
    // The reply to a link that succeeded can get lost on a network file system, and the call is then made again.
    if (yield* sameFile(folder, temp.file, final)) return "created";
    if (errno(error) === "EEXIST") return "exists";
    if (!isErrno(error, ...NO_LINKS) || store.hardLinks === true) throw new NotCreated(error);
  }
  store.hardLinks = false;
  const boxed = { ...temp, file: tempFile(randomUUID()), boxed: true };
  yield* call("mkdir", `${folder.at}/${boxed.file}`);
  yield* call("rename", `${folder.at}/${temp.file}`, `${folder.at}/${inBox(boxed.file)}`);
  try {
    return yield* claim(folder, boxed, final);
  } finally {
    yield* discard(folder, boxed);
  }
}

function* sameFile(folder: Folder, a: string, b: string): Task<boolean> {
  const one = yield* call("lstat", `${folder.at}/${a}`);
  const other = yield* call("lstat", `${folder.at}/${b}`);
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev;
}

/** Finds out whether hard links work before something is promised that depends on it. */
export function* probeLinks(store: Store, folder: Folder): Task<boolean> {
  if (store.hardLinks !== undefined) return store.hardLinks;
  const probe = yield* writeLoose(folder, "");
  const other = tempFile(randomUUID());
  try {
    yield* call("link", `${folder.at}/${probe.file}`, `${folder.at}/${other}`);
    store.hardLinks = true;
    yield* discard(folder, { file: other, boxed: false });
  } catch (error) {
    if (!isErrno(error, ...NO_LINKS)) throw error;
    store.hardLinks = false;
  } finally {
    yield* discard(folder, probe);
  }
  return store.hardLinks;
}

function* claim(folder: Folder, temp: Temp, final: string): Task<"created" | "exists"> {
  const ours = yield* call("lstat", `${folder.at}/${inBox(temp.file)}`);
  let refusals = 0;
  let missing = 0;
  for (;;) {
    yield* completeClaim(folder, final);
    if ((yield* call("lstat", `${folder.at}/${final}`)) !== undefined) break;
    try {
      yield* call("rename", `${folder.at}/${temp.file}`, `${folder.at}/${claimDir(final)}`);
    } catch (error) {
      // Somebody who helps was faster with it; else it was taken away, and nothing can come of it.
      if (errno(error) === "ENOENT" && missing++ < 2) continue;
      if (errno(error) === "ENOENT") throw new NotCreated(error);
      // The claim may be over by now, so there is nothing to look for: try again.
      if (isErrno(error, "ENOTEMPTY", "EEXIST")) continue;
      // Some systems say so of a folder that exists; of one that does not, it is what it says.
      if (!isErrno(error, "EPERM", "EACCES") || refusals++ > 2) throw error;
    }
  }
  return (yield* isFile(folder, final, ours, temp.bytes)) ? "created" : "exists";
}

/**
 * Whether a name is that of this very file, and not of another one with the same bytes.
 *
 * @param stats `undefined` when the file had been put to use before it was looked at
 */
function* isFile(folder: Folder, name: string, stats: Stats | undefined, bytes: Buffer): Task<boolean> {
  const path = `${folder.at}/${name}`;
  const there = yield* call("lstat", path);
  if (there?.isFile() !== true) return false;
  if (stats !== undefined && (there.ino !== stats.ino || there.dev !== stats.dev)) return false;
  // Where there are no hard links, inode numbers may be made up.
  const fd = yield* call("open", path, READ_FILE);
  try {
    const found = Buffer.allocUnsafe(bytes.length + 1);
    return (yield* call("read", fd, found, 0, found.length)) === bytes.length && bytes.equals(found.subarray(0, -1));
  } finally {
    yield* release(fd);
  }
}

/** Moves what a claim holds to its name, or throws it away where the name is taken. */
export function* completeClaim(folder: Folder, final: string): Task<void> {
  const dir = `${folder.at}/${claimDir(final)}`;
  if ((yield* call("lstat", dir)) === undefined) return;
  try {
    const files = yield* call("readdir", dir);
    const taken = (yield* call("lstat", `${folder.at}/${final}`)) !== undefined;
    for (const file of files) {
      if (taken) yield* call("unlink", `${dir}/${file}`);
      else yield* call("rename", `${dir}/${file}`, `${folder.at}/${final}`);
    }
    yield* call("rmdir", dir);
  } catch (error) {
    // Somebody else was faster with the same.
    if (!isErrno(error, "ENOENT", "ENOTEMPTY", "EEXIST")) throw error;
  }
}

/** Completes the creation of a name that another writer has announced; does nothing where that was done. */
export function* helpCreate(folder: Folder, temp: string, final: string): Task<void> {
  const there = yield* call("lstat", `${folder.at}/${temp}`);
  if (there?.isDirectory() === true) {
    try {
      yield* claim(folder, { file: temp, bytes: Buffer.alloc(0), boxed: true }, final);
    } catch (error) {
      if (!(error instanceof NotCreated)) throw error;
    }
    return;
  }
  yield* completeClaim(folder, final);
  if (there === undefined) return;
  try {
    yield* call("link", `${folder.at}/${temp}`, `${folder.at}/${final}`);
  } catch (error) {
    if (!isErrno(error, "EEXIST", "ENOENT")) throw error;
  }
}
