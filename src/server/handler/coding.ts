import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

export type Coding = "identity" | "gzip" | "br";

const MIN_BYTES = 1024;
const MAX_REMEMBERED = 200;
const remembered = new Map<string, Coding>();

/** The coding to answer with. Clients send few different headers, so what was read once is remembered. */
export function codingFor(accept: string | null | undefined): Coding {
  if (accept === null || accept === undefined || accept === "") return "identity";
  const known = remembered.get(accept);
  if (known !== undefined) return known;
  const coding = negotiate(accept);
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  if (accept.length <= 200) remembered.set(accept, coding);
  return coding;
}

// https://www.rfc-editor.org/rfc/rfc9110#name-accept-encoding
function negotiate(accept: string): Coding {
  const weights = new Map<string, number>();
  for (const part of accept.toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";").map((piece) => piece.trim());
    const weight = parameters.find((p) => p.startsWith("q="));
    const q = weight === undefined ? 1 : Number(weight.slice(2));
    weights.set(name, Number.isFinite(q) ? q : 0);
  }
  const weightOf = (name: string) => weights.get(name) ?? weights.get("*") ?? 0;
  const br = weightOf("br");
  const zip = weightOf("gzip");
  if (br > 0 && br >= zip) return "br";
  return zip > 0 ? "gzip" : "identity";
}

const gzipAsync = promisify(gzip);
const brotliAsync = promisify(brotliCompress);

/** The body in that coding, or as it is where coding does not pay. */
export async function encode(
  body: Buffer,
  coding: Coding,
): Promise<{ readonly body: Buffer; readonly coding: Coding }> {
  if (coding === "identity" || body.length < MIN_BYTES) return { body, coding: "identity" };
  const coded =
    coding === "gzip"
      ? await gzipAsync(body, { level: 6 })
      : await brotliAsync(body, {
          params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_SIZE_HINT]: body.length },
        });
  return coded.length < body.length * 0.9 ? { body: coded, coding } : { body, coding: "identity" };
}

/** As RFC 9530 spells it in `Content-Digest` and `Repr-Digest`. */
export function digestHeader(bytes: Uint8Array): string {
  return `sha-256=:${createHash("sha256").update(bytes).digest("base64")}:`;
}

/** A strong ETag is that of one content coding (RFC 9110, 8.8.3.3). */
export function etagOf(tag: string, coding: Coding): string {
  return coding === "identity" ? `"${tag}"` : `"${tag};${coding}"`;
}

/** The tags of `If-Match` or `If-None-Match` without their codings; `*` alone is every tag. */
export function tagsOf(header: string): readonly string[] | "*" {
  if (header.trim() === "*") return "*";
  return [...header.matchAll(/(?:W\/)?"([^"]*)"/g)].map(([, tag]) => (tag as string).replace(/;(?:gzip|br)$/, ""));
}

export function matches(header: string | null | undefined, tag: string): boolean {
  if (header === null || header === undefined) return false;
  const tags = tagsOf(header);
  return tags === "*" || tags.includes(tag);
}
