import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StorageDriver } from "../../driver.ts";
import { memory } from "../../drivers/memory.ts";
import { PromptRegistry } from "../../registry.ts";
import { fault, seedPrompts } from "../../testing/index.ts";
import { compose } from "../config/compose.ts";
import { cursorFile, mirror } from "../mirror.ts";
import { prefix } from "../prefix.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "prompt-registry-cursor-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** A storage that outlives the layer. */
const lasting = (location: string): StorageDriver =>
  Object.assign(fault(memory()), { location, close: async () => {} });
const both = { a: { "1.0.0": "" }, b: { "1.0.0": "" } };

describe("the place of a mirror", () => {
  /** Starts a mirror, lets it catch up, and ends it. */
  async function run(main: StorageDriver, target: StorageDriver): Promise<{ copied: number; names: string[] }> {
    const driver = mirror(target, { cursor: cursorFile(join(folder, "cursor")), poll: 1 })(main);
    await driver.caughtUp();
    const { copied } = driver.mirrorStats;
    await driver.close();
    return { copied, names: (await target.listPrompts({ limit: 9 })).items.map(({ name }) => name) };
  }

  it("holds at the next start", async () => {
    const [main, target] = [lasting("main"), lasting("target")];
    await seedPrompts(new PromptRegistry(main), both);
    expect(await run(main, target)).toEqual({ copied: 2, names: ["a", "b"] });
    expect(await run(main, target)).toEqual({ copied: 0, names: ["a", "b"] });
  });

  it("does not hold for a target that was lost", async () => {
    const main = lasting("main");
    await seedPrompts(new PromptRegistry(main), both);
    await run(main, lasting("target"));
    expect((await run(main, lasting("target"))).names).toEqual(["a", "b"]);
  });

  it("holds for a target of which every prompt was removed: tombstones are something", async () => {
    const [main, target] = [lasting("main"), lasting("target")];
    await seedPrompts(new PromptRegistry(main), both);
    const registry = new PromptRegistry(main);
    await registry.deletePrompt("a");
    await registry.deletePrompt("b");
    await run(main, target);
    expect((await run(main, target)).copied).toBe(0);
  });

  it("does not hold for another main storage, another target, or another part of the same", async () => {
    const [one, other, target, second] = [lasting("one"), lasting("other"), lasting("target"), lasting("second")];
    await seedPrompts(new PromptRegistry(one), { "x/a": { "1.0.0": "" }, c: { "1.0.0": "" } });
    await seedPrompts(new PromptRegistry(other), { d: { "1.0.0": "" }, e: { "1.0.0": "" } });
    await seedPrompts(new PromptRegistry(second), { z: { "1.0.0": "" } });
    expect((await run(prefix("x/")(one), target)).names).toEqual(["x/a"]);
    expect((await run(one, target)).names).toEqual(["c", "x/a"]);
    expect((await run(other, target)).names).toEqual(["c", "d", "e", "x/a"]);
    expect((await run(other, second)).names).toEqual(["d", "e", "z"]);
  });

  it("does not hold where a file of before says only how far it got", async () => {
    const [main, target] = [lasting("main"), lasting("target")];
    await seedPrompts(new PromptRegistry(main), both);
    await run(main, target);
    const { cursor } = JSON.parse(await readFile(join(folder, "cursor"), "utf8"));
    await writeFile(join(folder, "cursor"), cursor);
    expect((await run(main, target)).copied).toBe(2);
  });

  it("is looked for again where the target can't be asked yet", async () => {
    const main = lasting("main");
    await seedPrompts(new PromptRegistry(main), both);
    await run(main, lasting("target"));
    const target = Object.assign(fault(memory(), { method: "listPrompts", call: 1, what: "fail" }), {
      location: "target",
    });
    const driver = mirror(target, { cursor: cursorFile(join(folder, "cursor")), retryDelay: 1 })(main);
    await driver.caughtUp();
    expect(driver.mirrorStats.copied).toBe(2);
    await driver.close();
  });
});

describe("a target that hangs", () => {
  it("is told by check, and a copy that hangs ends", async () => {
    // Loaded by the first copy; that takes time of the real clock.
    await import("../../transfer/copy.ts");
    vi.useFakeTimers();
    try {
      const main = memory();
      const target = Object.assign(memory(), {
        check: () => new Promise<never>(() => {}),
        listVersions: () => new Promise<never>(() => {}),
        read: () => new Promise<never>(() => {}),
      });
      const driver = await compose(
        { backend: "memory" },
        { mirror: { to: { backend: "http", url: "https://mirror.example" } } },
        {
          open: async (place) => (place.backend === "http" ? target : main),
          cwd: folder,
          isRemote: (place) => place.backend === "http",
          environmentToken: () => false,
        },
      );
      await new PromptRegistry(driver).storePrompt({ name: "a", version: "1.0.0", text: "" });
      const checking = driver.check();
      await vi.advanceTimersByTimeAsync(5001);
      const health = await checking;
      expect(health.ok).toBe(false);
      expect(health.inner).toMatchObject([{ ok: false, checks: [{ detail: "no answer within 5000 ms" }] }]);
      await vi.advanceTimersByTimeAsync(60_001);
      const later = driver.check();
      await vi.advanceTimersByTimeAsync(5001);
      expect((await later).checks.at(-1)?.detail).toContain("no answer to");
      const closing = driver.close();
      await vi.advanceTimersByTimeAsync(1);
      await closing;
    } finally {
      vi.useRealTimers();
    }
  });
});
