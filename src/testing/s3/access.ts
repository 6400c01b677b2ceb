import type { Bucket } from "./bucket.ts";
import { accessDenied, invalid, S3Failure } from "./failure.ts";
import type { Operation } from "./operations.ts";
import { allows, type Policy } from "./policy.ts";
import { queryOf, type S3Request } from "./request.ts";
import { credentialOf, verify } from "./signature.ts";
import type { FakeS3Settings } from "./types.ts";

export interface Principal {
  readonly arn: string;
  readonly account: string;
  /** `undefined`: everything. */
  readonly policies: readonly Policy[] | undefined;
  readonly sessionPolicy?: Policy | undefined;
}

export interface Key extends Principal {
  readonly secret: string;
  readonly token?: string | undefined;
  readonly expiresAt?: number | undefined;
}

/** Who asks, and how the fake is set for this request. */
export interface Access {
  readonly principal: Principal;
  readonly settings: FakeS3Settings;
  /** The number of writes when the request came. */
  readonly arrived: number;
  readonly prefixHidesAbsent: boolean;
}

/** @throws S3Failure where the request is not from whom it says, or from nobody */
export function authenticate(
  request: S3Request,
  keys: ReadonlyMap<string, Key>,
  region: string,
  now: number,
): Principal & { readonly accessKeyId: string } {
  const credential = credentialOf(request);
  if (credential === undefined) throw accessDenied();
  const { accessKeyId } = credential;
  const key = keys.get(accessKeyId);
  if (key === undefined) {
    const text = "The AWS Access Key Id you provided does not exist in our records.";
    throw new S3Failure(403, "InvalidAccessKeyId", text, { AWSAccessKeyId: accessKeyId });
  }
  verify(request, credential, key.secret, region, now);
  const token = request.headers["x-amz-security-token"];
  if (token !== key.token) throw invalid("InvalidToken", "The provided token is malformed or otherwise invalid.");
  if (key.expiresAt !== undefined && key.expiresAt <= now) {
    throw invalid("ExpiredToken", "The provided token has expired.");
  }
  return { ...key, accessKeyId };
}

/** @throws S3Failure AccessDenied, where no policy allows the action on what the request names */
export function authorize(request: S3Request, action: string, { principal }: Pick<Access, "principal">): void {
  const resource = `arn:aws:s3:::${request.bucket}${request.key === "" ? "" : `/${request.key}`}`;
  const context = { ...contextOf(request), ...listContext(request) };
  if (permits(principal, action, request.bucket === "" ? "arn:aws:s3:::*" : resource, context)) return;
  throw accessDenied(
    `User: ${principal.arn} is not authorized to perform: ${action} on resource: "${resource}" because no identity-based policy allows the ${action} action`,
  );
}

function permits(
  { policies, sessionPolicy }: Principal,
  action: string,
  resource: string,
  context: Readonly<Record<string, string | undefined>>,
): boolean {
  const demand = { action, resource, context };
  return (
    (policies === undefined || allows(policies, demand)) &&
    (sessionPolicy === undefined || allows([sessionPolicy], demand))
  );
}

function contextOf({ headers }: S3Request): Record<string, string | undefined> {
  return {
    "aws:securetransport": "false",
    "s3:if-none-match": headers["if-none-match"],
    "s3:if-match": headers["if-match"],
    "s3:x-amz-server-side-encryption": headers["x-amz-server-side-encryption"],
    "s3:x-amz-storage-class": headers["x-amz-storage-class"],
  };
}

function listContext(request: S3Request): Record<string, string | undefined> {
  return {
    "s3:prefix": queryOf(request, "prefix"),
    "s3:delimiter": queryOf(request, "delimiter"),
    "s3:max-keys": queryOf(request, "max-keys"),
  };
}

/**
 * Whether this principal may know that a key is absent. S3 asks whether it could list the key, with the key itself as
 * `s3:prefix`; so does RadosGW since https://github.com/ceph/ceph/pull/68577, and before that it asked without a prefix.
 */
export function canList(bucket: Bucket, key: string, { principal, prefixHidesAbsent }: Access): boolean {
  const context = prefixHidesAbsent ? {} : { "s3:prefix": key };
  return permits(principal, "s3:ListBucket", `arn:aws:s3:::${bucket.name}`, context);
}

/** @throws S3Failure AccessDenied, where the bucket is not whose the request says, or somebody else pays for it */
export function checkOwner(bucket: Bucket, request: S3Request, { account }: Principal, operation: Operation): void {
  const { owner, requesterPays } = bucket.settings;
  const expected = request.headers["x-amz-expected-bucket-owner"];
  if (expected !== undefined && expected !== owner) throw accessDenied();
  const pays = request.headers["x-amz-request-payer"] === "requester";
  if (requesterPays && account !== owner && !pays && operation.configuration === undefined) throw accessDenied();
}
