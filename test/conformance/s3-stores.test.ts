import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { fs } from "../../src/drivers/fs/index.ts";
import { type S3Native, type S3Options, s3 } from "../../src/drivers/s3/index.ts";
import { sqlite } from "../../src/drivers/sql/index.ts";
import { parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { askOf, commitOf, documentOf, headOf, labelEntry } from "../../src/testing/index.ts";
import { type FakeS3, fakeS3 } from "../../src/testing/s3/index.ts";
import { copyStorage, manifestOf } from "../../src/transfer/index.ts";
import { loadCorpus } from "../support/corpus.ts";
import { emulatorProblem, startEmulator } from "../support/s3-emulators.ts";
import { BUCKET, FULL, optionsOf, type S3Place } from "../support/s3-suite.ts";
import { skipSuite } from "../support/skip.ts";

let fake: FakeS3;
const place = (): S3Place => ({ ...fake.credentials, endpoint: fake.endpoint, region: fake.region });
let count = 0;
const open = (more: Partial<S3Options> = {}) => s3(optionsOf(place(), { prefix: `stores/${count++}`, ...more }));
const root = mkdtempSync(join(tmpdir(), "s3-stores-"));

beforeAll(async () => {
  fake = await fakeS3();
  fake.createBucket(BUCKET);
});
afterAll(async () => {
  await fake.close();
  rmSync(root, { recursive: true, force: true });
});

describe("a store that does not keep conditions", () => {
  const add = (registry: PromptRegistry) => registry.storePrompt({ name: "a", version: "1.0.0", text: "t\n" });

  async function refuses(options: S3Options): Promise<void> {
    const driver = await s3(options);
    const { ok, checks } = await driver.check();
    expect(ok, JSON.stringify(checks)).toBe(false);
    expect(checks.find((check) => check.name === "conditional writes")?.detail).toMatch(/single-writer/);
    await expect(add(new PromptRegistry(driver))).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringMatching(/can't be shared.*single-writer.*lock/),
    });
    expect(await driver.listPrompts({ limit: 10 })).toEqual({ items: [] });
    await driver.close();
  }

  it.each(["ignores", "serial", "absent"] as const)("is refused for writing: one that %s", async (dishonest) => {
    fake.set({ dishonest });
    try {
      await refuses(optionsOf(place(), { prefix: `dishonest/${dishonest}` }));
    } finally {
      fake.set({ dishonest: undefined });
    }
  });

  for (const name of ["s3rver", "emulate"] as const) {
    const problem = emulatorProblem(name);
    if (problem !== undefined) {
      skipSuite(`s3 on ${name}`, problem);
      continue;
    }
    it(`is refused for writing, and taken for a single writer: ${name}`, async () => {
      const emulator = await startEmulator(name);
      try {
        const options = { ...optionsOf(emulator), bucket: emulator.bucket };
        await refuses({ ...options, prefix: "many" });
        const driver = await s3({ ...options, prefix: "one", conditionalWrites: "single-writer" });
        const registry = new PromptRegistry(driver);
        await add(registry);
        await registry.storePrompt({ name: "a", version: "1.1.0", text: "u\n", labels: ["production"] });
        await expect(registry.storePrompt({ name: "a", version: "1.1.0", text: "other\n" })).rejects.toMatchObject({
          code: "ALREADY_EXISTS",
        });
        expect((await registry.getPrompt("a@production")).text).toBe("u\n");
        await registry.close();
      } finally {
        await emulator.stop();
      }
    });
  }

  it("is shared by writers that take turns by a lock in a database", async () => {
    fake.set({ dishonest: "ignores" });
    try {
      const lock = `sqlite:${join(root, "locks.db")}`;
      const options = { prefix: "locked", conditionalWrites: { lock } };
      const writers = await Promise.all(Array.from({ length: 4 }, () => open(options)));
      const outcomes = await Promise.all(
        writers.map((writer, i) =>
          writer.commit(commitOf({ name: parseName("a"), add: [documentOf("a", "1.0.0", `writer ${i}\n`)] })),
        ),
      );
      expect(
        outcomes
          .flat()
          .map((outcome) => outcome.status)
          .sort(),
      ).toEqual(["done", "exists", "exists", "exists"]);
      await Promise.all(
        writers.map((writer, i) =>
          writer.commit(commitOf({ name: parseName("a"), add: [documentOf("a", `1.${i + 1}.0`)] })),
        ),
      );
      const [answer] = await (writers[0] as StorageDriver).read([askOf("a", "latest")]);
      expect(answer).toMatchObject({ status: "found", document: { version: "1.4.0" } });
      await Promise.all(writers.map((writer) => writer.close()));
    } finally {
      fake.set({ dishonest: undefined });
    }
  });
});

describe("what a bucket holds", () => {
  it("a prompt whose first writer stopped before its head is found, and repaired", async () => {
    const driver = await open({ prefix: "orphan" });
    const registry = new PromptRegistry(driver);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "t\n" });
    await registry.storePrompt({ name: "b", version: "1.0.0", text: "t\n" });
    const other = await open({ prefix: "orphan" });
    for (const name of ["a", "b"]) await deleteObject(`orphan/heads/${name}!.json`);
    expect((await other.read([askOf("a", "1.0.0")]))[0]?.status).toBe("found");
    expect((await other.read([askOf("a", "latest")]))[0]?.status).toBe("found");
    const { findings } = await other.repair({ repair: ["projection"], at: "2026-01-01T00:00:00.000Z" });
    expect(findings.map(({ kind, name, repaired }) => [kind, name, repaired])).toContainEqual([
      "projection",
      "b",
      true,
    ]);
    const page = await other.listPrompts({ limit: 10 });
    expect(page.items.map((entry) => entry.name)).toEqual(["a", "b"]);
    await Promise.all([registry.close(), other.close()]);
  });

  it("latest.json shows the head to readers over plain HTTP", async () => {
    const driver = await open({ prefix: "plain" });
    const registry = new PromptRegistry(driver);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "t\n" });
    await registry.storePrompt({ name: "a", version: "1.1.0", text: "t\n", labels: ["production"] });
    await registry.close();
    const shown = JSON.parse(String(fake.object(BUCKET, "plain/prompts/a/latest.json")?.bytes)) as object;
    expect(shown).toMatchObject({ name: "a", latest: "1.1.0", labels: { production: "1.1.0" } });
    expect(fake.object(BUCKET, "plain/prompts/a/v1.0.0.md")?.headers["cache-control"]).toContain("immutable");
    expect(shown).not.toHaveProperty("s3");
  });

  it("latest.json names digests of what it names, at no request of its own, and nobody here believes them", async () => {
    const prefix = "digests";
    const driver = await open({ prefix });
    const registry = new PromptRegistry(driver);
    const stored = [];
    for (const version of ["1.0.0", "1.1.0", "2.0.0"]) {
      stored.push(await registry.storePrompt({ name: "a", version, text: `${version}\n` }));
    }
    const [first, , last] = stored.map(({ digest }) => digest);
    const digests = () => {
      const head = JSON.parse(String(fake.object(BUCKET, `${prefix}/heads/a!.json`)?.bytes));
      const shown = JSON.parse(String(fake.object(BUCKET, `${prefix}/prompts/a/latest.json`)?.bytes));
      expect(shown.digests).toEqual(head.digests);
      return shown.digests;
    };
    await driver.native.settled();
    expect(digests()).toEqual({ "2.0.0": last });
    // A handle that has read nothing: what the head said before is kept, and the label's version is read for its own sake.
    const other = await open({ prefix });
    await new PromptRegistry(other).setLabel("a", "production", "1.0.0");
    await other.native.settled();
    expect(digests()).toEqual({ "1.0.0": first, "2.0.0": last });
    // Under that handle nobody has seen 1.1.0.
    const change = { expect: "1", next: headOf({ labels: { production: "1.1.0" } }), entries: [] };
    const third = await open({ prefix });
    expect((await third.commit(commitOf({ name: parseName("a"), head: change })))[0]?.status).toBe("done");
    await third.native.settled();
    expect(digests()).toEqual({ "2.0.0": last });
    // One that is wrong, and a head of before there were any.
    const edit = async (change: (text: string) => string) => {
      const key = `${prefix}/heads/a!.json`;
      await putObject(key, change(String(fake.object(BUCKET, key)?.bytes)));
    };
    await edit((text) => text.replace(last as string, `sha256:${"0".repeat(64)}`));
    const reader = new PromptRegistry(await open({ prefix }));
    expect((await reader.getPrompt("a")).digest).toBe(last);
    expect((await reader.verify("a")).problems).toEqual([]);
    await edit((text) => text.replace(/ {2}"digests": \{[^}]*\},\n/, ""));
    expect((await reader.getPrompt("a")).digest).toBe(last);
    await reader.setLabel("a", "production", "1.0.0");
    await reader.close();
    expect(digests()).toEqual({ "1.0.0": first, "2.0.0": last });
    await Promise.all([registry.close(), other.close(), third.close()]);
  });

  it("a history longer than the head keeps is archived, and read as one", async () => {
    const driver = await open({ prefix: "long" });
    const name = parseName("a");
    await driver.commit(commitOf({ name, add: [documentOf("a", "1.0.0")] }));
    for (let i = 0; i < 230; i++) {
      const entries = [
        labelEntry("production", "1.0.0", {
          at: new Date(Date.UTC(2026, 1, 1) + i * 1000).toISOString(),
          message: `${i}`,
        }),
      ];
      const head = { expect: i === 0 ? null : String(i), next: headOf({}), entries };
      const [outcome] = await driver.commit(commitOf({ name, head }));
      expect(outcome?.status).toBe("done");
    }
    const { items } = await driver.history(name, { limit: 1000 });
    expect(items.map((entry) => entry.message).slice(0, 230)).toEqual(
      Array.from({ length: 230 }, (_, i) => `${229 - i}`),
    );
    expect(fake.keys(BUCKET, "long/history/a!/").length).toBe(1);
    await driver.close();
  });

  it("a page of heads that are known costs one request, and so does an unchanged feed", async () => {
    const driver = await open({ prefix: "pages" });
    const other = await open({ prefix: "pages" });
    const names = Array.from({ length: 60 }, (_, i) => `p${String(i).padStart(2, "0")}`);
    await driver.commit(commitOf(names.map((name) => ({ name: parseName(name), add: [documentOf(name, "1.0.0")] }))));
    const calls = (of: StorageDriver) => (of.native as S3Native).calls();
    const cost = async (work: () => Promise<unknown>) => {
      const before = calls(other);
      await work();
      return calls(other) - before;
    };
    const page = () => other.listPrompts({ limit: 100, include: "heads" });
    expect(await cost(page)).toBe(61);
    expect(await cost(page)).toBe(1);
    await driver.commit(commitOf({ name: parseName("p07"), add: [documentOf("p07", "1.1.0")] }));
    expect(await cost(page)).toBe(2);
    expect(await cost(() => other.listVersions(parseName("p07"), { limit: 100 }))).toBe(2);
    await Promise.all([driver.close(), other.close()]);
  });

  it("many prompts are stored at once: with 32 in flight in a fraction of the time of one by one", async () => {
    const LATENCY = 30;
    const names = Array.from({ length: FULL ? 128 : 40 }, (_, i) => `p${i}`);
    const time = async (concurrency: number, prefix: string) => {
      const driver = await open({ prefix, concurrency, latestJson: false });
      await driver.commit(commitOf({ name: parseName("first"), add: [documentOf("first", "1.0.0")] }));
      fake.set({ latency: LATENCY });
      const started = performance.now();
      const outcomes = await driver.commit(
        commitOf(names.map((name) => ({ name: parseName(name), add: [documentOf(name, "1.0.0")] }))),
      );
      const took = performance.now() - started;
      fake.set({ latency: 0 });
      expect(outcomes.every((outcome) => outcome.status === "done")).toBe(true);
      await driver.close();
      return took;
    };
    const one = await time(1, "flight/one");
    const many = await time(32, "flight/many");
    process.stderr.write(
      `S3: ${names.length} prompts, ${Math.round(one)} ms one by one, ${Math.round(many)} ms with 32 in flight\n`,
    );
    // A busy machine blurs it; the full run is for a quiet one.
    expect(one / many).toBeGreaterThan(FULL ? 8 : 3);
  });
});

it("a corpus goes from a folder to S3, to SQLite, to S3 again and back to a folder, and is the same", async () => {
  const { revisions } = loadCorpus();
  let now = new Date(0);
  const folder = fs({ path: join(root, "from") });
  const source = new PromptRegistry(folder, { author: "corpus", now: () => now });
  const some = FULL ? revisions : revisions.slice(0, 50);
  for (const { name, version, text, committedAt } of some) {
    now = new Date(committedAt);
    await source.storePrompt({ name, version, text });
  }
  const { name, version } = some[0] as (typeof some)[number];
  await source.setLabel(name, "production", version);
  await source.yank(name, version);
  const stops: StorageDriver[] = [folder];
  for (const target of [
    await open({ prefix: "corpus/one" }),
    await sqlite({ path: join(root, "middle.db") }),
    await open({ prefix: "corpus/two" }),
    fs({ path: join(root, "to") }),
  ]) {
    const { conflicts, failures } = await copyStorage(stops.at(-1) as StorageDriver, target);
    expect([conflicts, failures]).toEqual([[], []]);
    stops.push(target);
  }
  const everything = async (storage: StorageDriver) => {
    const prompts: unknown[] = [];
    for await (const prompt of manifestOf(storage)) prompts.push(prompt);
    return prompts;
  };
  const wanted = await everything(folder);
  expect(wanted.length).toBeGreaterThan(0);
  for (const stop of stops.slice(1)) expect(await everything(stop)).toEqual(wanted);
  process.stderr.write(`S3: ${some.length} versions of ${wanted.length} prompts copied four times\n`);
  for (const stop of stops) await stop.close();
}, 120_000);

async function putObject(key: string, Body: string): Promise<void> {
  const { PutObjectCommand } = await import("@aws-sdk/client-s3");
  const { clientOf } = await import("../support/s3-suite.ts");
  const client = clientOf(place());
  await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body }));
  client.destroy();
}

async function deleteObject(key: string): Promise<void> {
  const { DeleteObjectCommand } = await import("@aws-sdk/client-s3");
  const { clientOf } = await import("../support/s3-suite.ts");
  const client = clientOf(place());
  await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
  client.destroy();
}
