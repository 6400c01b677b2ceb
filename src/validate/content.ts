/** Reads single files, and trusts none of them. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { Index } from "./git.ts";

export interface ReadFile {
  readonly bytes?: Buffer;
  readonly text?: string;
  /** Why there is none of either, or no text. */
  readonly problem?: string;
  /** There is no such file. */
  readonly gone?: true;
  /** It is left out of a sparse checkout, and of a partial clone, so nothing can be said of it. */
  readonly elsewhere?: true;
}

/** Reads a regular file of at most `max` bytes. Never throws for what the file is. */
export async function readText(root: string, path: string, max: number): Promise<ReadFile> {
  let bytes: Buffer;
  try {
    // Neither a link, nor a pipe that nobody writes to.
    const handle = await open(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) return { problem: "it is no regular file" };
      if (stats.size > max) return { problem: `it has ${stats.size} bytes; at most ${max} are allowed` };
      bytes = await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return { gone: true, problem: "it is not there" };
    return { problem: `it can't be read (${code ?? "unknown"})` };
  }
  return decoded(bytes, max);
}

/** The same of what Git has. */
export async function readBlob(index: Pick<Index, "read">, oid: string, max: number): Promise<ReadFile> {
  const bytes = await index.read(oid);
  if (bytes === undefined) return { elsewhere: true, problem: "it is neither checked out nor in this clone" };
  return decoded(bytes, max);
}

function decoded(bytes: Buffer, max: number): ReadFile {
  if (bytes.length > max) return { problem: `it has more than ${max} bytes` };
  try {
    return { bytes, text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { bytes, problem: "it is not UTF-8" };
  }
}
