import { describe, expect, it } from "vitest";
import { PromptRegistry } from "../../registry.ts";
import { bench } from "./support.test.ts";

describe("the feed of a folder", () => {
  const { path, open } = bench();

  it("its cursors name no prompt, and small pages tell all of them once", async () => {
    const driver = open(path());
    const { cursor: start } = await driver.changes({ limit: 1 });
    const names = Array.from({ length: 30 }, (_, i) => `secret/merger-${i}`);
    const registry = new PromptRegistry(driver);
    await registry.storePrompts(names.map((name) => ({ name, version: "1.0.0", text: "t" })));
    const told: string[] = [];
    let cursor = start as string;
    for (let page = 0; page < 10; page++) {
      const { items, cursor: next } = await driver.changes({ limit: 7, cursor });
      told.push(...items.map(({ name }) => name));
      cursor = next as string;
      expect(cursor).not.toMatch(/secret|merger/);
      // No more of a hash than tells two neighbours apart: nobody can try names on it.
      expect(cursor.split(":")[2]?.length).toBeLessThan(8);
      if (items.length < 7) break;
    }
    expect(told.sort()).toEqual(names.sort());
    await driver.close();
  });
});
