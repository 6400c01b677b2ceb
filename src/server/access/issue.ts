import { checkNote, MAX_AUTHOR } from "../../document.ts";
import { RegistryError, show } from "../../errors.ts";
import { checkCidrs } from "./cidr.ts";
import { formatScope, parseScopes } from "./grants.ts";
import type { TokenRecord, TokenStore } from "./store.ts";
import { createToken } from "./token.ts";

export interface TokenRequest {
  /** What its holder is called; the author of what it changes. At most 200 characters on one line. */
  readonly name: string;
  /** At least one; see {@link parseScope}. */
  readonly scopes: readonly string[];
  /** Milliseconds until it ends, or `never`. Default 90 days. */
  readonly lifetime?: number | "never";
  /** Networks from which alone it is taken. Default: from anywhere. */
  readonly cidrs?: readonly string[];
  readonly createdBy?: string;
}

export interface IssuedToken {
  /** The token itself, which is kept nowhere. */
  readonly token: string;
  readonly record: TokenRecord;
}

export const DEFAULT_LIFETIME = 90 * 86_400_000;

/**
 * Makes a token and stores what it is known by.
 *
 * @throws RegistryError INVALID
 * @example
 * const { token } = await issueToken(tokens, { name: "ci", scopes: ["write:support"] });
 */
export async function issueToken(
  tokens: TokenStore,
  request: TokenRequest,
  now: () => number = Date.now,
): Promise<IssuedToken> {
  const { name, lifetime = DEFAULT_LIFETIME, cidrs, createdBy } = request;
  checkNote("name", name, MAX_AUTHOR);
  if (name.trim() === "" || /[\p{Cc}\u2028\u2029]/u.test(name))
    throw new RegistryError("INVALID", `name ${show(name)} is empty or more than one line`, { field: "name" });
  const scopes = parseScopes(request.scopes).map(formatScope);
  if (scopes.length === 0) throw new RegistryError("INVALID", "a token needs at least one scope", { field: "scopes" });
  if (cidrs?.length === 0) throw new RegistryError("INVALID", "no network is allowed", { field: "cidr" });
  if (lifetime !== "never" && !(Number.isFinite(lifetime) && lifetime > 0))
    throw new RegistryError("INVALID", "a token must live for a while", { field: "expires" });
  const { id, token, hash } = createToken();
  const record: TokenRecord = {
    id,
    name,
    hash,
    scopes,
    createdAt: new Date(now()).toISOString(),
    ...(createdBy === undefined ? {} : { createdBy }),
    ...(lifetime === "never" ? {} : { expiresAt: new Date(now() + lifetime).toISOString() }),
    ...(cidrs === undefined ? {} : { cidrs: checkCidrs(cidrs) }),
  };
  await tokens.create(record);
  return { token, record };
}
