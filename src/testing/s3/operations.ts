import { S3Failure } from "./failure.ts";
import { queryOf, type S3Request } from "./request.ts";

/** What a request asks for, under the name that S3 gives it. */
export interface Operation {
  readonly name: string;
  /** The action of IAM that it needs. */
  readonly action: string;
  /** The configuration it is about, where it is one that is kept as it was put. */
  readonly configuration?: string;
}

interface Configuration {
  /** Names of the operation and of the action, without the verb. */
  readonly operation: string;
  readonly action: string;
}

/** @see https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html */
const CONFIGURATIONS: Readonly<Record<string, Configuration>> = {
  versioning: { operation: "BucketVersioning", action: "BucketVersioning" },
  publicAccessBlock: { operation: "PublicAccessBlock", action: "BucketPublicAccessBlock" },
  encryption: { operation: "BucketEncryption", action: "EncryptionConfiguration" },
  lifecycle: { operation: "BucketLifecycleConfiguration", action: "LifecycleConfiguration" },
  policy: { operation: "BucketPolicy", action: "BucketPolicy" },
  ownershipControls: { operation: "BucketOwnershipControls", action: "BucketOwnershipControls" },
  tagging: { operation: "BucketTagging", action: "BucketTagging" },
};

const VERBS: Readonly<Record<string, string>> = { GET: "Get", PUT: "Put", DELETE: "Delete" };

export function operationOf(request: S3Request): Operation {
  const { method, bucket, key } = request;
  if (bucket === "") return { name: "ListBuckets", action: "s3:ListAllMyBuckets" };
  const found = key === "" ? bucketOperation(request) : objectOperation(request);
  if (found !== undefined) return found;
  throw new S3Failure(501, "NotImplemented", `The fake does not implement ${method} with this query`);
}

function bucketOperation(request: S3Request): Operation | undefined {
  const { method } = request;
  const has = (name: string) => queryOf(request, name) !== undefined;
  const configuration = Object.keys(CONFIGURATIONS).find(has);
  if (configuration !== undefined) {
    const verb = VERBS[method];
    const names = CONFIGURATIONS[configuration] as Configuration;
    if (verb === undefined) return undefined;
    // To remove a configuration is to be allowed to put one, but for policies.
    const right = verb === "Delete" && configuration !== "policy" ? "Put" : verb;
    return { name: `${verb}${names.operation}`, action: `s3:${right}${names.action}`, configuration };
  }
  if (method === "GET" && has("location")) return { name: "GetBucketLocation", action: "s3:GetBucketLocation" };
  if (method === "GET" && has("versions")) return { name: "ListObjectVersions", action: "s3:ListBucketVersions" };
  if (method === "GET" && queryOf(request, "list-type") === "2") {
    return { name: "ListObjectsV2", action: "s3:ListBucket" };
  }
  if (method === "POST" && has("delete")) return { name: "DeleteObjects", action: "s3:DeleteObject" };
  if (request.query.some(([name]) => name !== "x-id")) return undefined;
  if (method === "HEAD") return { name: "HeadBucket", action: "s3:ListBucket" };
  if (method === "PUT") return { name: "CreateBucket", action: "s3:CreateBucket" };
  return method === "DELETE" ? { name: "DeleteBucket", action: "s3:DeleteBucket" } : undefined;
}

function objectOperation(request: S3Request): Operation | undefined {
  const { method, headers, query } = request;
  const versioned = queryOf(request, "versionId") === undefined ? "" : "Version";
  if (headers["x-amz-copy-source"] !== undefined) return undefined;
  if (query.some(([name]) => name !== "x-id" && name !== "versionId" && !name.startsWith("response-")))
    return undefined;
  if (method === "GET") return { name: "GetObject", action: `s3:GetObject${versioned}` };
  if (method === "HEAD") return { name: "HeadObject", action: `s3:GetObject${versioned}` };
  if (method === "PUT") return { name: "PutObject", action: "s3:PutObject" };
  return method === "DELETE" ? { name: "DeleteObject", action: `s3:DeleteObject${versioned}` } : undefined;
}
