import { setMaxListeners } from "node:events";
import { fstatSync, writeSync } from "node:fs";
import { Interruption, type Io, type Output } from "./io.ts";

/** The process as the world of a command line: its streams, its signals, and a stdout that may go away. */
export interface Host {
  readonly io: Io;
  /** Waits until stdout took everything. @returns the exit code to end with */
  settle(code: number): Promise<number>;
  close(): void;
}

const CLOSED_PIPE: ReadonlySet<string | undefined> = new Set(["EPIPE", "ERR_STREAM_DESTROYED"]);
const CANNOT_WRITE = 7;

export function openHost(): Host {
  const controller = new AbortController();
  // Every request that is on its way listens, and many are: that is no leak for Node to warn of.
  setMaxListeners(0, controller.signal);
  let gone = false;
  let failure: string | undefined;

  const interrupt = (signal: "SIGINT" | "SIGTERM") => {
    const code = signal === "SIGINT" ? 130 : 143;
    // The second time means now. Nothing is half-written even then: documents appear whole or not at all.
    if (controller.signal.aborted) process.exit(code);
    controller.abort(new Interruption(signal, code));
  };
  const onError = (error: NodeJS.ErrnoException) => {
    // `| head` has seen enough: a reader stops, quietly.
    if (!CLOSED_PIPE.has(error.code)) {
      if (failure === undefined) stderr.write(`prompt-registry: error: can't write the result: ${error.message}\n`);
      failure ??= error.message;
      process.exitCode = CANNOT_WRITE;
    }
    // Nothing is written behind a gap either; `settle` makes the exit code of that.
    gone = true;
    controller.abort(new Interruption("EPIPE", 0));
  };
  const stdout = new Sink(1, () => process.stdout, onError);
  const stderr = new Sink(
    2,
    () => process.stderr,
    () => {},
  );
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);

  return {
    io: {
      // Looked at only when needed: making the stream of stdin costs a millisecond.
      get stdin() {
        return process.stdin;
      },
      stdout: {
        write: (chunk) => !gone && stdout.write(chunk),
        get isTTY() {
          return stdout.isTTY;
        },
        get columns() {
          return stdout.columns;
        },
      },
      stderr,
      env: process.env,
      cwd: process.cwd(),
      signal: controller.signal,
    },
    async settle(code) {
      if (!gone) await stdout.drained();
      return failure !== undefined && code === 0 ? CANNOT_WRITE : code;
    },
    close() {
      process.off("SIGINT", interrupt);
      process.off("SIGTERM", interrupt);
    },
  };
}

/** Bytes that any pipe or socket takes before anybody reads: the buffer of a local socket on macOS is no larger. */
const ROOM = 8192;

/**
 * stdout or stderr. Files, and pipes as long as there surely is room in them, are written to without Node's stream: to load and
 * make one takes longer than to read a prompt. The stream never waits for a reader; a write would, and with it a server whose
 * log nobody reads, and every signal. Terminals, Windows, and a pipe that somebody made non-blocking get the stream.
 */
class Sink implements Output {
  readonly #fd: number;
  readonly #open: () => NodeJS.WriteStream;
  readonly #onError: (error: NodeJS.ErrnoException) => void;
  #direct: boolean;
  /** Bytes that may still be written directly. */
  #room: number;
  #opened: NodeJS.WriteStream | undefined;

  constructor(fd: number, open: () => NodeJS.WriteStream, onError: (error: NodeJS.ErrnoException) => void) {
    this.#fd = fd;
    this.#open = open;
    this.#onError = onError;
    this.#room = roomOf(fd);
    this.#direct = this.#room > 0;
  }

  get #stream(): NodeJS.WriteStream {
    this.#opened ??= this.#open().on("error", this.#onError);
    return this.#opened;
  }

  get isTTY(): boolean {
    return !this.#direct && this.#stream.isTTY === true;
  }

  get columns(): number | undefined {
    return this.#direct ? undefined : this.#stream.columns;
  }

  write(chunk: string): boolean {
    if (!this.#direct) return this.#stream.write(chunk);
    const bytes = Buffer.from(chunk);
    if (bytes.length > this.#room) {
      this.#direct = false;
      return this.#stream.write(bytes);
    }
    this.#room -= bytes.length;
    for (let at = 0; at < bytes.length; ) {
      try {
        at += writeSync(this.#fd, bytes, at);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "EINTR") continue;
        if (code === "EAGAIN") {
          this.#direct = false;
          return this.#stream.write(bytes.subarray(at));
        }
        this.#onError(error as NodeJS.ErrnoException);
        return false;
      }
    }
    return true;
  }

  async drained(): Promise<void> {
    const stream = this.#opened;
    if (stream === undefined) return;
    if (stream.writableLength > 0) await new Promise((resolve) => stream.write("", resolve));
    // An error of the last write is told one turn later.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function roomOf(fd: number): number {
  if (process.platform === "win32") return 0;
  try {
    const stats = fstatSync(fd);
    if (stats.isFile()) return Number.POSITIVE_INFINITY;
    return stats.isFIFO() || stats.isSocket() ? ROOM : 0;
  } catch {
    return 0;
  }
}
