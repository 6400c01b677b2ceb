import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { memory } from "../drivers/memory.ts";
import { snapshot, writeSnapshot } from "../drivers/snapshot/index.ts";
import { RegistryError } from "../errors.ts";
import { PromptRegistry } from "../registry.ts";
import { askOf, type DriverMethod, fault, seedPrompts } from "../testing/index.ts";
import { cache } from "./cache/index.ts";
import { fallback } from "./fallback.ts";
import { stack } from "./layer.ts";

const down = (code: RegistryError["code"] = "UNAVAILABLE") =>
  (["read", "listPrompts", "listVersions", "history", "commit"] as const).map((method: DriverMethod) => ({
    method,
    what: "fail" as const,
    error: new RegistryError(code, "down"),
  }));

async function lab() {
  const [main, second] = [memory(), memory()];
  const faulty = Object.assign(fault(main), { peek: () => undefined });
  await seedPrompts(new PromptRegistry(main), { a: { "1.0.0": "main\n", "1.1.0": "main\n" } });
  await new PromptRegistry(main).setLabel("a", "production", "1.1.0");
  await seedPrompts(new PromptRegistry(second), { a: { "1.0.0": "main\n" }, b: { "1.0.0": "" } });
  await new PromptRegistry(second).setLabel("a", "production", "1.0.0");
  const driver = fallback([second])(faulty);
  return { main: new PromptRegistry(main), faulty, driver, second, registry: new PromptRegistry(driver) };
}

describe("fallback", () => {
  it("is not asked while the main storage answers", async () => {
    const { registry } = await lab();
    expect((await registry.getPrompt("a@production")).version).toBe("1.1.0");
    await expect(registry.getPrompt("b")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it.each(["UNAVAILABLE", "TIMEOUT", "RATE_LIMITED"] as const)("answers at %s, and says so", async (code) => {
    const { registry, faulty } = await lab();
    faulty.plan(down(code));
    const prompt = await registry.getPrompt("a@production");
    expect([prompt.version, prompt.source, prompt.stale]).toEqual(["1.0.0", "fallback:memory", true]);
    expect(prompt.digest).toMatch(/^sha256:/);
    expect((await registry.getPrompt("a@^1")).version).toBe("1.0.0");
    expect((await registry.listVersions("a")).items).toHaveLength(1);
  });

  it("an empty prompt from it is an answer", async () => {
    const { registry, faulty } = await lab();
    faulty.plan(down());
    expect((await registry.getPrompt("b")).text).toBe("");
  });

  it.each(["FORBIDDEN", "UNAUTHENTICATED", "CORRUPT", "INTERNAL", "UNSUPPORTED"] as const)(
    "%s is an answer",
    async (code) => {
      const { registry, faulty } = await lab();
      faulty.plan(down(code));
      await expect(registry.getPrompt("a")).rejects.toMatchObject({ code });
    },
  );

  it("what the main storage denied stays denied in an outage", async () => {
    const { registry, faulty, main } = await lab();
    await expect(registry.getPrompt("b")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await main.removeLabel("a", "production");
    await main.deleteVersion("a", "1.0.0");
    await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    faulty.plan(down());
    for (const ref of ["b", "b@1.0.0", "a@1.0.0"]) {
      await expect(registry.getPrompt(ref)).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
    // The label still stands on the removed version over there.
    await expect(registry.getPrompt("a@production")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("what was deleted through it stays deleted; what was stored again is there again", async () => {
    const { registry, faulty } = await lab();
    await registry.deleteVersion("a", "1.0.0");
    faulty.plan(down());
    await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    faulty.plan([]);
    await expect(registry.getPrompt("b")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await registry.storePrompt({ name: "b", version: "1.0.0", text: "" });
    await registry.getPrompt("b");
    faulty.plan(down());
    expect((await registry.getPrompt("b")).text).toBe("");
  });

  it("what is gone is in no list and no log of a fallback either", async () => {
    const { registry, faulty, main, second } = await lab();
    await seedPrompts(new PromptRegistry(second), { c: { "1.0.0": "", "1.1.0": "" }, d: { "1.0.0": "" } });
    await seedPrompts(main, { c: { "1.0.0": "", "1.1.0": "" }, d: { "1.0.0": "" } });
    await registry.deletePrompt("d");
    await registry.deleteVersion("c", "1.1.0");
    await expect(registry.getPrompt("b")).rejects.toMatchObject({ code: "NOT_FOUND" });
    faulty.plan(down());
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
    faulty.plan(down("FORBIDDEN"));
    await expect(registry.getPrompt("a")).rejects.toMatchObject({ code: "FORBIDDEN" });
    faulty.plan(down());
    expect((await registry.listPrompts()).items.map((p) => p.name)).toEqual(["b"]);
    const { name } = askOf("a", "latest");
    await expect(registry.driver.listVersions(name, { limit: 9 })).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(registry.driver.history(name, { limit: 9 })).rejects.toMatchObject({ code: "FORBIDDEN" });
  });

  it("a fallback that does not have it proves nothing: the main storage's error is told", async () => {
    const { registry, faulty } = await lab();
    faulty.plan(down());
    for (const ref of ["nobody", "a@staging", "a@9.9.9"]) {
      await expect(registry.getPrompt(ref)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    }
  });

  it("its revisions match none of the main storage", async () => {
    const { driver, faulty } = await lab();
    faulty.plan(down());
    for (const what of ["production", "latest", "1.0.0", "head"]) {
      const [answer] = await driver.read([askOf("a", what)]);
      expect(answer).toMatchObject({ revision: expect.stringMatching(/^fallback-0:/) });
    }
  });

  it("is a chain, of which the first that has it answers; none is valid", async () => {
    const { faulty } = await lab();
    const [empty, sick, good] = [memory(), fault(memory(), down("INTERNAL")), memory()];
    await seedPrompts(new PromptRegistry(good), { a: { "1.0.0": "good\n" } });
    faulty.plan(down());
    const chained = new PromptRegistry(fallback([empty, sick, good])(faulty));
    expect((await chained.getPrompt("a")).text).toBe("good\n");
    await expect(new PromptRegistry(fallback([])(faulty)).getPrompt("a")).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
  });

  it("writes go to the main storage only, and nothing planned on a fallback is ever written", async () => {
    const { registry, faulty, second, main } = await lab();
    faulty.plan(down());
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
    faulty.plan(down());
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
    faulty.plan(down());
    for (const ref of ["a@production", "a", "a@^1"]) {
      const given = await registry.getPrompt(ref);
      expect([ref, given.version, given.stale]).toEqual([ref, "1.1.0", true]);
    }
    // The copy is ahead of what was seen here.
    await new PromptRegistry(second, { now: () => new Date("2100-01-01T00:00:00Z") }).storePrompt({
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

describe("snapshot", () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "snapshot-"));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  async function source() {
    const registry = new PromptRegistry(memory());
    await seedPrompts(registry, {
      a: { "1.0.0": "one\n", "1.1.0": "two\n", "2.0.0": "---\nmodel: x\n---\nthree\r\n" },
      "b/c": { "1.0.0": "" },
    });
    await registry.setLabel("a", "production", "1.1.0");
    await registry.yank("a", "1.0.0");
    return registry;
  }

  it("holds what was asked for, sealed as it was, and reads like a storage", async () => {
    const registry = await source();
    const path = join(root, "one");
    const report = await writeSnapshot(registry, path, {
      selectors: ["a@production", "a@^2", "b/c"],
      now: () => new Date("2026-01-01T00:00:00Z"),
    });
    expect(report).toMatchObject({ prompts: 2, versions: 3, createdAt: "2026-01-01T00:00:00.000Z" });
    const copy = new PromptRegistry(await snapshot({ path }));
    for (const ref of ["a@production", "a@2.0.0", "a@^2", "a@1", "b/c"]) {
      const [mine, theirs] = [await copy.getPrompt(ref), await registry.getPrompt(ref)];
      expect([mine.text, mine.digest, mine.version]).toEqual([theirs.text, theirs.digest, theirs.version]);
      expect(mine.labels).toEqual(ref.includes("2.0.0") ? undefined : theirs.labels);
      expect(mine.fetchedAt).toBe(Date.parse("2026-01-01T00:00:00Z"));
    }
    await expect(copy.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(copy.storePrompt({ name: "x", version: "1.0.0", text: "x" })).rejects.toMatchObject({
      code: "READ_ONLY",
    });
    expect((await copy.listPrompts({ include: "heads" })).items.map((p) => p.name)).toEqual(["a", "b/c"]);
    expect((await copy.listVersions("a")).items.map((v) => v.version)).toEqual(["2.0.0", "1.1.0"]);
    expect((await copy.history("a")).items).toHaveLength(2);
    expect((await copy.verify()).problems).toEqual([]);
    expect((await copy.check()).ok).toBe(true);
    await copy.close();
    await expect(copy.getPrompt("a")).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("without selectors holds latest and every label of every prompt; the same content gives the same bytes", async () => {
    const registry = await source();
    const now = () => new Date("2026-01-01T00:00:00Z");
    const [one, two] = [join(root, "x"), join(root, "y")];
    expect((await writeSnapshot(registry, one, { now })).versions).toBe(3);
    await writeSnapshot(registry, two, { now });
    expect(await readFile(one, "utf8")).toBe(await readFile(two, "utf8"));
    const copy = new PromptRegistry(await snapshot({ path: one }));
    expect((await copy.getPrompt("a")).version).toBe("2.0.0");
  });

  it("names everything that is not there, and writes nothing", async () => {
    const registry = await source();
    const path = join(root, "nothing");
    const error = await writeSnapshot(registry, path, { selectors: ["a@9.9.9", "nobody", "a@staging"] }).catch(
      (e) => e,
    );
    expect(error).toMatchObject({ code: "NOT_FOUND", context: { issues: ["a@9.9.9", "a@staging", "nobody@latest"] } });
    await expect(snapshot({ path })).rejects.toMatchObject({ code: "CONFIG" });
  });

  it("is not made of old answers", async () => {
    const { registry, faulty } = await lab();
    faulty.plan(down());
    await expect(writeSnapshot(registry, join(root, "old"), { selectors: ["a@production"] })).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
  });

  it("finds every damaged byte", async () => {
    const registry = await source();
    const path = join(root, "damaged");
    await writeSnapshot(registry, path, { selectors: ["b/c", "a@production"] });
    const whole = await readFile(path);
    for (let i = 0; i < whole.length; i += 7) {
      const bytes = Buffer.from(whole);
      bytes[i] = (bytes[i] as number) ^ 0x01;
      await writeFile(path, bytes);
      const opened = await snapshot({ path }).catch((e: unknown) => e);
      if (opened instanceof Error)
        expect(["CORRUPT", "UNSUPPORTED", "INVALID"]).toContain((opened as RegistryError).code);
      else {
        // Only when and where it was made is not covered; what is served is.
        const copy = new PromptRegistry(opened as Awaited<ReturnType<typeof snapshot>>);
        expect((await copy.getPrompt("a@production")).text).toBe("two\n");
        expect(i).toBeLessThan(whole.indexOf(10));
      }
    }
    for (const cut of [0, 10, whole.indexOf(10), whole.length - 1]) {
      await writeFile(path, whole.subarray(0, cut));
      await expect(snapshot({ path })).rejects.toMatchObject({ code: "CORRUPT" });
    }
  });

  it("everything in it is served when all else is down, also what was never read", async () => {
    const registry = await source();
    const path = join(root, "ship");
    await writeSnapshot(registry, path);
    const dead = Object.assign(fault(memory(), down()), { peek: () => undefined });
    const app = new PromptRegistry(stack(dead, [cache(), fallback([await snapshot({ path })])]));
    for (let i = 0; i < 3; i++) {
      for (const ref of ["a", "a@production", "a@2.0.0", "a@^1", "b/c"]) {
        const prompt = await app.getPrompt(ref);
        expect([prompt.source, prompt.stale]).toEqual(["fallback:snapshot", true]);
      }
    }
    expect(dead.peek(askOf("a", "latest"))).toBeUndefined();
  });
});
