import type { Bucket } from "./bucket.ts";
import { invalid, S3Failure } from "./failure.ts";
import type { Reply } from "./objects.ts";
import { payloadOf } from "./payload.ts";
import type { S3Request } from "./request.ts";
import { document, type Element, readXml, textAt } from "./xml.ts";

const ABSENT: Readonly<Record<string, readonly [code: string, message: string]>> = {
  publicAccessBlock: ["NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found"],
  lifecycle: ["NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"],
  policy: ["NoSuchBucketPolicy", "The bucket policy does not exist"],
  ownershipControls: ["OwnershipControlsNotFoundError", "The bucket ownership controls were not found"],
  tagging: ["NoSuchTagSet", "The TagSet does not exist"],
};

const ROOTS: Readonly<Record<string, string>> = {
  versioning: "VersioningConfiguration",
  publicAccessBlock: "PublicAccessBlockConfiguration",
  encryption: "ServerSideEncryptionConfiguration",
  lifecycle: "LifecycleConfiguration",
  ownershipControls: "OwnershipControls",
  tagging: "Tagging",
};

/** What a bucket of Amazon S3 has from the start. */
export const BLOCKED = document("PublicAccessBlockConfiguration", {
  BlockPublicAcls: true,
  IgnorePublicAcls: true,
  BlockPublicPolicy: true,
  RestrictPublicBuckets: true,
});
const ENCRYPTED = document("ServerSideEncryptionConfiguration", {
  Rule: { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" }, BucketKeyEnabled: false },
});

/** Reads, replaces or removes one configuration of a bucket. It is kept as it was put, and nothing acts on it but versioning. */
export function configure(bucket: Bucket, kind: string, request: S3Request): Reply {
  if (request.method === "GET") return { status: 200, body: read(bucket, kind) };
  if (request.method === "DELETE") {
    bucket.documents.delete(kind);
    return { status: 204 };
  }
  const text = payloadOf(request).bytes.toString();
  const root = kind === "policy" ? undefined : readXml(text);
  if (kind !== "policy" && root?.name !== ROOTS[kind]) throw malformed();
  if (kind === "lifecycle") checkLifecycle(root as Element);
  if (kind === "versioning") {
    const status = textAt(root, "Status");
    if (status !== "Enabled" && status !== "Suspended") throw malformed();
    bucket.versioning = status;
  } else bucket.documents.set(kind, text);
  return { status: kind === "policy" ? 204 : 200 };
}

function read(bucket: Bucket, kind: string): string {
  if (kind === "versioning") return document("VersioningConfiguration", { Status: bucket.versioning });
  const kept = bucket.documents.get(kind);
  if (kept !== undefined) return kept;
  if (kind === "encryption") return ENCRYPTED;
  const [code = "NoSuchConfiguration", message = "There is no such configuration"] = ABSENT[kind] ?? [];
  throw new S3Failure(404, code, message);
}

const malformed = () =>
  invalid("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema");

/** @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html */
function checkLifecycle(root: Element): void {
  if (root.children.length === 0 || root.children.length > 1000) throw malformed();
  const ids = new Set<string>();
  for (const rule of root.children) {
    const id = textAt(rule, "ID") ?? crypto.randomUUID();
    if (ids.has(id)) throw invalid("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule");
    ids.add(id);
    const filtered = rule.children.some(({ name }) => name === "Filter" || name === "Prefix");
    const status = textAt(rule, "Status");
    if (rule.name !== "Rule" || !filtered || (status !== "Enabled" && status !== "Disabled")) throw malformed();
    for (const { name, children } of rule.children) {
      const days = Number(children.find((child) => /Days/.test(child.name))?.text ?? 1);
      if (!Number.isInteger(days) || days < 1) {
        throw invalid("InvalidArgument", `'${name}' must have a positive number of days`);
      }
      const colder = textAt({ name, text: "", children }, "StorageClass");
      // These two take nothing that is younger than 30 days.
      if (/_IA$/.test(colder ?? "") && name === "Transition" && days < 30) {
        throw invalid(
          "InvalidArgument",
          `'Days' in Transition action must be greater than or equal to 30 for storageClass '${colder}'`,
        );
      }
    }
  }
}
