import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { accessDenied, invalid, S3Failure } from "./failure.ts";
import type { S3Request } from "./request.ts";

/** @see https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
const ALGORITHM = "AWS4-HMAC-SHA256";
const SKEW = 15 * 60_000;

export interface Credential {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

/** What the Authorization header says. `undefined` where there is none: the request is anonymous. */
export function credentialOf(request: S3Request): Credential | undefined {
  const header = request.headers.authorization;
  if (header === undefined) return undefined;
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/,]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      header,
    );
  if (match === null) throw invalid("AuthorizationHeaderMalformed", "The authorization header is malformed.");
  const [, accessKeyId = "", date = "", region = "", headers = "", signature = ""] = match;
  return { accessKeyId, date, region, signedHeaders: headers.split(";"), signature };
}

/** Throws as S3 does where the signature does not hold over what was sent. */
export function verify(request: S3Request, credential: Credential, secret: string, region: string, now: number): void {
  if (credential.region !== region) {
    const text = `the region '${credential.region}' is wrong; expecting '${region}'`;
    throw invalid("AuthorizationHeaderMalformed", `The authorization header is malformed; ${text}`, { Region: region });
  }
  const stamp = request.headers["x-amz-date"] ?? "";
  const at = Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (Number.isNaN(at) || !stamp.startsWith(credential.date)) {
    throw accessDenied("AWS authentication requires a valid Date or x-amz-date header");
  }
  if (Math.abs(at - now) > SKEW) {
    const text = "The difference between the request time and the current time is too large.";
    throw new S3Failure(403, "RequestTimeTooSkewed", text, {
      RequestTime: stamp,
      ServerTime: new Date(now).toISOString(),
      MaxAllowedSkewMilliseconds: String(SKEW),
    });
  }
  const unsigned = Object.keys(request.headers).filter(
    (name) => (name === "host" || name.startsWith("x-amz-")) && !credential.signedHeaders.includes(name),
  );
  if (unsigned.length > 0) throw accessDenied("There were headers present in the request which were not signed");
  const scope = `${credential.date}/${region}/s3/aws4_request`;
  const toSign = [ALGORITHM, stamp, scope, sha256(canonicalRequest(request, credential.signedHeaders))].join("\n");
  let key: Buffer | string = `AWS4${secret}`;
  for (const part of [credential.date, region, "s3", "aws4_request"]) key = hmac(key, part);
  if (!timingSafeEqual(hmac(key, toSign), Buffer.from(credential.signature, "hex"))) {
    throw new S3Failure(
      403,
      "SignatureDoesNotMatch",
      "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
      { AWSAccessKeyId: credential.accessKeyId },
    );
  }
}

function canonicalRequest(request: S3Request, signed: readonly string[]): string {
  const query = request.query
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join("&");
  const path = request.path.split("/").map(encode).join("/");
  const headers = signed.map((name) => `${name}:${(request.headers[name] ?? "").trim().replace(/ +/g, " ")}\n`);
  const payload = request.headers["x-amz-content-sha256"] ?? "UNSIGNED-PAYLOAD";
  return [request.method, path, query, headers.join(""), signed.join(";"), payload].join("\n");
}

/** RFC 3986, where `encodeURIComponent` leaves five characters too many. */
export function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
