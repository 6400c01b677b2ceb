import { Interruption, type Io } from "./io.ts";

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
  let gone = false;
  let failure: string | undefined;

  const interrupt = (signal: "SIGINT" | "SIGTERM") => {
    const code = signal === "SIGINT" ? 130 : 143;
    // The second time means now. Nothing is half-written even then: documents appear whole or not at all.
    if (controller.signal.aborted) process.exit(code);
    controller.abort(new Interruption(signal, code));
  };
  const onError = (error: NodeJS.ErrnoException) => {
    if (CLOSED_PIPE.has(error.code)) {
      // `| head` has seen enough: a reader stops, quietly.
      gone = true;
      controller.abort(new Interruption("EPIPE", 0));
      return;
    }
    if (failure === undefined)
      process.stderr.write(`prompt-registry: error: can't write the result: ${error.message}\n`);
    failure = error.message;
    process.exitCode = CANNOT_WRITE;
  };
  const ignore = () => {};
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  process.stdout.on("error", onError);
  process.stderr.on("error", ignore);

  const { stdout } = process;
  return {
    io: {
      // Looked at only when needed: making the stream of stdin costs a millisecond.
      get stdin() {
        return process.stdin;
      },
      stdout: {
        write: (chunk) => !gone && stdout.write(chunk),
        isTTY: stdout.isTTY,
        get columns() {
          return stdout.columns;
        },
      },
      get stderr() {
        return process.stderr;
      },
      env: process.env,
      cwd: process.cwd(),
      signal: controller.signal,
    },
    async settle(code) {
      if (!gone && stdout.writableLength > 0) await new Promise((resolve) => stdout.write("", resolve));
      // An error of the last write is told one turn later.
      await new Promise((resolve) => setImmediate(resolve));
      return failure !== undefined && code === 0 ? CANNOT_WRITE : code;
    },
    close() {
      process.off("SIGINT", interrupt);
      process.off("SIGTERM", interrupt);
    },
  };
}
