import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open as openFile } from "node:fs/promises";
import { PassThrough, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { defined } from "../../defined.ts";
import { RegistryError, show, throwIfAborted } from "../../errors.ts";
import { fileError } from "./files.ts";
import {
  type ArchiveLimits,
  type ArchiveRecord,
  checkHeader,
  corruptArchive,
  DEFAULT_LIMITS,
  parseLine,
  readRecord,
} from "./format.ts";

/** Gives the bytes of an archive from their start, each time it is called. */
export type ArchiveInput = () => AsyncIterable<Uint8Array>;

/**
 * A file as input. Only a regular file: a device or a pipe never ends, and can't be read twice.
 *
 * @throws RegistryError INVALID, when it is read
 */
export function archiveFile(file: string): ArchiveInput {
  return async function* () {
    let handle: Awaited<ReturnType<typeof openFile>>;
    try {
      // To open a pipe waits for somebody who writes, and nothing ends that wait, not even the end of the process.
      handle = await openFile(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    } catch (error) {
      throw fileError(error, file);
    }
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) {
        throw new RegistryError("INVALID", `${show(file)} is not a regular file`, { field: "file", path: file });
      }
      for (;;) {
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(65_536), 0, 65_536, null);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await handle.close();
    }
  };
}

/** The records of an archive after its header, the last one included, counted and hashed on the way. */
export async function* readRecords(
  input: ArchiveInput,
  limits: ArchiveLimits = {},
  signal?: AbortSignal,
): AsyncGenerator<{ readonly record: ArchiveRecord; readonly line: number }, void, undefined> {
  const caps: typeof DEFAULT_LIMITS = { ...DEFAULT_LIMITS, ...defined(limits) };
  const hash = createHash("sha256");
  let line = 0;
  let bytes = 0;
  let entries = 0;
  let ended = false;
  for await (const { raw, text } of linesOf(input, caps)) {
    line++;
    if (line % 256 === 0) throwIfAborted(signal, "restore");
    if (ended) throw corruptArchive(line, "something follows the last line");
    const json = parseLine(text, line);
    if (line === 1) {
      checkHeader(json);
    } else {
      const record = readRecord(json, line);
      if (record.kind !== "end" && ++entries > caps.maxEntries) {
        throw new RegistryError(
          "INVALID",
          `the archive has more than ${caps.maxEntries} entries; allow more on purpose`,
        );
      }
      if (record.kind === "end") {
        ended = true;
        if (record.trailer.bytes !== bytes || record.trailer.sha256 !== hash.digest("hex")) {
          throw corruptArchive(line, "what comes before it is not what was written: the SHA-256 differs");
        }
      }
      yield { record, line };
    }
    if (!ended) hash.update(raw);
    bytes += raw.length;
  }
  if (line === 0) throw new RegistryError("INVALID", "the archive is empty");
  if (!ended) throw corruptArchive(line, "the archive ends before its last line: it is cut off");
}

const NEWLINE = 0x0a;

async function* linesOf(
  input: ArchiveInput,
  caps: typeof DEFAULT_LIMITS,
): AsyncGenerator<{ readonly raw: Buffer; readonly text: string }, void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let parts: Buffer[] = [];
  let length = 0;
  let line = 1;
  const tooLong = () =>
    new RegistryError("INVALID", `archive, line ${line}: longer than ${caps.maxLineBytes} bytes`, { line });
  const take = (last: Buffer) => {
    const raw = parts.length === 0 ? last : Buffer.concat([...parts, last]);
    parts = [];
    length = 0;
    line++;
    try {
      return { raw, text: decoder.decode(raw) };
    } catch (cause) {
      throw corruptArchive(line - 1, "it is not UTF-8", cause);
    }
  };
  for await (const chunk of plainBytes(input, caps)) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      if (length + at + 1 - from > caps.maxLineBytes) throw tooLong();
      yield take(chunk.subarray(from, at + 1));
      from = at + 1;
    }
    if (from < chunk.length) {
      parts.push(chunk.subarray(from));
      length += chunk.length - from;
      if (length > caps.maxLineBytes) throw tooLong();
    }
  }
  if (length > 0) throw corruptArchive(line, "it has no line end: the archive is cut off");
}

const SLACK = 2 ** 20;

/** Decompressed, unless it is plain: what somebody unpacked to look at can be restored, too. */
async function* plainBytes(input: ArchiveInput, caps: typeof DEFAULT_LIMITS): AsyncGenerator<Buffer, void, undefined> {
  let packed = 0;
  const source = input()[Symbol.asyncIterator]();
  const first = await source.next();
  const counted = async function* () {
    try {
      for (let next = first; next.done !== true; next = await source.next()) {
        packed += next.value.length;
        yield next.value;
      }
    } finally {
      await source.return?.();
    }
  };
  const isGzip = first.done !== true && first.value[0] === 0x1f && first.value[1] === 0x8b;
  let total = 0;
  for await (const chunk of isGzip ? unzip(counted()) : counted()) {
    total += chunk.length;
    if (total > caps.maxBytes) {
      throw new RegistryError("INVALID", `the archive has more than ${caps.maxBytes} bytes; allow more on purpose`);
    }
    if (total > SLACK + packed * caps.maxRatio) {
      throw new RegistryError(
        "INVALID",
        `the archive unpacks to more than ${caps.maxRatio} times its size; this is no backup`,
      );
    }
    yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
}

async function* unzip(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const out = new PassThrough();
  const done = pipeline(Readable.from(bytes, { objectMode: false }), createGunzip(), out).then(
    () => undefined,
    (error: unknown) => unzipError(error),
  );
  try {
    yield* out as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw (await done) ?? error;
  } finally {
    out.destroy();
  }
  const error = await done;
  if (error !== undefined) throw error;
}

function unzipError(error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "Z_BUF_ERROR") return new RegistryError("CORRUPT", "the archive is cut off", { cause: error });
  if (!code?.startsWith("Z_")) return error;
  return new RegistryError("CORRUPT", `the archive can't be unpacked: ${message}`, { cause: error });
}
