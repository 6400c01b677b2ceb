import { createHash } from "node:crypto";
import type { Torn } from "../access/journal.ts";
import { asciiJson } from "../ascii-json.ts";
import type { AuditEntry } from "../types.ts";

/** What stands around an entry. */
export interface AuditLink {
  /** Counts within the chain, from 1. */
  readonly seq: number;
  /** Whoever appends to a file begins a chain of its own; a database has one, `store`. */
  readonly chain: string;
  /** Hashes of the entries before this one: the last of its own chain, and those of other chains that none has named yet. */
  readonly prev: readonly string[];
  /** ISO 8601, by the server's clock. */
  readonly at: string;
  /** Which server. */
  readonly server: string;
  /** A line before this one was cut off when its writer ended; it was never acknowledged. */
  readonly torn?: Torn;
  /** Only in the first line of a file that took the place of another: where that one ended. */
  readonly continues?: readonly string[];
}

export interface AuditRecord extends AuditLink, AuditEntry {
  /** SHA-256, in hex, of the line without this field. */
  readonly hash: string;
}

const FIELDS = [
  ...(["who", "name", "action", "prompt", "version", "label", "digest", "from", "to"] as const),
  ...(["address", "requestId", "outcome", "code", "note"] as const),
] as const satisfies readonly (keyof AuditEntry)[];

const MAX_TEXT = 1000;
const HASH = /,"hash":"([0-9a-f]{64})"\}$/;

/**
 * One line of the log: JSON in ASCII, its own hash last. What it is the hash of is all before it, closed by a brace:
 *
 *     sed 's/,"hash":"[0-9a-f]*"}$/}/' line | tr -d '\n' | sha256sum
 */
export function formatLine(link: AuditLink, entry: AuditEntry): { readonly line: string; readonly hash: string } {
  const { seq, chain, prev, at, server, torn, continues } = link;
  const body = asciiJson({
    ...{ seq, chain, prev, at, server },
    ...(torn === undefined ? {} : { torn }),
    ...(continues === undefined ? {} : { continues }),
    ...Object.fromEntries(FIELDS.flatMap((key) => (entry[key] === undefined ? [] : [[key, short(entry[key])]]))),
  });
  const hash = hashOf(body);
  return { line: `${body.slice(0, -1)},"hash":"${hash}"}`, hash };
}

/** What a caller sends can be long; what it says is at its beginning. */
function short(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… (${text.length} characters)` : text;
}

function hashOf(body: string): string {
  return createHash("sha256").update(body).digest("hex");
}

/** The entry of a line; `undefined` where it is none, or not as it was written. */
export function parseAuditLine(line: string): AuditRecord | undefined {
  const match = HASH.exec(line);
  if (match === null || hashOf(`${line.slice(0, match.index)}}`) !== match[1]) return undefined;
  let record: AuditRecord | null;
  try {
    record = JSON.parse(line) as AuditRecord | null;
  } catch {
    return undefined;
  }
  if (typeof record !== "object" || record === null || !Array.isArray(record.prev)) return undefined;
  const isWhole = Number.isSafeInteger(record.seq) && typeof record.chain === "string";
  return isWhole && record.prev.every((hash) => typeof hash === "string") ? record : undefined;
}
