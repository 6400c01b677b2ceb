import { openStored, type SealedDocument } from "../../document.ts";
import { RegistryError } from "../../errors.ts";
import { publishEntry } from "../../history.ts";
import { type Version, versionSortKey } from "../../semver.ts";
import type { Args } from "./task.ts";

export const MAX_DOCUMENT_BYTES = 2 ** 21;

/** The columns of a slot. Who, when and why are read off the document itself, which stays the truth. */
export interface SlotColumns extends Args {
  readonly version: Version;
  readonly sortKey: string;
  readonly tombstone: 0 | 1;
  readonly digest: string;
  readonly createdAt: string | null;
  readonly author: string | null;
  readonly message: string | null;
  readonly content: string;
}

type Notes = Pick<SlotColumns, "createdAt" | "author" | "message">;

/**
 * Who, when and why, off the lines of the seal. Its digest was computed by whoever sealed it, an instant ago as a rule, and
 * is not computed again: that would be a tenth of a store.
 *
 * @returns `undefined` for a text that is not as it is usually sealed
 */
function sealNotes(text: string, digest: string): Notes | undefined {
  const notes = { createdAt: null as string | null, author: null as string | null, message: null as string | null };
  const end = text.indexOf(`\nregistry.digest: ${digest}`);
  const start = text.indexOf("\nregistry.name: ");
  if (start < 0 || end < start) return undefined;
  for (let at = start + 1; at <= end; ) {
    const next = text.indexOf("\n", at) + 1;
    const line = text.slice(at, text.charCodeAt(next - 2) === 0x0d ? next - 2 : next - 1);
    const colon = line.indexOf(": ");
    const value = line.slice(colon + 2);
    try {
      if (!line.startsWith("registry.")) return undefined;
      if (line.startsWith("registry.createdAt: ")) notes.createdAt = value;
      else if (line.startsWith("registry.author: ")) notes.author = JSON.parse(value) as string;
      else if (line.startsWith("registry.message: ")) notes.message = JSON.parse(value) as string;
    } catch {
      return undefined;
    }
    at = next;
  }
  return notes;
}

export function slotColumns(document: SealedDocument, tombstone: boolean): SlotColumns {
  const { version, digest, text } = document;
  const { createdAt, author, message } = sealNotes(text, digest) ?? notesOf(document);
  return {
    version,
    sortKey: versionSortKey(version),
    tombstone: tombstone ? 1 : 0,
    digest,
    createdAt,
    author,
    message,
    content: text,
  };
}

function notesOf(document: SealedDocument): Notes {
  const entry = publishEntry(document);
  return { createdAt: entry?.at ?? null, author: entry?.by ?? null, message: entry?.message ?? null };
}

/** Whether a tombstone is that of this very document. */
export function buries(tombstone: string, document: SealedDocument): boolean {
  const stored = openStored(tombstone, document);
  return stored.kind === "tombstone" && stored.removed.digest === document.digest;
}

export function checkSize({ name, version, text }: SealedDocument): RegistryError | undefined {
  // A character is at most three bytes of UTF-8, so most texts need no counting.
  if (text.length * 3 <= MAX_DOCUMENT_BYTES || Buffer.byteLength(text) <= MAX_DOCUMENT_BYTES) return undefined;
  return new RegistryError(
    "INVALID",
    `${name}@${version} is too large to be stored; at most ${MAX_DOCUMENT_BYTES} bytes`,
    {
      name,
      version,
    },
  );
}
