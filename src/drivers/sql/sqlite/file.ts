import { accessSync, constants, existsSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { RegistryError } from "../../../errors.ts";

/** The file behind a connection: whether it is still the one that its path names. */
export class DatabaseFile {
  readonly path: string;
  /**
   * It lies where this process can't make the files that SQLite shares between processes, and nobody has made them: then it can
   * only be read as one that never changes (https://www.sqlite.org/wal.html#read_only_databases).
   */
  readonly isImmutable: boolean;
  #opened: Stats | undefined;

  constructor(path: string, readOnly: boolean) {
    this.path = path;
    this.isImmutable = readOnly && existsSync(path) && !canWrite(dirname(path)) && !this.#hasLog() && !this.#isShared();
  }

  /** What SQLite is to open. */
  get target(): string {
    return this.isImmutable ? `${pathToFileURL(this.path).href}?immutable=1` : this.path;
  }

  /** Once it was opened, and so is there. */
  opened(): void {
    this.#opened = this.#look();
  }

  /** @throws RegistryError UNAVAILABLE where another file is in its place: what is stored here would be lost with the next start */
  requireSame(): Stats {
    const now = this.#look();
    if (now !== undefined && now.ino === this.#opened?.ino && now.dev === this.#opened.dev) return now;
    throw this.#gone(now === undefined ? "is not there any more" : "was replaced by another file");
  }

  /** @throws RegistryError UNAVAILABLE where somebody writes to what was opened as a file that never changes */
  requireUnchanged(): void {
    const now = this.requireSame();
    const isUnchanged = now.mtimeMs === this.#opened?.mtimeMs && now.size === this.#opened.size;
    if (!isUnchanged || this.#hasLog()) throw this.#gone("is written to by somebody else");
  }

  /** Something may be in it that is not in the file. */
  #hasLog(): boolean {
    return (statSync(`${this.path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
  }

  /** Whether the files are there with which processes tell each other what they do. */
  #isShared(): boolean {
    return existsSync(`${this.path}-wal`) && existsSync(`${this.path}-shm`);
  }

  #look(): Stats | undefined {
    return statSync(this.path, { throwIfNoEntry: false });
  }

  #gone(what: string): RegistryError {
    return new RegistryError("UNAVAILABLE", `${this.path} ${what}; open the registry again`, {
      ...{ backend: "sqlite", location: `sqlite:${this.path}`, outcome: "final" },
    });
  }
}

/** Whether a file is there that this process may only read. */
export function isReadOnly(path: string): boolean {
  return existsSync(path) && !(canWrite(path) && canWrite(dirname(path)));
}

function canWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
