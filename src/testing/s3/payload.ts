import { createHash } from "node:crypto";
import * as zlib from "node:zlib";
import { invalid, S3Failure } from "./failure.ts";
import type { S3Request } from "./request.ts";

/** The bytes a request carries, and the checksums it gave for them. */
export interface Payload {
  readonly bytes: Buffer;
  /** Names of headers to values, as given and found right: `x-amz-checksum-sha256` and its like. */
  readonly checksums: Readonly<Record<string, string>>;
}

const CHECKSUM = /^x-amz-checksum-(?!mode$|algorithm$|type$)/;

/**
 * Takes the body out of its framing and checks everything the request says about it.
 *
 * @throws S3Failure `BadDigest` and its like where something is not true
 */
export function payloadOf(request: S3Request): Payload {
  const { headers, body } = request;
  const announced = headers["x-amz-content-sha256"] ?? "UNSIGNED-PAYLOAD";
  const framed = announced.startsWith("STREAMING-") ? unframe(request, announced) : { bytes: body, trailer: {} };
  if (/^[0-9a-f]{64}$/.test(announced) && announced !== hash("sha256", body, "hex")) {
    throw invalid(
      "XAmzContentSHA256Mismatch",
      "The provided 'x-amz-content-sha256' header does not match the content.",
    );
  }
  const md5 = headers["content-md5"];
  if (md5 !== undefined) {
    if (!/^[\w+/]{22}==$/.test(md5)) throw invalid("InvalidDigest", "The Content-MD5 you specified is not valid.");
    if (md5 !== hash("md5", framed.bytes)) throw badDigest("Content-MD5");
  }
  const given: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...headers, ...framed.trailer })) {
    if (value !== undefined && CHECKSUM.test(name)) given[name] = value;
  }
  for (const [name, value] of Object.entries(given)) {
    const actual = checksum(name.slice("x-amz-checksum-".length), framed.bytes);
    if (actual !== undefined && actual !== value) throw badDigest(name.slice("x-amz-checksum-".length).toUpperCase());
  }
  return { bytes: framed.bytes, checksums: given };
}

function badDigest(what: string): S3Failure {
  return invalid("BadDigest", `The ${what} you specified did not match what we received.`);
}

function hash(algorithm: string, bytes: Buffer, encoding: "base64" | "hex" = "base64"): string {
  return createHash(algorithm).update(bytes).digest(encoding);
}

/** In base64; `undefined` where this Node can't compute it. */
function checksum(algorithm: string, bytes: Buffer): string | undefined {
  if (algorithm === "sha256" || algorithm === "sha1") return hash(algorithm, bytes);
  if (algorithm !== "crc32" || !("crc32" in zlib)) return undefined;
  const value = Buffer.alloc(4);
  value.writeUInt32BE((zlib.crc32 as (data: Buffer) => number)(bytes));
  return value.toString("base64");
}

/** The body of `aws-chunked`, whose chunks are not signed here. */
function unframe({ headers, body }: S3Request, announced: string) {
  if (announced !== "STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
    throw new S3Failure(501, "NotImplemented", "Chunks with signatures are not implemented by the fake");
  }
  const decoded = headers["x-amz-decoded-content-length"];
  if (decoded === undefined) throw new S3Failure(411, "MissingContentLength", "You must provide the Content-Length.");
  const chunks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const end = body.indexOf("\r\n", at);
    const size = Number.parseInt(body.toString("latin1", at, end), 16);
    if (end < 0 || Number.isNaN(size)) throw invalid("IncompleteBody", "The request body terminated unexpectedly");
    at = end + 2;
    if (size === 0) break;
    chunks.push(body.subarray(at, at + size));
    at += size + 2;
  }
  const bytes = Buffer.concat(chunks);
  if (bytes.length !== Number(decoded)) {
    throw invalid("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length header");
  }
  const trailer: Record<string, string> = {};
  for (const line of body.toString("latin1", at).split("\r\n")) {
    const [, name, value] = /^([\w-]+): ?(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) trailer[name.toLowerCase()] = value;
  }
  return { bytes, trailer };
}
