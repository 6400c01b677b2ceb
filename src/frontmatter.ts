import { RegistryError, show } from "./errors.ts";

/** Where the front matter stands in a text; all positions are offsets in UTF-16 units. */
export interface FrontMatterSplit {
  /** The text starts with a byte order mark. */
  readonly bom: boolean;
  /** Just after the line that opens. */
  readonly blockStart: number;
  /** Start of the line that closes. */
  readonly blockEnd: number;
  /** Just after the line that closes, its line end included. */
  readonly bodyStart: number;
  /** The line end of the line that opens. */
  readonly eol: "\n" | "\r\n";
}

/** In UTF-8 bytes, delimiter lines not counted. */
export const MAX_FRONT_MATTER_BYTES = 64 * 1024;

// One word after `---` is what gray-matter reads as the name of an engine, `js` being eval:
// https://github.com/jonschlinkert/gray-matter/issues/131
const LANGUAGE_TAG = /^---[ \t]*[A-Za-z][\w.+#-]*[ \t]*\r?$/;

/**
 * Finds the front matter of a text. It opens when the first line (after a byte order mark, if any) is `---` and nothing
 * but spaces or tabs, and closes at the next such line; lines end with LF or CRLF. Takes time linear in the text.
 *
 * @param maxBytes most UTF-8 bytes between the delimiter lines; default {@link MAX_FRONT_MATTER_BYTES}
 * @returns offsets, or `"none"`
 * @throws RegistryError INVALID (`line`, `column`) for `---js` and the like, a block that is never closed or too large
 * @example
 * splitFrontMatter("---\ntitle: Triage\n---\nYou are …"); // { bom: false, blockStart: 4, blockEnd: 18, bodyStart: 22, eol: "\n" }
 */
export function splitFrontMatter(text: string, maxBytes: number = MAX_FRONT_MATTER_BYTES): FrontMatterSplit | "none" {
  const bom = text.charCodeAt(0) === 0xfeff;
  const start = bom ? 1 : 0;
  if (!text.startsWith("---", start)) return "none";
  const blockStart = delimiterEnd(text, start + 3);
  if (blockStart < 0) {
    const end = text.indexOf("\n", start);
    const first = text.slice(start, end < 0 ? text.length : end);
    if (!LANGUAGE_TAG.test(first)) return "none";
    throw invalid(
      `the first line ${show(first, 40)} names a language; front matter is YAML and opens with --- alone`,
      1,
      1,
    );
  }
  // The search starts on the line end of the first line, so that a block may be empty.
  for (let at = blockStart - 1; ; at++) {
    at = text.indexOf("\n---", at);
    if (at < 0) {
      throw invalid(
        "it opens with --- but is never closed; close it with a line --- or put an empty line before the first ---",
        1,
        1,
      );
    }
    const bodyStart = delimiterEnd(text, at + 4);
    if (bodyStart < 0) continue;
    const blockEnd = at + 1;
    if (isLonger(text, blockStart, blockEnd, maxBytes)) throw tooLong(maxBytes);
    return { bom, blockStart, blockEnd, bodyStart, eol: text.charCodeAt(blockStart - 2) === 0x0d ? "\r\n" : "\n" };
  }
}

/** Offset after the line end when nothing but spaces and tabs stands from `at` to it, else -1. */
function delimiterEnd(text: string, at: number): number {
  let i = at;
  let c = text.charCodeAt(i);
  while (c === 0x20 || c === 0x09) c = text.charCodeAt(++i);
  if (c === 0x0a) return i + 1;
  if (c === 0x0d && text.charCodeAt(i + 1) === 0x0a) return i + 2;
  return i >= text.length ? i : -1;
}

export function isLonger(text: string, start: number, end: number, maxBytes: number): boolean {
  const length = end - start;
  if (length > maxBytes) return true;
  return length * 3 > maxBytes && Buffer.byteLength(text.slice(start, end)) > maxBytes;
}

export function tooLong(maxBytes: number): RegistryError {
  return invalid(`it is longer than ${maxBytes} bytes; move text to the body`, 1, 1);
}

export function invalid(problem: string, line: number, column: number, cause?: unknown): RegistryError {
  return new RegistryError("INVALID", `front matter, line ${line}, column ${column}: ${problem}`, {
    field: "text",
    line,
    column,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Whether a text has no lone surrogate, and so is the same after UTF-8. */
export function isWellFormed(text: string): boolean {
  // Without the `u` flag a text with no surrogate at all, the usual one, is passed over several times faster.
  return !/[\ud800-\udfff]/.test(text) || !/\p{Surrogate}/u.test(text);
}
