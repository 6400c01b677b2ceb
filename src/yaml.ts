import { type EventType, load, Schema, type State, Type, YAMLException } from "js-yaml";
import { RegistryError, show } from "./errors.ts";
import { invalid, isLonger, isWellFormed, MAX_FRONT_MATTER_BYTES, tooLong } from "./frontmatter.ts";
import {
  bareObject,
  FORBIDDEN_KEYS,
  type JsonObject,
  type JsonValue,
  MAX_NODES,
  parseFlat,
  resolvePlain,
} from "./yaml-block.ts";

/** What a document says about itself in its front matter. */
export type Metadata = JsonObject;
export type { JsonObject, JsonValue };
export { parseFlat };

const MAX_DEPTH = 16;
// js-yaml first tries a node as a key, and so may hold one level twice.
const MAX_PARSER_DEPTH = 2 * MAX_DEPTH + 4;

/**
 * Parses the text between the delimiter lines: YAML 1.2 core schema (https://yaml.org/spec/1.2.2/#103-core-schema),
 * empty or a block mapping at column 0. Refused: tags, anchors, aliases, merge keys, duplicate keys, keys that are not
 * strings (integers and floats are taken as they are written), the keys `__proto__`, `constructor`, `prototype`, a
 * second document or directive, `.nan`, `.inf`, more than 16 levels, 2000 nodes (keys count) or 64 KiB.
 *
 * Integers beyond 2^53 lose precision, as in JSON; `-0` is `0`.
 *
 * @param startLine line of the file on which `yaml` starts, for messages; default 2
 * @returns frozen at every level; objects have no prototype
 * @throws RegistryError INVALID with `line` and `column` (1-based, of the file)
 * @example
 * parseFrontMatter("model: gpt-5\ntemperature: 0.2\n"); // { model: "gpt-5", temperature: 0.2 }
 */
export function parseFrontMatter(yaml: string, startLine = 2): Metadata {
  if (isLonger(yaml, 0, yaml.length, MAX_FRONT_MATTER_BYTES)) throw tooLong(MAX_FRONT_MATTER_BYTES);
  return parseFlat(yaml) ?? parseFull(yaml, startLine);
}

class Plain {
  constructor(readonly text: string) {}
}

let known: Schema | undefined;

/** Plain scalars are told from quoted ones by an implicit type that takes them all; no other tag is known. */
function schema(): Schema {
  known ??= new Schema({
    implicit: [
      new Type("plain", { kind: "scalar", resolve: () => true, construct: (text: string) => new Plain(text) }),
    ],
    explicit: [],
  });
  return known;
}

/** A finished value. js-yaml turns each key into a string, which is where keys are checked and counted. */
class Node {
  constructor(
    readonly reader: Reader,
    readonly value: JsonValue,
    /** How it reads as a key; `undefined` where it is none. */
    readonly key: string | undefined,
    readonly start: number,
    /** Levels of collections from here down; 0 for a scalar. */
    readonly height: number,
  ) {}
  // js-yaml does not ask an `[object Object]` for its string.
  get [Symbol.toStringTag](): string {
    return "Node";
  }
  toString(): string {
    return this.reader.takeKey(this);
  }
}

/** Listens to js-yaml and puts its own checked, frozen values in the place of those js-yaml has built. */
class Reader {
  readonly yaml: string;
  readonly startLine: number;
  readonly #open: { readonly start: number; keys: number }[] = [];
  #nodes = 0;

  constructor(yaml: string, startLine: number) {
    this.yaml = yaml;
    this.startLine = startLine;
  }

  fail(problem: string, offset: number, cause?: unknown): RegistryError {
    const before = this.yaml.slice(0, offset).split(/\r\n|\r|\n/);
    return invalid(problem, this.startLine + before.length - 1, (before.at(-1)?.length ?? 0) + 1, cause);
  }

  listen(event: EventType, state: State): void {
    if (event === "close") {
      const { start, keys } = this.#open.pop() ?? { start: 0, keys: 0 };
      state.result = this.#close(state.result, start, keys, state.position);
      return;
    }
    const start = contentStart(this.yaml, state.position);
    if (this.#open.length >= MAX_PARSER_DEPTH) throw this.fail(`nested deeper than ${MAX_DEPTH} levels`, start);
    // None of these can start a plain scalar, so here they are what YAML makes of them.
    const c = this.yaml[start];
    if (c === "!") throw this.fail("tags (!) are not allowed", start);
    if (c === "&") throw this.fail("anchors (&) are not allowed", start);
    if (c === "*") throw this.fail("aliases (*) are not allowed; quote a text that starts with *", start);
    this.#open.push({ start, keys: 0 });
  }

  takeKey({ key, start }: Node): string {
    if (key === undefined) throw this.fail("a key must be a string; put it in quotes", start);
    if (FORBIDDEN_KEYS.has(key)) throw this.fail(`the key ${show(key)} is not allowed`, start);
    const parent = this.#open.at(-1);
    if (parent !== undefined) parent.keys++;
    return key;
  }

  #count(add: number, start: number): void {
    this.#nodes += add;
    if (this.#nodes > MAX_NODES) throw this.fail(`more than ${MAX_NODES} keys and values`, start);
  }

  #close(result: unknown, start: number, keys: number, end: number): unknown {
    // A node that was first tried as a key is closed twice.
    if (result === null || result instanceof Node) return result;
    this.#count(1, start);
    if (result instanceof Plain) {
      const value = resolvePlain(result.text);
      if (value === undefined) throw this.fail(`${show(result.text)} is not a number that JSON can hold`, start);
      const isKey = typeof value === "string" || typeof value === "number";
      return new Node(this, value, isKey ? result.text : undefined, start, 0);
    }
    if (typeof result === "string") {
      if (this.yaml[start] === '"') this.#checkEscapes(start, end);
      if (result.includes("\0") || !isWellFormed(result))
        throw this.fail("a text with NUL or half a surrogate pair", start);
      return new Node(this, result, result, start, 0);
    }
    const taken = { keys: 0, height: 0 };
    const value = this.#collection(result, start, taken);
    // A key that js-yaml made up (`null`, for none) was not taken from a node.
    if (taken.keys !== keys) throw this.fail("a key must be a string", start);
    if (taken.height > MAX_DEPTH) throw this.fail(`nested deeper than ${MAX_DEPTH} levels`, start);
    return new Node(this, value, undefined, start, taken.height);
  }

  #collection(raw: unknown, start: number, taken: { keys: number; height: number }): JsonValue {
    let height = 0;
    const take = (child: unknown): JsonValue => {
      if (child instanceof Node) {
        height = Math.max(height, child.height);
        return child.value;
      }
      this.#count(1, start);
      if (child === null) return null;
      // `[a: b]` is a mapping of one pair, which js-yaml announces to nobody.
      const inner = { keys: 0, height: 0 };
      const value = this.#collection(child, start, inner);
      taken.keys += inner.keys;
      height = Math.max(height, inner.height);
      return value;
    };
    let value: JsonValue;
    if (Array.isArray(raw)) value = raw.map(take);
    else {
      const map = bareObject();
      for (const [key, child] of Object.entries(raw as object)) {
        map[key] = take(child);
        taken.keys++;
      }
      value = map;
    }
    taken.height = height + 1;
    return Object.freeze(value);
  }

  /** js-yaml lets `\U` run past the last code point and hands back some other text. */
  #checkEscapes(start: number, end: number): void {
    const source = this.yaml.slice(start, end);
    if (!source.includes("\\U")) return;
    for (const [written, hex] of source.matchAll(/\\(?:U([0-9a-fA-F]{8})|[^U])/g)) {
      if (hex !== undefined && Number.parseInt(hex, 16) > 0x10ffff)
        throw this.fail(`${written} is not a character`, start);
    }
  }
}

/** Skips spaces, line ends and comments. */
function contentStart(yaml: string, from: number): number {
  let i = from;
  for (;;) {
    const c = yaml[i];
    if (c === "#") {
      while (i < yaml.length && yaml[i] !== "\n" && yaml[i] !== "\r") i++;
    } else if (c === " " || c === "\t" || c === "\n" || c === "\r") i++;
    else return i;
  }
}

/**
 * The whole parser, without the fast path.
 *
 * @internal
 */
export function parseFull(yaml: string, startLine: number): Metadata {
  const reader = new Reader(yaml, startLine);
  const start = contentStart(yaml, 0);
  if (start >= yaml.length) return Object.freeze(bareObject());
  if (yaml.charCodeAt(0) === 0xfeff) throw reader.fail("a byte order mark inside the front matter", 0);
  const marker = /(?:^|[\r\n])(---|\.\.\.(?=[ \t\r\n]|$))/.exec(yaml);
  if (marker !== null) {
    throw reader.fail(
      "a second document (a line that starts with --- or ...) is not allowed",
      marker.index + marker[0].length - 3,
    );
  }
  const column0 = start === 0 || yaml[start - 1] === "\n" || yaml[start - 1] === "\r";
  const c = yaml[start];
  if (c === "%") throw reader.fail("directives (%) are not allowed", start);
  if (!column0 || c === "{") throw reader.fail("must be lines of `key: value` that start in the first column", start);
  let root: unknown;
  try {
    root = load(yaml, {
      schema: schema(),
      listener: (event, state) => reader.listen(event, state),
      // js-yaml only warns of text that is not indented enough.
      onWarning(warning) {
        throw warning;
      },
    });
  } catch (error) {
    if (error instanceof RegistryError) throw error;
    if (error instanceof YAMLException) {
      // The mark is missing where js-yaml has no position, whatever its types say.
      const mark: { position: number } | undefined = error.mark;
      throw reader.fail(String(error.reason ?? error.message), mark?.position ?? start, error);
    }
    // A parser that trips over hostile text (say, under a frozen Object.prototype) is no bug of the caller.
    throw reader.fail("can't be read as YAML", start, error);
  }
  if (root instanceof Node && typeof root.value === "object" && root.value !== null && !Array.isArray(root.value)) {
    return root.value as Metadata;
  }
  throw reader.fail("must be lines of `key: value`", start);
}
