import { hash } from "node:crypto";
import { RegistryError, show } from "../errors.ts";

declare const brand: unique symbol;

/**
 * `sha256:` and 64 lower-case hex digits: SHA-256 of the stored UTF-8 bytes without the line `registry.digest: …` (its
 * line end included), which is the first such line, in the front matter. It binds name and version, as they are lines
 * of the same text. A shell checks it so, with any line ends, with a byte order mark and without a final newline; the
 * output is what the line itself says:
 *
 * ```sh
 * LC_ALL=C sed '1,/^registry\.digest: /{/^registry\.digest: /d;}' v1.0.0.md | sha256sum
 * ```
 *
 * (The sed of macOS adds a missing final newline; GNU and BusyBox don't.)
 */
export type Digest = string & { readonly [brand]: "Digest" };

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * @example
 * isDigest(etag.slice(1, -1)); // sha256:2c26b4…
 */
export function isDigest(input: unknown): input is Digest {
  return typeof input === "string" && DIGEST.test(input);
}

/**
 * Checks the spelling of a digest.
 *
 * @throws RegistryError INVALID, field `digest`
 * @example
 * parseDigest("sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae");
 */
export function parseDigest(input: string): Digest {
  if (isDigest(input)) return input;
  throw new RegistryError("INVALID", `digest ${show(input)} is not sha256: followed by 64 lower-case hex digits`, {
    field: "digest",
  });
}

export function sha256(text: string): Digest {
  return `sha256:${hash("sha256", text)}` as Digest;
}
