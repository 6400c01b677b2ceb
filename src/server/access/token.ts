import { createHash, randomBytes, randomInt, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";

/**
 * A token is `prg_ID_SECRETCHECK`: an id of 12 characters that is no secret, 256 random bits in 43, and a checksum in 6 over
 * all before it. So a typing error is told without asking a store, and a scanner knows one from a text that only looks like
 * it. (The idea: https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/)
 */
export const TOKEN_PATTERN = /^prg_([0-9a-z]{12})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/;

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz";

export interface NewToken {
  readonly id: string;
  /** The whole token; it is nowhere else. */
  readonly token: string;
  /** SHA-256 of the token in hex: what is stored. No slow hash is needed for something that can't be guessed. */
  readonly hash: string;
}

export function createToken(): NewToken {
  const id = Array.from({ length: 12 }, () => ID_DIGITS[randomInt(ID_DIGITS.length)]).join("");
  const open = `prg_${id}_${base62(BigInt(`0x${randomBytes(32).toString("hex")}`), 43)}`;
  const token = open + checksum(open);
  return { id, token, hash: hashToken(token) };
}

/** The id of a well-formed token; `undefined` for anything else. Whether there is such a token, it does not say. */
export function tokenId(text: string): string | undefined {
  const match = TOKEN_PATTERN.exec(text);
  if (match === null) return undefined;
  return checksum(text.slice(0, -6)) === match[3] ? match[1] : undefined;
}

export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Compares in a time that does not depend on where they differ. A missing hash costs the same. */
export function isToken(token: string, hash: string | undefined): boolean {
  const given = Buffer.from(hashToken(token), "hex");
  const stored = Buffer.from(hash ?? "", "hex");
  const same = timingSafeEqual(given, stored.length === given.length ? stored : Buffer.alloc(given.length));
  return same && stored.length === given.length;
}

function checksum(text: string): string {
  return base62(BigInt(crc32(text)), 6);
}

function base62(value: bigint, length: number): string {
  let text = "";
  for (let rest = value; rest > 0n; rest /= 62n) text = DIGITS[Number(rest % 62n)] + text;
  return text.padStart(length, "0");
}
