import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memory } from "../../drivers/memory.ts";
import { RegistryError } from "../../errors.ts";
import { PromptRegistry } from "../../registry.ts";
import { count, fault, seedPrompts } from "../../testing/index.ts";
import { type CacheOptions, cache } from "./index.ts";

let path: string;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "cache-disk-"));
});
afterEach(() => rm(path, { recursive: true, force: true }));

const down = (["read", "listVersions"] as const).map((method) => ({
  method,
  what: "fail" as const,
  error: new RegistryError("UNAVAILABLE", "down"),
}));

function open(store = memory(), options: CacheOptions = {}) {
  const faults = Object.assign(fault(store), { peek: () => undefined, close: async () => {} });
  const counts = count(faults);
  const cached = cache({ disk: { path }, ...options })(counts);
  return { cached, faults, counts, registry: new PromptRegistry(cached), others: new PromptRegistry(store) };
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name));
}

const REFS = ["a", "a@production", "a@1.0.0", "a@^1", "b/c"];

async function filled() {
  const store = memory();
  const lab = open(store);
  await seedPrompts(lab.others, { a: { "1.0.0": "the first text\n" }, "b/c": { "1.0.0": "" } });
  await lab.others.setLabel("a", "production", "1.0.0");
  for (const ref of REFS) await lab.registry.getPrompt(ref);
  await lab.registry.close();
  return store;
}

describe("cache on disk", () => {
  it("survives a restart in an outage: everything is there, and says how old it is", async () => {
    const store = await filled();
    const { registry, faults } = open(store);
    faults.plan(down);
    for (const ref of REFS) {
      const prompt = await registry.getPrompt(ref);
      expect([ref, prompt.version, prompt.source]).toEqual([ref, "1.0.0", "cache"]);
      // A version can't have changed; where a label stands and what a range selects can.
      expect([ref, prompt.stale]).toEqual([ref, !/@1/.test(ref)]);
    }
    await registry.close();
  });

  it("after a restart a label is asked for again, without its text, and a version is not", async () => {
    const store = await filled();
    const { registry, counts, others } = open(store);
    await registry.getPrompt("a@1.0.0");
    expect(counts.counts.total).toBe(0);
    expect((await registry.getPrompt("a@production")).stale).toBe(false);
    expect(counts.counts.total).toBe(1);
    await others.storePrompt({ name: "a", version: "1.1.0", text: "two", labels: ["production"] });
    await registry.close();
    const again = open(store);
    expect((await again.registry.getPrompt("a@production")).version).toBe("1.1.0");
    await again.registry.close();
  });

  it("what was deleted is deleted there too, text and all", async () => {
    const store = await filled();
    const { registry, faults } = open(store);
    await registry.deletePrompt("a");
    await registry.close();
    const texts = await Promise.all((await filesBelow(path)).map((file) => readFile(file, "utf8")));
    expect(texts.filter((text) => text.includes("the first text"))).toEqual([]);
    const again = open(store);
    again.faults.plan(down);
    for (const ref of ["a", "a@production", "a@1.0.0", "a@^1"]) {
      await expect(again.registry.getPrompt(ref)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    }
    expect((await again.registry.getPrompt("b/c")).text).toBe("");
    expect(faults.struck).toEqual([]);
    await again.registry.close();
  });

  it("files are for their owner alone, and torn or damaged ones are none", async () => {
    const store = await filled();
    const files = await filesBelow(path);
    expect(files.length).toBeGreaterThanOrEqual(4);
    for (const file of files) expect((await stat(file)).mode & 0o777).toBe(0o600);
    for (const file of files) {
      const whole = await readFile(file);
      for (const bytes of [whole.subarray(0, whole.length / 2), Buffer.from(whole).fill(0x20, 5, 6), Buffer.alloc(0)]) {
        await writeFile(file, bytes);
        const { registry, others } = open(store);
        for (const ref of REFS) {
          const [mine, theirs] = [await registry.getPrompt(ref), await others.getPrompt(ref)];
          expect([mine.text, mine.digest]).toEqual([theirs.text, theirs.digest]);
        }
        await registry.close();
      }
      await writeFile(file, whole);
    }
  });

  it("is never shared between principals or storages", async () => {
    const store = await filled();
    const { registry, faults } = open(store, { principal: "somebody else" });
    faults.plan(down);
    await expect(registry.getPrompt("a")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await registry.close();
  });

  it("keeps within its bytes, and memory within its own", async () => {
    const { registry, others, cached } = open(memory(), { maxBytes: 5000, disk: { path, maxBytes: 20_000 } });
    for (let i = 0; i < 40; i++) {
      await others.storePrompt({ name: `p${i}`, version: "1.0.0", text: "x".repeat(1000) });
      expect((await registry.getPrompt(`p${i}`)).text).toHaveLength(1000);
      expect(cached.stats.bytes).toBeLessThanOrEqual(5000);
    }
    await registry.close();
    let bytes = 0;
    for (const file of await filesBelow(path)) bytes += (await stat(file)).size;
    expect(bytes).toBeLessThanOrEqual(20_000);
    expect(bytes).toBeGreaterThan(5000);
  });

  it("what left the memory comes back from disk", async () => {
    const { registry, others, faults, cached } = open(memory(), { maxBytes: 4000 });
    for (let i = 0; i < 10; i++) {
      await others.storePrompt({ name: `p${i}`, version: "1.0.0", text: `${i} ${"x".repeat(1000)}` });
      await registry.getPrompt(`p${i}@1.0.0`);
    }
    expect(cached.stats.dropped).toBeGreaterThan(0);
    faults.plan(down);
    const fresh = new PromptRegistry(cached);
    for (let i = 0; i < 10; i++) expect((await fresh.getPrompt(`p${i}@1.0.0`)).text).toMatch(`${i} `);
    await registry.close();
  });

  it("a folder that can't be written fails no read, and is told by check", async () => {
    const blocked = join(path, "file");
    await writeFile(blocked, "no folder");
    await chmod(blocked, 0o400);
    const { registry, others } = open(memory(), { disk: { path: blocked } });
    await seedPrompts(others, { a: { "1.0.0": "one\n" } });
    expect((await registry.getPrompt("a")).text).toBe("one\n");
    expect((await registry.getPrompt("a")).source).toBe("cache");
    const health = await registry.check();
    expect(health.ok).toBe(false);
    expect(health.checks).toContainEqual(expect.objectContaining({ name: "cache disk", ok: false }));
    await registry.close();
  });

  it("clear() leaves nothing", async () => {
    const store = await filled();
    const { registry, cached, faults } = open(store);
    await registry.getPrompt("a");
    await cached.clear();
    expect(await filesBelow(path)).toEqual([]);
    faults.plan(down);
    await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await registry.close();
  });
});
