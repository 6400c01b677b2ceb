import { describe, expect, it } from "vitest";
import type { Cursor } from "../driver.ts";
import { memory } from "../drivers/memory.ts";
import { PromptRegistry } from "../registry.ts";
import { seedPrompts } from "../testing/index.ts";
import { route } from "./route.ts";

describe("route", () => {
  it("a page of its feed is empty only at the end", async () => {
    const [main, other] = [memory(), memory()];
    const driver = route([{ names: "x/**", storage: other }])(main);
    const start = (await driver.changes({ limit: 1 })).cursor as Cursor;
    // What does not belong there, in front of what does.
    const foreign = Array.from({ length: 30 }, (_, i) => [`x/p${i}`, { "1.0.0": "" }]);
    await seedPrompts(new PromptRegistry(main), Object.fromEntries(foreign));
    await seedPrompts(new PromptRegistry(main), { mine: { "1.0.0": "" } });
    for (const limit of [1, 2, 5]) {
      const page = await driver.changes({ limit, cursor: start });
      expect(page.items).toEqual([{ name: "mine" }]);
      const end = await driver.changes({ limit, cursor: page.cursor as Cursor });
      expect(end.items).toEqual([]);
      expect((await driver.changes({ limit, cursor: end.cursor as Cursor })).cursor).toBe(end.cursor);
    }
  });

  it.each(["a//b", "a//", "/a", "a/", "", "A/b", "a/latest", "1.0.0/**", ".a", "a b", "x/readme.md"])(
    "%j matches no name",
    (names) => {
      expect(() => route([{ names, storage: memory() }])).toThrow(
        expect.objectContaining({ code: "CONFIG", message: expect.stringContaining("matches no name") }),
      );
    },
  );

  it.each(["a", "**", "*/b", "a/**/b", "a.b-c_d/*", "*.md*"])("%j is a pattern", (names) => {
    route([{ names, storage: memory() }]);
  });
});
