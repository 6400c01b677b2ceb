import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { fs } from "../../src/drivers/fs/index.ts";
import { memory } from "../../src/drivers/memory.ts";
import { cache } from "../../src/layers/cache/index.ts";
import { fallback } from "../../src/layers/fallback.ts";
import { stack } from "../../src/layers/layer.ts";
import {
  formatLockfile,
  frozenDriver,
  install,
  outdated,
  parseLockfile,
  parsePromptsFile,
  readLock,
  update,
} from "../../src/lockfile/index.ts";
import { parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { fault } from "../../src/testing/index.ts";
import { cleanUp, tempFolder } from "./transfer-world.ts";

afterAll(cleanUp);

describe("lockfile", () => {
  let cwd: string;
  let registry: PromptRegistry;
  const write = (prompts: Record<string, string>) =>
    writeFileSync(join(cwd, "prompts.json"), JSON.stringify({ prompts }));
  const versionOf = async (name: string) => (await readLock({ cwd }))?.prompts.get(parseName(name))?.version;

  beforeEach(async () => {
    cwd = tempFolder();
    registry = new PromptRegistry(memory());
    for (const version of ["1.0.0", "1.1.0", "2.0.0"]) {
      await registry.storePrompt({ name: "support/triage", version, text: `triage ${version} {{ticket}}\n` });
    }
    await registry.storePrompt({ name: "greet", version: "1.0.0", text: "hello\n", labels: ["production"] });
    write({ "support/triage": "^1.0", greet: "production" });
  });

  it("resolves, locks and materializes; the second time it does nothing", async () => {
    const report = await install(registry, { cwd });
    expect(report.changes).toEqual([
      { name: "greet", to: "1.0.0" },
      { name: "support/triage", to: "1.1.0" },
    ]);
    expect([...report.written].sort()).toEqual(["greet/v1.0.0.md", "support/triage/v1.1.0.md"]);
    const text = readFileSync(join(cwd, "prompts.lock.json"), "utf8");
    expect(JSON.parse(text)).toMatchObject({
      lockfileVersion: 1,
      prompts: { greet: { selector: "production", version: "1.0.0", digest: expect.stringMatching(/^sha256:/) } },
    });
    expect(formatLockfile(parseLockfile(text))).toBe(text);
    await registry.storePrompt({ name: "support/triage", version: "1.2.0", text: "new\n" });
    expect(await install(registry, { cwd })).toMatchObject({ changes: [], written: [], removed: [] });
    expect(await versionOf("support/triage")).toBe("1.1.0");
    expect(await install(registry, { cwd, frozen: true })).toMatchObject({ changes: [], written: [], removed: [] });
  });

  it("tells what is outdated and updates it", async () => {
    await install(registry, { cwd });
    expect(await outdated(registry, { cwd })).toMatchObject([
      { name: "support/triage", locked: "1.1.0", wanted: "1.1.0", latest: "2.0.0" },
    ]);
    await registry.storePrompt({ name: "support/triage", version: "1.2.0", text: "new\n" });
    await registry.storePrompt({ name: "greet", version: "2.0.0", text: "hello 2\n", labels: ["production"] });
    await registry.yank("greet", "1.0.0", { message: "rude" });
    await registry.deprecate("greet", "use hello");
    expect(await outdated(registry, { cwd })).toMatchObject([
      { name: "greet", locked: "1.0.0", wanted: "2.0.0", yanked: "rude", deprecated: "use hello" },
      { name: "support/triage", locked: "1.1.0", wanted: "1.2.0" },
    ]);
    const report = await update(registry, ["greet"], { cwd });
    expect(report).toMatchObject({
      changes: [{ name: "greet", from: "1.0.0", to: "2.0.0" }],
      written: ["greet/v2.0.0.md"],
      removed: ["greet/v1.0.0.md"],
    });
    expect(await versionOf("support/triage")).toBe("1.1.0");
    await update(registry, [], { cwd });
    expect(await versionOf("support/triage")).toBe("1.2.0");
    await expect(update(registry, ["nobody"], { cwd })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("frozen fails on any drift, and lists all of it", async () => {
    await expect(install(registry, { cwd, frozen: true })).rejects.toMatchObject({ code: "CONFLICT" });
    await install(registry, { cwd });
    const lock = readFileSync(join(cwd, "prompts.lock.json"), "utf8");
    await registry.storePrompt({ name: "extra", version: "1.0.0", text: "x\n" });
    write({ "support/triage": "^2", extra: "1.0.0" });
    const error = await install(registry, { cwd, frozen: true }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "CONFLICT", context: { issues: { length: 3 } } });
    expect(readFileSync(join(cwd, "prompts.lock.json"), "utf8")).toBe(lock);
    write({ "support/triage": "^1.0", greet: "production" });
    // Other bytes under a locked version, and one that is gone.
    const other = new PromptRegistry(memory());
    await other.storePrompt({ name: "greet", version: "1.0.0", text: "HELLO\n" });
    for (const how of [{ frozen: true }, {}]) {
      const drift = await install(other, { cwd, ...how }).catch((e: unknown) => e);
      expect(drift).toMatchObject({ code: "CONFLICT", context: { issues: { length: 2 } } });
    }
    await expect(update(other, ["greet"], { cwd })).rejects.toMatchObject({
      code: expect.stringMatching(/CONFLICT|NOT_FOUND/),
    });
  });

  it("takes away what is no longer asked for, and nothing else", async () => {
    await install(registry, { cwd });
    const folder = join(cwd, "prompts/.materialized");
    writeFileSync(join(folder, "README.md"), "mine");
    writeFileSync(join(folder, "greet", "note.txt"), "mine");
    rmSync(join(folder, "support/triage/v1.1.0.md"));
    write({ "support/triage": "1.0.0" });
    expect(await install(registry, { cwd, dryRun: true })).toMatchObject({ removed: ["greet/v1.0.0.md"] });
    expect(await install(registry, { cwd })).toMatchObject({
      changes: [
        { name: "greet", from: "1.0.0" },
        { name: "support/triage", from: "1.1.0", to: "1.0.0" },
      ],
      removed: ["greet/v1.0.0.md"],
      written: ["support/triage/v1.0.0.md"],
    });
    expect(readdirSync(folder).sort()).toEqual([".prompts-materialized.json", "README.md", "greet", "support"]);
  });

  it("touches no folder in which somebody else keeps prompts", async () => {
    const other = new PromptRegistry(fs({ path: cwd }));
    await other.storePrompt({ name: "mine", version: "1.0.0", text: "mine\n" });
    rmSync(join(cwd, "prompts/mine/latest.md"));
    await expect(install(registry, { cwd, materialize: "prompts" })).rejects.toMatchObject({ code: "INVALID" });
    await expect(install(registry, { cwd, materialize: "." })).rejects.toMatchObject({ code: "INVALID" });
    expect(existsSync(join(cwd, "prompts.lock.json"))).toBe(false);
    expect((await other.getPrompt("mine")).text).toBe("mine\n");
    expect((await other.listPrompts()).items).toHaveLength(1);
    for (const file of ["a/latest.md", "a/latest.json", "a/.heads/x", "a/b/v1.0.0-rc.1.md"]) {
      const folder = tempFolder();
      mkdirSync(join(folder, file, ".."), { recursive: true });
      writeFileSync(join(folder, file), "");
      const run = install(registry, { cwd, materialize: folder });
      await expect(run, file).rejects.toMatchObject({ code: "INVALID" });
    }
    // The default folder lies below, and is no part of the registry.
    await install(registry, { cwd });
    expect((await other.listPrompts()).items).toHaveLength(1);
  });

  it("removes only what it put there, and overwrites nothing else", async () => {
    await install(registry, { cwd });
    const folder = join(cwd, "prompts/.materialized");
    mkdirSync(join(folder, "mine"));
    writeFileSync(join(folder, "mine/v1.0.0.md"), "mine");
    writeFileSync(join(folder, "greet/v0.1.0.md"), "mine");
    write({});
    expect([...(await install(registry, { cwd })).removed].sort()).toEqual([
      "greet/v1.0.0.md",
      "support/triage/v1.1.0.md",
    ]);
    expect(readdirSync(join(folder, "greet"))).toEqual(["v0.1.0.md"]);
    expect(readFileSync(join(folder, "mine/v1.0.0.md"), "utf8")).toBe("mine");
    writeFileSync(join(folder, "greet/v1.0.0.md"), "mine");
    write({ greet: "1.0.0" });
    await expect(install(registry, { cwd })).rejects.toMatchObject({ code: "INVALID" });
    expect(readFileSync(join(folder, "greet/v1.0.0.md"), "utf8")).toBe("mine");
    for (const file of ["../x/v1.0.0.md", "/etc/v1.0.0.md", "README.md", 1]) {
      const marker = { format: "prompts-materialized", version: 1, files: [file] };
      writeFileSync(join(folder, ".prompts-materialized.json"), JSON.stringify(marker));
      await expect(install(registry, { cwd }), String(file)).rejects.toMatchObject({ code: "INVALID" });
    }
  });

  it("locks nothing that a fallback or a cache says in an outage", async () => {
    const old = new PromptRegistry(memory());
    await old.storePrompt({ name: "greet", version: "1.0.0", text: "hello\n", labels: ["production"] });
    const faulty = fault(registry.driver);
    const stacked = new PromptRegistry(stack(faulty, [cache({ ttl: 0 }), fallback([old.driver])]));
    write({ greet: "production" });
    expect((await stacked.getPrompt("greet@production")).version).toBe("1.0.0");
    faulty.plan((["read", "listVersions"] as const).map((method) => ({ method, what: "fail" as const })));
    await expect(install(stacked, { cwd })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(existsSync(join(cwd, "prompts.lock.json"))).toBe(false);
  });

  it("asks the storage what is outdated, whatever a cache remembers, and reads no text again for it", async () => {
    const given: string[] = [];
    const { driver } = registry;
    const watched: StorageDriver = {
      ...driver,
      peek: () => undefined,
      async read(asks, op) {
        const answers = await driver.read(asks, op);
        for (const { status } of answers) given.push(status);
        return answers;
      },
    };
    const faulty = fault(watched);
    const cached = new PromptRegistry(stack(faulty, [cache({ ttl: 3_600_000 })]));
    write({ "support/triage": "^1.0", greet: "production", faq: "1.0.0" });
    await registry.storePrompt({ name: "faq", version: "1.0.0", text: "faq\n" });
    await install(cached, { cwd });
    // What an application reads fills the cache with pointers, too.
    for (const ref of ["support/triage@^1.0", "support/triage", "greet@production", "greet", "faq@1.0.0", "faq"]) {
      await cached.getPrompt(ref);
    }
    given.length = 0;
    expect(await outdated(cached, { cwd })).toMatchObject([{ name: "support/triage", wanted: "1.1.0" }]);
    expect(given).toContain("unchanged");
    expect(given).not.toContain("found");
    await registry.storePrompt({ name: "support/triage", version: "1.2.0", text: "new\n" });
    await registry.storePrompt({ name: "support/triage", version: "3.0.0", text: "new\n" });
    await registry.storePrompt({ name: "greet", version: "2.0.0", text: "hello 2\n", labels: ["production"] });
    await registry.deprecate("greet", "use hello");
    await registry.deleteVersion("faq", "1.0.0", { message: "wrong" });
    expect(await outdated(cached, { cwd })).toEqual([
      { name: "faq", selector: "1.0.0", locked: "1.0.0", yanked: "wrong" },
      {
        ...{ name: "greet", selector: "production", locked: "1.0.0", wanted: "2.0.0", latest: "2.0.0" },
        deprecated: "use hello",
      },
      { name: "support/triage", selector: "^1.0", locked: "1.1.0", wanted: "1.2.0", latest: "3.0.0" },
    ]);
    write({ "support/triage": "^1.0", greet: "production" });
    await update(cached, [], { cwd });
    expect([await versionOf("greet"), await versionOf("support/triage")]).toEqual(["2.0.0", "1.2.0"]);
    faulty.plan((["read", "listVersions"] as const).map((method) => ({ method, what: "fail" as const })));
    await expect(outdated(cached, { cwd })).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("writes through no link", async () => {
    const outside = tempFolder();
    mkdirSync(join(cwd, "prompts/.materialized"), { recursive: true });
    symlinkSync(outside, join(cwd, "prompts/.materialized/greet"));
    await expect(install(registry, { cwd })).rejects.toMatchObject({ code: "INVALID" });
    expect(readdirSync(outside)).toEqual([]);
  });

  it("lists everything that can't be resolved, and writes nothing then", async () => {
    write({ "support/triage": "^9", greet: "staging" });
    const error = await install(registry, { cwd }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "NOT_FOUND", context: { issues: { length: 2 } } });
    expect(existsSync(join(cwd, "prompts.lock.json"))).toBe(false);
    rmSync(join(cwd, "prompts.json"));
    await expect(install(registry, { cwd })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it.each([
    ["prompts", "[]"],
    ["prompts", '{"prompts":{"../x":"^1"}}'],
    ["prompts", '{"prompts":{"x":1}}'],
    ["prompts", '{"prompts":{"x":"^^"}}'],
    ["prompts", '{"prompts":{},"dependencies":{}}'],
    ["prompts", "{"],
    ["lock", '{"lockfileVersion":1}'],
    ["lock", '{"lockfileVersion":0,"prompts":{}}'],
    ["lock", '{"lockfileVersion":1,"prompts":{"x":{"selector":"^1","version":"1.0.0","digest":"sha256:0"}}}'],
    ["lock", '{"lockfileVersion":1,"prompts":{"x":{"selector":"^1","version":"v1","digest":"sha256:0"}}}'],
    ["lock", '{"lockfileVersion":1,"prompts":{"__proto__":{}}}'],
  ])("refuses the %s file %s", (kind, text) => {
    const parse = () => (kind === "lock" ? parseLockfile(text) : parsePromptsFile(text));
    expect(parse).toThrow(expect.objectContaining({ code: "INVALID" }));
  });

  it("refuses a lockfile of a later version", () => {
    expect(() => parseLockfile('{"lockfileVersion":2,"prompts":{}}')).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED" }),
    );
  });

  describe("frozen at run time", () => {
    it("serves what is locked, wherever the pointers went", async () => {
      const { lock } = await install(registry, { cwd });
      await registry.storePrompt({ name: "greet", version: "3.0.0", text: "three\n", labels: ["production"] });
      const frozen = new PromptRegistry(frozenDriver(registry.driver, lock));
      for (const ref of ["greet", "greet@production", "greet@1.0.0", "greet@^1"]) {
        expect((await frozen.getPrompt(ref)).text).toBe("hello\n");
        expect((await frozen.getPrompt(ref)).text).toBe("hello\n");
      }
      expect((await frozen.getPrompt("support/triage")).version).toBe("1.1.0");
      expect((await frozen.listPrompts()).items.map((e) => e.name)).toEqual(["greet", "support/triage"]);
      expect((await frozen.listVersions("support/triage")).items).toEqual([{ version: "1.1.0" }]);
      expect((await frozen.getPrompt("greet@production")).labels).toEqual(["production"]);
      expect((await frozen.getPrompt("greet@1.0.0", { status: true })).labels).toEqual(["production"]);
    });

    it("refuses what is not locked, other bytes and writes", async () => {
      const { lock } = await install(registry, { cwd });
      await registry.storePrompt({ name: "other", version: "1.0.0", text: "x\n" });
      const frozen = new PromptRegistry(frozenDriver(registry.driver, lock));
      for (const ref of ["other", "other@1.0.0", "greet@staging", "support/triage@2.0.0"]) {
        await expect(frozen.getPrompt(ref), ref).rejects.toMatchObject({ code: "FORBIDDEN" });
      }
      await expect(frozen.getPrompt("support/triage@^2")).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(frozen.storePrompt({ name: "greet", version: "9.0.0", text: "x" })).rejects.toMatchObject({
        code: "READ_ONLY",
      });
      await expect(frozen.setLabel("greet", "x1", "1.0.0")).rejects.toMatchObject({ code: "READ_ONLY" });
      const evil = new PromptRegistry(memory());
      await evil.storePrompt({ name: "greet", version: "1.0.0", text: "evil\n" });
      const trusting = new PromptRegistry(frozenDriver(evil.driver, lock));
      for (const ref of ["greet", "greet@production", "greet@1.0.0"]) {
        await expect(trusting.getPrompt(ref)).rejects.toMatchObject({ code: "CONFLICT" });
        expect(trusting.peekPrompt(ref)).toBeUndefined();
      }
    });

    it("runs off the materialized folder alone", async () => {
      const { lock } = await install(registry, { cwd, materialize: "build" });
      const driver = fs({ path: join(cwd, "build"), dir: "." });
      const frozen = new PromptRegistry(frozenDriver(driver, lock));
      const prompt = await frozen.getPrompt("support/triage");
      expect(prompt.render({ ticket: "x" })).toBe("triage 1.1.0 x\n");
      const file = join(cwd, "build/support/triage/v1.1.0.md");
      writeFileSync(file, readFileSync(file, "utf8").replace("triage 1.1.0", "triage 6.6.6"));
      await expect(frozen.getPrompt("support/triage")).rejects.toMatchObject({ code: "CORRUPT" });
      writeFileSync(file, "an unsealed text");
      await expect(frozen.getPrompt("support/triage")).rejects.toMatchObject({ code: "CONFLICT" });
    });
  });
});
