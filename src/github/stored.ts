import type { GithubGrant } from "./grant.ts";

/** What lies in the keyring or the file of a GitHub: a token alone, or one that ends and how to get the next. */
export interface StoredGithubToken {
  readonly token: string;
  readonly expiresAt?: number;
  readonly refreshToken?: string;
  readonly refreshExpiresAt?: number;
  /** Of the app that the token was given to; it alone may refresh it. */
  readonly clientId?: string;
}

/** A token that does not end is stored as it is, so that other tools can read it. */
export function encodeStored({ token, scopes: _, ...rest }: GithubGrant, clientId: string | undefined): string {
  if (Object.keys(rest).length === 0) return token;
  return JSON.stringify({ token, ...rest, ...(clientId === undefined ? {} : { clientId }) });
}

/** `undefined` for what nobody of us stored. */
export function decodeStored(secret: string): StoredGithubToken | undefined {
  if (!secret.startsWith("{")) return /^[\x21-\x7e]+$/.test(secret) ? { token: secret } : undefined;
  try {
    const { token, expiresAt, refreshToken, refreshExpiresAt, clientId } = JSON.parse(secret) as Record<
      string,
      unknown
    >;
    if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) return undefined;
    return {
      token,
      ...(typeof expiresAt === "number" ? { expiresAt } : {}),
      ...(typeof refreshToken === "string" ? { refreshToken } : {}),
      ...(typeof refreshExpiresAt === "number" ? { refreshExpiresAt } : {}),
      ...(typeof clientId === "string" ? { clientId } : {}),
    };
  } catch {
    return undefined;
  }
}
