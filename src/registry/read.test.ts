import { beforeEach, describe, expect, it } from "vitest";
import { driver, publish, registry } from "../../test/support/registry-lab.ts";
import type { StorageDriver } from "../driver.ts";
import type { RegistryError } from "../errors.ts";
import { PromptRegistry } from "../registry.ts";

describe("getPrompt", () => {
  beforeEach(() => publish("1.0.0", "1.1.0", "2.0.0-rc.1", "1.2.0"));

  it.each([
    ["p", "1.2.0"],
    ["p@latest", "1.2.0"],
    ["p@1.0.0", "1.0.0"],
    ["p@^1.0", "1.2.0"],
    ["p@~1.1", "1.1.0"],
    ["p@^2.0.0-rc.0", "2.0.0-rc.1"],
  ])("%s is %s", async (selector, version) => {
    const prompt = await registry.getPrompt(selector);
    expect(prompt).toMatchObject({
      name: "p",
      version,
      text: `text of ${version}`,
      source: "memory",
      stale: false,
      age: 0,
    });
  });

  it("takes the next version of a range when the one it found is removed in between", async () => {
    let isFirst = true;
    const racing: StorageDriver = Object.assign(Object.create(driver), {
      peek: () => undefined,
      listVersions: async (...args: Parameters<StorageDriver["listVersions"]>) => {
        const page = await driver.listVersions(...args);
        if (isFirst) await registry.deleteVersion("p", "1.2.0");
        isFirst = false;
        return page;
      },
    });
    const [first, second] = await new PromptRegistry(racing).getPrompts(["p@^1", "p@1.0.0"]);
    expect([first?.version, second?.version]).toEqual(["1.1.0", "1.0.0"]);
  });

  it("takes the parts as an object, at most one of them", async () => {
    expect((await registry.getPrompt({ name: "p", range: "1.1" })).version).toBe("1.1.0");
    expect((await registry.getPrompt({ name: "p", label: "latest" })).version).toBe("1.2.0");
    await expect(registry.getPrompt({ name: "p", range: "1", label: "eu" })).rejects.toMatchObject({ code: "INVALID" });
  });

  it("answers the same frozen object while nothing changes", async () => {
    const first = await registry.getPrompt("p@1.0.0");
    expect(await registry.getPrompt("p@1.0.0")).toBe(first);
    expect(registry.peekPrompt("p@1.0.0")).toBe(first);
    expect(Object.isFrozen(first)).toBe(true);
  });

  it("reads the status of an exact version only when asked", async () => {
    await registry.setLabel("p", "eu", "1.0.0");
    await registry.yank("p", "1.0.0", { message: "leaks" });
    await registry.deprecate("p", "use q");
    const plain = await registry.getPrompt("p@1.0.0");
    expect(plain.labels).toBeUndefined();
    const full = await registry.getPrompt("p@1.0.0", { status: true });
    expect(full).toMatchObject({ labels: ["eu"], yanked: { reason: "leaks" }, deprecated: { message: "use q" } });
    expect(await registry.getPrompt("p@eu")).toMatchObject({ version: "1.0.0", yanked: { reason: "leaks" } });
  });

  it("says why there is nothing", async () => {
    await registry.setLabel("p", "eu", "1.0.0");
    const message = (selector: string) =>
      registry.getPrompt(selector).then(
        () => "",
        (e: RegistryError) => `${e.code}: ${e.message}`,
      );
    expect(await message("q")).toMatch(/^NOT_FOUND: there is no prompt q/);
    expect(await message("p@prod")).toMatch(/^NOT_FOUND: p has no label prod; its labels are eu/);
    expect(await message("p@9.9.9")).toMatch(/^NOT_FOUND: there is no version 9\.9\.9 of p/);
    expect(await message("p@^9")).toMatch(/^NOT_FOUND: p has no version in "\^9".*1\.2\.0|2\.0\.0/);
    for (const version of ["1.1.0", "1.2.0", "2.0.0-rc.1", "1.0.0"]) await registry.yank("p", version);
    expect(await message("p")).toMatch(/every version is yanked/);
    expect(await message("p@^1")).toMatch(/NOT_FOUND/);
    expect((await registry.getPrompt("p@eu")).version).toBe("1.0.0");
  });

  it("reads many in one call, index-aligned", async () => {
    const prompts = await registry.getPrompts(["p@1.1.0", "p", "p@^1.0"], { status: true });
    expect(prompts.map((p) => p.version)).toEqual(["1.1.0", "1.2.0", "1.2.0"]);
    expect(prompts.map((p) => p.labels)).toEqual([[], [], []]);
    await expect(registry.getPrompts(["p", "q"])).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("honours a signal", async () => {
    await expect(registry.getPrompt("p", { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ABORTED" });
  });
});

describe("lists", () => {
  it("gives a page when awaited and everything when iterated", async () => {
    for (const name of ["b", "a/b", "a", "a-b", "a0"])
      await registry.storePrompt({ name, version: "1.0.0", text: name });
    const page = await registry.listPrompts({ limit: 2 });
    expect(page.items.map((e) => e.name)).toEqual(["a", "a-b"]);
    const names: string[] = [];
    for await (const entry of registry.listPrompts({ limit: 2 })) names.push(entry.name);
    expect(names).toEqual(["a", "a-b", "a/b", "a0", "b"]);
    expect((await registry.listPrompts({ prefix: "a/" })).items.map((e) => e.name)).toEqual(["a/b"]);
    expect((await registry.listPrompts({ text: "A0" })).items.map((e) => e.name)).toEqual(["a0"]);
    await expect(registry.listPrompts({ limit: 0 })).rejects.toThrow(/limit/);
    await expect((async () => registry.history("a", { cursor: "zz" }))()).rejects.toMatchObject({ code: "INVALID" });
  });
});

describe("diff", () => {
  it("compares texts and variables", async () => {
    await registry.storePrompt({ name: "p", version: "1.0.0", text: "a\n{{x}}\n" });
    await registry.storePrompt({ name: "p", version: "1.1.0", text: "b\n{{x}} {{y}}\n" });
    const diff = await registry.diff("p@1.0.0", "@1.1.0");
    expect(diff).toMatchObject({ identical: false, added: ["y"], removed: [] });
    expect(diff.unified).toContain("-a\n-{{x}}\n+b\n+{{x}} {{y}}\n");
    expect((await registry.diff("p", "p")).unified).toBe("");
  });
});
