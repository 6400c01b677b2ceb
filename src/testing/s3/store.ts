import { createHash } from "node:crypto";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { type Access, authorize, canList, type Principal } from "./access.ts";
import { Bucket, type BucketSettings } from "./bucket.ts";
import { BLOCKED, configure } from "./configurations.ts";
import { invalid, noSuchKey, S3Failure } from "./failure.ts";
import { listObjects, listVersions } from "./listing.ts";
import { checkCondition, deleteObject, find, getReply, objectOf, putReply, type Reply } from "./objects.ts";
import type { Operation } from "./operations.ts";
import { payloadOf } from "./payload.ts";
import { queryOf, type S3Request } from "./request.ts";
import { type Content, document, readXml, textAt } from "./xml.ts";

/** The buckets of one fake, and what it does for a request that was let in. */
export class Store {
  readonly buckets = new Map<string, Bucket>();
  readonly #region: string;
  readonly #clock: () => number;
  #writes = 0;

  constructor(region: string, clock: () => number) {
    this.#region = region;
    this.#clock = clock;
  }

  /** Grows with every write: what was written while a request was on its way has a higher number than this was then. */
  get writes(): number {
    return this.#writes;
  }

  create(name: string, settings: BucketSettings): Bucket {
    const bucket = new Bucket(name, settings, this.#clock());
    bucket.documents.set("publicAccessBlock", BLOCKED);
    this.buckets.set(name, bucket);
    return bucket;
  }

  async answer(request: S3Request, { name, configuration }: Operation, access: Access): Promise<Reply> {
    const { principal, settings } = access;
    if (name === "ListBuckets") return { status: 200, body: this.#list(principal) };
    if (name === "CreateBucket") return this.#createBucket(request, principal);
    const bucket = this.bucket(request.bucket);
    if (configuration !== undefined) {
      if (settings.unsupported?.includes(configuration)) {
        throw new S3Failure(501, "NotImplemented", "This bucket configuration is not implemented");
      }
      return configure(bucket, configuration, request);
    }
    switch (name) {
      case "HeadBucket":
        return { status: 200, headers: { "x-amz-bucket-region": bucket.settings.region } };
      case "DeleteBucket":
        if (!bucket.empty) throw new S3Failure(409, "BucketNotEmpty", "The bucket you tried to delete is not empty");
        this.buckets.delete(bucket.name);
        return { status: 204 };
      case "GetBucketLocation": {
        const { region } = bucket.settings;
        return { status: 200, body: document("LocationConstraint", region === "us-east-1" ? "" : region) };
      }
      case "ListObjectsV2":
        return { status: 200, body: listObjects(bucket, request) };
      case "ListObjectVersions":
        return { status: 200, body: listVersions(bucket, request) };
      case "GetObject":
      case "HeadObject":
        return getReply(bucket, request, this.#find(bucket, request, access));
      case "PutObject":
        return this.#put(bucket, request, access);
      case "DeleteObject":
        return this.#delete(bucket, request, access);
      default:
        return this.#deleteAll(bucket, request, access);
    }
  }

  /** @throws S3Failure where it is not there, or in another region */
  bucket(name: string): Bucket {
    const bucket = this.buckets.get(name);
    if (bucket === undefined) {
      throw new S3Failure(404, "NoSuchBucket", "The specified bucket does not exist", { BucketName: name });
    }
    const { region } = bucket.settings;
    if (region === this.#region) return bucket;
    const text =
      "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
    const details = { Endpoint: `${name}.s3.${region}.amazonaws.com`, Bucket: name };
    throw new S3Failure(301, "PermanentRedirect", text, details, { "x-amz-bucket-region": region });
  }

  #list(principal: Principal): string {
    const own = [...this.buckets.values()].filter(({ settings }) => settings.owner === principal.account);
    return document("ListAllMyBucketsResult", {
      Owner: { ID: principal.account },
      Buckets: {
        Bucket: own.map(
          ({ name, created }): Content => ({ Name: name, CreationDate: new Date(created).toISOString() }),
        ),
      },
    });
  }

  #createBucket(request: S3Request, { account }: Principal): Reply {
    const name = request.bucket;
    if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name)) {
      throw invalid("InvalidBucketName", "The specified bucket is not valid.", { BucketName: name });
    }
    const before = this.buckets.get(name);
    if (before?.settings.owner === account) {
      const text = "Your previous request to create the named bucket succeeded and you already own it.";
      throw new S3Failure(409, "BucketAlreadyOwnedByYou", text, { BucketName: name });
    }
    if (before !== undefined) {
      throw new S3Failure(409, "BucketAlreadyExists", "The requested bucket name is not available.");
    }
    const region = textAt(readXml(request.body.toString()), "LocationConstraint") ?? "us-east-1";
    if (region !== this.#region) {
      const text = "The location constraint is incompatible for the region specific endpoint this request was sent to.";
      throw invalid("IllegalLocationConstraintException", text);
    }
    this.create(name, { region, owner: account, requesterPays: false });
    return { status: 200, headers: { location: `/${name}` } };
  }

  /** Who may not list a bucket is not told either that a key is absent. */
  #find(bucket: Bucket, request: S3Request, access: Access) {
    try {
      return find(bucket, request);
    } catch (error) {
      if (error instanceof S3Failure && error.code === "NoSuchKey" && !canList(bucket, request.key, access)) {
        throw new S3Failure(403, "AccessDenied", "Access Denied");
      }
      throw error;
    }
  }

  async #put(bucket: Bucket, request: S3Request, access: Access): Promise<Reply> {
    const { dishonest } = access.settings;
    if (request.headers["if-match"] !== undefined) authorize(request, "s3:GetObject", access);
    const object = objectOf(bucket, request, this.#clock());
    if (dishonest !== "ignores") this.#check(bucket, request, access);
    // Between the look and the write others get in.
    if (dishonest === "serial") await sleep(5);
    bucket.add({ ...object, sequence: ++this.#writes });
    return putReply(bucket, object);
  }

  async #delete(bucket: Bucket, request: S3Request, access: Access): Promise<Reply> {
    const { dishonest } = access.settings;
    if (dishonest !== "ignores") this.#check(bucket, request, access);
    if (dishonest === "serial") await turn();
    const stamp = { modified: this.#clock(), sequence: ++this.#writes };
    return { status: 204, headers: deleteObject(bucket, request.key, queryOf(request, "versionId"), stamp) };
  }

  #check(bucket: Bucket, request: S3Request, { settings, arrived }: Access): void {
    try {
      checkCondition(bucket, request, settings.dishonest === "absent");
    } catch (error) {
      const other = (bucket.newest(request.key)?.sequence ?? 0) > arrived;
      if (settings.race !== 409 || !other || !(error instanceof S3Failure) || error.status !== 412) throw error;
      const text = "The conditional request cannot succeed due to a conflicting operation against this resource.";
      throw new S3Failure(409, "ConditionalRequestConflict", text, error.details);
    }
  }

  #deleteAll(bucket: Bucket, request: S3Request, access: Access): Reply {
    const { headers } = request;
    if (headers["content-md5"] === undefined && !Object.keys(headers).some((h) => h.startsWith("x-amz-checksum-"))) {
      throw invalid("InvalidRequest", "Missing required header for this request: Content-MD5");
    }
    const root = readXml(payloadOf(request).bytes.toString());
    const keys = (root?.children ?? []).filter(({ name }) => name === "Object");
    if (root?.name !== "Delete" || keys.length === 0 || keys.length > 1000) {
      throw invalid("MalformedXML", "The XML you provided was not well-formed");
    }
    const Deleted: Content[] = [];
    const failed: Content[] = [];
    for (const item of keys) {
      const Key = textAt(item, "Key") ?? "";
      const version = textAt(item, "VersionId");
      try {
        authorize(
          { ...request, key: Key },
          version === undefined ? "s3:DeleteObject" : "s3:DeleteObjectVersion",
          access,
        );
        const etag = textAt(item, "ETag");
        const conditions = etag === undefined ? {} : { "if-match": etag };
        this.#check(bucket, { ...request, key: Key, headers: conditions }, access);
        const stamp = { modified: this.#clock(), sequence: ++this.#writes };
        const told = deleteObject(bucket, Key, version, stamp);
        Deleted.push({
          Key,
          VersionId: version,
          DeleteMarker: told["x-amz-delete-marker"],
          DeleteMarkerVersionId: version === undefined ? told["x-amz-version-id"] : undefined,
        });
      } catch (error) {
        if (!(error instanceof S3Failure)) throw error;
        failed.push({ Key, VersionId: version, Code: error.code, Message: error.message });
      }
    }
    const quiet = textAt(root, "Quiet") === "true";
    return { status: 200, body: document("DeleteResult", { Deleted: quiet ? [] : Deleted, Error: failed }) };
  }

  /** Behind everybody's back. */
  damage(name: string, key: string, edit: (bytes: Buffer) => Uint8Array): void {
    const bucket = this.bucket(name);
    const object = bucket.current(key);
    if (object === undefined) throw noSuchKey(key);
    const bytes = Buffer.from(edit(Buffer.from(object.bytes)));
    bucket.add({ ...object, bytes, etag: createHash("md5").update(bytes).digest("hex"), sequence: ++this.#writes });
  }
}
