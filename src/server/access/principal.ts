import { MAX_AUTHOR } from "../../document.ts";
import type { Principal } from "../types.ts";
import { parseScopes } from "./grants.ts";
import type { TokenRecord } from "./store.ts";

// Control, bidi and other invisible characters could forge a line of a log; a lone surrogate is no text.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu;

/** A foreign name as an author: one line, at most as long as authors are. */
export function authorName(name: string): string {
  let text = "";
  for (const character of name.replace(UNPRINTABLE, " ").trim()) {
    if (text.length + character.length > MAX_AUTHOR) break;
    text += character;
  }
  return text === "" ? "unknown" : text;
}

export const ANONYMOUS = "anonymous";

export function tokenPrincipal({ id, name, scopes }: TokenRecord): Principal {
  return Object.freeze({ id: `token:${id}`, name: authorName(name), grants: parseScopes(scopes) });
}
