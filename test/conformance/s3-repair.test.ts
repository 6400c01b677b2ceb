import { DeleteObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type S3Native, s3 } from "../../src/drivers/s3/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { type FakeS3, fakeS3 } from "../../src/testing/s3/index.ts";
import { BUCKET, clientOf, optionsOf, type S3Place } from "../support/s3-suite.ts";

let fake: FakeS3;
let prefix: string;
let count = 0;
const place = (): S3Place => ({ ...fake.credentials, endpoint: fake.endpoint, region: fake.region });
const open = () => s3(optionsOf(place(), { prefix }));

beforeAll(async () => {
  fake = await fakeS3();
  fake.createBucket(BUCKET);
});
afterAll(() => fake.close());

/** A registry of its own on the same bucket, as somebody who comes later has one. */
const fresh = async () => new PromptRegistry(await open());

async function stocked(...versions: readonly string[]): Promise<PromptRegistry> {
  prefix = `repair/${count++}`;
  const registry = await fresh();
  for (const version of versions) await registry.storePrompt({ name: "a", version, text: `text of ${version}\n` });
  return registry;
}

/** One whose writes to some keys never get to the store: what it leaves is what a process leaves that was stopped there. */
async function stoppedAt(isKey: (key: string) => boolean): Promise<PromptRegistry> {
  const driver = await open();
  (driver.native as S3Native).client.middlewareStack.add(
    (next) => async (args) => {
      const { Key, Body } = args.input as { Key?: string; Body?: unknown };
      if (Body === undefined || Key === undefined || !isKey(Key)) return next(args);
      throw Object.assign(new Error("AccessDenied"), {
        ...{ name: "AccessDenied", Code: "AccessDenied", $metadata: { httpStatusCode: 403 } },
      });
    },
    { step: "initialize" },
  );
  return new PromptRegistry(driver);
}

const names = async (registry: PromptRegistry) => (await registry.listPrompts().all()).map(({ name }) => name);

/** What is found, as kind and name, with whether it was repaired. */
async function doctor(fix: boolean): Promise<{ ok: boolean; found: string[] }> {
  const { ok, findings } = await (await fresh()).doctor({ fix });
  return { ok, found: findings.map((f) => `${f.kind} ${f.path ?? f.name}${f.repaired ? " repaired" : ""}`) };
}

describe("doctor of a bucket", () => {
  it("brings up to date, without being asked for more than --fix, what a writer left that was stopped before the head", async () => {
    await stocked("1.0.0");
    const stopped = await stoppedAt((key) => key.includes("/heads/"));
    for (const request of [
      { name: "a", version: "2.0.0", text: "two\n" },
      { name: "new", version: "1.0.0", text: "n\n" },
    ]) {
      const { status, warnings } = await stopped.storePrompt(request);
      expect([status, warnings?.join()]).toEqual(["created", expect.stringContaining("the next publish or doctor")]);
    }
    const found = ["projection heads/a!.json", "projection heads/new!.json"];
    expect(await doctor(false)).toEqual({ ok: false, found });
    expect(await names(await fresh())).toEqual(["a"]);
    expect(await doctor(true)).toEqual({ ok: true, found: found.map((one) => `${one} repaired`) });
    const registry = await fresh();
    expect((await registry.getPrompt("a")).text).toBe("two\n");
    expect(await names(registry)).toEqual(["a", "new"]);
    expect(await doctor(false)).toEqual({ ok: true, found: [] });
  });

  it("completes a claim whose writer was stopped", async () => {
    await stocked("1.0.0");
    const stopped = await stoppedAt((key) => key.endsWith("/v1.1.0.md"));
    const request = { name: "a", version: "1.1.0", text: "two\n", expect: "1.0.0" };
    await expect(stopped.storePrompt(request)).rejects.toMatchObject({ outcome: "unknown" });
    expect(await doctor(true)).toEqual({ ok: true, found: ["projection heads/a!.json repaired"] });
    expect((await (await fresh()).getPrompt("a")).text).toBe("two\n");
    expect(await doctor(false)).toEqual({ ok: true, found: [] });
  });

  it("does not take a tombstone for a version where the head was lost", async () => {
    const registry = await stocked("1.0.0", "1.1.0");
    await registry.deleteVersion("a", "1.1.0");
    await registry.close();
    const client = clientOf(place());
    await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: `${prefix}/heads/a!.json` }));
    client.destroy();
    expect((await doctor(true)).ok).toBe(true);
    expect(await doctor(true)).toEqual({ ok: true, found: [] });
    const later = await fresh();
    expect((await later.listVersions("a").all()).map(({ version }) => version)).toEqual(["1.0.0"]);
    expect((await later.getPrompt("a")).version).toBe("1.0.0");
  });
});

describe("a removal that was stopped before its tombstone", () => {
  const isFirst = (key: string) => key.endsWith("/v1.0.0.md");

  async function halfRemoved(): Promise<void> {
    await stocked("1.0.0", "1.1.0");
    const stopped = await stoppedAt(isFirst);
    await expect(stopped.deleteVersion("a", "1.0.0")).rejects.toMatchObject({ outcome: "unknown" });
  }

  it("is told by verify and doctor, which leave it as it is, and ends when it is deleted again", async () => {
    await halfRemoved();
    const registry = await fresh();
    expect((await registry.getPrompt("a@1.0.0")).text).toBe("text of 1.0.0\n");
    const problem = {
      kind: "foreign",
      name: "a",
      version: "1.0.0",
      detail: expect.stringContaining("delete it again"),
    };
    expect(await registry.verify()).toMatchObject({ ok: false, problems: [problem] });
    expect(await registry.doctor({ fix: true })).toMatchObject({ ok: false, findings: [problem] });
    expect((await registry.getPrompt("a@1.0.0")).text).toBe("text of 1.0.0\n");
    expect(await registry.deleteVersion("a", "1.0.0")).toMatchObject({ status: "removed", versions: ["1.0.0"] });
    await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await (await fresh()).verify()).toMatchObject({ ok: true, documents: 1, tombstones: 1 });
    expect(await doctor(false)).toEqual({ ok: true, found: [] });
  });

  it("does not bring a prompt back into lists when doctor repairs", async () => {
    await stocked("1.0.0");
    const stopped = await stoppedAt(isFirst);
    await expect(stopped.deletePrompt("a")).rejects.toMatchObject({ outcome: "unknown" });
    expect(await doctor(true)).toEqual({ ok: false, found: ["foreign a"] });
    const registry = await fresh();
    expect(await names(registry)).toEqual([]);
    expect(await registry.deletePrompt("a")).toMatchObject({ status: "removed", versions: ["1.0.0"] });
    await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await doctor(false)).toEqual({ ok: true, found: [] });
  });
});
