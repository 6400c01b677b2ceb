import { RegistryError, show } from "../../errors.ts";

const MAX_DEPTH = 32;

/**
 * JSON whose objects name each key once. What two parsers read differently must not get past the one that checks.
 *
 * @param maxKeys of one object. Default: any number
 * @throws RegistryError INVALID
 */
export function parseJson(text: string, maxKeys = Number.POSITIVE_INFINITY): unknown {
  checkKeys(text, maxKeys);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw bad("is not JSON");
  }
}

function bad(problem: string): RegistryError {
  return new RegistryError("INVALID", `the body ${problem}`, { field: "body" });
}

/** Walks over the tokens; what is no JSON at all is left to the parser. */
function checkKeys(text: string, maxKeys: number): void {
  /** The keys of every open object, `undefined` for a list. */
  const open: (Set<string> | undefined)[] = [];
  let isKey = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x7b /* { */:
        open.push(new Set());
        isKey = true;
        break;
      case 0x5b /* [ */:
        open.push(undefined);
        isKey = false;
        break;
      case 0x7d /* } */:
      case 0x5d /* ] */:
        open.pop();
        isKey = false;
        break;
      case 0x2c /* , */:
        isKey = open.at(-1) !== undefined;
        break;
      case 0x22 /* " */:
        {
          const end = endOfString(text, at);
          if (isKey) {
            const key = readKey(text.slice(at, end + 1));
            const keys = open.at(-1);
            if (keys?.has(key)) throw bad(`has the key ${show(key)} twice`);
            keys?.add(key);
            if (keys !== undefined && keys.size > maxKeys) throw bad(`has more than ${maxKeys} keys in one object`);
            isKey = false;
          }
          at = end;
          break;
        }
    }
    if (open.length > MAX_DEPTH) throw bad(`is nested more than ${MAX_DEPTH} deep`);
  }
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
