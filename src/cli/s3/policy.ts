import { layout } from "../../drivers/s3/keys.ts";

/** Who the policy is for. `admin` is who sets the bucket up (`s3 setup`), not who publishes. */
export type PolicyRole = "reader" | "writer" | "admin";

export interface PolicyOptions {
  readonly bucket: string;
  /** Where the registry lies in the bucket; default: at its root. */
  readonly prefix?: string;
  readonly role: PolicyRole;
  /** Only the prompt of this name and those below it: `support` is `support`, `support/triage`, …, and not `support-old`. */
  readonly prompts?: string;
  /** ARN of the key, where objects are encrypted with one (SSE-KMS). */
  readonly kmsKey?: string;
  /** Of the ARNs; default `aws`. Others: `aws-cn`, `aws-us-gov`. */
  readonly partition?: string;
}

export interface Statement {
  readonly Sid: string;
  readonly Effect: "Allow";
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}

export interface PolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly Statement[];
}

/** Keys and patterns of keys, without the bucket. */
interface Places {
  /** What readers read and writers write. */
  readonly data: readonly string[];
  /** What `s3:prefix` of a listing may be, and which absent keys may be told from denied ones. */
  readonly listed: readonly string[];
}

function placesOf({ prefix = "", prompts }: PolicyOptions): Places {
  const { root, documents, heads } = layout(prefix);
  const archives = `${root}history/`;
  if (prompts === undefined) {
    const data = [`${documents}*`, `${heads}*`, `${archives}*`];
    return { data, listed: data };
  }
  const name = prompts.replace(/\/+$/, "");
  const data = [
    `${documents}${name}/*`,
    `${heads}${name}!.json`,
    `${heads}${name}/*`,
    `${archives}${name}!/*`,
    `${archives}${name}/*`,
  ];
  return { data, listed: data };
}

/**
 * The least that a reader, a writer or an admin of a registry needs, as a policy of IAM.
 *
 * | call of the registry | actions |
 * |---|---|
 * | read, list, history | `s3:GetObject`, `s3:ListBucket` |
 * | publish, label, yank, delete | those and `s3:PutObject`: a deletion replaces the document by a tombstone |
 * | the proof of conditional writes | `s3:PutObject`, `s3:DeleteObject` below `.probe/` only |
 * | `s3 setup` | the configurations of the bucket, and nothing of its objects but the probe |
 *
 * `s3:ListBucket` also decides whether a missing key is told as missing (404) or as denied (403), so no role goes without.
 * `If-Match` needs `s3:GetObject` beside `s3:PutObject`.
 *
 * @see https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
 * @example
 * s3Policy({ bucket: "prompts", role: "reader", prompts: "support" }).Statement[0].Action; // ["s3:GetObject"]
 */
export function s3Policy(options: PolicyOptions): PolicyDocument {
  const { bucket, prefix = "", role, kmsKey, partition = "aws" } = options;
  const arn = `arn:${partition}:s3:::${bucket}`;
  const { probe, probes } = layout(prefix);
  const objects = (keys: readonly string[]) => keys.map((key) => `${arn}/${key}`);
  const { data, listed } = placesOf(options);
  const list = (Sid: string, prefixes: readonly string[]): Statement => ({
    ...{ Sid, Effect: "Allow", Action: ["s3:ListBucket"], Resource: [arn] },
    Condition: { StringLike: { "s3:prefix": prefixes } },
  });
  const proof: readonly Statement[] = [
    {
      ...{ Sid: "ProveConditionalWrites", Effect: "Allow" },
      Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
      Resource: objects([`${probes}*`]),
    },
    { Sid: "KeepTheProof", Effect: "Allow", Action: ["s3:GetObject", "s3:PutObject"], Resource: objects([probe]) },
  ];
  const statements: Statement[] = [];
  if (role === "admin") {
    statements.push({ Sid: "SetUpTheBucket", Effect: "Allow", Action: ADMIN, Resource: [arn] }, ...proof, {
      ...{ Sid: "RehearseInAScratchBucket", Effect: "Allow" },
      Action: SCRATCH,
      Resource: [`arn:${partition}:s3:::${SCRATCH_PREFIX}*`, `arn:${partition}:s3:::${SCRATCH_PREFIX}*/*`],
    });
  } else {
    const write = role === "writer" ? ["s3:PutObject"] : [];
    statements.push(
      {
        Sid: role === "writer" ? "ReadAndWrite" : "Read",
        Effect: "Allow",
        Action: ["s3:GetObject", ...write],
        Resource: objects(data),
      },
      list("List", [...listed, probe, `${probes}*`]),
      ...(role === "writer"
        ? proof
        : [{ Sid: "ReadTheProof", Effect: "Allow", Action: ["s3:GetObject"], Resource: objects([probe]) } as const]),
    );
  }
  if (kmsKey !== undefined) {
    const Action = role === "reader" ? ["kms:Decrypt"] : ["kms:Decrypt", "kms:GenerateDataKey"];
    statements.push({ Sid: "UseTheKey", Effect: "Allow", Action, Resource: [kmsKey] });
  }
  return { Version: "2012-10-17", Statement: statements };
}

/** Buckets that `s3 setup` makes, tries something in, and removes. */
export const SCRATCH_PREFIX = "prompt-registry-probe-";

const ADMIN = [
  "s3:CreateBucket",
  "s3:ListBucket",
  "s3:GetBucketPublicAccessBlock",
  "s3:PutBucketPublicAccessBlock",
  "s3:GetBucketVersioning",
  "s3:PutBucketVersioning",
  "s3:GetEncryptionConfiguration",
  "s3:PutEncryptionConfiguration",
  "s3:GetLifecycleConfiguration",
  "s3:PutLifecycleConfiguration",
];

const SCRATCH = [
  "s3:CreateBucket",
  "s3:DeleteBucket",
  "s3:ListBucket",
  "s3:ListBucketVersions",
  "s3:PutBucketVersioning",
  "s3:PutBucketPublicAccessBlock",
  "s3:GetObject",
  "s3:PutObject",
  "s3:DeleteObject",
  "s3:DeleteObjectVersion",
];
