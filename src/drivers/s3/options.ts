import { RegistryError, show } from "../../errors.ts";

/** How a store that may be shared keeps writers apart; see docs/s3.md. */
export type ConditionalWrites =
  /** By conditions of the store itself, which a probe has to prove before the first write. */
  | "required"
  /** Not at all: this process is the only one that writes. */
  | "single-writer"
  /** By a lock in a database that all writers share: `sqlite:./locks.db` or `postgres://…`. */
  | { readonly lock: string };

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3Options {
  readonly bucket: string;
  /** Keys start with it. Default: the whole bucket. */
  readonly prefix?: string | undefined;
  /** Default: what the SDK finds (`AWS_REGION`, the profile); `us-east-1` where an endpoint is given. */
  readonly region?: string | undefined;
  /** Of a compatible store, e.g. `https://storage.example:9000`. Default: AWS. */
  readonly endpoint?: string | undefined;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. Default: where an endpoint is given. */
  readonly forcePathStyle?: boolean | undefined;
  /** Keys, or what gives them. Default: the SDK's whole chain (environment, profiles, SSO, web identity, container, instance). */
  readonly credentials?: (S3Credentials | (() => Promise<S3Credentials>)) | undefined;
  /** A profile of the shared AWS files. */
  readonly profile?: string | undefined;
  /** A role to take (STS AssumeRole), by whatever credentials were found. */
  readonly roleArn?: string | undefined;
  readonly externalId?: string | undefined;
  readonly roleSessionName?: string | undefined;
  /** A file with an OpenID token: the role is taken by it (AssumeRoleWithWebIdentity). */
  readonly webIdentityTokenFile?: string | undefined;
  /** Account that must own the bucket; another owner is refused. */
  readonly expectedBucketOwner?: string | undefined;
  /** Who reads pays; needed for buckets that ask for it. */
  readonly requestPayer?: boolean | undefined;
  /** Encryption at rest other than the bucket's own default. */
  readonly encryption?: "AES256" | "aws:kms" | "aws:kms:dsse" | undefined;
  readonly kmsKeyId?: string | undefined;
  readonly bucketKey?: boolean | undefined;
  /** Of documents. Default: the bucket's. */
  readonly storageClass?: string | undefined;
  /** Default `required`. */
  readonly conditionalWrites?: ConditionalWrites | undefined;
  /** Also write `prompts/NAME/latest.json`, for readers over plain HTTP. Default `true`. */
  readonly latestJson?: boolean | undefined;
  /** Requests at once. Default 32. */
  readonly concurrency?: number | undefined;
  /** Milliseconds for one request. Default 10,000. */
  readonly requestTimeout?: number | undefined;
  /** Milliseconds to get a connection. Default 3,000. */
  readonly connectTimeout?: number | undefined;
  /**
   * Milliseconds at least from one listing for the feed to the next, where the one before had nothing left to tell. Changes
   * of this handle end it at once. Default: half a second for each 1,000 prompts, from 10,000 prompts on.
   */
  readonly feedInterval?: number | undefined;
  /** Refuse to write. Default `false`. */
  readonly readOnly?: boolean | undefined;
}

export interface Resolved extends S3Options {
  readonly prefix: string;
  readonly conditionalWrites: ConditionalWrites;
  readonly latestJson: boolean;
  readonly concurrency: number;
  readonly requestTimeout: number;
  readonly connectTimeout: number;
  readonly readOnly: boolean;
  /** For messages. */
  readonly location: string;
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, access points and older buckets included
const BUCKET = /^(?:[A-Za-z0-9][A-Za-z0-9._-]{1,254}|arn:[A-Za-z0-9:/_-]{10,200})$/;
// Below what a name and an archive add, a key stays under the 1,024 bytes that S3 allows.
const PREFIX = /^[A-Za-z0-9!_.*'()/-]{0,500}$/;

/** @throws RegistryError CONFIG */
export function resolveOptions(options: S3Options): Resolved {
  const bad = (field: string, problem: string) => new RegistryError("CONFIG", `s3: ${field} ${problem}`, { field });
  const { bucket, prefix = "", endpoint, conditionalWrites = "required", encryption, credentials } = options;
  if (typeof bucket !== "string" || !BUCKET.test(bucket)) throw bad("bucket", `${show(bucket)} is no bucket name`);
  if (typeof prefix !== "string" || !PREFIX.test(prefix) || prefix.includes("//")) {
    throw bad("prefix", `${show(prefix)} can't start a key; use letters, digits, "-", "_", ".", "/"`);
  }
  if (prefix.split("/").some((part) => part === "." || part === "..")) throw bad("prefix", "holds . or ..");
  if (endpoint !== undefined) checkEndpoint(endpoint, bad);
  if (encryption !== undefined && !["AES256", "aws:kms", "aws:kms:dsse"].includes(encryption)) {
    throw bad("encryption", `${show(encryption)} is none of AES256, aws:kms and aws:kms:dsse`);
  }
  if (options.kmsKeyId !== undefined && !encryption?.startsWith("aws:kms")) {
    throw bad("kmsKeyId", "needs encryption aws:kms");
  }
  if (typeof conditionalWrites === "object") {
    if (!/^(?:sqlite|postgres(?:ql)?):/i.test(conditionalWrites.lock)) {
      throw bad("conditionalWrites.lock", "must be the location of a sqlite: or postgres: database");
    }
  } else if (conditionalWrites !== "required" && conditionalWrites !== "single-writer") {
    throw bad("conditionalWrites", `${show(conditionalWrites)} is neither required, single-writer nor { lock }`);
  }
  if (options.webIdentityTokenFile !== undefined && options.roleArn === undefined) {
    throw bad("webIdentityTokenFile", "needs roleArn");
  }
  for (const field of ["concurrency", "requestTimeout", "connectTimeout"] as const) {
    const value = options[field];
    if (value !== undefined && !(Number.isFinite(value) && value >= 1)) throw bad(field, "must be a positive number");
  }
  if (options.feedInterval !== undefined && !(Number.isFinite(options.feedInterval) && options.feedInterval >= 0)) {
    throw bad("feedInterval", "must be a number of milliseconds, or 0");
  }
  if (credentials !== undefined && (options.profile !== undefined || options.webIdentityTokenFile !== undefined)) {
    throw bad("credentials", "are given twice: leave out profile and webIdentityTokenFile, or the keys");
  }
  const below = prefix.replace(/^\/+|\/+$/g, "");
  return {
    ...options,
    prefix: below,
    conditionalWrites,
    latestJson: options.latestJson ?? true,
    concurrency: Math.floor(options.concurrency ?? 32),
    requestTimeout: options.requestTimeout ?? 10_000,
    connectTimeout: options.connectTimeout ?? 3_000,
    readOnly: options.readOnly ?? false,
    location: `s3://${bucket}${below === "" ? "" : `/${below}`}`,
  };
}

function checkEndpoint(endpoint: string, bad: (field: string, problem: string) => RegistryError): void {
  let url: URL;
  try {
    url = new URL(endpoint);
  } catch {
    throw bad("endpoint", "is no URL; write https://host or http://host:port");
  }
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw bad("endpoint", "must start with https:// or http://");
  if (url.username !== "" || url.password !== "") throw bad("endpoint", "must not hold credentials; give credentials");
  if (url.search !== "" || url.hash !== "") throw bad("endpoint", "must be a host and nothing after it");
}
