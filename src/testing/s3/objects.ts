import { createHash, randomBytes } from "node:crypto";
import type { Bucket, StoredObject } from "./bucket.ts";
import { invalid, noSuchKey, notImplemented, preconditionFailed, S3Failure } from "./failure.ts";
import { payloadOf } from "./payload.ts";
import { queryOf, type S3Request } from "./request.ts";
import { readXml, textAt } from "./xml.ts";

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

const KEPT = [
  "content-type",
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "expires",
];
const CLASSES = new Set([
  "STANDARD",
  "STANDARD_IA",
  "ONEZONE_IA",
  "INTELLIGENT_TIERING",
  "GLACIER_IR",
  "GLACIER",
  "DEEP_ARCHIVE",
  "REDUCED_REDUNDANCY",
]);

const same = (etag: string, given: string) => given.trim() === "*" || given.trim().replaceAll('"', "") === etag;

/** @throws S3Failure 412, 404 where what the headers ask for does not hold of what is there; 501 for headers S3 refuses */
export function checkCondition(bucket: Bucket, { key, headers }: S3Request, ifMatchOnAbsent: boolean): void {
  const none = headers["if-none-match"];
  const match = headers["if-match"];
  const current = bucket.current(key);
  if (none !== undefined) {
    if (none !== "*" || match !== undefined) throw notImplemented("If-None-Match");
    if (current !== undefined) throw preconditionFailed("If-None-Match");
  }
  if (match === undefined) return;
  if (current === undefined) {
    if (ifMatchOnAbsent) return;
    throw noSuchKey(key);
  }
  if (!same(current.etag, match)) throw preconditionFailed("If-Match");
}

/** What is to be stored, checked against what the request says of it; nothing is stored yet. */
export function objectOf(bucket: Bucket, request: S3Request, now: number): Omit<StoredObject, "sequence"> {
  const { key, headers } = request;
  if (Buffer.byteLength(key) > 1024) throw invalid("KeyTooLongError", "Your key is too long");
  if (headers["content-length"] === undefined && headers["x-amz-decoded-content-length"] === undefined) {
    throw new S3Failure(411, "MissingContentLength", "You must provide the Content-Length HTTP header.");
  }
  const { bytes, checksums } = payloadOf(request);
  const storageClass = headers["x-amz-storage-class"] ?? "STANDARD";
  if (!CLASSES.has(storageClass)) throw invalid("InvalidStorageClass", "The storage class you specified is not valid");
  const kept: Record<string, string> = { "content-type": "binary/octet-stream" };
  let metadata = 0;
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue;
    if (name.startsWith("x-amz-meta-")) metadata += name.length - "x-amz-meta-".length + value.length;
    else if (!KEPT.includes(name) && !name.startsWith("x-amz-server-side-encryption")) continue;
    kept[name] = value;
  }
  if (metadata > 2048) throw invalid("MetadataTooLarge", "Your metadata headers exceed the maximum allowed size");
  // The framing of the upload is no property of the object.
  if (kept["content-encoding"] !== undefined) {
    kept["content-encoding"] = kept["content-encoding"].replace(/aws-chunked,? ?/, "");
    if (kept["content-encoding"] === "") delete kept["content-encoding"];
  }
  kept["x-amz-server-side-encryption"] ??= defaultEncryption(bucket);
  const etag = createHash("md5").update(bytes).digest("hex");
  const versionId = bucket.versioning === "Enabled" ? randomBytes(16).toString("base64url") : "null";
  const at = { modified: Math.floor(now / 1000) * 1000 };
  return { key, versionId, etag, bytes, headers: kept, checksums, storageClass, ...at, deleted: false };
}

function defaultEncryption(bucket: Bucket): string {
  const rule = readXml(bucket.documents.get("encryption") ?? "");
  return textAt(rule, "Rule", "ApplyServerSideEncryptionByDefault", "SSEAlgorithm") ?? "AES256";
}

export function putReply(bucket: Bucket, object: Omit<StoredObject, "sequence">): Reply {
  return {
    status: 200,
    headers: {
      ...versionHeader(bucket, object.versionId),
      ...encryption(object),
      etag: `"${object.etag}"`,
      ...object.checksums,
    },
  };
}

function versionHeader(bucket: Bucket, versionId: string): Record<string, string> {
  return bucket.versioning === undefined ? {} : { "x-amz-version-id": versionId };
}

function encryption({ headers }: Pick<StoredObject, "headers">): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("x-amz-server-side-")));
}

/** @throws S3Failure NoSuchKey, NoSuchVersion */
export function find(bucket: Bucket, request: S3Request): StoredObject {
  const { key } = request;
  const wanted = queryOf(request, "versionId");
  if (wanted !== undefined) {
    const found = bucket.versions(key).find(({ versionId }) => versionId === wanted);
    if (found === undefined) throw new S3Failure(404, "NoSuchVersion", "The specified version does not exist.");
    if (found.deleted) throw new S3Failure(405, "MethodNotAllowed", "The specified method is not allowed.");
    return found;
  }
  const newest = bucket.newest(key);
  if (newest === undefined) throw noSuchKey(key);
  if (newest.deleted) throw noSuchKey(key, { "x-amz-delete-marker": "true", "x-amz-version-id": newest.versionId });
  return newest;
}

export function getReply(bucket: Bucket, request: S3Request, object: StoredObject): Reply {
  const { headers } = request;
  const none = headers["if-none-match"];
  const match = headers["if-match"];
  if (match !== undefined && !same(object.etag, match)) throw preconditionFailed("If-Match");
  const common = { etag: `"${object.etag}"`, "last-modified": new Date(object.modified).toUTCString() };
  if (none !== undefined && same(object.etag, none)) {
    const cache = object.headers["cache-control"];
    return { status: 304, headers: { ...common, ...(cache === undefined ? {} : { "cache-control": cache }) } };
  }
  if (object.storageClass === "GLACIER" || object.storageClass === "DEEP_ARCHIVE") {
    throw new S3Failure(403, "InvalidObjectState", "The operation is not valid for the object's storage class", {
      StorageClass: object.storageClass,
    });
  }
  const all = {
    ...object.headers,
    ...common,
    ...versionHeader(bucket, object.versionId),
    ...(object.storageClass === "STANDARD" ? {} : { "x-amz-storage-class": object.storageClass }),
    "accept-ranges": "bytes",
  };
  const range = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? "");
  if (range === null || (range[1] === "" && range[2] === "")) {
    const told = headers["x-amz-checksum-mode"]?.toUpperCase() === "ENABLED" ? object.checksums : {};
    return { status: 200, headers: { ...all, ...told }, body: object.bytes };
  }
  return part(object, all, range[1] ?? "", range[2] ?? "");
}

function part(object: StoredObject, headers: Record<string, string>, from: string, to: string): Reply {
  const { length } = object.bytes;
  const start = from === "" ? Math.max(0, length - Number(to)) : Number(from);
  const end = from === "" || to === "" ? length - 1 : Math.min(Number(to), length - 1);
  if (start > end) throw new S3Failure(416, "InvalidRange", "The requested range is not satisfiable");
  return {
    status: 206,
    headers: { ...headers, "content-range": `bytes ${start}-${end}/${length}` },
    body: object.bytes.subarray(start, end + 1),
  };
}

/** Deletes as a plain DELETE does: with versioning, by a marker on top. */
export function deleteObject(
  bucket: Bucket,
  key: string,
  versionId: string | undefined,
  stamp: { readonly modified: number; readonly sequence: number },
): Readonly<Record<string, string>> {
  if (versionId !== undefined) {
    const marker = bucket.versions(key).find((object) => object.versionId === versionId)?.deleted === true;
    bucket.remove(key, versionId);
    return { "x-amz-version-id": versionId, ...(marker ? { "x-amz-delete-marker": "true" } : {}) };
  }
  if (bucket.versioning === undefined) {
    bucket.remove(key, "null");
    return {};
  }
  const marker: StoredObject = {
    ...stamp,
    key,
    versionId: bucket.versioning === "Enabled" ? randomBytes(16).toString("base64url") : "null",
    etag: "",
    bytes: Buffer.alloc(0),
    headers: {},
    checksums: {},
    storageClass: "STANDARD",
    deleted: true,
  };
  bucket.add(marker);
  return { "x-amz-delete-marker": "true", "x-amz-version-id": marker.versionId };
}
