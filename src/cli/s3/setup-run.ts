import { randomBytes } from "node:crypto";
import { codeOf, statusOf } from "../../drivers/s3/failure.ts";
import { s3 } from "../../drivers/s3/index.ts";
import { isRegistryError } from "../../errors.ts";
import { SCRATCH_PREFIX } from "./policy.ts";
import {
  bucketExists,
  common,
  createBucket,
  denied,
  type Feature,
  features,
  isAws,
  isUnsupported,
  type Setup,
  type Step,
} from "./setup.ts";

const WAYS_OUT = 'open it with conditionalWrites "single-writer", or with a lock in a database all writers share';

/**
 * Looks at a bucket, or makes it what a registry wants.
 *
 * @param apply `false`: nothing is changed, also not for a trial
 * @returns what there is, in the order in which it is done
 * @throws RegistryError what the store refuses
 */
export async function runSetup(setup: Setup, apply: boolean, tell: (step: Step) => void): Promise<readonly Step[]> {
  const steps: Step[] = [];
  const add = (step: Step) => {
    steps.push(step);
    tell(step);
  };
  const there = await bucketExists(setup);
  add(await bucketStep(setup, there, apply));
  const missing = !there && !apply;
  const [access, ...others] = features(setup).map((feature) => () => featureStep(setup, feature, apply, missing));
  if (access !== undefined) add(await access());
  add(await versioningStep(setup, apply, missing));
  for (const step of others) add(await step());
  add(apply ? await proofStep(setup) : { ...PROOF, state: "later", detail: "proved by a race when this is applied" });
  return steps;
}

const TRIED = "if writing still works with it: tried in a scratch bucket first";
const PROOF = { what: "conditional writes" } as const;

async function bucketStep(setup: Setup, there: boolean, apply: boolean): Promise<Step> {
  const { target } = setup;
  const what = "bucket";
  if (there) return { what, state: "ok", detail: target.bucket };
  if (!apply) return { what, state: "change", detail: `create ${target.bucket}` };
  try {
    await createBucket(setup);
  } catch (error) {
    throw denied(error, target, `creating bucket ${target.bucket}`);
  }
  return { what, state: "done", detail: `created ${target.bucket}` };
}

async function featureStep(setup: Setup, feature: Feature, apply: boolean, missing: boolean): Promise<Step> {
  const { what } = feature;
  if (missing) return { what, state: "change", detail: "set it, once the bucket is there" };
  try {
    const before = await feature.look();
    if (before.danger !== undefined) return { what, state: "danger", detail: before.danger };
    if (before.wrong === undefined) return { what, state: "ok", detail: before.right };
    const trial = isAws(setup.target) ? undefined : feature.trial;
    if (!apply && trial !== undefined) return { what, state: "later", detail: `${before.wrong}, ${TRIED}` };
    if (!apply) return { what, state: "change", detail: before.wrong };
    if (trial !== undefined) {
      const reason = await rehearse(setup, trial);
      if (reason !== undefined) return { what, state: "skipped", detail: reason };
    }
    await feature.apply();
    const after = await feature.look();
    if (after.wrong === undefined) return { what, state: "done", detail: after.right };
    return { what, state: "skipped", detail: "the store took it and did not keep it" };
  } catch (error) {
    if (isUnsupported(error)) return { what, state: "skipped", detail: "the store does not know it" };
    const failure = denied(
      error,
      setup.target,
      `${apply ? "setting" : "looking at"} ${what} of ${setup.target.bucket}`,
    );
    // The other things are worth doing all the same.
    if (failure.code === "FORBIDDEN")
      return { what, state: "danger", detail: `not allowed: it needs ${feature.actions}` };
    throw failure;
  }
}

async function versioningStep(setup: Setup, apply: boolean, missing: boolean): Promise<Step> {
  const { sdk, client, target, wish, signal } = setup;
  const what = "versioning";
  const trial = wish.versioning === "auto" && !isAws(target);
  try {
    const options = { abortSignal: signal };
    const status = missing
      ? undefined
      : (await client.send(new sdk.GetBucketVersioningCommand(common(target)), options)).Status;
    if (status === "Enabled") return { what, state: "ok", detail: "on" };
    if (wish.versioning === "off") return { what, state: "ok", detail: "off, as asked" };
    if (!apply && trial) {
      return {
        what,
        state: "later",
        detail: `turn it on, ${TRIED}`,
      };
    }
    if (!apply) return { what, state: "change", detail: "turn it on" };
    if (trial) {
      const reason = await rehearse(setup, (bucket) => turnOn(setup, bucket));
      if (reason !== undefined) return { what, state: "skipped", detail: reason };
    }
    await turnOn(setup);
    return { what, state: "done", detail: "turned on" };
  } catch (error) {
    if (isRegistryError(error)) throw error;
    if (isUnsupported(error)) return { what, state: "skipped", detail: "the store does not know it" };
    throw denied(error, target, `setting versioning of ${target.bucket}`);
  }
}

async function turnOn({ sdk, client, target, signal }: Setup, bucket?: string): Promise<void> {
  const place = bucket === undefined ? common(target) : { Bucket: bucket };
  const input = { ...place, VersioningConfiguration: { Status: "Enabled" as const } };
  await client.send(new sdk.PutBucketVersioningCommand(input), { abortSignal: signal });
}

/**
 * Tries something in a bucket of its own: compatible stores are known that enforce no conditions in versioned buckets, and
 * that let nobody write at all where public access is blocked.
 *
 * @returns why not to do it
 */
async function rehearse(setup: Setup, change: (bucket: string) => Promise<unknown>): Promise<string | undefined> {
  const { target } = setup;
  const bucket = `${SCRATCH_PREFIX}${randomBytes(8).toString("hex")}`;
  try {
    await createBucket(setup, bucket);
  } catch (error) {
    const why = statusOf(error) === 403 ? "no right to make a scratch bucket" : `no scratch bucket (${codeOf(error)})`;
    return `left off: ${why} to try it in`;
  }
  let problem: string | undefined;
  let left = "";
  try {
    await change(bucket);
    problem = await prove({ ...setup, target: { ...target, bucket, prefix: "" } });
  } finally {
    await removeBucket(setup, bucket).catch(() => {
      left = `; the scratch bucket ${bucket} could not be removed`;
    });
  }
  if (problem === undefined) return left === "" ? undefined : `left off${left}; remove it and try again`;
  return `left off: with it, this store can't be written safely (${problem})${left}`;
}

async function removeBucket({ sdk, client }: Setup, Bucket: string): Promise<void> {
  const { Versions = [], DeleteMarkers = [] } = await client.send(new sdk.ListObjectVersionsCommand({ Bucket }));
  for (const { Key, VersionId } of [...Versions, ...DeleteMarkers]) {
    if (Key === undefined) continue;
    const version = VersionId === undefined ? {} : { VersionId };
    await client.send(new sdk.DeleteObjectCommand({ Bucket, Key, ...version }));
  }
  await client.send(new sdk.DeleteBucketCommand({ Bucket }));
}

async function proofStep(setup: Setup): Promise<Step> {
  const problem = await prove(setup);
  if (problem === undefined) return { ...PROOF, state: "ok", detail: "one winner, and what is stale is refused" };
  const ways = problem.includes("single-writer") ? "" : `; ${WAYS_OUT}`;
  return { ...PROOF, state: "danger", detail: `${problem}${ways}` };
}

/** @returns what is wrong with them */
async function prove({ target, signal }: Setup): Promise<string | undefined> {
  const driver = await s3({ ...target, conditionalWrites: "required", readOnly: false });
  try {
    const { checks } = await driver.check({ signal });
    const failed = checks.filter(({ ok }) => !ok);
    return failed.length === 0 ? undefined : failed.map(({ name, detail }) => `${name}: ${detail}`).join("; ");
  } finally {
    await driver.close();
  }
}
