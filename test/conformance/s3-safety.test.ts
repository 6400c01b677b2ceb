import { setTimeout as sleep } from "node:timers/promises";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { type S3Options, s3 } from "../../src/drivers/s3/index.ts";
import { parseName } from "../../src/names.ts";
import { askOf, commitOf, documentOf, headOf } from "../../src/testing/index.ts";
import { type FakeS3, fakeS3 } from "../../src/testing/s3/index.ts";
import { answered, meddle } from "../support/s3-meddle.ts";
import { BUCKET, clientOf, optionsOf, type S3Place } from "../support/s3-suite.ts";

let fake: FakeS3;
const place = (): S3Place => ({ ...fake.credentials, endpoint: fake.endpoint, region: fake.region });
let count = 0;
const fresh = () => `safety/${count++}`;
const open = (more: Partial<S3Options> = {}) => s3(optionsOf(place(), { prefix: fresh(), latestJson: false, ...more }));
const name = parseName("a");
const putsOf = (part: string) =>
  fake.calls.filter(({ operation, key }) => operation === "PutObject" && key.includes(part));

beforeAll(async () => {
  fake = await fakeS3();
  fake.createBucket(BUCKET);
});
afterAll(() => fake.close());

describe("what a change says of itself", () => {
  it("is unknown where one document may be there, also if another surely is not", async () => {
    const driver = await open();
    await driver.commit(commitOf({ name: parseName("first"), add: [documentOf("first", "1.0.0")] }));
    meddle(driver, async ({ Key = "" }, operation, send) => {
      if (operation === "PutObjectCommand" && Key.endsWith("v1.0.0.md")) throw answered(503, "SlowDown");
      // On its way, and not there yet.
      if (operation === "PutObjectCommand" && Key.endsWith("v1.1.0.md")) {
        throw Object.assign(new Error("reset"), { code: "ECONNRESET" });
      }
      return await send();
    });
    const [outcome] = await driver.commit(
      commitOf({ name, add: [documentOf("a", "1.0.0"), documentOf("a", "1.1.0")] }),
    );
    expect(outcome).toMatchObject({ status: "failed", error: { outcome: "unknown" } });
    await driver.close();
  });

  it.each(["v1.0.0.md", "!.json"])("is unknown where a refusal can't be read back: %s", async (end) => {
    const driver = await open();
    await driver.commit(commitOf({ name: parseName("first"), add: [documentOf("first", "1.0.0")] }));
    const change =
      end === "!.json"
        ? {
            name,
            head: {
              expect: null,
              next: headOf({ deprecated: { at: "2026-11-24T00:00:00.000Z", message: "m" } }),
              entries: [],
            },
          }
        : { name, add: [documentOf("a", "1.0.0")] };
    let refused = false;
    meddle(driver, async ({ Key = "" }, operation, send) => {
      if (operation === "PutObjectCommand" && Key.endsWith(end)) {
        await send();
        refused = true;
        throw answered(412, "PreconditionFailed");
      }
      if (refused) throw answered(403, "AccessDenied");
      return await send();
    });
    const [outcome] = await driver.commit(commitOf(change));
    expect(outcome).toMatchObject({ status: "failed", error: { outcome: "unknown" } });
    await driver.close();
  });
});

describe("a writer whose store does not keep conditions", () => {
  it("writes nothing any more when its turn is over, also if it was aborted", async () => {
    const driver = await open({ conditionalWrites: "single-writer" });
    const stop = new AbortController();
    meddle(driver, async ({ Key = "" }, operation, send) => {
      if (operation === "PutObjectCommand" && Key.endsWith("v1.0.0.md")) {
        const reply = await send();
        setTimeout(() => stop.abort(), 20);
        return reply;
      }
      if (Key.endsWith("!.json")) await sleep(60);
      return await send();
    });
    const [outcome] = await driver.commit(commitOf({ name, add: [documentOf("a", "1.0.0")] }), { signal: stop.signal });
    expect(outcome).toMatchObject({ status: "failed", error: { outcome: "unknown" } });
    const { length } = fake.calls;
    await sleep(300);
    expect(fake.calls.slice(length)).toEqual([]);
    await driver.close();
  });

  it("can be told to wait no longer for its turn", async () => {
    const driver = await open({ conditionalWrites: "single-writer" });
    let through = () => {};
    const held = new Promise<void>((resolve) => {
      through = resolve;
    });
    meddle(driver, async (_, __, send) => {
      await held;
      return await send();
    });
    const first = driver.commit(commitOf({ name, add: [documentOf("a", "1.0.0")] }));
    const second = driver.commit(commitOf({ name, add: [documentOf("a", "1.1.0")] }), {
      signal: AbortSignal.timeout(50),
    });
    await expect(second).rejects.toMatchObject({ code: "TIMEOUT" });
    through();
    expect((await first)[0]?.status).toBe("done");
    await driver.close();
  });
});

describe("the proof that conditions are kept", () => {
  const publish = (driver: StorageDriver, version: string) =>
    driver.commit(commitOf({ name, add: [documentOf("a", version)] }));
  const proves = async (prefix: string, version: string) => {
    fake.clearCalls();
    const driver = await open({ prefix });
    await publish(driver, version);
    await driver.close();
    return putsOf(`${prefix}/.probe/`).length > 0;
  };

  it("is believed where it was made, and not where it was copied, or when it is of another day", async () => {
    const prefix = fresh();
    expect(await proves(prefix, "1.0.0")).toBe(true);
    expect(await proves(prefix, "1.0.1")).toBe(false);
    const client = clientOf(place());
    const key = `${prefix}/.probe.json`;
    const proof = JSON.parse(fake.object(BUCKET, key)?.bytes.toString() ?? "");
    for (const hours of [-25, -2, 2, 25]) {
      const at = new Date(Date.now() + hours * 3_600_000).toISOString();
      await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: JSON.stringify({ ...proof, at }) }));
      expect(await proves(prefix, `2.0.${hours + 25}`)).toBe(true);
    }
    client.destroy();
  });

  it("is a race also where only one request at once is wanted", async () => {
    fake.set({ dishonest: "serial" });
    try {
      const driver = await open({ concurrency: 1 });
      await expect(publish(driver, "1.0.0")).rejects.toMatchObject({ code: "UNSUPPORTED" });
      await driver.close();
    } finally {
      fake.set({ dishonest: undefined });
    }
  });

  it.each([0, 16])("is not refuted by a store that is out of order from its request %i on", async (from) => {
    const driver = await open();
    let puts = 0;
    meddle(driver, async (_, operation, send) => {
      if (operation === "PutObjectCommand" && puts++ >= from) throw answered(500, "InternalError");
      return await send();
    });
    await expect(publish(driver, "1.0.0")).rejects.toMatchObject({ code: "UNAVAILABLE", outcome: "temporary" });
    await driver.close();
  });

  it("is taken back by a check that finds that they are not", async () => {
    const prefix = fresh();
    await proves(prefix, "1.0.0");
    fake.set({ dishonest: "ignores" });
    try {
      const driver = await open({ prefix });
      expect((await driver.check()).ok).toBe(false);
      await driver.close();
      const later = await open({ prefix });
      await expect(publish(later, "1.0.1")).rejects.toMatchObject({ code: "UNSUPPORTED" });
      await later.close();
    } finally {
      fake.set({ dishonest: undefined });
    }
  });
});

it("the cause of an error holds no credentials", async () => {
  const { inspect } = await import("node:util");
  const session = fake.createSession({ policies: [], expiresAt: Date.now() + 3_600_000 });
  const driver = await open({ credentials: session });
  const error = await driver.read([askOf("a", "1.0.0")]).catch((thrown: unknown) => thrown);
  const all = inspect(error, { depth: 30, showHidden: true, maxStringLength: null, maxArrayLength: null });
  expect(all).toContain("AccessDenied");
  for (const secret of [session.sessionToken as string, session.accessKeyId, session.secretAccessKey]) {
    expect(all).not.toContain(secret);
  }
  await driver.close();
});
