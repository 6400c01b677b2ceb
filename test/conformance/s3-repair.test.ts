import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
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

describe("a head that was deleted behind the registry's back", () => {
  const remove = async (...keys: readonly string[]) => {
    const client = clientOf(place());
    for (const key of keys) await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: `${prefix}/${key}` }));
    client.destroy();
  };

  async function lost(): Promise<void> {
    const registry = await stocked("1.0.0", "1.1.0", "2.0.0", "2.1.0");
    await registry.setLabel("a", "gone", "2.1.0");
    await registry.setLabel("a", "production", "1.0.0");
    await registry.yank("a", "2.0.0", { message: "wrong" });
    await registry.setLabel("a", "gone", "1.1.0");
    await registry.deleteVersion("a", "2.1.0");
    await registry.rollback("a", { to: "1.0.0" });
    await registry.close();
    await remove("heads/a!.json");
  }

  async function expectAll(registry: PromptRegistry, labels = 3): Promise<void> {
    expect(await registry.getPrompt("a@production")).toMatchObject({ version: "1.0.0" });
    expect(await registry.getPrompt("a@gone")).toMatchObject({ version: "1.1.0" });
    expect(await registry.getPrompt("a", { status: true })).toMatchObject({ version: "1.0.0" });
    expect((await registry.listVersions("a").all()).filter(({ yanked }) => yanked !== undefined)).toMatchObject([
      { version: "2.0.0", yanked: { reason: "wrong" } },
    ]);
    const actions = (await registry.history("a").all()).map(({ action }) => action);
    expect(actions.filter((action) => action === "label")).toHaveLength(labels);
    expect(actions).toEqual(expect.arrayContaining(["rollback", "yank", "remove"]));
  }

  it("is begun anew by a read with the labels, pin, yanks and history of latest.json", async () => {
    await lost();
    await expectAll(await fresh());
  });

  it("is so by a publish that knows nothing of it", async () => {
    await lost();
    await (await fresh()).storePrompt({ name: "a", version: "1.0.1", text: "later\n" });
    await expectAll(await fresh());
  });

  it("is reported by doctor, and restored by --fix", async () => {
    await lost();
    expect(await doctor(false)).toMatchObject({ ok: false, found: [expect.stringContaining("heads/a!.json")] });
    await remove("heads/a!.json");
    expect(await doctor(true)).toMatchObject({ ok: true });
    await expectAll(await fresh());
    expect(await doctor(false)).toEqual({ ok: true, found: [] });
  });

  it("is what the next change goes by, also where no read may write it again", async () => {
    await lost();
    const single = { prefix, conditionalWrites: "single-writer" } as const;
    const registry = new PromptRegistry(await s3(optionsOf(place(), single)));
    expect(await registry.getPrompt("a@production")).toMatchObject({ version: "1.0.0" });
    await registry.setLabel("a", "beta", "1.1.0");
    await registry.storePrompt({ name: "a", version: "1.2.0", text: "x\n", expect: "1.0.0" });
    await registry.close();
    await expectAll(await fresh(), 4);
  });

  it("takes no pointer to a version that is not there", async () => {
    await lost();
    await remove("prompts/a/v1.1.0.md");
    const registry = await fresh();
    expect((await registry.getPrompt("a@production")).version).toBe("1.0.0");
    await expect(registry.getPrompt("a@gone")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await doctor(true)).toMatchObject({ ok: true });
    expect(await doctor(false)).toEqual({ ok: true, found: [] });
  });

  it("keeps its older history, which lies in files of its own", async () => {
    const registry = await stocked("1.0.0", "1.1.0");
    for (let i = 0; i < 230; i++) await registry.setLabel("a", "production", i % 2 === 0 ? "1.0.0" : "1.1.0");
    const before = await registry.history("a").all();
    await registry.close();
    await remove("heads/a!.json");
    const later = await fresh();
    expect((await later.getPrompt("a@production")).version).toBe("1.1.0");
    expect(await later.history("a").all()).toEqual(before);
  });

  it("keeps it where writers put aside more or less of it for one place, of whom one was faster", async () => {
    const registry = await stocked("1.0.0", "1.1.0");
    for (let i = 0; i < 210; i++) await registry.setLabel("a", "production", i % 2 === 0 ? "1.0.0" : "1.1.0");
    const before = await registry.history("a").all();
    await registry.close();
    const client = clientOf(place());
    const of = (key: string) => ({ Bucket: BUCKET, Key: `${prefix}/${key}` });
    const read = async (key: string) => {
      const { Body } = await client.send(new GetObjectCommand(of(key)));
      return JSON.parse((await Body?.transformToString()) ?? "") as { history: unknown[] };
    };
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: `${prefix}/history/` }));
    expect(Contents).toHaveLength(1);
    const file = await read(Contents?.[0]?.Key?.slice(prefix.length + 1) ?? "");
    const { history } = await read("prompts/a/latest.json");
    for (const [digit, entries] of [
      ["f", file.history.slice(0, -3)],
      ["0", [...file.history, ...history.slice(0, 3)]],
    ] as const) {
      const Body = JSON.stringify({ ...file, history: entries });
      await client.send(new PutObjectCommand({ ...of(`history/a!/00000000-${digit.repeat(16)}.json`), Body }));
      await remove("heads/a!.json");
      const later = await fresh();
      expect((await later.getPrompt("a@production")).version).toBe("1.1.0");
      expect(await later.history("a").all()).toEqual(before);
      await later.close();
    }
    client.destroy();
  });

  it("is not guessed where latest.json is damaged", async () => {
    await lost();
    const client = clientOf(place());
    await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: `${prefix}/prompts/a/latest.json`, Body: "{" }));
    client.destroy();
    const registry = await fresh();
    await expect(registry.getPrompt("a@production")).rejects.toMatchObject({ code: "CORRUPT" });
    expect((await registry.getPrompt("a@1.0.0")).version).toBe("1.0.0");
    expect((await registry.doctor({ fix: true })).findings).toMatchObject([
      { kind: "corrupt", repaired: false, detail: expect.stringContaining("latest.json") },
    ]);
  });

  it("was begun anew without it: doctor says so, and goes back only when asked to", async () => {
    await lost();
    const bare = new PromptRegistry(await s3(optionsOf(place(), { prefix, latestJson: false })));
    await bare.setLabel("a", "since", "1.1.0");
    await bare.close();
    await expect((await fresh()).getPrompt("a@production")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await doctor(true)).toEqual({ ok: false, found: ["head heads/a!.json"] });
    const { findings } = await (await fresh()).doctor({ fix: ["head"] });
    expect(findings).toMatchObject([{ kind: "head", repaired: true, detail: expect.stringContaining("latest.json") }]);
    await expectAll(await fresh(), 4);
    expect((await (await fresh()).getPrompt("a@since")).version).toBe("1.1.0");
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
