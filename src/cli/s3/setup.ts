import type { S3Client } from "@aws-sdk/client-s3";
import { codeOf, s3Failure, statusOf } from "../../drivers/s3/failure.ts";
import type { Resolved } from "../../drivers/s3/options.ts";
import type { Sdk } from "../../drivers/s3/sdk.ts";
import type { RegistryError } from "../../errors.ts";
import { compareRules, type LifecycleWish, wantedRules } from "./setup-lifecycle.ts";

/**
 * - `ok` it is as it should be
 * - `change` it is not, and can be made so
 * - `later` only known once the plan is applied
 * - `done` it was made so
 * - `skipped` the store can't do it, or it is better left
 * - `danger` something that a person has to settle
 */
export type StepState = "ok" | "change" | "later" | "done" | "skipped" | "danger";

export interface Step {
  readonly what: string;
  readonly state: StepState;
  readonly detail: string;
}

export interface SetupWish extends Omit<LifecycleWish, "prefix"> {
  readonly kmsKey?: string;
  /** `auto`: on, where conditional writes are known to hold in versioned buckets or a trial in a scratch bucket shows it. */
  readonly versioning: "auto" | "on" | "off";
}

export interface Setup {
  readonly sdk: Sdk;
  readonly client: S3Client;
  readonly target: Resolved;
  readonly wish: SetupWish;
  readonly signal: AbortSignal;
}

/** One thing about a bucket: what is there, what should be, and how to get there. */
export interface Feature {
  readonly what: string;
  /** The actions of IAM that looking and applying need. */
  readonly actions: string;
  /** @returns what is wrong, or `undefined` where nothing is; throws what the store said */
  look(): Promise<{ readonly wrong?: string; readonly right: string; readonly danger?: string }>;
  apply(): Promise<unknown>;
  /** Does it to a scratch bucket, where a compatible store may take it amiss. */
  trial?(bucket: string): Promise<unknown>;
}

/** What a store says of a configuration that was never set. */
const UNSET = /^(?:NoSuch\w*Configuration|ServerSideEncryptionConfigurationNotFoundError|NoSuchLifecycle\w*)$/;

/** Codes and statuses by which stores tell that they don't know a request. */
export function isUnsupported(error: unknown): boolean {
  const status = statusOf(error);
  const code = codeOf(error);
  // The last two: it took a configuration that it does not know for a new bucket.
  const codes = [
    "NotImplemented",
    "MethodNotAllowed",
    "UnknownOperation",
    "BucketAlreadyOwnedByYou",
    "BucketAlreadyExists",
  ];
  return status === 501 || status === 405 || codes.includes(code);
}

async function orUnset<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (UNSET.test(codeOf(error))) return undefined;
    throw error;
  }
}

/**
 * A store that knows a configuration answers with one, or that it was never set. Who answers with something else (most
 * often with a list of the bucket's keys) does not know the question.
 */
function known<T>(answered: boolean, part: T | undefined): T | undefined {
  if (answered && part === undefined)
    throw Object.assign(new Error("unknown configuration"), { name: "NotImplemented" });
  return part;
}

export function isAws({ endpoint }: Resolved): boolean {
  return endpoint === undefined || /\.amazonaws\.com(?:\.cn)?$/.test(new URL(endpoint).hostname);
}

/** @throws RegistryError where the bucket is somebody else's, in another region, or can't be reached */
export async function bucketExists({ sdk, client, target, signal }: Setup): Promise<boolean> {
  try {
    await client.send(new sdk.HeadBucketCommand({ ...common(target) }), { abortSignal: signal });
    return true;
  } catch (error) {
    if (statusOf(error) === 404) return false;
    throw s3Failure(error, `looking at bucket ${target.bucket}`, target.location, false);
  }
}

export function common({ bucket, expectedBucketOwner }: Resolved): { Bucket: string; ExpectedBucketOwner?: string } {
  return {
    Bucket: bucket,
    ...(expectedBucketOwner === undefined ? {} : { ExpectedBucketOwner: expectedBucketOwner }),
  };
}

export async function createBucket({ sdk, client, target, signal }: Setup, bucket = target.bucket): Promise<void> {
  const region = await client.config.region();
  // The first region is the one that must not be named.
  const place = region === "us-east-1" || !isAws(target) ? {} : { LocationConstraint: region as "eu-west-1" };
  const CreateBucketConfiguration = Object.keys(place).length === 0 ? {} : { CreateBucketConfiguration: place };
  const command = new sdk.CreateBucketCommand({ Bucket: bucket, ...CreateBucketConfiguration });
  await client.send(command, { abortSignal: signal });
}

/** Everything but versioning and the bucket itself. */
export function features(setup: Setup): Feature[] {
  return [publicAccess(setup), encryption(setup), lifecycle(setup)];
}

function publicAccess({ sdk, client, target, signal }: Setup): Feature {
  const wanted = {
    BlockPublicAcls: true,
    IgnorePublicAcls: true,
    BlockPublicPolicy: true,
    RestrictPublicBuckets: true,
  };
  const options = { abortSignal: signal };
  return {
    what: "public access",
    actions: "s3:GetBucketPublicAccessBlock and s3:PutBucketPublicAccessBlock",
    async look() {
      const reply = await orUnset(client.send(new sdk.GetPublicAccessBlockCommand(common(target)), options));
      const found = reply?.PublicAccessBlockConfiguration;
      const isOne = found !== undefined && Object.values(found).some((value) => value !== undefined);
      const there = known(reply !== undefined, isOne ? found : undefined) ?? {};
      const open = (Object.keys(wanted) as (keyof typeof wanted)[]).filter((key) => there[key] !== true);
      return { right: "blocked", ...(open.length === 0 ? {} : { wrong: `block it (${open.join(", ")})` }) };
    },
    apply: () =>
      client.send(
        new sdk.PutPublicAccessBlockCommand({ ...common(target), PublicAccessBlockConfiguration: wanted }),
        options,
      ),
    trial: (Bucket) =>
      client.send(new sdk.PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration: wanted }), options),
  };
}

function encryption({ sdk, client, target, wish, signal }: Setup): Feature {
  const options = { abortSignal: signal };
  const { kmsKey } = wish;
  const wanted = kmsKey === undefined ? "AES256" : `aws:kms with ${kmsKey}`;
  return {
    what: "encryption",
    actions: "s3:GetEncryptionConfiguration and s3:PutEncryptionConfiguration",
    async look() {
      const reply = await orUnset(client.send(new sdk.GetBucketEncryptionCommand(common(target)), options));
      const [rule] = known(reply !== undefined, reply?.ServerSideEncryptionConfiguration?.Rules) ?? [];
      const there = rule?.ApplyServerSideEncryptionByDefault;
      const algorithm = there?.SSEAlgorithm;
      const right = algorithm !== undefined && (kmsKey === undefined || there?.KMSMasterKeyID === kmsKey);
      return { right: algorithm ?? wanted, ...(right ? {} : { wrong: `encrypt new objects by ${wanted}` }) };
    },
    apply: () => {
      const byDefault =
        kmsKey === undefined
          ? { SSEAlgorithm: "AES256" as const }
          : { SSEAlgorithm: "aws:kms" as const, KMSMasterKeyID: kmsKey };
      const rule = { ApplyServerSideEncryptionByDefault: byDefault, BucketKeyEnabled: kmsKey !== undefined };
      const ServerSideEncryptionConfiguration = { Rules: [rule] };
      const input = { ...common(target), ServerSideEncryptionConfiguration };
      return client.send(new sdk.PutBucketEncryptionCommand(input), options);
    },
  };
}

function lifecycle({ sdk, client, target, wish, signal }: Setup): Feature {
  const options = { abortSignal: signal };
  let history = wish.historyClass;
  const look = async () => {
    const reply = await orUnset(client.send(new sdk.GetBucketLifecycleConfigurationCommand(common(target)), options));
    const { prefix } = target;
    const wanted = wantedRules({ ...wish, prefix, historyClass: history });
    const found = compareRules(known(reply !== undefined, reply?.Rules) ?? [], wanted, prefix);
    return { ...found, smallest: reply?.TransitionDefaultMinimumObjectSize };
  };
  const put = async () => {
    const { rules, smallest } = await look();
    // It goes for the rules of others too, and is reset where it is not sent along.
    const kept = smallest === undefined ? {} : { TransitionDefaultMinimumObjectSize: smallest };
    const input = { ...common(target), LifecycleConfiguration: { Rules: rules }, ...kept };
    await client.send(new sdk.PutBucketLifecycleConfigurationCommand(input), options);
  };
  return {
    what: "lifecycle",
    actions: "s3:GetLifecycleConfiguration and s3:PutLifecycleConfiguration",
    async look() {
      let { changed, dangers } = await look();
      const cold = (id: string) => id.includes(": old history");
      // What a second run finds on a store that has taken all but this rule is what it has to find.
      const lacksCold = changed.length === 1 && changed.every(cold) && !isAws(target);
      if (lacksCold) changed = [];
      const right = `${wish.headDays} days for replaced heads; documents never expire${lacksCold ? "; no colder storage here" : ""}`;
      return {
        right,
        ...(changed.length === 0 ? {} : { wrong: `set ${changed.map((id) => `"${id}"`).join(", ")}` }),
        ...(dangers.length === 0
          ? {}
          : { danger: `${dangers.join(", ")} would remove or freeze what the registry needs; take the rule away` }),
      };
    },
    async apply() {
      try {
        await put();
      } catch (error) {
        // Compatible stores have no colder classes, or no filter by size: the other rules are worth having.
        if (history === "none" || isAws(target) || ![400, 501].includes(statusOf(error) ?? 0)) throw error;
        history = "none";
        await put();
      }
    },
  };
}

export function denied(error: unknown, target: Resolved, doing: string): RegistryError {
  return s3Failure(error, doing, target.location, true);
}
