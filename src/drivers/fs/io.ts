import fs, { type Stats, type StatsFs } from "node:fs";

/**
 * Every call of the operating system this driver makes. One list serves both ways of running: `embedded` calls them
 * synchronously (a thread-pool hop costs more than most of them), `server` never blocks.
 */
export interface Calls {
  open(path: string, flags: number, mode?: number): number;
  close(fd: number): void;
  fstat(fd: number): Stats;
  /** `undefined` where there is nothing: an exception would cost more than the call. */
  lstat(path: string): Stats | undefined;
  read(fd: number, buffer: Buffer, offset: number, length: number): number;
  write(fd: number, buffer: Buffer, offset: number, length: number): number;
  fsync(fd: number): void;
  link(from: string, to: string): void;
  symlink(target: string, path: string): void;
  readlink(path: string): string;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  mkdir(path: string): void;
  rmdir(path: string): void;
  /** @param marked names of what is no regular file end with a slash; at no further call, as folders know what is in them */
  readdir(path: string, marked?: boolean): string[];
  utimes(path: string, seconds: number): void;
  realpath(path: string): string;
  statfs(path: string): StatsFs;
}

export type CallName = keyof Calls;
export type AsyncCalls = {
  readonly [K in CallName]: (...args: Parameters<Calls[K]>) => Promise<ReturnType<Calls[K]>>;
};

/** The file system as this driver sees it; tests wrap it to count calls and to let them fail. */
export interface FsIo {
  readonly sync: Calls;
  readonly async: AsyncCalls;
}

const MAY_BE_MISSING = { throwIfNoEntry: false } as const;
const WITH_TYPES = { withFileTypes: true } as const;

function markedName(entry: fs.Dirent): string {
  return entry.isFile() ? entry.name : `${entry.name}/`;
}

const sync: Calls = {
  open: (path, flags, mode) => fs.openSync(path, flags, mode),
  close: (fd) => fs.closeSync(fd),
  fstat: (fd) => fs.fstatSync(fd),
  lstat: (path) => {
    try {
      return fs.lstatSync(path, MAY_BE_MISSING);
    } catch (error) {
      // A file where a folder would have to be: nothing is below it.
      if (error instanceof Error && "code" in error && error.code === "ENOTDIR") return undefined;
      throw error;
    }
  },
  read: (fd, buffer, offset, length) => fs.readSync(fd, buffer, offset, length, null),
  write: (fd, buffer, offset, length) => fs.writeSync(fd, buffer, offset, length),
  fsync: (fd) => fs.fsyncSync(fd),
  link: (from, to) => fs.linkSync(from, to),
  symlink: (target, path) => fs.symlinkSync(target, path),
  readlink: (path) => fs.readlinkSync(path),
  rename: (from, to) => fs.renameSync(from, to),
  unlink: (path) => fs.unlinkSync(path),
  mkdir: (path) => void fs.mkdirSync(path),
  rmdir: (path) => fs.rmdirSync(path),
  readdir: (path, marked) =>
    marked === true ? fs.readdirSync(path, WITH_TYPES).map(markedName) : fs.readdirSync(path),
  utimes: (path, seconds) => fs.utimesSync(path, seconds, seconds),
  realpath: (path) => fs.realpathSync.native(path),
  statfs: (path) => fs.statfsSync(path),
};

type Callback<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

// Callbacks, as node:fs/promises spends about as much on top of each call as the call itself.
function promised<T>(start: (done: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error === null ? resolve(value) : reject(error)));
  });
}

function settled(start: (done: fs.NoParamCallback) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error === null ? resolve() : reject(error)));
  });
}

const async: AsyncCalls = {
  open: (path, flags, mode) => promised((done) => fs.open(path, flags, mode, done)),
  close: (fd) => settled((done) => fs.close(fd, done)),
  fstat: (fd) => promised((done) => fs.fstat(fd, done)),
  lstat: (path) =>
    new Promise((resolve, reject) => {
      fs.lstat(path, (error, stats) => {
        if (error === null) resolve(stats);
        else if (error.code === "ENOENT" || error.code === "ENOTDIR") resolve(undefined);
        else reject(error);
      });
    }),
  read: (fd, buffer, offset, length) => promised((done) => fs.read(fd, buffer, offset, length, null, done)),
  write: (fd, buffer, offset, length) => promised((done) => fs.write(fd, buffer, offset, length, null, done)),
  fsync: (fd) => settled((done) => fs.fsync(fd, done)),
  link: (from, to) => settled((done) => fs.link(from, to, done)),
  symlink: (target, path) => settled((done) => fs.symlink(target, path, done)),
  readlink: (path) => promised((done) => fs.readlink(path, done)),
  rename: (from, to) => settled((done) => fs.rename(from, to, done)),
  unlink: (path) => settled((done) => fs.unlink(path, done)),
  mkdir: (path) => settled((done) => fs.mkdir(path, done)),
  rmdir: (path) => settled((done) => fs.rmdir(path, done)),
  readdir: (path, marked) =>
    marked === true
      ? promised<fs.Dirent[]>((done) => fs.readdir(path, WITH_TYPES, done)).then((found) => found.map(markedName))
      : promised((done) => fs.readdir(path, done)),
  utimes: (path, seconds) => settled((done) => fs.utimes(path, seconds, seconds, done)),
  realpath: (path) => promised((done) => fs.realpath.native(path, done)),
  statfs: (path) => promised((done) => fs.statfs(path, done)),
};

export const nodeIo: FsIo = Object.freeze({ sync, async });

/** Runs `before` ahead of every call, both ways; what it throws is what the call fails with. */
export function watched(io: FsIo, before: (name: CallName, args: readonly unknown[]) => void): FsIo {
  type Any = (...args: readonly unknown[]) => unknown;
  const wrap = <T extends object>(calls: T, fail: (error: unknown) => unknown): T =>
    Object.fromEntries(
      Object.entries(calls).map(([name, run]) => [
        name,
        (...args: readonly unknown[]) => {
          try {
            before(name as CallName, args);
          } catch (error) {
            return fail(error);
          }
          return (run as Any)(...args);
        },
      ]),
    ) as T;
  return {
    sync: wrap(io.sync, (error) => {
      throw error;
    }),
    async: wrap(io.async, (error) => Promise.reject(error)),
  };
}
