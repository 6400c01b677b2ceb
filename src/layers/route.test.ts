import { describe, expect, it } from "vitest";
import type { Cursor, StorageDriver } from "../driver.ts";
import { memory } from "../drivers/memory.ts";
import { PromptRegistry } from "../registry.ts";
import { commitOf, documentOf, fault, seedPrompts } from "../testing/index.ts";
import { route } from "./route.ts";

describe("route", () => {
  const build = () => {
    const [main, shared, one] = [memory(), memory(), memory()];
    const driver = route([
      { names: "shared/**", storage: shared },
      { names: "team-*/x*y", storage: one },
    ])(main);
    return { main, shared, one, driver, registry: new PromptRegistry(driver) };
  };

  it("sends each prompt to its storage, and lists all in order", async () => {
    const { registry, main, shared, one } = build();
    const names = ["shared/a", "shared/b/c", "shared", "team-a/xy", "team-a/xzy", "team-a/x", "a", "zz", "team-b/xay"];
    const stored = await registry.storePrompts(names.map((name) => ({ name, version: "1.0.0", text: name })));
    expect(stored.every((s) => s.status === "created")).toBe(true);
    const of = async (d: StorageDriver) => (await d.listPrompts({ limit: 100 })).items.map((p) => p.name);
    expect(await of(shared)).toEqual(["shared/a", "shared/b/c"]);
    expect(await of(one)).toEqual(["team-a/xy", "team-a/xzy", "team-b/xay"]);
    expect(await of(main)).toEqual(["a", "shared", "team-a/x", "zz"]);
    for (const limit of [1, 2, 3, 100]) {
      const listed: string[] = [];
      for await (const entry of registry.listPrompts({ limit })) listed.push(entry.name);
      expect(listed).toEqual([...names].sort());
    }
    expect((await registry.getPrompts(names)).map((p) => p.text)).toEqual(names);
  });

  it("its feed tells of all of them, on small pages too", async () => {
    const { registry, driver } = build();
    const { cursor: start } = await driver.changes({ limit: 10 });
    const names = ["shared/a", "a", "team-a/xy", "b", "shared/c"];
    for (const name of names) await registry.storePrompt({ name, version: "1.0.0", text: name });
    for (const limit of [1, 2, 100]) {
      const seen = new Set<string>();
      let cursor = start as string;
      for (let i = 0; i < 50; i++) {
        const page = await driver.changes({ cursor, limit });
        expect(page.items.length).toBeLessThanOrEqual(limit);
        for (const { name } of page.items) seen.add(name);
        cursor = page.cursor as string;
      }
      expect([...seen].sort()).toEqual([...names].sort());
    }
    await expect(driver.changes({ cursor: "nonsense", limit: 1 })).rejects.toMatchObject({ code: "INVALID" });
  });

  it("an atomic commit of several is refused, and one storage that is down fails its own part only", async () => {
    const shared = fault(memory(), { method: "commit", what: "fail" });
    const driver = route([{ names: "shared/*", storage: shared }])(memory());
    const changes = ["shared/a", "b"].map((n) => ({
      name: documentOf(n, "1.0.0").name,
      add: [documentOf(n, "1.0.0")],
    }));
    await expect(driver.commit(commitOf(changes, { atomic: true }))).rejects.toMatchObject({ code: "UNSUPPORTED" });
    expect((await driver.commit(commitOf(changes))).map((o) => o.status)).toEqual(["failed", "done"]);
    expect(() => route([{ names: "a//", storage: shared }])).toThrow(/route/);
  });
});

describe("route: what is asked of it", () => {
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
