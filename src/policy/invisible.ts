/**
 * Characters that nobody sees. A model reads them all the same, so a prompt may say more than its reviewer read
 * (https://trojansource.codes, Unicode TR 36 and TR 39). Bytes are never changed: a digest stands for them.
 */
import { show } from "../errors.ts";
import { hideSecrets } from "./secrets.ts";
import type { PolicyRule } from "./types.ts";

/** A finding before it has a severity and a place. */
export interface Spot {
  readonly rule: PolicyRule;
  /** Offset in UTF-16 units. */
  readonly at: number;
  readonly length: number;
  readonly message: string;
  readonly shown: string;
}

// One class and no quantifier beyond it: a text is read once from left to right.
const SUSPECT = new RegExp(
  String.raw`[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f` +
    String.raw`\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\u{1bca0}-\u{1bca3}` +
    String.raw`\u{1d173}-\u{1d17a}\u{e0000}-\u{e01ef}]+`,
  "gu",
);

/** From here on a row of zero-width characters holds a byte and more, which no writing needs. */
const RUN = 8;

const NAMES: Readonly<Record<number, string>> = {
  173: "soft hyphen",
  847: "combining grapheme joiner",
  8203: "zero-width space",
  8204: "zero-width non-joiner",
  8205: "zero-width joiner",
  8206: "left-to-right mark",
  8207: "right-to-left mark",
  8288: "word joiner",
  12644: "Hangul filler",
  65279: "byte order mark in the middle",
  65440: "half-width Hangul filler",
};

// The only flags that are spelled in tags: England, Scotland, Wales (Unicode TR 51, RGI_Emoji_Tag_Sequence).
const FLAG_TAGS: ReadonlySet<string> = new Set(["gbeng", "gbsct", "gbwls"]);

/** Scripts whose letters are joined or parted by ZWJ and ZWNJ. */
const JOINING =
  /[\p{scx=Arab}\p{scx=Syrc}\p{scx=Nkoo}\p{scx=Mong}\p{scx=Deva}\p{scx=Beng}\p{scx=Guru}\p{scx=Gujr}\p{scx=Orya}\p{scx=Taml}\p{scx=Telu}\p{scx=Knda}\p{scx=Mlym}\p{scx=Sinh}\p{scx=Khmr}\p{scx=Tibt}\p{scx=Mymr}]/u;
/** Scripts without spaces, where a zero-width space says where a word ends. */
const UNSPACED = /[\p{scx=Thai}\p{scx=Laoo}\p{scx=Khmr}\p{scx=Mymr}\p{scx=Tibt}]/u;
const RIGHT_TO_LEFT = /[\p{scx=Arab}\p{scx=Hebr}\p{scx=Syrc}\p{scx=Thaa}\p{scx=Nkoo}]/u;
const MONGOLIAN = /\p{scx=Mong}/u;
const PICTURE = /[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}]/u;
const LETTER = /[\p{L}\p{M}]/u;

/** Finds invisible characters, a row of them at a time. */
export function findInvisible(text: string): Spot[] {
  const spots: Spot[] = [];
  for (const match of text.matchAll(SUSPECT)) {
    const start = match.index;
    let at = start;
    for (const part of rowsOf(match[0])) {
      const spot = judge(text, at, part);
      if (spot !== undefined) spots.push(spot);
      at += part.length;
    }
  }
  return spots;
}

type Kind = "tags" | "selectors" | "bidi" | "control" | "zero-width";

function kindOf(code: number): Kind {
  if (code >= 0xe0000 && code <= 0xe007f) return "tags";
  if ((code >= 0xe0080 && code <= 0xe01ef) || (code >= 0xfe00 && code <= 0xfe0f)) return "selectors";
  if ((code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)) return "bidi";
  if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return "control";
  return "zero-width";
}

/** A row of one kind. A selector that a ZWJ follows is part of an emoji, not of a row. */
function rowsOf(run: string): string[] {
  const rows: string[] = [];
  let last: Kind | undefined;
  for (const char of run) {
    const kind = kindOf(char.codePointAt(0) as number);
    if (kind === last) rows[rows.length - 1] += char;
    else rows.push(char);
    last = kind;
  }
  return rows;
}

function judge(text: string, at: number, row: string): Spot | undefined {
  const codes = [...row].map((char) => char.codePointAt(0) as number);
  const kind = kindOf(codes[0] as number);
  const spot = (rule: PolicyRule, message: string): Spot => ({
    ...{ rule, at, length: row.length, message },
    shown: escaped(codes),
  });
  const before = charBefore(text, at);
  const after = charAfter(text, at + row.length);
  switch (kind) {
    case "tags":
      return judgeTags(codes, before, spot);
    case "selectors":
      return judgeSelectors(codes, before, spot);
    case "bidi":
      return spot(
        "invisible/bidi",
        `${many(codes, "bidirectional control")}: what is read here is not in the order in which it stands; remove`,
      );
    case "control":
      return spot("invisible/control", `${many(codes, "control character")}; remove`);
    case "zero-width":
      break;
  }
  if (codes.length >= RUN) {
    return spot(
      "invisible/run",
      `${codes.length} zero-width characters in a row, which can hold a message; remove them`,
    );
  }
  // A byte order mark is one at the start of a text only.
  if (at === 0 && codes.length === 1 && codes[0] === 0xfeff) return undefined;
  if (codes.every((code) => isNeeded(code, before, after, text, at))) return undefined;
  return spot("invisible/zero-width", `${describe(codes)} where nothing needs it; remove`);
}

function judgeTags(
  codes: readonly number[],
  before: string,
  spot: (rule: PolicyRule, message: string) => Spot,
): Spot | undefined {
  const letters = codes
    .filter((code) => code >= 0xe0020 && code <= 0xe007e)
    .map((code) => String.fromCharCode(code - 0xe0000))
    .join("");
  const isFlag = before === "\u{1f3f4}" && codes.at(-1) === 0xe007f && codes.length === letters.length + 1;
  if (isFlag && FLAG_TAGS.has(letters)) return undefined;
  return spot("invisible/tags", `${many(codes, "tag character")}, which nobody sees${says(letters)}; remove`);
}

function judgeSelectors(
  codes: readonly number[],
  before: string,
  spot: (rule: PolicyRule, message: string) => Spot,
): Spot | undefined {
  if (codes.length > 1) {
    const message = `${codes.length} variation selectors in a row, which can hold a message${says(bytesOf(codes))}; remove`;
    return spot("invisible/selectors", message);
  }
  if ((codes[0] as number) > 0xffff) {
    return spot("invisible/selectors", "a variation selector beyond 16, which can hold a byte of a message; remove");
  }
  if (before !== "" && !/[\s\p{C}]/u.test(before)) return undefined;
  return spot("invisible/zero-width", "a variation selector with nothing to vary; remove");
}

/** Selectors are numbered, and a number up to 255 is a byte. */
function bytesOf(codes: readonly number[]): string {
  const bytes = codes.map((code) => (code <= 0xffff ? code - 0xfe00 : code - 0xe0100 + 16));
  if (bytes.some((byte) => byte < 0 || byte > 255)) return "";
  const text = new TextDecoder("utf-8").decode(Uint8Array.from(bytes));
  return /[\p{L}\p{N}]/u.test(text) && !text.includes("\ufffd") ? text : "";
}

/** What was hidden may be a secret, too. */
function says(payload: string): string {
  return payload.trim() === "" ? "" : `: they say ${show(hideSecrets(payload), 60)}`;
}

function isNeeded(code: number, before: string, after: string, text: string, at: number): boolean {
  switch (code) {
    case 0x200d:
      // A family, a flag, a profession: picture, joiner, picture; what varies or colours the first is part of it.
      if ((before === "\ufe0f" || PICTURE.test(before)) && PICTURE.test(after)) return true;
      return JOINING.test(before);
    case 0x200c:
      // Parts letters that would join: Persian and Indic; German compounds.
      return JOINING.test(before) || (LETTER.test(before) && LETTER.test(after));
    case 0x200b:
      return UNSPACED.test(before) || UNSPACED.test(after);
    case 0x200e:
    case 0x200f:
    case 0x061c:
      return RIGHT_TO_LEFT.test(lineAround(text, at));
    case 0xad:
      return LETTER.test(before) && LETTER.test(after);
    case 0x034f:
      return /\p{M}/u.test(after);
    case 0x180b:
    case 0x180c:
    case 0x180d:
    case 0x180e:
    case 0x180f:
      return MONGOLIAN.test(before);
    default:
      return false;
  }
}

/** Of a very long line the part near by. */
function lineAround(text: string, at: number): string {
  const from = Math.max(text.lastIndexOf("\n", at) + 1, at - 500);
  const end = text.indexOf("\n", at);
  // The mark itself is of a script, too.
  return text.slice(from, at) + text.slice(at + 1, Math.min(end < 0 ? text.length : end, at + 500));
}

function charBefore(text: string, at: number): string {
  if (at === 0) return "";
  const low = text.charCodeAt(at - 1);
  return low >= 0xdc00 && low <= 0xdfff ? text.slice(at - 2, at) : text.slice(at - 1, at);
}

function charAfter(text: string, at: number): string {
  const code = text.codePointAt(at);
  return code === undefined ? "" : String.fromCodePoint(code);
}

function many(codes: readonly number[], what: string): string {
  return codes.length === 1 ? `a ${what}` : `${codes.length} ${what}s`;
}

function describe(codes: readonly number[]): string {
  const [code = 0] = codes;
  const name = NAMES[code];
  if (codes.length > 1) return `${codes.length} zero-width characters`;
  return name === undefined ? "an invisible character" : `a ${name}`;
}

const MAX_SHOWN = 8;

function escaped(codes: readonly number[]): string {
  const shown = codes.slice(0, MAX_SHOWN).map((code) => `\\u{${code.toString(16)}}`);
  return shown.join("") + (codes.length > MAX_SHOWN ? `… (${codes.length} characters)` : "");
}
