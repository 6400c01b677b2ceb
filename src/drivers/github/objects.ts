import { createHash } from "node:crypto";

/** The id Git gives to these bytes; `like` is another id of the repository, whose length tells the hash. */
export function blobId(bytes: Uint8Array, like = ""): string {
  return createHash(like.length === 64 ? "sha256" : "sha1")
    .update(`blob ${bytes.length}\0`)
    .update(bytes)
    .digest("hex");
}

export function isObjectId(value: unknown): value is string {
  return typeof value === "string" && /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(value);
}
