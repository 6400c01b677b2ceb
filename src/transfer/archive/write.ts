import { createHash, randomBytes } from "node:crypto";
import { lstat, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { StorageDriver } from "../../driver.ts";
import { isRegistryError, RegistryError, show } from "../../errors.ts";
import { parsePrefix } from "../../names.ts";
import { moveNew, syncFolder } from "../../whole-file.ts";
import { textsOf } from "../apply.ts";
import { operationOf } from "../copy.ts";
import { mapOrdered } from "../flow.ts";
import { freshly } from "../fresh.ts";
import { countNames, listNames } from "../names.ts";
import { MAX_LISTED, type TransferFailure, type TransferProgress } from "../report.ts";
import { readState } from "../state.ts";
import { fileError, inTheWay } from "./files.ts";
import {
  type ArchiveCounts,
  DEFAULT_LIMITS,
  headerLine,
  promptLine,
  type Trailer,
  textLine,
  trailerLine,
} from "./format.ts";
import { archiveFile, readRecords } from "./read.ts";

export interface BackupOptions {
  /** Only names that start with this. */
  readonly prefix?: string | undefined;
  /** Prompts read ahead. Default 8. */
  readonly concurrency?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each prompt. With it, prompts are counted first. */
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined;
  /** The clock; for tests. */
  readonly now?: (() => Date) | undefined;
}

export interface BackupReport extends ArchiveCounts {
  /** Every version could be read. */
  readonly ok: boolean;
  readonly sha256: string;
  /** Bytes of the archive as it is written. */
  readonly compressedBytes: number;
  /** Versions that are damaged in the storage and so are not in the archive; at most 1000, the count is whole. */
  readonly failures: readonly TransferFailure[];
  readonly failureCount: number;
}

const compress = promisify(gzip);
const MEMBER_BYTES = 2 ** 20;
// Half of what a reader allows: a text of one letter a million times must not make an archive that looks like a bomb.
const MAX_RATIO = 50;
const KEEP = 4 * 2 ** 20;

/**
 * Writes an archive: gzip of lines of JSON, as docs/transfer.md tells. Documents without seal are in it with their
 * canonical seal.
 *
 * @returns the report, when the bytes were all taken
 * @throws RegistryError what the storage has to say; ABORTED
 * @example
 * for await (const chunk of writeArchive(driver)) socket.write(chunk);
 */
export async function* writeArchive(
  storage: StorageDriver,
  options: BackupOptions = {},
): AsyncGenerator<Uint8Array, BackupReport, undefined> {
  const driver = freshly(storage);
  const { onProgress, now = () => new Date() } = options;
  const op = operationOf(options);
  const prefix = options.prefix === undefined ? "" : parsePrefix(options.prefix);
  const total = onProgress === undefined ? undefined : await countNames(listNames(driver, { prefix, op }));
  const hash = createHash("sha256");
  const counts = { prompts: 0, documents: 0, tombstones: 0, entries: 0, bytes: 0 };
  const failures: TransferFailure[] = [];
  let failureCount = 0;
  let compressedBytes = 0;
  let pending: string[] = [];
  let pendingLength = 0;
  const fail = (failure: TransferFailure) => {
    failureCount++;
    if (failures.length < MAX_LISTED) failures.push(failure);
  };
  async function member(): Promise<Uint8Array> {
    const bytes = Buffer.from(pending.join(""));
    pending = [];
    pendingLength = 0;
    let packed: Uint8Array = await compress(bytes);
    if (packed.length * MAX_RATIO < bytes.length) packed = await compress(bytes, { level: 0 });
    compressedBytes += packed.length;
    return packed;
  }
  /** @returns whether enough is waiting for a member of its own */
  function line(text: string): boolean {
    hash.update(text);
    counts.bytes += Buffer.byteLength(text);
    pending.push(text);
    pendingLength += text.length;
    return pendingLength >= MEMBER_BYTES;
  }
  line(headerLine(now().toISOString(), driver.kind));
  const states = mapOrdered(listNames(driver, { prefix, op }), options.concurrency ?? 8, (name) =>
    readState(driver, name, { keep: KEEP, op }),
  );
  for await (const state of states) {
    for (const { version, error } of state.damaged) fail({ name: state.name, version, error });
    const record = promptLine(state);
    if (Buffer.byteLength(record) > DEFAULT_LIMITS.maxLineBytes) {
      fail({
        name: state.name,
        error: new RegistryError("UNSUPPORTED", `${state.name} has a history too long for an archive`),
      });
      continue;
    }
    if (line(record)) yield await member();
    for await (const { version, text } of textsOf(driver, state, op)(new Set(state.slots.keys()))) {
      if (line(textLine(state.name, version, text))) yield await member();
    }
    counts.prompts++;
    for (const { kind } of state.slots.values()) counts[kind === "tombstone" ? "tombstones" : "documents"]++;
    counts.entries += state.entries.length;
    onProgress?.({ phase: "copy", done: counts.prompts, ...(total === undefined ? {} : { total }), name: state.name });
  }
  const trailer: Trailer = { ...counts, sha256: hash.digest("hex") };
  pending.push(trailerLine(trailer));
  yield await member();
  return { ...trailer, ok: failureCount === 0, compressedBytes, failures, failureCount };
}

export interface BackupFileOptions extends BackupOptions {
  /** Replace a file that is there. Default `false`. */
  readonly overwrite?: boolean | undefined;
  /** But never by an archive of nothing, unless the file is one, too (CONFLICT). Default `false`. */
  readonly keepFull?: boolean | undefined;
}

/**
 * Writes an archive to a file. The file appears whole, when everything is on disk, or not at all.
 *
 * @throws RegistryError INVALID for a file that is there; NO_SPACE; READ_ONLY; what the storage has to say
 * @example
 * const { prompts, sha256 } = await backupFile(driver, "prompts.ndjson.gz");
 */
export async function backupFile(
  driver: StorageDriver,
  file: string,
  options: BackupFileOptions = {},
): Promise<BackupReport> {
  const exists = await lstat(file).then(
    () => true,
    () => false,
  );
  if (exists && options.overwrite !== true) throw inTheWay(file);
  const temp = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const handle = await open(temp, "wx", 0o600);
    let report: BackupReport;
    try {
      const chunks = writeArchive(driver, options);
      let next = await chunks.next();
      while (next.done !== true) {
        // write() may take less than it was given.
        await handle.writeFile(next.value);
        next = await chunks.next();
      }
      report = next.value;
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (exists && options.keepFull === true && report.prompts === 0) await requireEmpty(file);
    if (options.overwrite === true) await rename(temp, file);
    else await moveNew(temp, file);
    await syncFolder(dirname(file));
    return report;
  } catch (error) {
    await rm(temp, { force: true }).catch(() => {});
    throw fileError(error, file);
  }
}

/** What can't be read as an archive of nothing is taken for something. */
async function requireEmpty(file: string): Promise<void> {
  const isEmpty = async () => {
    if ((await lstat(file)).size === 0) return true;
    for await (const { record } of readRecords(archiveFile(file))) return record.kind === "end";
    return false;
  };
  const empty = await isEmpty().catch((error: unknown) => {
    if (isRegistryError(error)) return false;
    throw error;
  });
  if (empty) return;
  throw new RegistryError(
    "CONFLICT",
    `there is nothing to back up, and ${show(file)} holds something: it stays; remove it first if that is meant`,
    { path: file },
  );
}
