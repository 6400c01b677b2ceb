/** The fast path of the front matter parser, and what both paths share. */

/** A value that JSON can hold; objects have no prototype, and everything is frozen. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

export const MAX_NODES = 2000;
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype", "<<"]);

const NULLS: ReadonlySet<string> = new Set(["", "~", "null", "Null", "NULL"]);
const TRUES: ReadonlySet<string> = new Set(["true", "True", "TRUE"]);
const FALSES: ReadonlySet<string> = new Set(["false", "False", "FALSE"]);
const INTEGER = /^[-+]?[0-9]+$/;
const OCTAL = /^0o[0-7]+$/;
const HEX = /^0x[0-9a-fA-F]+$/;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const NOT_JSON = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;

/**
 * What a plain scalar means in the core schema (§10.3.2); `undefined` for a number that JSON cannot hold. js-yaml's own
 * types are not used: they also take `0b1` and `-0x1` as numbers, and `-.5` as a string.
 */
export function resolvePlain(text: string): string | number | boolean | null | undefined {
  // No word of the schema is longer, and only a digit, a sign or a point starts a number.
  if (text.length <= 5) {
    if (NULLS.has(text)) return null;
    if (TRUES.has(text)) return true;
    if (FALSES.has(text)) return false;
  }
  const c = text.charCodeAt(0);
  if (!((c >= 0x30 && c <= 0x39) || c === 0x2b || c === 0x2d || c === 0x2e)) return text;
  if (NOT_JSON.test(text)) return undefined;
  if (!INTEGER.test(text) && !OCTAL.test(text) && !HEX.test(text) && !FLOAT.test(text)) return text;
  const value = Number(text);
  return Number.isFinite(value) ? value + 0 : undefined;
}

/** An object without prototype. Made this way V8 keeps it fast; `Object.create(null)` is a hash table from the start. */
export function bareObject(): Record<string, JsonValue> {
  return Object.setPrototypeOf({}, null);
}

const BODY = String.raw`!-9;-~\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd`;
const PLAIN = String.raw`(?:-?[0-9A-Za-z_/(+$]|[\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd])(?:[${BODY}]|:(?=[${BODY}])| +(?=[${BODY}])(?!#))*`;
const QUOTED = String.raw`"(?:[^"\\\0-\x1f\x7f-\x9f\ud800-\udfff]|\\["\\/bfnrt])*"`;
const WORD = String.raw`[0-9A-Za-z_/][\w./-]*`;
const LIST = String.raw`\[ *(?:(?:${WORD}|${QUOTED})(?: *, *(?:${WORD}|${QUOTED}))* *)?\]`;
// One line of the subset. Every alternative starts with another character, so it takes linear time.
const LINE = new RegExp(
  String.raw`( *)(?:#[^\r\n\0]*|(?:(-)|([A-Za-z_][\w.-]*\??):)(?: +(?:(${QUOTED})|(${PLAIN})|(${LIST})))?(?: +#[^\r\n\0]*)? *)?(?:\r?\n|$)`,
  "y",
);
const ITEM = new RegExp(`${QUOTED}|${WORD}`, "g");
const MAX_BLOCKS = 8;

interface Block {
  readonly indent: number;
  readonly map: Record<string, JsonValue> | undefined;
  readonly list: JsonValue[] | undefined;
}

/**
 * The fast path: comments, blank lines, and lines of `key: value` or `- value`, nested by indentation, where a value is
 * plain, a JSON string or a list of words and JSON strings, all on one line. `undefined` for anything else, valid or
 * not, and for whatever comes near a limit. A property test holds it equal to the full parser.
 *
 * @internal
 */
export function parseFlat(yaml: string): JsonObject | undefined {
  const root = bareObject();
  const blocks: Block[] = [];
  let top: Block = { indent: 0, map: root, list: undefined };
  /** The key of the last line, where a block below it may be its value. */
  let open: string | undefined;
  let nodes = 1;
  LINE.lastIndex = 0;
  while (LINE.lastIndex < yaml.length) {
    const match = LINE.exec(yaml);
    if (match === null) return undefined;
    const [, space = "", dash, key, quoted, plain, words] = match;
    if (key === undefined && dash === undefined) continue;
    const indent = space.length;
    if (open !== undefined && (indent > top.indent || (indent === top.indent && dash !== undefined))) {
      const child: Block =
        key === undefined ? { indent, map: undefined, list: [] } : { indent, map: bareObject(), list: undefined };
      (top.map as Record<string, JsonValue>)[open] = (child.map ?? child.list) as JsonValue;
      blocks.push(top);
      if (blocks.length > MAX_BLOCKS) return undefined;
      top = child;
    } else {
      while (top.indent > indent || (top.indent === indent && top.list !== undefined && key !== undefined)) {
        const above = blocks.pop();
        if (above === undefined) return undefined;
        Object.freeze(top.map ?? top.list);
        top = above;
      }
      // Deeper than all that is open: a text that goes on, or a mistake.
      if (top.indent !== indent) return undefined;
    }
    open = undefined;
    let value: JsonValue | undefined;
    if (quoted !== undefined) value = JSON.parse(quoted) as string;
    else if (words !== undefined) {
      value = wordsOf(words);
      if (value !== undefined) nodes += (value as JsonValue[]).length;
    } else {
      value = resolvePlain(plain ?? "");
      if (plain === undefined) open = key;
    }
    nodes += 2;
    if (value === undefined || nodes > MAX_NODES / 2) return undefined;
    if (key === undefined) {
      if (top.list === undefined) return undefined;
      top.list.push(value);
      continue;
    }
    const { map } = top;
    if (map === undefined || FORBIDDEN_KEYS.has(key) || key in map) return undefined;
    if (key.length <= 5 && typeof resolvePlain(key) !== "string") return undefined;
    map[key] = value;
  }
  for (let block: Block | undefined = top; block !== undefined; block = blocks.pop()) {
    Object.freeze(block.map ?? block.list);
  }
  return root;
}

function wordsOf(list: string): JsonValue | undefined {
  const values: JsonValue[] = [];
  for (const item of list.match(ITEM) ?? []) {
    const value = item.startsWith('"') ? (JSON.parse(item) as string) : resolvePlain(item);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return Object.freeze(values);
}
