import { closeSync, createReadStream, fstatSync, readFile } from "node:fs";
import { resolve } from "node:path";
import { abortError, RegistryError, show } from "../errors.ts";
import { collect as collectAll, type Input, isWaitedFor, openAtOnce, readPipe } from "../pipe.ts";
import { usageError } from "./args.ts";
import type { Context } from "./command.ts";

/** More than any document can have; keeps a wrong file name from filling the memory. */
const MAX_INPUT_BYTES = 4 * 1024 * 1024;

/**
 * The text of FILE, or of stdin for `-` and where no file is named.
 *
 * @throws RegistryError INVALID for what can't be read or is no UTF-8
 */
export async function readInput(context: Context, file: string | undefined): Promise<string> {
  if (file !== undefined && file !== "-") return readTextFile(context, file);
  const { stdin } = context.io;
  if (file === undefined && stdin.isTTY === true) throw usageError("missing FILE; write - to type or paste the text");
  return decode(await collect(stdin, context.signal, "stdin"), "stdin");
}

export async function readTextFile(context: Context, file: string): Promise<string> {
  const path = resolve(context.io.cwd, file);
  const bad = (why: string, cause?: unknown) =>
    new RegistryError("INVALID", `can't read ${show(file)}: ${why}`, { field: "file", path: file, cause });
  let bytes: Uint8Array;
  try {
    bytes = await readBytes(path, bounds(context.signal, show(file)), bad);
  } catch (error) {
    if (error instanceof RegistryError) throw error;
    if (context.signal.aborted) throw abortError(context.signal);
    throw bad(reason(error), error);
  }
  return decode(bytes, show(file));
}

async function readBytes(
  path: string,
  how: ReturnType<typeof bounds>,
  bad: (why: string) => RegistryError,
): Promise<Uint8Array> {
  const fd = openAtOnce(path);
  let mine = true;
  try {
    const stat = fstatSync(fd);
    if (stat.size > MAX_INPUT_BYTES) throw bad(`it has ${stat.size} bytes; a prompt has at most 1 MiB`);
    if (stat.isFile() && stat.size > 0) return await readRegular(fd, how.signal);
    const isPipe = await isWaitedFor(fd);
    mine = false;
    // A device or a pipe has no size, and perhaps no end.
    return await (isPipe ? readPipe(fd, how) : collectAll(createReadStream(path, { fd }), how));
  } finally {
    if (mine) closeSync(fd);
  }
}

function readRegular(fd: number, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    readFile(fd, { signal }, (error, bytes) => (error === null ? resolve(bytes) : reject(error)));
  });
}

/** What the system said, in words. */
export function reason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOENT":
      return "there is no such file";
    case "EISDIR":
      return "it is a folder";
    case "ENOTDIR":
      return "it is no folder";
    case "EACCES":
    case "EPERM":
      return "permission denied";
    case "ENOSPC":
      return "no space is left on the disk";
    case "EDQUOT":
      return "the quota of the disk is used up";
    case "EROFS":
      return "the file system is read-only";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

/** All of a stream; stops at once when the signal fires. */
export function collect(stream: Input, signal: AbortSignal, what: string): Promise<Uint8Array> {
  return collectAll(stream, bounds(signal, what));
}

function bounds(signal: AbortSignal, what: string) {
  const tooLong = () =>
    new RegistryError("INVALID", `${what} is too long; a prompt has at most 1 MiB`, { field: "text" });
  return { signal, maxBytes: MAX_INPUT_BYTES, tooLong };
}

/** One line typed by a person; `""` at the end of the input. */
export async function readLine(stream: Input, signal: AbortSignal): Promise<string> {
  const stop = () => stream.destroy?.();
  signal.addEventListener("abort", stop, { once: true });
  try {
    let text = "";
    for await (const chunk of stream) {
      text += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("utf8");
      if (text.includes("\n") || text.length > 1000) break;
    }
    if (signal.aborted) throw abortError(signal);
    return (text.split("\n", 1)[0] ?? "").trim();
  } catch (error) {
    if (signal.aborted) throw abortError(signal);
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function decode(bytes: Uint8Array, what: string): string {
  try {
    // A byte order mark is part of the author's bytes.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new RegistryError("INVALID", `${what} is not UTF-8 (byte ${firstBadByte(bytes)}); save it as UTF-8`, {
      field: "text",
    });
  }
}

/** Offset of the first byte that is no UTF-8. */
function firstBadByte(bytes: Uint8Array): number {
  const valid = (end: number) => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, end), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  let low = 0;
  let high = bytes.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (valid(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
