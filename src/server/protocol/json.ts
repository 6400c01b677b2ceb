import { RegistryError, show } from "../../errors.ts";

const MAX_DEPTH = 32;
const ANY = Number.POSITIVE_INFINITY;

/**
 * How much there may be, which is told before any of it is kept: reading a few bytes costs nothing, and what is made of them
 * does. What has more is not read to its end.
 */
export interface JsonLimits {
  /** Keys of one object. Default: any number. */
  readonly keys?: number;
  /** Maps, which may have as many as there may be at all: by the keys that lead to them, without lists. Default: none. */
  readonly maps?: ReadonlySet<string>;
  /** Keys of all maps together. Default: any number. */
  readonly mapKeys?: number;
  /** Keys of all objects together. Default: any number. */
  readonly allKeys?: number;
  /** Objects and lists. Default: any number. */
  readonly parts?: number;
}

/**
 * JSON whose objects name each key once. What two parsers read differently must not get past the one that checks.
 *
 * @throws RegistryError INVALID
 */
export function parseJson(text: string, limits: JsonLimits = {}): unknown {
  checkKeys(text, limits);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw bad("is not JSON");
  }
}

function bad(problem: string): RegistryError {
  return new RegistryError("INVALID", `the body ${problem}`, { field: "body" });
}

/** What is open: an object with its keys, or a list. */
interface Open {
  readonly isObject: boolean;
  /** Made with the first key. */
  keys: Set<string> | undefined;
  /** The last one. */
  key: string;
  readonly isMap: boolean;
}

/** Walks over the tokens; what is no JSON at all is left to the parser. */
function checkKeys(text: string, limits: JsonLimits): void {
  const { maps, keys: maxKeys = ANY, mapKeys = ANY, allKeys = ANY, parts: maxParts = ANY } = limits;
  const open: Open[] = [];
  let isKey = false;
  let parts = 0;
  let all = 0;
  let inMaps = 0;
  const begin = (isObject: boolean) => {
    if (++parts > maxParts) throw bad(`has more than ${maxParts} objects and lists`);
    const isMap = isObject && maps?.has(pathOf(open)) === true;
    open.push({ isObject, keys: undefined, key: "", isMap });
    isKey = isObject;
  };
  const count = (at: Open, key: string) => {
    at.keys ??= new Set();
    if (at.keys.has(key)) throw bad(`has the key ${show(key)} twice`);
    if (++all > allKeys) throw bad(`has more than ${allKeys} keys`);
    if (at.isMap && ++inMaps > mapKeys) throw bad(`has more than ${mapKeys} keys in its maps`);
    if (!at.isMap && at.keys.size >= maxKeys) throw bad(`has more than ${maxKeys} keys in one object`);
    at.keys.add(key);
    at.key = key;
  };
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x7b /* { */:
        begin(true);
        break;
      case 0x5b /* [ */:
        begin(false);
        break;
      case 0x7d /* } */:
      case 0x5d /* ] */:
        open.pop();
        isKey = false;
        break;
      case 0x2c /* , */:
        isKey = open.at(-1)?.isObject === true;
        break;
      case 0x22 /* " */:
        {
          const end = endOfString(text, at);
          if (isKey) {
            count(open.at(-1) as Open, readKey(text.slice(at, end + 1)));
            isKey = false;
          }
          at = end;
          break;
        }
    }
    if (open.length > MAX_DEPTH) throw bad(`is nested more than ${MAX_DEPTH} deep`);
  }
}

/** The keys that lead to what begins now. */
function pathOf(open: readonly Open[]): string {
  return open
    .filter(({ isObject }) => isObject)
    .map(({ key }) => key)
    .join(".");
}

function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(at - 1 - backslashes) === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
  throw bad("is not JSON");
}

function readKey(quoted: string): string {
  if (!quoted.includes("\\")) return quoted.slice(1, -1);
  try {
    return JSON.parse(quoted) as string;
  } catch {
    throw bad("is not JSON");
  }
}
