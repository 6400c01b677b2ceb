import { constants, fstatSync, openSync } from "node:fs";
import { abortError } from "./errors.ts";

/** What can be read piece by piece, and given up. */
export interface Input extends AsyncIterable<Uint8Array | string> {
  readonly isTTY?: boolean | undefined;
  destroy?(error?: Error): unknown;
}

/**
 * Opens a file to read it. To open a named pipe the plain way waits for its writer, in a thread that nothing ends: neither a
 * signal nor `process.exit` gets past it.
 */
export function openAtOnce(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
}

/** Whether what was opened with `openAtOnce` is to be read with `readPipe`: a plain read of it fails while nothing has come. */
export async function isWaitedFor(fd: number): Promise<boolean> {
  const stat = fstatSync(fd);
  return stat.isFIFO() || (stat.isCharacterDevice() && (await import("node:tty")).isatty(fd));
}

/** All that is written to a pipe, or typed, that was opened with `openAtOnce`; it is closed in the end, whatever happens. */
export async function readPipe(fd: number, options: CollectOptions): Promise<Uint8Array> {
  const isPipe = fstatSync(fd).isFIFO();
  // The event loop waits for a writer that comes late. Only Linux is known to tell none so far from one that is gone.
  const input = isPipe
    ? new (await import("node:net")).Socket({ fd, readable: true, writable: false })
    : new (await import("node:tty")).ReadStream(fd);
  try {
    const bytes = await collect(input, options);
    if (isPipe && bytes.length === 0 && process.platform !== "linux")
      throw new Error("nobody wrote anything to this pipe");
    return bytes;
  } finally {
    input.destroy();
  }
}

interface CollectOptions {
  readonly signal?: AbortSignal | undefined;
  readonly maxBytes: number;
  readonly tooLong: () => Error;
}

/** All of a stream; stops at once when the signal fires. */
export async function collect(stream: Input, { signal, maxBytes, tooLong }: CollectOptions): Promise<Uint8Array> {
  if (signal?.aborted) throw abortError(signal);
  // A stream that waits for a person does not end by itself.
  const stop = () => stream.destroy?.();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of stream) {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      size += bytes.length;
      if (size > maxBytes) throw tooLong();
      chunks.push(bytes);
    }
    if (signal?.aborted) throw abortError(signal);
    return Buffer.concat(chunks);
  } catch (error) {
    if (signal?.aborted) throw abortError(signal);
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
