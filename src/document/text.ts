import { RegistryError, show } from "../errors.ts";
import { type FrontMatterSplit, isWellFormed, splitFrontMatter } from "../frontmatter.ts";
import { type Metadata, parseFrontMatter } from "../yaml.ts";

/** Of the author's text, in UTF-8 bytes. */
export const MAX_TEXT_BYTES = 1024 * 1024;
export const MAX_AUTHOR = 200;
export const MAX_MESSAGE = 2000;
// Two names and two notes, each unit escaped to six bytes, and the fixed parts.
export const MAX_SEAL_BYTES = 32 * 1024;
/** Most UTF-8 bytes a stored text can have; what a storage must be able to hold. */
export const MAX_STORED_BYTES = MAX_TEXT_BYTES + MAX_SEAL_BYTES;

/**
 * Checks what is asked of every text: a string of valid Unicode without NUL (which PostgreSQL cannot hold).
 *
 * @param maxBytes in UTF-8; default {@link MAX_TEXT_BYTES}, which is for an author's text; a sealed one may have
 *   {@link MAX_STORED_BYTES}
 * @throws RegistryError INVALID, field `text`
 * @example
 * checkText("You are a triage agent.\n");
 */
export function checkText(text: string, maxBytes: number = MAX_TEXT_BYTES): void {
  const bad = (problem: string) => new RegistryError("INVALID", `text ${problem}`, { field: "text" });
  if (typeof text !== "string") throw bad("is not a string");
  if (text.length > maxBytes || (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes)) {
    throw bad(`is longer than ${maxBytes} bytes`);
  }
  const nul = text.indexOf("\0");
  if (nul >= 0) throw bad(`has a NUL character at offset ${nul}; remove it`);
  if (!isWellFormed(text)) throw bad("has half a surrogate pair, so it is not valid Unicode");
}

/**
 * Checks a line somebody says about a change: valid Unicode without NUL, at most `max` UTF-16 units.
 *
 * @throws RegistryError INVALID
 */
export function checkNote(field: string, note: string | undefined, max: number): void {
  if (note === undefined) return;
  const bad = (problem: string) => new RegistryError("INVALID", `${field} ${show(note)} ${problem}`, { field });
  if (typeof note !== "string") throw bad("is not a string");
  if (note.length > max) throw bad(`is ${note.length} characters long; at most ${max} are allowed`);
  if (note.includes("\0") || !isWellFormed(note)) throw bad("has NUL or half a surrogate pair");
}

/** Offset of the first `registry.` line of the block, or -1. */
export function sealStart(text: string, split: FrontMatterSplit): number {
  if (text.startsWith("registry.", split.blockStart)) return split.blockStart;
  const at = text.indexOf("\nregistry.", split.blockStart);
  return at < 0 || at >= split.blockEnd ? -1 : at + 1;
}

/** Checks the front matter of an author's text. */
export function readAuthorText(text: string): { split: FrontMatterSplit | "none"; metadata: Metadata } {
  const split = splitFrontMatter(text);
  if (split === "none") return { split, metadata: parseFrontMatter("") };
  const reserved = (line: number) =>
    new RegistryError(
      "INVALID",
      `front matter, line ${line}: registry.* is for the registry alone, and this text is not a whole sealed document; ` +
        "remove these lines",
      { field: "text", line, column: 1 },
    );
  const at = sealStart(text, split);
  if (at >= 0) throw reserved(text.slice(0, at).split("\n").length);
  const metadata = parseFrontMatter(text.slice(split.blockStart, split.blockEnd));
  if (Object.keys(metadata).some((key) => key.startsWith("registry."))) throw reserved(2);
  return { split, metadata };
}

/**
 * Checks everything about an author's text that sealing checks.
 *
 * @returns where its front matter is
 * @throws RegistryError INVALID, with `line` and `column` for front matter
 */
export function checkAuthorText(text: string): FrontMatterSplit | "none" {
  checkText(text);
  return readAuthorText(text).split;
}
