import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import type { ChangeEvent, Commit, Outcome, Page, StorageDriver } from "../../src/driver.ts";
import { memory } from "../../src/drivers/memory.ts";
import { RegistryError } from "../../src/errors.ts";
import { cache } from "../../src/layers/cache/index.ts";
import { fallback } from "../../src/layers/fallback.ts";
import { stack } from "../../src/layers/layer.ts";
import { prefix } from "../../src/layers/prefix.ts";
import { parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { fault } from "../../src/testing/index.ts";
import { backupFile, copyStorage, restoreFile, syncStorages } from "../../src/transfer/index.ts";
import { changedNames } from "../../src/transfer/names.ts";
import { cleanUp, tempFolder } from "./transfer-world.ts";

afterAll(cleanUp);

const down = (["read", "listPrompts", "listVersions", "history"] as const).map((method) => ({
  method,
  what: "fail" as const,
  error: new RegistryError("UNAVAILABLE", "down"),
}));

describe("an outage at the source", () => {
  async function lab(layers: (second: StorageDriver) => Parameters<typeof stack>[1]) {
    const [main, second] = [memory(), memory()];
    for (const name of ["a", "b"]) {
      await new PromptRegistry(main).storePrompt({ name, version: "1.0.0", text: `${name}\n` });
    }
    await new PromptRegistry(second).storePrompt({ name: "a", version: "1.0.0", text: "a\n" });
    const faulty = fault(main);
    return { faulty, driver: stack(faulty, layers(second)) };
  }

  it.each([
    ["fallback", (second: StorageDriver) => [fallback([second])]],
    ["cache", () => [cache({ ttl: 0 })]],
  ])("is not hidden by a %s", async (_, layers) => {
    const { faulty, driver } = await lab(layers);
    const registry = new PromptRegistry(driver);
    await registry.getPrompt("a");
    await registry.listPrompts().all();
    faulty.plan(down);
    const unavailable = { code: "UNAVAILABLE" };
    await expect(copyStorage(driver, memory(), { names: ["a", "b"] })).rejects.toMatchObject(unavailable);
    await expect(copyStorage(driver, memory())).rejects.toMatchObject(unavailable);
    await expect(syncStorages(driver, memory())).rejects.toMatchObject(unavailable);
    await expect(backupFile(driver, join(tempFolder(), "a.gz"))).rejects.toMatchObject(unavailable);
  });

  it("is not hidden by a layer that does not know what fresh means", async () => {
    const inner = memory();
    await new PromptRegistry(inner).storePrompt({ name: "a", version: "1.0.0", text: "a\n" });
    const provenance = { source: "old", fetchedAt: 0, stale: true };
    const driver: StorageDriver = {
      ...inner,
      listVersions: async (name, query, op) => ({ ...(await inner.listVersions(name, query, op)), provenance }),
    };
    await expect(copyStorage(driver, memory())).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
});

describe("documents that go before the head", () => {
  const BIG = "é".repeat(500_000);
  async function source(): Promise<StorageDriver> {
    const registry = new PromptRegistry(memory());
    for (let i = 1; i <= 12; i++) await registry.storePrompt({ name: "big", version: `${i}.0.0`, text: BIG + i });
    await registry.setLabel("big", "production", "2.0.0");
    return registry.driver;
  }
  /** `answer` may answer a commit in the driver's place. */
  function answering(inner: StorageDriver, answer: (commit: Commit) => Promise<readonly Outcome[] | undefined>) {
    return {
      ...inner,
      commit: async (commit, op) => (await answer(commit)) ?? inner.commit(commit, op),
    } satisfies StorageDriver;
  }
  const adds = (commit: Commit, version: string) =>
    commit.changes.some((c) => c.add?.some((d) => d.version === version) === true);

  it("are tried again where the storage was away for a moment", async () => {
    let failures = 3;
    const inner = memory();
    const target = answering(inner, async (commit) => {
      if (!adds(commit, "2.0.0") || failures-- <= 0) return undefined;
      return commit.changes.map(() => ({ status: "failed", error: new RegistryError("UNAVAILABLE", "away") }));
    });
    expect(await copyStorage(await source(), target)).toMatchObject({ ok: true, added: 12, heads: 1 });
    expect((await new PromptRegistry(inner).getPrompt("big@production")).version).toBe("2.0.0");
  });

  it("leave the head alone where they can't be written", async () => {
    const inner = memory();
    const target = answering(inner, async (commit) =>
      adds(commit, "2.0.0")
        ? commit.changes.map(() => ({ status: "failed", error: new RegistryError("UNAVAILABLE", "away") }))
        : undefined,
    );
    await expect(copyStorage(await source(), target)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const registry = new PromptRegistry(inner);
    await expect(registry.getPrompt("big@production")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("are looked at again where somebody else was faster with other bytes", async () => {
    const inner = memory();
    let first = true;
    const target = answering(inner, async () => {
      if (first) {
        first = false;
        await new PromptRegistry(inner).storePrompt({ name: "big", version: "2.0.0", text: "other\n" });
      }
      return undefined;
    });
    const report = await copyStorage(await source(), target);
    expect(report).toMatchObject({ ok: false, heads: 0, conflicts: [{ kind: "version", version: "2.0.0" }] });
    const registry = new PromptRegistry(inner);
    await expect(registry.getPrompt("big@production")).rejects.toMatchObject({ code: "NOT_FOUND" });
    // What was there before is not counted.
    expect(report.added).toBe((await registry.listVersions("big").all()).length - 1);
  });
});

describe("a pointer to nothing", () => {
  it("fails, and the head is held back", async () => {
    const registry = new PromptRegistry(memory());
    await registry.storePrompt({ name: "p", version: "1.0.0", text: "1\n", labels: ["production"] });
    await registry.storePrompt({ name: "q", version: "1.0.0", text: "1\n", labels: ["production"] });
    const file = join(tempFolder(), "a.gz");
    await backupFile(registry.driver, file);
    const lines = gunzipSync(readFileSync(file)).toString().trimEnd().split("\n");
    const at = lines.findIndex((line) => line.startsWith('{"prompt":"p"'));
    lines[at] = (lines[at] as string).replace('"production":"1.0.0"', '"production":"9.9.9"');
    const body = `${lines.slice(0, -1).join("\n")}\n`;
    const { end } = JSON.parse(lines.at(-1) as string);
    end.sha256 = createHash("sha256").update(body).digest("hex");
    end.bytes = Buffer.byteLength(body);
    writeFileSync(file, `${body}${JSON.stringify({ end })}\n`);
    const target = memory();
    expect(await restoreFile(target, file)).toMatchObject({
      ok: false,
      added: 2,
      heads: 1,
      failures: [{ name: "p", version: "9.9.9", error: { code: "CORRUPT" } }],
    });
    expect((await new PromptRegistry(target).getPrompt("q@production")).version).toBe("1.0.0");
    expect((await new PromptRegistry(target).getPrompt("p")).labels ?? []).toEqual([]);
  });
});

describe("the feed", () => {
  it("goes on behind pages that a layer left empty", async () => {
    const inner = memory();
    const driver = prefix("in/")(inner);
    const { cursor } = await driver.changes({ limit: 1 });
    const registry = new PromptRegistry(inner);
    for (let i = 0; i < 2100; i++) await registry.storePrompt({ name: `out/p${i}`, version: "1.0.0", text: "x\n" });
    await registry.storePrompt({ name: "in/a", version: "1.0.0", text: "x\n" });
    const report = await copyStorage(driver, memory(), { since: cursor as string });
    expect(report).toMatchObject({ ok: true, prompts: 1, added: 1 });
    // The cursor is behind all of it.
    const { names } = await changedNames(inner, report.cursor as string);
    expect(names).toEqual([]);
  });

  it("ends where a cursor never stands still", async () => {
    let pages = 0;
    const driver: StorageDriver = {
      ...memory(),
      changes: async (): Promise<Page<ChangeEvent>> =>
        ++pages === 3 ? { items: [{ name: parseName("a") }], cursor: "3" } : { items: [], cursor: `${pages}` },
    };
    expect((await changedNames(driver, "0")).names).toEqual(["a"]);
    expect(pages).toBeGreaterThan(3);
  });

  it("gives the old cursor again where not all is well, or nothing was written", async () => {
    const [a, b] = [new PromptRegistry(memory()), new PromptRegistry(memory())];
    const { cursor } = await copyStorage(a.driver, b.driver);
    await a.storePrompt({ name: "p", version: "1.0.0", text: "a\n" });
    const since = cursor as string;
    expect(await copyStorage(a.driver, b.driver, { since, dryRun: true })).toMatchObject({ added: 1, cursor: since });
    await b.storePrompt({ name: "p", version: "1.0.0", text: "b\n" });
    expect(await copyStorage(a.driver, b.driver, { since })).toMatchObject({ ok: false, cursor: since });
    expect((await copyStorage(a.driver, b.driver)).cursor).toBeUndefined();
  });
});
