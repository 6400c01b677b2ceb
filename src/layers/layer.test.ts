import { describe, expect, it } from "vitest";
import { change, lab } from "../../test/support/layers-lab.ts";
import { memory } from "../drivers/memory.ts";
import { PromptRegistry } from "../registry.ts";
import { commitOf } from "../testing/index.ts";
import { cache } from "./cache/index.ts";
import { circuit } from "./circuit.ts";
import { fallback } from "./fallback.ts";
import { layersOf, stack } from "./layer.ts";
import { limit } from "./limit.ts";
import { prefix } from "./prefix.ts";
import { readonly } from "./readonly.ts";
import { retry } from "./retry.ts";
import { timeout } from "./timeout.ts";
import { trace } from "./trace.ts";

describe("stack", () => {
  it("takes layers from outermost to innermost and leaves out what is switched off", () => {
    const driver = stack(memory(), [
      trace(),
      cache(),
      false,
      fallback([]),
      undefined,
      retry(),
      circuit(),
      timeout(),
      limit(),
    ]);
    expect(layersOf(driver).map(({ layer }) => layer)).toEqual([
      ...["trace", "cache", "fallback", "retry", "circuit", "timeout", "limit"],
    ]);
    expect([driver.kind, driver.location]).toEqual(["memory", "memory:"]);
  });

  it.each([
    ["retry", "cache", () => retry()(cache()(memory()))],
    ["timeout", "retry", () => stack(memory(), [timeout(), retry()])],
    ["limit", "timeout", () => stack(memory(), [limit(), timeout()])],
    ["fallback", "cache", () => stack(memory(), [fallback([]), cache()])],
    ["circuit", "retry", () => stack(memory(), [circuit(), retry()])],
    ["readonly", "cache", () => stack(memory(), [readonly(), cache()])],
    ["prefix", "limit", () => stack(memory(), [prefix("a"), limit()])],
  ])("refuses %s around %s, naming both", (outer, inner, build) => {
    expect(build).toThrow(
      expect.objectContaining({ code: "CONFIG", message: expect.stringMatching(`${outer} .*${inner}`) }),
    );
  });

  it("refuses the same layer twice: two retries would multiply", () => {
    expect(() => stack(memory(), [retry(), timeout(), retry()])).toThrow(/retry/);
    expect(() => retry()(retry()(memory()))).toThrow(/retry stands around another retry/);
  });

  it("refuses options that mean nothing", () => {
    for (const bad of [
      () => retry({ attempts: 0 }),
      () => timeout(-1),
      () => timeout(Number.NaN),
      () => timeout(2 ** 31),
      () => limit({ rate: 0 }),
      () => limit({ concurrency: 0.5 }),
      () => circuit({ failures: 0 }),
      () => cache({ ttl: -1 }),
      () => prefix("A B"),
    ]) {
      expect(bad).toThrow(expect.objectContaining({ code: "CONFIG" }));
    }
  });
});

describe("readonly and prefix", () => {
  it("readonly refuses every write before it is sent", async () => {
    const { counts } = lab();
    const registry = new PromptRegistry(readonly()(counts));
    const request = { name: "a", version: "1.0.0", text: "a" };
    await expect(registry.storePrompt(request)).rejects.toMatchObject({ code: "READ_ONLY" });
    await expect(readonly()(counts).commit(commitOf(change))).rejects.toMatchObject({ code: "READ_ONLY" });
    expect(counts.counts.total).toBe(0);
  });

  it("prefix shows a part of the store, and writes no other", async () => {
    const store = memory();
    const all = new PromptRegistry(store);
    for (const name of ["team/a", "team/b", "teams", "other"])
      await all.storePrompt({ name, version: "1.0.0", text: name });
    const registry = new PromptRegistry(prefix("team/")(store));
    const names = async (start?: string) =>
      (await registry.listPrompts(start === undefined ? {} : { prefix: start })).items.map((p) => p.name);
    expect([await names(), await names("te"), await names("team/b"), await names("other")]).toEqual([
      ["team/a", "team/b"],
      ["team/a", "team/b"],
      ["team/b"],
      [],
    ]);
    expect((await registry.getPrompt("team/a")).text).toBe("team/a");
    await expect(registry.getPrompt("teams")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(registry.storePrompt({ name: "teams", version: "1.1.0", text: "x" })).rejects.toMatchObject({
      code: "FORBIDDEN",
    });
    const both = await registry.storePrompts(
      ["team/a", "other"].map((name) => ({ name, version: "1.1.0", text: "x" })),
    );
    expect(both.map((r) => r.status)).toEqual(["created", "failed"]);
    expect((await all.getPrompt("other")).version).toBe("1.0.0");
  });

  it("prefix never shows an empty page of the feed while something inside is still to come", async () => {
    const store = memory();
    const all = new PromptRegistry(store);
    const start = await prefix("team/")(store).changes({ limit: 10 });
    for (const name of ["other/a", "other/b", "other/c", "team/a"])
      await all.storePrompt({ name, version: "1.0.0", text: name });
    const inside = prefix("team/")(store);
    const page = await inside.changes({ cursor: start.cursor as string, limit: 1 });
    expect(page.items).toEqual([{ name: "team/a" }]);
    expect((await inside.changes({ cursor: page.cursor as string, limit: 1 })).items).toEqual([]);
  });
});
