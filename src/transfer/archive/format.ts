import { type Digest, isDigest } from "../../document.ts";
import { EMPTY_HEAD, type Head, type HistoryEntry } from "../../driver.ts";
import { RegistryError, show } from "../../errors.ts";
import { HEAD_FORMAT, headFromJson, headToJson } from "../../head.ts";
import { isName, type PromptName } from "../../names.ts";
import { isVersion, type Version } from "../../semver.ts";
import type { PromptState } from "../state.ts";

/** First field of the first line. */
export const FORMAT = "prompt-registry-archive";
export const FORMAT_VERSION = 1;

export interface ArchiveLimits {
  /** Prompts, documents and tombstones together. Default 5,000,000. */
  readonly maxEntries?: number | undefined;
  /** Bytes after decompression. Default 64 GiB. */
  readonly maxBytes?: number | undefined;
  /** Bytes after decompression for each byte before it, over the first MiB. Default 100; an archive that `backup` writes has at most 50. */
  readonly maxRatio?: number | undefined;
  /** Bytes of one line, which has to be held. Default 64 MiB. */
  readonly maxLineBytes?: number | undefined;
}

export const DEFAULT_LIMITS: Readonly<Record<keyof ArchiveLimits, number>> = Object.freeze({
  maxEntries: 5_000_000,
  maxBytes: 64 * 2 ** 30,
  maxRatio: 100,
  maxLineBytes: 64 * 2 ** 20,
});

export interface SlotRecord {
  readonly version: Version;
  readonly digest: Digest;
  /** UTF-8 bytes of the text. */
  readonly size: number;
  /** Digest of the removed document, where the slot holds a tombstone. */
  readonly removed?: Digest;
}

export interface PromptRecord {
  readonly name: PromptName;
  /** Ascending; their texts follow in this order. */
  readonly slots: readonly SlotRecord[];
  /** Versions that could not be read when the archive was made. */
  readonly damaged: readonly Version[];
  readonly head: Omit<Head, "generation">;
  readonly entries: readonly HistoryEntry[];
}

export interface ArchiveCounts {
  readonly prompts: number;
  readonly documents: number;
  readonly tombstones: number;
  /** Head entries. */
  readonly entries: number;
  /** UTF-8 bytes of all lines before the last, line ends included. */
  readonly bytes: number;
}

export interface Trailer extends ArchiveCounts {
  /** SHA-256 of all lines before this one, line ends included; 64 hex digits. */
  readonly sha256: string;
}

export type ArchiveRecord =
  | { readonly kind: "prompt"; readonly prompt: PromptRecord }
  | { readonly kind: "text"; readonly name: PromptName; readonly version: Version; readonly text: string }
  | { readonly kind: "end"; readonly trailer: Trailer };

export function headerLine(createdAt: string, source: string): string {
  return `${JSON.stringify({ format: FORMAT, version: FORMAT_VERSION, createdAt, source })}\n`;
}

export function promptLine(state: PromptState): string {
  const { name, slots, damaged, head, entries } = state;
  const {
    format: _f,
    name: _n,
    generation: _g,
    ...json
  } = headToJson({
    name,
    head: { ...EMPTY_HEAD, ...head },
    history: entries,
  });
  const versions = [...slots.values()].map(({ version, digest, size, removed }) => ({
    version,
    digest,
    size,
    ...(removed === undefined ? {} : { removed }),
  }));
  const lost = damaged.length === 0 ? {} : { damaged: damaged.map((d) => d.version) };
  return `${JSON.stringify({ prompt: name, versions, ...lost, head: json })}\n`;
}

export function textLine(name: PromptName, version: Version, text: string): string {
  return `${JSON.stringify({ of: name, version, text })}\n`;
}

export function trailerLine(trailer: Trailer): string {
  return `${JSON.stringify({ end: trailer })}\n`;
}

export function corruptArchive(line: number, problem: string, cause?: unknown): RegistryError {
  return new RegistryError("CORRUPT", `archive, line ${line}: ${problem}`, {
    line,
    ...(cause === undefined ? {} : { cause }),
  });
}

export function parseLine(text: string, line: number): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw corruptArchive(line, "it is not JSON", cause);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw corruptArchive(line, "it is not a JSON object");
}

/** @throws RegistryError INVALID for another kind of file; UNSUPPORTED for an archive of a later version */
export function checkHeader(json: Record<string, unknown>): void {
  if (json.format !== FORMAT) {
    throw new RegistryError("INVALID", `this is not an archive of prompt-registry: its format is ${show(json.format)}`);
  }
  if (json.version === FORMAT_VERSION) return;
  if (typeof json.version === "number" && json.version > FORMAT_VERSION) {
    throw new RegistryError(
      "UNSUPPORTED",
      `the archive has version ${json.version} of a later prompt-registry; update`,
    );
  }
  throw corruptArchive(1, `it has the unknown version ${show(json.version)}`);
}

export function readRecord(json: Record<string, unknown>, line: number): ArchiveRecord {
  if (Object.hasOwn(json, "of")) {
    const { of, version, text } = json;
    if (typeof of !== "string" || typeof version !== "string" || typeof text !== "string") {
      throw corruptArchive(line, "a text needs of, version and text");
    }
    if (!isName(of) || !isVersion(version))
      throw corruptArchive(line, `${show(of)}@${show(version)} can't be a prompt`);
    return { kind: "text", name: of, version, text };
  }
  if (Object.hasOwn(json, "prompt")) return { kind: "prompt", prompt: readPrompt(json, line) };
  if (Object.hasOwn(json, "end")) return { kind: "end", trailer: readTrailer(json.end, line) };
  throw corruptArchive(line, `an unknown record with the fields ${show(Object.keys(json).join(", "))}`);
}

function readPrompt(json: Record<string, unknown>, line: number): PromptRecord {
  const { prompt: name, versions, damaged = [], head } = json;
  if (typeof name !== "string" || !isName(name)) throw corruptArchive(line, `${show(name)} can't be a name`);
  if (!Array.isArray(versions) || !Array.isArray(damaged)) throw corruptArchive(line, "versions must be a list");
  if (typeof head !== "object" || head === null) throw corruptArchive(line, "it has no head");
  const slots = versions.map((value: unknown): SlotRecord => {
    const { version, digest, size, removed } = (typeof value === "object" && value !== null ? value : {}) as Record<
      string,
      unknown
    >;
    if (typeof version !== "string" || !isVersion(version) || !isDigest(digest)) {
      throw corruptArchive(line, `${name} has a version that is not one: ${show(version)}`);
    }
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
      throw corruptArchive(line, "a size is missing");
    if (removed !== undefined && !isDigest(removed)) throw corruptArchive(line, "removed must be a digest");
    return { version, digest, size, ...(removed === undefined ? {} : { removed }) };
  });
  const record = headFromJson(
    { ...(head as object), format: HEAD_FORMAT, name, generation: 0 },
    name,
    `archive, line ${line}`,
  );
  const { generation: _, ...fields } = record.head;
  return {
    name,
    slots,
    damaged: damaged.map((version: unknown) => {
      if (typeof version === "string" && isVersion(version)) return version;
      throw corruptArchive(line, `${show(version)} is not a version`);
    }),
    head: fields,
    entries: record.history,
  };
}

function readTrailer(value: unknown, line: number): Trailer {
  const json = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const number = (key: string): number => {
    const found = json[key];
    if (typeof found === "number" && Number.isSafeInteger(found) && found >= 0) return found;
    throw corruptArchive(line, `its last line has no count of ${key}`);
  };
  const { sha256 } = json;
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) throw corruptArchive(line, "it has no SHA-256");
  return {
    prompts: number("prompts"),
    documents: number("documents"),
    tombstones: number("tombstones"),
    entries: number("entries"),
    bytes: number("bytes"),
    sha256,
  };
}
