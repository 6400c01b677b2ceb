import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { type FileHandle, mkdir, open, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type ErrorCode, RegistryError, show } from "../../errors.ts";

/** What of a file is read at once, at most. */
const CHUNK = 1 << 20;

export interface JournalNews {
  /** It is another file than before, or the first look at it: forget what was read. */
  readonly fresh: boolean;
  /** Whole lines that came since, in order, without empty ones. */
  readonly lines: readonly string[];
  /** What stands after the last line break: a line that was cut off, or one that is just being written. */
  readonly tail: Buffer;
}

/**
 * A file of lines to which any number of processes append, each line or batch of lines in one write. There is no lock: the
 * system puts writes to the end of one file in order (`O_APPEND`), and nothing that was written is ever changed.
 */
export class Journal {
  readonly path: string;
  readonly #what: string;
  /** How much of the end of the file a first look reads. */
  readonly #window: number;
  #handle: FileHandle | undefined;
  #isWritable = false;
  #file = "";
  /** The folder in which that file was. */
  #folder = "";
  #position = 0;
  #isFresh = true;

  constructor(path: string, what: string, window = Number.POSITIVE_INFINITY) {
    this.path = resolve(path);
    this.#what = what;
    this.#window = window;
  }

  /** Whether there is a file and it is still as it was last read. */
  async isCurrent(): Promise<boolean> {
    if (this.#handle === undefined) return false;
    const found = await this.#stat();
    if (found === undefined || idOf(found) !== this.#file) return false;
    this.#check(found);
    return Number(found.size) === this.#position;
  }

  /** The next look begins anew. */
  forget(): void {
    this.#position = 0;
    this.#isFresh = true;
  }

  /**
   * What came since the last time.
   *
   * @param create make the file, and its folder, where there is none
   * @throws RegistryError UNAVAILABLE where there was one and it is gone
   */
  async read(create: boolean): Promise<JournalNews | undefined> {
    const handle = await this.#current(create);
    if (handle === undefined) return undefined;
    const { size } = await handle.stat();
    if (size < this.#position) this.forget();
    const fresh = this.#isFresh;
    const start = fresh && size > this.#window ? size - this.#window : this.#position;
    const bytes = await readAll(handle, start, size);
    let from = 0;
    // A window begins somewhere within a line.
    if (start > this.#position) from = bytes.indexOf(10) + 1;
    const end = bytes.lastIndexOf(10) + 1;
    const text = bytes.toString("utf8", from, Math.max(from, end));
    this.#isFresh = false;
    this.#position = start + end;
    return { fresh, lines: text.split("\n").filter((line) => line !== ""), tail: bytes.subarray(end) };
  }

  /**
   * To the file that was read last. Durable when it resolves; where it throws, anything up to the whole may be there.
   */
  async append(text: string): Promise<void> {
    const handle = this.#handle;
    if (handle === undefined) throw new RegistryError("INTERNAL", `${this.#what} ${show(this.path)} was never read`);
    const bytes = Buffer.from(text);
    const { bytesWritten } = await handle.write(bytes, 0, bytes.length);
    if (bytesWritten < bytes.length) {
      throw new RegistryError("NO_SPACE", `${this.#what} ${show(this.path)} can't be written to its end: no space`, {
        path: this.path,
        outcome: "unknown",
      });
    }
    await handle.datasync();
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  failure(error: unknown, doing: string, outcome?: "unknown"): RegistryError {
    if (error instanceof RegistryError) return error;
    const { code } = error as NodeJS.ErrnoException;
    return new RegistryError(
      CODES[code ?? ""] ?? "UNAVAILABLE",
      `${this.#what} ${show(this.path)} ${doing} (${code})`,
      {
        path: this.path,
        cause: error,
        ...(outcome === undefined ? {} : { outcome }),
      },
    );
  }

  async #stat(): Promise<BigIntStats | undefined> {
    try {
      return await stat(this.path, { bigint: true });
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw this.failure(error, "can't be looked at");
    }
  }

  /**
   * A file that was there and is gone is not one that never was: its disk may be away, and then "no such token" would be a
   * false answer, and a new file would be hidden as soon as the disk is back.
   *
   * @param create whether a new one may be begun, as it may in the folder that the old one was in
   */
  async checkGone(create: boolean): Promise<void> {
    if (this.#file === "") return;
    if (create && (await placeOf(dirname(this.path))) === this.#folder) return;
    throw new RegistryError(
      "UNAVAILABLE",
      `${this.#what} ${show(this.path)} is gone: is its disk mounted? If this is meant to be, start the server again`,
      { path: this.path },
    );
  }

  /** The file that has this path now: it may have been moved away to begin a new one. */
  async #current(create: boolean): Promise<FileHandle | undefined> {
    const found = await this.#stat();
    const isSame = this.#handle !== undefined && found !== undefined && idOf(found) === this.#file;
    if (isSame && (this.#isWritable || !create)) {
      this.#check(found);
      return this.#handle;
    }
    await this.close();
    if (!isSame) this.forget();
    if (found?.isDirectory() === true) this.#check(found);
    if (found === undefined) await this.checkGone(create);
    if (found === undefined && !create) return undefined;
    try {
      if (found === undefined) await prepareFolder(dirname(this.path));
      const handle = await open(this.path, create ? "a+" : "r", 0o600);
      const made = await handle.stat({ bigint: true });
      if (idOf(made) !== this.#file) this.forget();
      this.#file = idOf(made);
      this.#folder = (await placeOf(dirname(this.path))) ?? "";
      this.#handle = handle;
      this.#isWritable = create;
      this.#check(made);
      if (found === undefined) await syncFolder(dirname(this.path));
      return handle;
    } catch (error) {
      await this.close();
      if (!create && isAbsent(error)) return undefined;
      throw this.failure(error, "can't be opened");
    }
  }

  #check(found: BigIntStats): void {
    const bad = (problem: string) =>
      new RegistryError("CONFIG", `${this.#what} ${show(this.path)} ${problem}`, { path: this.path });
    if (found.isDirectory()) throw bad("is a folder; name the file in it");
    if (!found.isFile()) throw bad("is no file");
    const mode = Number(found.mode) & 0o777;
    if (process.platform !== "win32" && (mode & 0o077) !== 0)
      throw bad(`is open to others (mode ${mode.toString(8)}); run: chmod 600 ${this.path}`);
  }
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: "NO_SPACE",
  EDQUOT: "NO_SPACE",
  EFBIG: "NO_SPACE",
  EROFS: "READ_ONLY",
  EACCES: "FORBIDDEN",
  EPERM: "FORBIDDEN",
  ENOTDIR: "CONFIG",
  EISDIR: "CONFIG",
  ENOENT: "CONFIG",
};

/** What a journal says about a line that was cut off when its writer ended, so that nobody takes it for tampering. */
export interface Torn {
  readonly bytes: number;
  readonly sha256: string;
}

export function tornOf(tail: Buffer): Torn {
  return { bytes: tail.length, sha256: createHash("sha256").update(tail).digest("hex") };
}

/** Whether this is what {@link tornOf} said of that line. */
export function isTorn(line: string | Buffer, torn: unknown): boolean {
  if (typeof torn !== "object" || torn === null) return false;
  const bytes = Buffer.from(line);
  const { bytes: length, sha256 } = torn as Partial<Torn>;
  return length === bytes.length && sha256 === tornOf(bytes).sha256;
}

function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

async function placeOf(folder: string): Promise<string | undefined> {
  try {
    return idOf(await stat(folder, { bigint: true }));
  } catch {
    return undefined;
  }
}

function idOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

async function readAll(handle: FileHandle, start: number, end: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let at = start; at < end; ) {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, end - at));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) break;
    chunks.push(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
}

/** Made for its owner alone. Our own folder lies next to prompts, which may be a working tree of Git. */
async function prepareFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (made === undefined) return;
  if (basename(folder) === OWN_FOLDER)
    await writeFile(join(folder, ".gitignore"), "*\n", { flag: "wx" }).catch(() => {});
  // Each new folder is an entry of the one above it.
  for (let level = folder; level.length >= made.length; level = dirname(level)) await syncFolder(dirname(level));
}

/** Where what belongs to a server lies, when nothing else was said. */
export const OWN_FOLDER = ".prompt-registry";

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
