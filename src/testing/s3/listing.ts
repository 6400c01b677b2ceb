import type { Bucket, StoredObject } from "./bucket.ts";
import { invalid } from "./failure.ts";
import { queryOf, type S3Request } from "./request.ts";
import { encode } from "./signature.ts";
import { type Content, document } from "./xml.ts";

const MOST = 1000;

interface Listing {
  readonly prefix: string;
  readonly delimiter: string;
  readonly max: number;
  /** Keys in the reply are URL-encoded, as XML can't hold all characters that a key can. */
  readonly write: (key: string) => string;
  readonly encoding: string | undefined;
}

function listingOf(request: S3Request): Listing {
  const max = Number(queryOf(request, "max-keys") ?? MOST);
  if (!Number.isInteger(max) || max < 0) throw invalid("InvalidArgument", "Argument max-keys must be an integer");
  const encoding = queryOf(request, "encoding-type");
  if (encoding !== undefined && encoding !== "url") {
    throw invalid("InvalidArgument", "Invalid Encoding Method specified in Request");
  }
  const write = (key: string) =>
    encoding === undefined ? key : encode(key).replaceAll("%2F", "/").replaceAll("%20", "+");
  return {
    prefix: queryOf(request, "prefix") ?? "",
    delimiter: queryOf(request, "delimiter") ?? "",
    max: Math.min(max, MOST),
    write,
    encoding,
  };
}

export function listObjects(bucket: Bucket, request: S3Request): string {
  const listing = listingOf(request);
  const token = queryOf(request, "continuation-token");
  if (token === "") throw invalid("InvalidArgument", "The continuation token provided is incorrect");
  const after = token === undefined ? queryOf(request, "start-after") : Buffer.from(token, "base64url").toString();
  const page = pageOf(bucket, listing, after);
  const { write, encoding, prefix, delimiter, max } = listing;
  return document("ListBucketResult", {
    Name: bucket.name,
    Prefix: write(prefix),
    Delimiter: delimiter === "" ? undefined : write(delimiter),
    MaxKeys: max,
    EncodingType: encoding,
    KeyCount: page.objects.length + page.prefixes.length,
    IsTruncated: page.more,
    ContinuationToken: token,
    NextContinuationToken: page.more ? Buffer.from(page.last).toString("base64url") : undefined,
    StartAfter: token === undefined && after !== undefined ? write(after) : undefined,
    Contents: page.objects.map((object) => entry(object, write)),
    CommonPrefixes: page.prefixes.map((name) => ({ Prefix: write(name) })),
  });
}

interface Page {
  readonly objects: readonly StoredObject[];
  readonly prefixes: readonly string[];
  readonly more: boolean;
  /** The last key or common prefix of the page. */
  readonly last: string;
}

function pageOf(bucket: Bucket, { prefix, delimiter, max }: Listing, after: string | undefined): Page {
  const objects: StoredObject[] = [];
  const prefixes = new Set<string>();
  let last = after ?? "";
  const start = after === undefined ? undefined : Buffer.from(after);
  for (const key of bucket.keys(prefix, after)) {
    const object = bucket.current(key);
    if (object === undefined) continue;
    const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    const name = cut < 0 ? key : key.slice(0, cut + delimiter.length);
    if (prefixes.has(name) || (start !== undefined && Buffer.compare(Buffer.from(name), start) <= 0)) continue;
    if (objects.length + prefixes.size >= max) return { objects, prefixes: [...prefixes], more: max > 0, last };
    if (cut < 0) objects.push(object);
    else prefixes.add(name);
    last = name;
  }
  return { objects, prefixes: [...prefixes], more: false, last };
}

function entry({ key, modified, etag, bytes, storageClass }: StoredObject, write: Listing["write"]): Content {
  return {
    Key: write(key),
    LastModified: new Date(modified).toISOString(),
    ETag: `"${etag}"`,
    Size: bytes.length,
    StorageClass: storageClass,
  };
}

/** All versions; one page, as the fake's buckets are small. */
export function listVersions(bucket: Bucket, request: S3Request): string {
  const { prefix, write, encoding, max } = listingOf(request);
  const all = [...bucket.keys(prefix)].flatMap((key) => bucket.versions(key));
  const item = (object: StoredObject): Content => ({
    ...(entry(object, write) as object),
    VersionId: object.versionId,
    IsLatest: bucket.newest(object.key) === object,
  });
  return document("ListVersionsResult", {
    Name: bucket.name,
    Prefix: write(prefix),
    MaxKeys: max,
    EncodingType: encoding,
    IsTruncated: false,
    Version: all.filter((object) => !object.deleted).map(item),
    DeleteMarker: all
      .filter((object) => object.deleted)
      .map((object) => ({
        Key: write(object.key),
        VersionId: object.versionId,
        IsLatest: bucket.newest(object.key) === object,
        LastModified: new Date(object.modified).toISOString(),
      })),
  });
}
