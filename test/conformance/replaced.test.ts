import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { ReadAnswer, StorageDriver } from "../../src/driver.ts";
import { fs } from "../../src/drivers/fs/index.ts";
import { memory } from "../../src/drivers/memory.ts";
import { sqlite } from "../../src/drivers/sql/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { askOf } from "../../src/testing/index.ts";

const stores: { title: string; open: (path: string) => StorageDriver | Promise<StorageDriver> }[] = [
  { title: "memory", open: () => memory() },
  { title: "fs", open: (path) => fs({ path: join(path, "prompts") }) },
  { title: "sqlite", open: (path) => sqlite({ path: join(path, "registry.db") }) },
];
const SELECTORS = ["1.0.0", "production", "latest", "head"];

test.each(stores)(
  "$title: what was known of a store holds of no other one in its place, however alike they are",
  async ({ open }) => {
    const fill = async (text: string, second: number) => {
      const path = mkdtempSync(join(tmpdir(), "replaced-"));
      onTestFinished(() => rmSync(path, { recursive: true, force: true }));
      const driver = await open(path);
      onTestFinished(() => driver.close());
      const registry = new PromptRegistry(driver, { now: () => new Date(Date.UTC(2026, 0, 1, 0, 0, second)) });
      await registry.storePrompt({ name: "a", version: "1.0.0", text, labels: ["production"] });
      return driver;
    };
    const [before, after] = [await fill("yesterday", 1), await fill("today", 2)];
    for (const what of SELECTORS) {
      const [old] = await before.read([askOf("a", what)]);
      const known = (old as Extract<ReadAnswer, { revision: string }>).revision;
      expect((await before.read([{ ...askOf("a", what), known }]))[0]).toMatchObject({ status: "unchanged" });
      expect((await after.read([{ ...askOf("a", what), known }]))[0]?.status, what).not.toBe("unchanged");
    }
  },
);
