import { RegistryError, show } from "../errors.ts";
import type { FrontMatterSplit } from "../frontmatter.ts";
import type { PromptName } from "../names.ts";
import type { Version } from "../semver.ts";
import { parseDigest, sha256 } from "./digest.ts";
import { checkNote, checkText, MAX_AUTHOR, MAX_MESSAGE, readAuthorText } from "./text.ts";
import type { ExpectedSlot, Removal, SealedDocument, SealInput, TombstoneInput } from "./types.ts";

export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
// Control, bidi and other invisible characters, those that YAML does not print, and line separators. Spelled out, as
// what \p{Cf} holds differs between versions of Node, and the same note must give the same bytes.
const INVISIBLE = new RegExp(
  String.raw`[\x7f-\xa0\xad\u034f\u061c\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u2060-\u206f` +
    String.raw`\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{10ffff}]`,
  "gu",
);

/** All of a batch have the same one. */
let lastTime = "";

function checkTime(field: string, time: string): void {
  if (time === lastTime) return;
  // What does not survive the round trip (the 31st of June) is no time.
  if (TIME.test(time) && !Number.isNaN(Date.parse(time)) && new Date(time).toISOString() === time) {
    lastTime = time;
    return;
  }
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
  return sealChecked(input, readAuthorText(input.text).split);
}

/** {@link sealDocument} of a text that `checkAuthorText` has just been through, and of what that gave. */
export function sealChecked(input: SealInput, split: FrontMatterSplit | "none"): SealedDocument {
  checkTime("createdAt", input.createdAt);
  checkNote("author", input.author, MAX_AUTHOR);
  checkNote("message", input.message, MAX_MESSAGE);
  const { name, version, text, author, createdAt, message } = input;
  return assemble({ name, version, text }, split, { author, createdAt, message });
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
