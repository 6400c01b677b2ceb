import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { fs } from "../../src/drivers/fs/index.ts";
import { memory } from "../../src/drivers/memory.ts";
import { parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { parseVersion } from "../../src/semver.ts";
import { count, createRandom, fault } from "../../src/testing/index.ts";
import { copyPrompt, copyStorage, hashManifest, manifestOf, syncStorages } from "../../src/transfer/index.ts";
import { backends, cleanUp, killedAt, pairs, tempFolder } from "./transfer-world.ts";

afterAll(cleanUp);

const hashOf = (driver: StorageDriver) => hashManifest(manifestOf(driver));
let now = Date.parse("2026-02-01T00:00:00.000Z");
const registryOf = (driver: StorageDriver, author = "Ada") =>
  new PromptRegistry(driver, {
    author,
    now: () => {
      now += 1000;
      return new Date(now);
    },
  });

/** As it is stored, to be brought back. */
async function textOf({ driver }: PromptRegistry, name: string, version: string): Promise<string> {
  const selector = { kind: "version", version: parseVersion(version) } as const;
  const [answer] = await driver.read([{ name: parseName(name), selector }]);
  if (answer?.status === "found" || answer?.status === "removed") return answer.document.text;
  throw new Error(`${name}@${version} is ${answer?.status}`);
}

describe.each(pairs)("sync of $title", ({ from, to }) => {
  async function both(): Promise<[PromptRegistry, PromptRegistry]> {
    return [registryOf(await from.open()), registryOf(await to.open(), "Bob")];
  }

  it("makes a union, and takes each head from the side that went on", async () => {
    const [a, b] = await both();
    await a.storePrompt({ name: "only/a", version: "1.0.0", text: "a\n", labels: ["production"] });
    await b.storePrompt({ name: "only/b", version: "1.0.0", text: "b\n" });
    for (const v of ["1.0.0", "2.0.0", "3.0.0"]) await a.storePrompt({ name: "both", version: v, text: `${v}\n` });
    await a.setLabel("both", "production", "1.0.0");
    expect(await syncStorages(a.driver, b.driver)).toMatchObject({ ok: true });
    // b goes on: moves a label, deletes one, brings it back, rolls back. a only publishes.
    const text = await textOf(b, "both", "2.0.0");
    await b.setLabel("both", "production", "3.0.0");
    await b.deleteVersion("both", "2.0.0", { message: "leak" });
    await b.rollback("both", { to: "1.0.0" });
    await a.storePrompt({ name: "both", version: "4.0.0", text: "4\n" });
    const report = await syncStorages(a.driver, b.driver);
    expect(report).toMatchObject({
      ok: true,
      toFirst: { removed: 1, heads: 1, added: 0 },
      toSecond: { added: 1, heads: 0 },
    });
    expect(await hashOf(a.driver)).toEqual(await hashOf(b.driver));
    expect((await a.getPrompt("both")).version).toBe("1.0.0");
    await expect(a.getPrompt("both@2.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await syncStorages(a.driver, b.driver)).toMatchObject({ ok: true, changed: 0 });
    // And a brings it back.
    await a.restoreVersion({ name: "both", version: "2.0.0", text });
    expect(await syncStorages(a.driver, b.driver)).toMatchObject({ ok: true, toSecond: { restored: 1, heads: 1 } });
    expect((await b.getPrompt("both@2.0.0")).text).toBe("2.0.0\n");
    expect(await hashOf(a.driver)).toEqual(await hashOf(b.driver));
  });

  it("lists conflicts and guesses nothing", async () => {
    const [a, b] = await both();
    await a.storePrompt({ name: "text", version: "1.0.0", text: "a\n" });
    await a.storePrompt({ name: "text", version: "2.0.0", text: "a2\n" });
    await b.storePrompt({ name: "text", version: "1.0.0", text: "b\n" });
    await a.storePrompt({ name: "head", version: "1.0.0", text: "x\n" });
    await syncStorages(a.driver, b.driver, { names: ["head"] });
    await a.setLabel("head", "production", "1.0.0");
    await a.storePrompt({ name: "head", version: "2.0.0", text: "a\n" });
    await b.setLabel("head", "staging", "1.0.0");
    await b.storePrompt({ name: "head", version: "3.0.0", text: "b\n" });
    await a.storePrompt({ name: "gone", version: "1.0.0", text: "x\n" });
    await syncStorages(a.driver, b.driver, { names: ["gone"] });
    const lost = await textOf(a, "gone", "1.0.0");
    await a.deleteVersion("gone", "1.0.0");
    await b.deleteVersion("gone", "1.0.0");
    await a.restoreVersion({ name: "gone", version: "1.0.0", text: lost });
    const before = await hashOf(b.driver);
    const report = await syncStorages(a.driver, b.driver, { dryRun: true });
    expect(await hashOf(b.driver)).toEqual(before);
    const real = await syncStorages(a.driver, b.driver);
    for (const r of [report, real]) {
      expect(r.ok).toBe(false);
      expect(r.conflicts.map((c) => [c.kind, c.name, c.version]).sort()).toEqual([
        ["head", "gone", undefined],
        ["head", "head", undefined],
        ["version", "text", "1.0.0"],
      ]);
      expect(r).toMatchObject({ toFirst: { added: 1, heads: 0 }, toSecond: { added: 1, heads: 0 } });
    }
    expect(real.verify).toMatchObject({ ok: false, differentCount: 3 });
    await expect(b.getPrompt("text@2.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect((await b.getPrompt("head@staging")).version).toBe("1.0.0");
    await expect(b.getPrompt("head@production")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await syncStorages(a.driver, b.driver)).toMatchObject({ changed: 0, conflictCount: 3 });
  });

  it("joins what was removed on both sides, each by its own hand", async () => {
    const [a, b] = await both();
    for (const v of ["1.0.0", "2.0.0"]) await a.storePrompt({ name: "gone", version: v, text: `${v}\n` });
    await syncStorages(a.driver, b.driver);
    const text = await textOf(a, "gone", "1.0.0");
    await b.deleteVersion("gone", "1.0.0", { message: "two" });
    await a.deleteVersion("gone", "1.0.0", { message: "one" });
    // One side went on, and the other only said the same as it did.
    await a.setLabel("gone", "production", "2.0.0");
    const tombstones = async () => [await textOf(a, "gone", "1.0.0"), await textOf(b, "gone", "1.0.0")];
    const before = await tombstones();
    const report = await syncStorages(b.driver, a.driver);
    expect(report).toMatchObject({ ok: true, conflicts: [], entries: 3, removed: 0, verify: { ok: true, equal: 1 } });
    expect(await hashOf(a.driver)).toEqual(await hashOf(b.driver));
    expect(await tombstones()).toEqual(before);
    for (const side of [a, b]) {
      expect((await side.getPrompt("gone@production")).version).toBe("2.0.0");
      expect((await side.history("gone").all()).filter((e) => e.action !== "publish")).toMatchObject([
        { action: "label", by: "Ada", label: "production" },
        { action: "remove", by: "Ada", message: "one" },
        { action: "remove", by: "Bob", message: "two" },
      ]);
      const [, removed] = await side.listVersions("gone", { includeRemoved: true }).all();
      expect(removed?.yanked).toMatchObject({ by: "Bob", reason: "two", removed: true });
      expect(await side.verify()).toMatchObject({ ok: true, documents: 1, tombstones: 1 });
    }
    for (const [x, y] of [
      [a, b],
      [b, a],
    ] as const) {
      expect(await syncStorages(x.driver, y.driver)).toMatchObject({ ok: true, changed: 0, heads: 0 });
      expect(await copyStorage(x.driver, y.driver)).toMatchObject({ ok: true, changed: 0, verify: { equal: 1 } });
    }
    // From there on it is one history again.
    await a.restoreVersion({ name: "gone", version: "1.0.0", text });
    expect(await syncStorages(a.driver, b.driver)).toMatchObject({ ok: true, toSecond: { restored: 1, heads: 1 } });
    expect((await b.getPrompt("gone@1.0.0")).text).toBe("1.0.0\n");
    await a.deletePrompt("gone");
    await b.deletePrompt("gone");
    expect(await syncStorages(a.driver, b.driver)).toMatchObject({ ok: true });
    expect(await hashOf(a.driver)).toEqual(await hashOf(b.driver));
  });

  it("joins heads that were set to the same by hand", async () => {
    const [a, b] = await both();
    await a.storePrompt({ name: "head", version: "1.0.0", text: "x\n" });
    await syncStorages(a.driver, b.driver);
    await a.setLabel("head", "production", "1.0.0");
    await b.setLabel("head", "staging", "1.0.0");
    expect(await syncStorages(a.driver, b.driver)).toMatchObject({ ok: false, conflicts: [{ kind: "head" }] });
    await b.setLabel("head", "production", "1.0.0");
    expect(await syncStorages(a.driver, b.driver)).toMatchObject({ ok: true, conflicts: [] });
    expect((await a.getPrompt("head@staging")).labels).toEqual(["production", "staging"]);
    expect(await hashOf(a.driver)).toEqual(await hashOf(b.driver));
    expect(await syncStorages(b.driver, a.driver)).toMatchObject({ ok: true, changed: 0 });
  });

  it("goes on after a kill", async () => {
    const random = createRandom(9);
    for (let round = 0; round < 2; round++) {
      const [a, b] = await both();
      for (let i = 0; i < 12; i++) {
        const [here, there] = i % 2 === 0 ? [a, b] : [b, a];
        await here.storePrompt({ name: `p${i}`, version: "1.0.0", text: `${i}\n`, labels: ["live"] });
        await here.storePrompt({ name: `p${i}`, version: "2.0.0", text: `${i}\n` });
        await copyPrompt(here.driver, there.driver, `p${i}`);
        await there.deleteVersion(`p${i}`, "2.0.0");
        if (i % 3 === 0) await here.deleteVersion(`p${i}`, "2.0.0");
        await here.storePrompt({ name: `p${i}`, version: "3.0.0", text: "3\n" });
      }
      for (;;) {
        const dying = killedAt(b.driver, 1 + random.int(5), random.chance() ? "before" : "after");
        try {
          await syncStorages(a.driver, dying, { concurrency: 2, verify: false });
          break;
        } catch (error) {
          expect(error).toMatchObject({ code: "ABORTED" });
        }
      }
      expect(await hashOf(a.driver)).toEqual(await hashOf(b.driver));
      expect(await syncStorages(a.driver, b.driver)).toMatchObject({ ok: true, changed: 0 });
    }
  });
});

describe("copy", () => {
  it("of what was removed on both sides lists the target's own entry, and writes the documents", async () => {
    const [a, b] = [registryOf(memory()), registryOf(memory(), "Bob")];
    await a.storePrompt({ name: "p", version: "1.0.0", text: "1\n" });
    await copyStorage(a.driver, b.driver);
    await a.deleteVersion("p", "1.0.0");
    await b.deleteVersion("p", "1.0.0");
    await a.storePrompt({ name: "p", version: "2.0.0", text: "2\n" });
    for (const added of [1, 0]) {
      const report = await copyStorage(a.driver, b.driver);
      expect(report).toMatchObject({ ok: false, added, heads: 0, conflictCount: 1 });
      expect(report.conflicts).toMatchObject([{ kind: "head", detail: expect.stringMatching(/sync joins/) }]);
    }
    expect(await syncStorages(a.driver, b.driver)).toMatchObject({ ok: true });
    expect(await copyStorage(a.driver, b.driver)).toMatchObject({ ok: true, changed: 0 });
  });

  it("lists a target that is ahead, and adds documents all the same", async () => {
    const [a, b] = [registryOf(memory()), registryOf(memory())];
    await a.storePrompt({ name: "p", version: "1.0.0", text: "1\n" });
    await copyStorage(a.driver, b.driver);
    await b.setLabel("p", "production", "1.0.0");
    await a.storePrompt({ name: "p", version: "2.0.0", text: "2\n" });
    const report = await copyStorage(a.driver, b.driver);
    expect(report).toMatchObject({ ok: false, added: 1, heads: 0, conflictCount: 1 });
    expect(report.conflicts[0]?.detail).toMatch(/target has 1 change/);
    expect((await b.getPrompt("p@production")).version).toBe("1.0.0");
  });

  it("does not touch what only the target has", async () => {
    const [a, b] = [registryOf(memory()), registryOf(memory())];
    await a.storePrompt({ name: "a", version: "1.0.0", text: "1\n" });
    await b.storePrompt({ name: "b", version: "1.0.0", text: "1\n" });
    expect(await copyStorage(a.driver, b.driver)).toMatchObject({ ok: true, verify: { equal: 1, extra: 1 } });
  });

  it("seals documents that were dropped in by hand, and says so", async () => {
    const path = tempFolder();
    mkdirSync(join(path, "prompts", "hand"), { recursive: true });
    writeFileSync(join(path, "prompts", "hand", "v1.0.0.md"), "dropped {{in}}\n");
    const target = memory();
    const report = await copyStorage(fs({ path }), target);
    expect(report).toMatchObject({ ok: true, added: 1, sealed: ["hand@1.0.0"], verify: { equal: 1 } });
    const prompt = await registryOf(target).getPrompt("hand");
    expect(prompt.sealed).toBe(true);
    expect(prompt.digest).toBe((await registryOf(fs({ path })).getPrompt("hand")).digest);
    expect(await copyStorage(fs({ path }), target)).toMatchObject({ changed: 0, sealed: [] });
    expect(await copyStorage(target, fs({ path }))).toMatchObject({ ok: true, changed: 0 });
  });

  it("copies everything but what is damaged, and leaves that prompt's pointers", async () => {
    const path = tempFolder();
    const source = registryOf(fs({ path }));
    for (const v of ["1.0.0", "2.0.0"])
      await source.storePrompt({ name: "p", version: v, text: `${v}\n`, labels: ["live"] });
    await source.storePrompt({ name: "q", version: "1.0.0", text: "q\n" });
    writeFileSync(join(path, "prompts", "p", "v2.0.0.md"), Buffer.from([0xff, 0xfe, 0x00]));
    const target = memory();
    const report = await copyStorage(fs({ path }), target);
    expect(report).toMatchObject({ ok: false, added: 2, heads: 0, failureCount: 1, verify: { ok: false, equal: 1 } });
    expect(report.failures[0]).toMatchObject({ name: "p", version: "2.0.0", error: { code: "CORRUPT" } });
  });

  it("finishes what the target can't take whole: sizes, batches, unknown outcomes", async () => {
    const a = registryOf(memory());
    for (let i = 1; i <= 600; i++) await a.storePrompt({ name: "many", version: `0.0.${i}`, text: `${i}\n` });
    for (let i = 1; i <= 12; i++)
      await a.storePrompt({ name: "big", version: `${i}.0.0`, text: "é".repeat(500_000) + i });
    await a.setLabel("big", "production", "12.0.0");
    const inner = memory();
    const faulty = fault(inner, [
      { method: "commit", call: 2, what: "dropReply" },
      { method: "commit", call: 3, what: "fail" },
    ]);
    expect(await copyStorage(a.driver, faulty)).toMatchObject({ ok: true, verify: { ok: true } });
    expect(faulty.struck.length).toBe(2);
    expect(await hashOf(inner)).toEqual(await hashOf(a.driver));
    const tiny: StorageDriver = { ...memory(), capabilities: { ...memory().capabilities, maxDocumentBytes: 2000 } };
    const report = await copyStorage(a.driver, tiny);
    expect(report).toMatchObject({ ok: false, added: 600, failureCount: 12 });
    expect(report.failures[0]?.error).toMatchObject({ code: "INVALID" });
  });

  it("is safe beside writers on both sides", async () => {
    for (const backend of backends) {
      const [a, b] = [registryOf(memory()), registryOf(await backend.open(), "Bob")];
      for (let i = 0; i < 20; i++)
        await a.storePrompt({ name: `p${i % 5}`, version: `0.0.${i + 1}`, text: `${i}\n`, labels: ["live"] });
      const writing = (async () => {
        for (let i = 0; i < 20; i++) await b.storePrompt({ name: `p${i % 5}`, version: `1.0.${i}`, text: `b${i}\n` });
      })();
      const copying = copyStorage(a.driver, b.driver, { concurrency: 2 });
      await Promise.all([writing, copying]);
      expect(await copyStorage(a.driver, b.driver, { verify: false })).toMatchObject({ ok: true, changed: 0 });
      expect(await b.verify()).toMatchObject({ ok: true, documents: 40 });
    }
  });

  it("copies what the feed names since a cursor", async () => {
    const [a, b] = [registryOf(memory()), registryOf(memory())];
    for (let i = 0; i < 10; i++) await a.storePrompt({ name: `p${i}`, version: "1.0.0", text: "1\n" });
    const { cursor } = await copyStorage(a.driver, b.driver);
    await a.storePrompt({ name: "p3", version: "2.0.0", text: "2\n" });
    const counted = count(a.driver);
    const report = await copyStorage(counted, b.driver, { since: cursor as string });
    expect(report).toMatchObject({ ok: true, prompts: 1, added: 1, verify: { equal: 1 } });
    expect((await copyStorage(a.driver, b.driver, { since: report.cursor as string })).prompts).toBe(0);
  });

  it("stops when it is told to, tells progress, and refuses a target that can't be written", async () => {
    const [a, b] = [registryOf(memory()), registryOf(memory())];
    for (let i = 0; i < 30; i++) await a.storePrompt({ name: `p${i}`, version: "1.0.0", text: "1\n" });
    const controller = new AbortController();
    const seen: unknown[] = [];
    const copying = copyStorage(a.driver, b.driver, {
      signal: controller.signal,
      concurrency: 2,
      onProgress(progress) {
        seen.push(progress);
        if (progress.done === 10) controller.abort();
      },
    });
    await expect(copying).rejects.toMatchObject({ code: "ABORTED" });
    expect(seen[0]).toMatchObject({ phase: "copy", done: 1, total: 30 });
    const closed: StorageDriver = { ...memory(), capabilities: { ...memory().capabilities, write: false } };
    await expect(copyStorage(a.driver, closed)).rejects.toMatchObject({ code: "READ_ONLY" });
    await expect(copyPrompt(a.driver, b.driver, "../x")).rejects.toMatchObject({ code: "INVALID" });
    const dry = memory();
    expect(await copyStorage(a.driver, dry, { dryRun: true, prefix: "p1" })).toMatchObject({ dryRun: true, added: 11 });
    expect((await dry.listPrompts({ limit: 10 })).items).toEqual([]);
  });
});
