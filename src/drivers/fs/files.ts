import { isUtf8 } from "node:buffer";
import type { Stats } from "node:fs";
import { dirname } from "node:path";
import { type ErrorContext, RegistryError } from "../../errors.ts";
import { errno, failure, isErrno } from "./failure.ts";
import { checkWay, hasProcFd, READ_FILE, refused } from "./folder.ts";
import { entryOf } from "./layout.ts";
import type { Store } from "./store.ts";
import { call, release, type Task } from "./task.ts";

/** Larger than any text that can be stored; what is larger is not read. */
export const MAX_FILE_BYTES = 2 ** 21;
/** Of a head generation or `latest.json`, which grow with what happened to a prompt. */
export const MAX_HEAD_BYTES = 2 ** 26;

/**
 * What tells one state of a file or folder from another. Milliseconds as a double still tell about a quarter of a
 * microsecond apart, which is finer than the clocks that file systems stamp with.
 */
export interface Stamp {
  readonly dev: number;
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

export function stampOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): Stamp {
  return { dev, ino, size, mtimeMs, ctimeMs };
}

export function sameStamp(stamp: Stamp, stats: Stamp | undefined): boolean {
  return (
    stats !== undefined &&
    stamp.mtimeMs === stats.mtimeMs &&
    stamp.ctimeMs === stats.ctimeMs &&
    stamp.ino === stats.ino &&
    stamp.size === stats.size &&
    stamp.dev === stats.dev
  );
}

/** When something last changed. Stamps without a fraction come from file systems that count seconds, or two at a time. */
export function changedAt({ mtimeMs, ctimeMs }: Pick<Stats, "mtimeMs" | "ctimeMs">): number {
  const last = Math.max(mtimeMs, ctimeMs);
  return last % 1000 === 0 ? last + 2000 : last;
}

/**
 * Whether any later change is bound to show in the stamp. What was changed just now could be changed once more within
 * the same tick of the clock and look the same: https://git-scm.com/docs/racy-git
 */
export function isSettled(stats: Pick<Stats, "mtimeMs" | "ctimeMs">, now: number): boolean {
  return changedAt(stats) <= now - 100;
}

export interface WholeFile {
  readonly text: string;
  readonly stats: Stats;
}

/**
 * Reads a regular file with three calls; `undefined` when it is not there. Links and anything that could block are
 * refused, and the kernel is asked whether the file really lies where it was looked for.
 *
 * @param options `sync`: also make it durable; `max`: bytes that are read, by default {@link MAX_FILE_BYTES}
 */
export function* readWhole(
  store: Store,
  root: string,
  path: string,
  context: ErrorContext,
  { sync = false, max = MAX_FILE_BYTES }: { readonly sync?: boolean; readonly max?: number } = {},
): Task<WholeFile | undefined> {
  const corrupt = (problem: string) =>
    new RegistryError("CORRUPT", `${path} ${problem}`, { backend: "fs", ...context });
  const proc = yield* hasProcFd(store, root);
  if (!proc) yield* checkWay(root, dirname(path));
  let fd: number;
  try {
    fd = yield* call("open", path, READ_FILE);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    if (isErrno(error, "ELOOP", "EMLINK")) throw corrupt("is a symbolic link, where only a file may be");
    if (isErrno(error, "ENXIO", "EOPNOTSUPP")) throw corrupt("is no regular file");
    throw failure(error, `${path} can't be read`, context);
  }
  try {
    const stats = yield* call("fstat", fd);
    if (!stats.isFile()) throw corrupt("is no regular file");
    if (stats.size > max) throw corrupt(`has ${stats.size} bytes; at most ${max} are read`);
    if (proc) {
      const real = yield* call("readlink", `/proc/self/fd/${fd}`);
      // A file that was replaced since it was opened is still the one that stood there.
      if (real !== path && real !== `${path} (deleted)`) throw refused(path, "lies somewhere else");
    }
    if (sync) yield* call("fsync", fd);
    const bytes = yield* readAll(fd, stats.size, max, corrupt);
    if (!isUtf8(bytes)) throw corrupt("is not valid UTF-8");
    return { text: bytes.toString("utf8"), stats };
  } catch (error) {
    throw failure(error, `${path} can't be read`, context);
  } finally {
    yield* release(fd);
  }
}

function* readAll(fd: number, size: number, max: number, corrupt: (problem: string) => RegistryError): Task<Buffer> {
  // One byte more than there should be: a full read would not tell the end from a file that has grown.
  let buffer = Buffer.allocUnsafe(size + 1);
  let length = yield* call("read", fd, buffer, 0, buffer.length);
  if (length === size) return buffer.subarray(0, length);
  for (;;) {
    if (length === buffer.length) {
      if (length > max) throw corrupt("grows while it is read");
      buffer = Buffer.concat([buffer, Buffer.allocUnsafe(buffer.length)]);
    }
    const got = yield* call("read", fd, buffer, length, buffer.length - length);
    if (got === 0) return buffer.subarray(0, length);
    length += got;
  }
}

/** The names in a folder; `undefined` when it is not there. */
export function* namesIn(path: string, context: ErrorContext): Task<string[] | undefined> {
  try {
    return yield* call("readdir", path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    if (errno(error) === "ELOOP") throw refused(path);
    throw failure(error, `${path} can't be listed`, context);
  }
}

/**
 * The names in a prompt's folder, without what is named like a version and is no regular file: a link or a folder of that
 * name is no version, and must not be the highest one.
 */
export function* filesIn(path: string, context: ErrorContext): Task<string[] | undefined> {
  let marked: string[];
  try {
    marked = yield* call("readdir", path, true);
  } catch (error) {
    // Where a folder can't tell what is in it, Node asks of each, and one that goes meanwhile makes the whole call fail.
    if (isErrno(error, "ENOENT") && (error as NodeJS.ErrnoException).syscall === "lstat")
      return yield* askEach(path, context);
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    if (errno(error) === "ELOOP") throw refused(path);
    throw failure(error, `${path} can't be listed`, context);
  }
  const names: string[] = [];
  for (const name of marked) {
    if (name.charCodeAt(name.length - 1) !== SLASH) names.push(name);
    else if (!isVersionFile(name.slice(0, -1))) names.push(name.slice(0, -1));
  }
  return names;
}

const SLASH = 0x2f;

function isVersionFile(name: string): boolean {
  const { kind } = entryOf(name);
  return kind === "version" || kind === "oldVersion";
}

function* askEach(path: string, context: ErrorContext): Task<string[] | undefined> {
  const names: string[] = [];
  for (const name of (yield* namesIn(path, context)) ?? []) {
    if (!isVersionFile(name) || (yield* call("lstat", `${path}/${name}`))?.isFile() === true) names.push(name);
  }
  return names;
}
