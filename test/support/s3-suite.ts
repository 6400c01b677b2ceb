import { randomUUID } from "node:crypto";
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, describe, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { type S3Native, type S3Options, s3 } from "../../src/drivers/s3/index.ts";
import { parseName } from "../../src/names.ts";
import { type BudgetOperation, commitOf, type Damage, documentOf, driverSuite } from "../../src/testing/index.ts";
import { SLOW } from "./sizes.ts";

/** A server of S3's protocol that a test has started. */
export interface S3Place {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export const BUCKET = "prompts";

export function optionsOf({ endpoint, region, accessKeyId, secretAccessKey }: S3Place, more: Partial<S3Options> = {}) {
  return {
    bucket: BUCKET,
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    ...more,
  } satisfies S3Options;
}

/** A client of its own, to look and meddle behind a driver's back. */
export function clientOf({ endpoint, region, accessKeyId, secretAccessKey }: S3Place): S3Client {
  return new S3Client({
    ...{ endpoint, region, credentials: { accessKeyId, secretAccessKey }, forcePathStyle: true },
    ...{ requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED" },
  });
}

export async function createBucket(place: S3Place, Bucket = BUCKET): Promise<void> {
  const client = clientOf(place);
  await client.send(new CreateBucketCommand({ Bucket }));
  client.destroy();
}

/** Everything at its full size, which takes minutes. */
export const FULL = process.env.PROMPT_REGISTRY_S3_FULL === "1";
const LARGE = [
  "I13 a commit and a read of maxBatch work, as far as 500",
  "I9 through the registry: verify and doctor find nothing wrong with 30 random prompts",
];

/** What these operations may cost at most, in requests. `latest.json` is one more for every head that is written. */
export const S3_BUDGETS: Readonly<Record<BudgetOperation, number>> = {
  readVersion: 1,
  readLabel: 2,
  readLatest: 2,
  readMany: 50,
  publish: 3,
  publishMany: 50 * 5,
  moveHead: 2,
  listPrompts: 1 + 100,
  listPromptsWithHeads: 1,
  listVersions: 2,
  history: 2 + 20,
  changes: 1,
};

/** Registers the contract's suite for drivers on this server, or for layers around them; each gets a prefix of its own. */
export function s3Suite(
  name: string,
  placeOf: () => S3Place,
  more: Partial<S3Options> = {},
  wrap?: (driver: StorageDriver) => StorageDriver,
): void {
  const options = new Map<StorageDriver, S3Options>();
  let proof: Uint8Array | undefined;
  // One for all tests: what a client costs before its first request is more than the request.
  let own: S3Client | undefined;
  const behind = () => {
    own ??= clientOf(placeOf());
    return own;
  };
  afterAll(() => own?.destroy());
  /** Proves once for all tests that the store keeps conditions. */
  const prove = async (prefix: string): Promise<string> => {
    const client = behind();
    if (proof === undefined) {
      const driver = await s3(optionsOf(placeOf(), { prefix, ...more }));
      await driver.commit(commitOf({ name: parseName("proof"), add: [documentOf("proof", "1.0.0")] }));
      await driver.close();
      const there = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: `${prefix}/.probe.json` }));
      proof = await there.Body?.transformToByteArray();
      return await prove(`suite/${randomUUID()}`);
    }
    await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: `${prefix}/.probe.json`, Body: proof }));
    return prefix;
  };
  const open = async (given: S3Options) => {
    const bare = await s3(given);
    const driver = wrap === undefined ? bare : wrap(bare);
    options.set(driver, given);
    return driver;
  };
  const of = (driver: StorageDriver) => options.get(driver) as S3Options;
  const damage: Damage = async (driver, prompt, version, edit) => {
    const client = behind();
    const key = `${of(driver).prefix}/prompts/${prompt}/v${version}.md`;
    const there = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
    const bytes = (await there.Body?.transformToByteArray()) as Uint8Array;
    const put = { Bucket: BUCKET, Key: key, Body: edit(bytes), Metadata: there.Metadata ?? {} };
    await client.send(new PutObjectCommand(put));
  };
  const calls = async (driver: StorageDriver): Promise<number> => {
    const native = driver.native as S3Native;
    await native.settled();
    return native.calls();
  };
  const budgets = { calls, max: S3_BUDGETS };
  driverSuite({
    name,
    runner: { describe, it },
    open: async () => open(optionsOf(placeOf(), { prefix: await prove(`suite/${randomUUID()}`), ...more })),
    reopen: async (driver) => {
      await driver.close();
      return open(of(driver));
    },
    damage,
    // Beneath the layers they were run.
    skip: (wrap === undefined || FULL ? [] : [...SLOW, ...LARGE]).map((test) => ({
      test,
      reason: "slow: it is run without layers, and here with PROMPT_REGISTRY_S3_FULL=1",
    })),
    // Handles with a cache of their own see each other's changes after its TTL, which is their contract.
    ...(wrap === undefined ? { another: (driver: StorageDriver) => open(of(driver)), budgets } : {}),
  });
}
