import { hash } from "node:crypto";
import { RegistryError, show } from "../errors.ts";
import { type FrontMatterSplit, isWellFormed, splitFrontMatter } from "../frontmatter.ts";
import type { PromptName } from "../names.ts";
import type { Version } from "../semver.ts";
import { type Metadata, parseFrontMatter } from "../yaml.ts";

declare const brand: unique symbol;

/**
 * `sha256:` and 64 lower-case hex digits: SHA-256 of the stored UTF-8 bytes without the line `registry.digest: …` (its
 * line end included), which is the first such line, in the front matter. It binds name and version, as they are lines
 * of the same text. A shell checks it so, with any line ends, with a byte order mark and without a final newline; the
 * output is what the line itself says:
 *
 * ```sh
 * LC_ALL=C sed '1,/^registry\.digest: /{/^registry\.digest: /d;}' v1.0.0.md | sha256sum
 * ```
 *
 * (The sed of macOS adds a missing final newline; GNU and BusyBox don't.)
 */
export type Digest = string & { readonly [brand]: "Digest" };

/** A version as it is stored. */
export interface SealedDocument {
  readonly name: PromptName;
  readonly version: Version;
  /** The stored text, seal included. */
  readonly text: string;
  readonly digest: Digest;
}

export interface SealInput {
  readonly name: PromptName;
  readonly version: Version;
  /** The author's text; see {@link checkText}. */
  readonly text: string;
  /** At most {@link MAX_AUTHOR} UTF-16 units. */
  readonly author?: string | undefined;
  /** ISO 8601 in UTC with milliseconds, as `Date.prototype.toISOString` writes it. */
  readonly createdAt: string;
  /** At most {@link MAX_MESSAGE} UTF-16 units. */
  readonly message?: string | undefined;
}

/** What was removed, when, by whom and why. */
export interface Removal {
  /** Of the document that stood here. */
  readonly digest: Digest;
  readonly at: string;
  /** At most {@link MAX_AUTHOR} UTF-16 units. */
  readonly by?: string;
  /** At most {@link MAX_MESSAGE} UTF-16 units. */
  readonly reason?: string;
}

export interface TombstoneInput {
  readonly name: PromptName;
  readonly version: Version;
  readonly digest: Digest;
  readonly at: string;
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
  /** Those of the removed document, so that its history stays readable. */
  readonly author?: string | undefined;
  readonly createdAt?: string | undefined;
  readonly message?: string | undefined;
}

/** What documents and tombstones both say. */
export interface Stored {
  readonly name: PromptName;
  readonly version: Version;
  readonly digest: Digest;
  readonly author?: string;
  readonly createdAt?: string;
  readonly message?: string;
}

/** A whole, checked version. Frozen. */
export interface OpenedDocument extends Stored {
  readonly kind: "document";
  /** `false` for a text without seal, dropped in by hand: its digest is that of its {@link canonicalSeal}. */
  readonly sealed: boolean;
  /** The author's text, as it was before it was sealed. */
  readonly text: string;
  /** What follows the front matter (and a byte order mark). */
  readonly body: string;
  /** Where the body starts in `text`, in UTF-16 units. */
  readonly bodyStart: number;
  /**
   * The author's front matter, parsed at first use and kept; `registry.*` is no part of it.
   *
   * @throws RegistryError CORRUPT where a sealed text has front matter that no version of this package would have sealed
   */
  readonly metadata: Metadata;
}

/** The mark that keeps the slot of a removed version. Frozen. */
export interface Tombstone extends Stored {
  readonly kind: "tombstone";
  readonly removed: Removal;
}

export type OpenedText = OpenedDocument | Tombstone;

export interface ExpectedSlot {
  readonly name: PromptName;
  readonly version: Version;
}

/** Of the author's text, in UTF-8 bytes. */
export const MAX_TEXT_BYTES = 1024 * 1024;
export const MAX_AUTHOR = 200;
export const MAX_MESSAGE = 2000;
// Two names and two notes, each unit escaped to six bytes, and the fixed parts.
export const MAX_SEAL_BYTES = 32 * 1024;
/** Most UTF-8 bytes a stored text can have; what a storage must be able to hold. */
export const MAX_STORED_BYTES = MAX_TEXT_BYTES + MAX_SEAL_BYTES;

const DIGEST = /^sha256:[0-9a-f]{64}$/;
export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
// Control, bidi and other invisible characters, those that YAML does not print, and line separators. Spelled out, as
// what \p{Cf} holds differs between versions of Node, and the same note must give the same bytes.
const INVISIBLE = new RegExp(
  String.raw`[\x7f-\xa0\xad\u034f\u061c\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u2060-\u206f` +
    String.raw`\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{10ffff}]`,
  "gu",
);

/**
 * @example
 * isDigest(etag.slice(1, -1)); // sha256:2c26b4…
 */
export function isDigest(input: unknown): input is Digest {
  return typeof input === "string" && DIGEST.test(input);
}

/**
 * Checks the spelling of a digest.
 *
 * @throws RegistryError INVALID, field `digest`
 * @example
 * parseDigest("sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae");
 */
export function parseDigest(input: string): Digest {
  if (isDigest(input)) return input;
  throw new RegistryError("INVALID", `digest ${show(input)} is not sha256: followed by 64 lower-case hex digits`, {
    field: "digest",
  });
}

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

export function sha256(text: string): Digest {
  return `sha256:${hash("sha256", text)}` as Digest;
}

function checkTime(field: string, time: string): void {
  // What does not survive the round trip (the 31st of June) is no time.
  if (TIME.test(time) && !Number.isNaN(Date.parse(time)) && new Date(time).toISOString() === time) return;
  throw new RegistryError("INVALID", `${field} ${show(time)} is not a UTC time such as 2026-11-24T05:00:00.000Z`, {
    field,
  });
}

/** A value on one line that JSON and YAML read alike and that shows on a terminal as it is. */
function quote(value: unknown): string {
  return JSON.stringify(value).replace(INVISIBLE, (found) => {
    let escaped = "";
    for (let i = 0; i < found.length; i++) escaped += `\\u${found.charCodeAt(i).toString(16).padStart(4, "0")}`;
    return escaped;
  });
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
 * @throws RegistryError INVALID, with `line` and `column` for front matter
 */
export function checkAuthorText(text: string): void {
  checkText(text);
  readAuthorText(text);
}

export function assemble(
  { name, version, text }: { readonly name: PromptName; readonly version: Version; readonly text: string },
  split: FrontMatterSplit | "none",
  extra: {
    author?: string | undefined;
    createdAt?: string | undefined;
    message?: string | undefined;
    removed?: Removal;
  },
): SealedDocument {
  const lines = [`registry.name: ${name}`, `registry.version: ${version}`];
  if (extra.author !== undefined) lines.push(`registry.author: ${quote(extra.author)}`);
  if (extra.createdAt !== undefined) lines.push(`registry.createdAt: ${extra.createdAt}`);
  if (extra.message !== undefined) lines.push(`registry.message: ${quote(extra.message)}`);
  if (extra.removed !== undefined) lines.push(`registry.removed: ${quote(extra.removed)}`);
  let before: string;
  let after: string;
  let eol: string;
  if (split === "none") {
    const lf = text.indexOf("\n");
    eol = lf > 0 && text.charCodeAt(lf - 1) === 0x0d ? "\r\n" : "\n";
    const bom = text.charCodeAt(0) === 0xfeff ? 1 : 0;
    before = `${text.slice(0, bom)}---${eol}`;
    after = `---${eol}${text.slice(bom)}`;
    lines.push("registry.frontMatter: none");
  } else {
    eol = split.eol;
    before = text.slice(0, split.blockEnd);
    after = text.slice(split.blockEnd);
  }
  const head = before + lines.join(eol) + eol;
  const digest = sha256(head + after);
  return Object.freeze({ name, version, text: `${head}registry.digest: ${digest}${eol}${after}`, digest });
}

/**
 * Seals an author's text: its bytes stay as they are, and `registry.*` lines are added at the end of its front matter
 * (a new one, where it had none), with the line end of the line that opens it.
 *
 * @throws RegistryError INVALID for a text, time, author or message that is not allowed, with `line` and `column` for
 *   front matter (see `parseFrontMatter`); and for `registry.*` keys of the author's own
 * @example
 * const { text, digest } = sealDocument({
 *   name: parseName("support/triage"),
 *   version: parseVersion("1.0.0"),
 *   text: "You are a triage agent.\n",
 *   createdAt: new Date().toISOString(),
 * });
 */
export function sealDocument(input: SealInput): SealedDocument {
  checkText(input.text);
  checkTime("createdAt", input.createdAt);
  checkNote("author", input.author, MAX_AUTHOR);
  checkNote("message", input.message, MAX_MESSAGE);
  const { name, version, text, author, createdAt, message } = input;
  return assemble({ name, version, text }, readAuthorText(text).split, { author, createdAt, message });
}

/**
 * The seal of a text of which only name and version are known: what `doctor` makes of a file dropped in by hand.
 *
 * @throws RegistryError INVALID as {@link sealDocument}
 * @example
 * canonicalSeal({ name, version, text: dropped }).digest === openDocument(dropped, { name, version }).digest;
 */
export function canonicalSeal(input: ExpectedSlot & { readonly text: string }): SealedDocument {
  checkText(input.text);
  return assemble(input, readAuthorText(input.text).split, {});
}

/**
 * The text that takes the place of a removed version: a sealed document without any text and with the line
 * `registry.removed: {JSON}`. Its own digest, that of its own bytes, is not the digest of what was removed.
 *
 * @throws RegistryError INVALID
 * @example
 * sealTombstone({ name, version, digest, at: new Date().toISOString(), by: "ada", reason: "leaked a key" });
 */
export function sealTombstone(input: TombstoneInput): SealedDocument {
  const { name, version, at, by, reason, author, createdAt, message } = input;
  const digest = parseDigest(input.digest);
  checkTime("at", at);
  if (createdAt !== undefined) checkTime("createdAt", createdAt);
  checkNote("by", by, MAX_AUTHOR);
  checkNote("reason", reason, MAX_MESSAGE);
  checkNote("author", author, MAX_AUTHOR);
  checkNote("message", message, MAX_MESSAGE);
  const removed = { digest, at, ...(by === undefined ? {} : { by }), ...(reason === undefined ? {} : { reason }) };
  return assemble({ name, version, text: "" }, "none", { author, createdAt, message, removed });
}
