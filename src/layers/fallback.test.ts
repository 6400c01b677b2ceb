import { describe, expect, it, onTestFinished, vi } from "vitest";
import { lab } from "../../test/support/fallback-lab.ts";
import { outage } from "../../test/support/outage.ts";
import { memory } from "../drivers/memory.ts";
import { PromptRegistry } from "../registry.ts";
import { askOf, fault, seedPrompts } from "../testing/index.ts";
import { cache } from "./cache/index.ts";
import { fallback } from "./fallback.ts";
import { stack } from "./layer.ts";

describe("fallback", () => {
  it("is not asked while the main storage answers", async () => {
    const { registry } = await lab();
    expect((await registry.getPrompt("a@production")).version).toBe("1.1.0");
    await expect(registry.getPrompt("b")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it.each(["UNAVAILABLE", "TIMEOUT", "RATE_LIMITED"] as const)("answers at %s, and says so", async (code) => {
    const { registry, faulty } = await lab();
    faulty.plan(outage(code));
    const prompt = await registry.getPrompt("a@production");
    expect([prompt.version, prompt.source, prompt.stale]).toEqual(["1.0.0", "fallback:memory", true]);
    expect(prompt.digest).toMatch(/^sha256:/);
    expect((await registry.getPrompt("a@^1")).version).toBe("1.0.0");
    expect((await registry.listVersions("a")).items).toHaveLength(1);
  });

  it("an empty prompt from it is an answer", async () => {
    const { registry, faulty } = await lab();
    faulty.plan(outage());
    expect((await registry.getPrompt("b")).text).toBe("");
  });

  it.each(["FORBIDDEN", "UNAUTHENTICATED", "CORRUPT", "INTERNAL", "UNSUPPORTED"] as const)(
    "%s is an answer",
    async (code) => {
      const { registry, faulty } = await lab();
      faulty.plan(outage(code));
      await expect(registry.getPrompt("a")).rejects.toMatchObject({ code });
    },
  );

  it("what the main storage denied stays denied in an outage", async () => {
    const { registry, faulty, main } = await lab();
    await expect(registry.getPrompt("b")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await main.removeLabel("a", "production");
    await main.deleteVersion("a", "1.0.0");
    await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    faulty.plan(outage());
    for (const ref of ["b", "b@1.0.0", "a@1.0.0"]) {
      await expect(registry.getPrompt(ref)).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
    // The label still stands on the removed version over there.
    await expect(registry.getPrompt("a@production")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("what was deleted through it stays deleted; what was stored again is there again", async () => {
    const { registry, faulty } = await lab();
    await registry.deleteVersion("a", "1.0.0");
    faulty.plan(outage());
    await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    faulty.plan([]);
    await expect(registry.getPrompt("b")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await registry.storePrompt({ name: "b", version: "1.0.0", text: "" });
    await registry.getPrompt("b");
    faulty.plan(outage());
    expect((await registry.getPrompt("b")).text).toBe("");
  });

  it("what is gone is in no list and no log of a fallback either", async () => {
    const { registry, faulty, main, second } = await lab();
    await seedPrompts(new PromptRegistry(second), { c: { "1.0.0": "", "1.1.0": "" }, d: { "1.0.0": "" } });
    await seedPrompts(main, { c: { "1.0.0": "", "1.1.0": "" }, d: { "1.0.0": "" } });
    await registry.deletePrompt("d");
    await registry.deleteVersion("c", "1.1.0");
    await expect(registry.getPrompt("b")).rejects.toMatchObject({ code: "NOT_FOUND" });
    faulty.plan(outage());
    const listed = await registry.listPrompts({ include: "heads" });
    expect(listed.items.map((p) => p.name)).toEqual(["a", "c"]);
    expect(JSON.stringify(listed.items)).not.toContain("1.1.0");
    expect((await registry.driver.listPrompts({ limit: 9, includeRemoved: true })).items).toMatchObject([
      ...[{ name: "a" }, { name: "c" }, { name: "d", removed: true }],
    ]);
    const { name } = askOf("b", "latest");
    expect((await registry.driver.listVersions(name, { limit: 9 })).items).toEqual([]);
    expect((await registry.driver.history(name, { limit: 9 })).items).toEqual([]);
    const log = await registry.driver.history(askOf("c", "latest").name, { limit: 9 });
    expect(log.items.map((e) => e.to)).toEqual(["1.0.0"]);
  });

  it("what was forbidden is in none, and is said to be", async () => {
    const { registry, faulty } = await lab();
    faulty.plan(outage("FORBIDDEN"));
    await expect(registry.getPrompt("a")).rejects.toMatchObject({ code: "FORBIDDEN" });
    faulty.plan(outage());
    expect((await registry.listPrompts()).items.map((p) => p.name)).toEqual(["b"]);
    const { name } = askOf("a", "latest");
    await expect(registry.driver.listVersions(name, { limit: 9 })).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(registry.driver.history(name, { limit: 9 })).rejects.toMatchObject({ code: "FORBIDDEN" });
  });

  it("a fallback that does not have it proves nothing: the main storage's error is told", async () => {
    const { registry, faulty } = await lab();
    faulty.plan(outage());
    for (const ref of ["nobody", "a@staging", "a@9.9.9"]) {
      await expect(registry.getPrompt(ref)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    }
  });

  it("its revisions match none of the main storage", async () => {
    const { driver, faulty } = await lab();
    faulty.plan(outage());
    for (const what of ["production", "latest", "1.0.0", "head"]) {
      const [answer] = await driver.read([askOf("a", what)]);
      expect(answer).toMatchObject({ revision: expect.stringMatching(/^fallback-0:/) });
    }
  });

  it("is a chain, of which the first that has it answers; none is valid", async () => {
    const { faulty } = await lab();
    const [empty, sick, good] = [memory(), fault(memory(), outage("INTERNAL")), memory()];
    await seedPrompts(new PromptRegistry(good), { a: { "1.0.0": "good\n" } });
    faulty.plan(outage());
    const chained = new PromptRegistry(fallback([empty, sick, good])(faulty));
    expect((await chained.getPrompt("a")).text).toBe("good\n");
    await expect(new PromptRegistry(fallback([])(faulty)).getPrompt("a")).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
  });

  it("writes go to the main storage only, and nothing planned on a fallback is ever written", async () => {
    const { registry, faulty, second, main } = await lab();
    faulty.plan(outage());
    await expect(registry.storePrompt({ name: "c", version: "1.0.0", text: "c" })).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    await expect(new PromptRegistry(second).getPrompt("c")).rejects.toMatchObject({ code: "NOT_FOUND" });
    // The main storage comes back between the look and the commit: the look has failed all the same.
    faulty.plan({ method: "read", call: 1, what: "fail" });
    await expect(registry.setLabel("a", "staging", "1.0.0")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await registry.setLabel("a", "staging", "1.0.0");
    expect((await main.getPrompt("a@production")).version).toBe("1.1.0");
    expect((await main.getPrompt("a@staging")).version).toBe("1.0.0");
  });

  it("pages of a fallback go on there, and those of the main storage never change over", async () => {
    const { driver, faulty, second } = await lab();
    await seedPrompts(new PromptRegistry(second), { c: { "1.0.0": "" }, d: { "1.0.0": "" } });
    const first = await driver.listPrompts({ limit: 1 });
    expect(first.cursor).toBeUndefined();
    faulty.plan(outage());
    const one = await driver.listPrompts({ limit: 2 });
    faulty.plan([]);
    const two = await driver.listPrompts({ limit: 2, cursor: one.cursor as string });
    expect([...one.items, ...two.items].map((p) => p.name)).toEqual(["a", "b", "c", "d"]);
    for (const cursor of ["fallback-9:a", "fallback-0:"]) {
      await expect(driver.listPrompts({ limit: 2, cursor })).rejects.toMatchObject({ code: "INVALID" });
    }
  });

  it("under a cache nobody who saw a change sees it undone, and a later copy is preferred to an old memory", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { faulty, second, main } = await lab();
    const registry = new PromptRegistry(
      stack(faulty, [cache({ ttl: 0, staleWhileRevalidate: 0 }), fallback([second])]),
    );
    expect((await registry.getPrompt("a@production")).version).toBe("1.1.0");
    expect((await registry.getPrompt("a")).version).toBe("1.1.0");
    expect((await registry.getPrompt("a@^1")).version).toBe("1.1.0");
    await vi.advanceTimersByTimeAsync(5);
    // The copy is behind: it still has the label on 1.0.0, and no 1.1.0.
    const old = new PromptRegistry(second, { now: () => new Date("2020-01-01T00:00:00Z") });
    await old.removeLabel("a", "production");
    await old.setLabel("a", "production", "1.0.0");
    faulty.plan(outage());
    for (const ref of ["a@production", "a", "a@^1"]) {
      const given = await registry.getPrompt(ref);
      expect([ref, given.version, given.stale]).toEqual([ref, "1.1.0", true]);
    }
    // The copy is ahead of what was seen here.
    await new PromptRegistry(second, { now: () => new Date(Date.now() + 1000) }).storePrompt({
      ...{ name: "a", version: "1.2.0", text: "later", labels: ["production"] },
    });
    // While the store is left alone, nobody else is asked either.
    await vi.advanceTimersByTimeAsync(60_000);
    const later = await registry.getPrompt("a@production");
    expect([later.version, later.source]).toEqual(["1.2.0", "fallback:memory"]);
    expect((await main.getPrompt("a@production")).version).toBe("1.1.0");
  });

  it("check tells of all of them", async () => {
    const { registry } = await lab();
    const health = await registry.check();
    expect(health.checks.map((c) => c.name)).toContain("fallback");
    expect(health.inner).toHaveLength(1);
  });
});
