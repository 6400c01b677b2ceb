import { beforeEach, describe, expect, it } from "vitest";
import type { Change, Commit, Outcome, ReadAsk, StorageDriver } from "./driver.ts";
import { memory } from "./drivers/memory.ts";
import { RegistryError } from "./errors.ts";
import type { PromptName } from "./names.ts";
import { PromptRegistry } from "./registry.ts";
import type { Version } from "./semver.ts";

let driver: StorageDriver;
let registry: PromptRegistry;
let time: number;

beforeEach(() => {
  time = Date.UTC(2026, 0, 1);
  driver = memory();
  registry = new PromptRegistry(driver, { author: "ada", now: tick });
});

function tick(): Date {
  time += 1000;
  return new Date(time);
}

async function publish(...versions: string[]): Promise<void> {
  for (const version of versions) await registry.storePrompt({ name: "p", version, text: `text of ${version}` });
}

function askVersion(version: string): ReadAsk {
  return { name: "p" as PromptName, selector: { kind: "version", version: version as Version } };
}

/** The same storage with another `commit`, as a layer would do it. */
function withCommit(
  commit: (next: (c: Commit) => Promise<readonly Outcome[]>, c: Commit) => Promise<readonly Outcome[]>,
): PromptRegistry {
  const broken: StorageDriver = Object.assign(Object.create(driver), {
    commit: (c: Commit) => commit((x) => driver.commit(x), c),
  });
  return new PromptRegistry(broken, { author: "ada", now: tick });
}

const lost = () => new RegistryError("UNAVAILABLE", "the connection was lost", { outcome: "unknown" });

describe("storePrompt", () => {
  it("creates, finds the same text unchanged, and refuses another", async () => {
    const request = { name: "p", version: "v1.0.0", text: "hello" };
    const first = await registry.storePrompt(request);
    expect(first).toMatchObject({ ref: "p@1.0.0", status: "created", latest: "1.0.0" });
    expect(await registry.storePrompt({ ...request, author: "eve", message: "later" })).toMatchObject({
      status: "unchanged",
      digest: first.digest,
    });
    await expect(registry.storePrompt({ ...request, text: "hello\n" })).rejects.toMatchObject({
      code: "ALREADY_EXISTS",
      context: { name: "p", version: "1.0.0" },
    });
    expect((await registry.getPrompt("p@1.0.0")).text).toBe("hello");
  });

  it("bumps from the highest version, removed ones included", async () => {
    const bump = (text: string, kind: "major" | "minor" | "patch" = "minor") =>
      registry.storePrompt({ name: "p", bump: kind, text });
    expect((await bump("a")).version).toBe("1.0.0");
    expect((await bump("b")).version).toBe("1.1.0");
    await registry.deleteVersion("p", "1.1.0");
    expect((await bump("c", "patch")).version).toBe("1.1.1");
    expect(await bump("c")).toMatchObject({ version: "1.1.1", status: "unchanged" });
    expect((await bump("d", "major")).version).toBe("2.0.0");
  });

  it("bumps past a version that somebody else published in between", async () => {
    await publish("1.0.0");
    let raced = false;
    const racing = withCommit(async (next, c) => {
      if (!raced) {
        raced = true;
        await registry.storePrompt({ name: "p", version: "1.1.0", text: "theirs" });
      }
      return next(c);
    });
    expect(await racing.storePrompt({ name: "p", bump: "minor", text: "ours" })).toMatchObject({
      version: "1.2.0",
      status: "created",
    });
  });

  it("puts labels on with the version, and on an existing one too", async () => {
    await publish("1.0.0");
    const request = { name: "p", version: "1.1.0", text: "new", labels: ["production", "eu", "eu"] };
    expect(await registry.storePrompt(request)).toMatchObject({ status: "created" });
    expect((await registry.getPrompt("p@production")).labels).toEqual(["eu", "production"]);
    await registry.setLabel("p", "production", "1.0.0");
    expect(await registry.storePrompt(request)).toMatchObject({ status: "unchanged" });
    expect((await registry.getPrompt("p@production")).version).toBe("1.1.0");
  });

  it("keeps a pin, says so, and lifts it when asked", async () => {
    await publish("1.0.0", "1.1.0");
    await registry.rollback("p");
    expect(await registry.storePrompt({ name: "p", version: "1.2.0", text: "x" })).toMatchObject({
      latest: "1.0.0",
      pinned: true,
    });
    const lifted = await registry.storePrompt({ name: "p", version: "1.3.0", text: "y", unpin: true });
    expect(lifted).toMatchObject({ latest: "1.3.0" });
    expect(lifted).not.toHaveProperty("pinned");
  });

  it("compares latest when expected", async () => {
    await registry.storePrompt({ name: "p", version: "1.0.0", text: "a", expect: null });
    await expect(registry.storePrompt({ name: "p", version: "1.1.0", text: "b", expect: null })).rejects.toMatchObject({
      code: "CONFLICT",
    });
    await registry.storePrompt({ name: "p", version: "1.1.0", text: "b", expect: "1.0.0" });
    // Publishing again is always safe, though latest has moved on by our own doing.
    expect(await registry.storePrompt({ name: "p", version: "1.1.0", text: "b", expect: "1.0.0" })).toMatchObject({
      status: "unchanged",
    });
  });

  it("lets one of several writers with the same expectation win", async () => {
    await publish("1.0.0");
    const tries = Array.from({ length: 8 }, (_, i) =>
      registry.storePrompt({ name: "p", version: `1.1.${i}`, text: `${i}`, expect: "1.0.0" }).then(
        () => 1,
        (error: RegistryError) => {
          expect(error.code).toBe("CONFLICT");
          return 0;
        },
      ),
    );
    expect((await Promise.all(tries)).reduce((a: number, b) => a + b, 0)).toBe(1);
    expect((await registry.listVersions("p")).items).toHaveLength(2);
  });

  it("takes a sealed document as it is, only under its own name and version", async () => {
    await registry.storePrompt({ name: "p", version: "1.0.0", text: "hello", author: "eve", message: "first" });
    const [answer] = await driver.read([askVersion("1.0.0")]);
    const sealed = answer?.status === "found" ? answer.document.text : "";
    const other = new PromptRegistry(memory());
    const copied = await other.storePrompt({ name: "p", text: sealed });
    expect(copied).toMatchObject({ ref: "p@1.0.0", status: "created" });
    expect(await other.getPrompt("p@1.0.0")).toMatchObject({
      author: "eve",
      message: "first",
      text: "hello",
      digest: copied.digest,
    });
    await expect(other.storePrompt({ name: "q", text: sealed })).rejects.toMatchObject({ code: "INVALID" });
    await expect(other.storePrompt({ name: "p", version: "2.0.0", text: sealed })).rejects.toMatchObject({
      code: "INVALID",
    });
    await expect(
      other.storePrompt({ name: "p", version: "2.0.0", text: sealed.replace("hello", "bye") }),
    ).rejects.toMatchObject({ code: "INVALID" });
  });

  it.each([
    [{ name: "P", version: "1.0.0", text: "" }, "name"],
    [{ name: "p", version: "1", text: "" }, "version"],
    [{ name: "p", text: "" }, "version"],
    [{ name: "p", version: "1.0.0", bump: "minor" as const, text: "" }, "bump"],
    [{ name: "p", bump: "huge" as never, text: "" }, "bump"],
    [{ name: "p", version: "1.0.0", text: "a\0b" }, "text"],
    [{ name: "p", version: "1.0.0", text: "\ud800" }, "text"],
    [{ name: "p", version: "1.0.0", text: "x".repeat(2 ** 20 + 1) }, "text"],
    [{ name: "p", version: "1.0.0", text: "", labels: ["latest"] }, "label"],
    [{ name: "p", version: "1.0.0", text: "", author: "x".repeat(201) }, "author"],
    [{ name: "p", version: "1.0.0", text: "", message: "x".repeat(2001) }, "message"],
    [{ name: "p", version: "1.0.0", text: "", expect: "production" }, "version"],
  ])("refuses bad input before anything is written: %#", async (request, field) => {
    await expect(registry.storePrompt(request)).rejects.toMatchObject({ code: "INVALID", context: { field } });
    expect((await registry.listPrompts({ includeRemoved: true })).items).toEqual([]);
  });

  it("reads an unknown outcome back: committed", async () => {
    let calls = 0;
    const dropping = withCommit(async (next, c) => {
      calls++;
      await next(c);
      throw lost();
    });
    const stored = await dropping.storePrompt({ name: "p", version: "1.0.0", text: "a" });
    expect(stored.status).toBe("created");
    expect(calls).toBe(1);
  });

  it("reads an unknown outcome back: not committed, so it is sent again", async () => {
    let calls = 0;
    const flaky = withCommit(async (next, c) => {
      if (calls++ === 0) throw lost();
      return next(c);
    });
    expect(await flaky.storePrompt({ name: "p", bump: "minor", text: "a" })).toMatchObject({
      version: "1.0.0",
      status: "created",
    });
    expect(calls).toBe(2);
  });

  it("bumps once when the reply to a bump is lost", async () => {
    await publish("1.0.0");
    let calls = 0;
    const dropping = withCommit(async (next, c) => {
      const outcome = await next(c);
      if (calls++ === 0) throw lost();
      return outcome;
    });
    expect(await dropping.storePrompt({ name: "p", bump: "minor", text: "a", labels: ["eu"] })).toMatchObject({
      version: "1.1.0",
      status: "created",
    });
    expect((await registry.listVersions("p")).items).toHaveLength(2);
    expect((await registry.getPrompt("p@eu")).version).toBe("1.1.0");
  });

  it("says unknown when it can't be read back", async () => {
    const gone: StorageDriver = Object.assign(Object.create(driver), {
      commit: async () => {
        throw lost();
      },
      read: async () => {
        throw new RegistryError("UNAVAILABLE", "still gone");
      },
    });
    await expect(
      new PromptRegistry(gone).storePrompt({ name: "p", version: "1.0.0", text: "a" }),
    ).rejects.toMatchObject({ outcome: "unknown" });
  });
});

describe("storePrompts", () => {
  it("stores many in one commit, in the order given", async () => {
    let commits = 0;
    const counting = withCommit((next, c) => {
      commits++;
      return next(c);
    });
    const requests = ["a", "b", "a"].map((name, i) => ({ name, bump: "minor" as const, text: `${i}` }));
    const results = await counting.storePrompts(requests);
    expect(results.map((r) => "ref" in r && r.ref)).toEqual(["a@1.0.0", "b@1.0.0", "a@1.1.0"]);
    expect(commits).toBe(1);
  });

  it("gives each failure its own result", async () => {
    await publish("1.0.0");
    const results = await registry.storePrompts([
      { name: "p", version: "1.0.0", text: "other" },
      { name: "p", version: "1.1.0", text: "fine" },
      { name: "q", version: "1.0.0", text: "fine" },
    ]);
    expect(results.map((r) => r.status)).toEqual(["failed", "created", "created"]);
    expect(results[0]).toMatchObject({ error: { code: "ALREADY_EXISTS" } });
  });

  it("tells what was stored though a later round fails", async () => {
    await publish("1.0.0");
    const failing: StorageDriver = Object.assign(Object.create(driver), {
      read: async () => {
        throw new RegistryError("UNAVAILABLE", "gone");
      },
      commit: async (commit: Commit) => {
        const [first, ...others] = commit.changes;
        const outcomes = await driver.commit({ ...commit, changes: [first as Change] });
        return [...outcomes, ...others.map(() => ({ status: "conflict", added: false }))];
      },
    });
    const results = await new PromptRegistry(failing).storePrompts([
      { name: "q", version: "1.0.0", text: "new" },
      { name: "p", version: "1.1.0", text: "text of 1.1.0" },
    ]);
    expect(results).toMatchObject([{ status: "created" }, { status: "failed", error: { code: "UNAVAILABLE" } }]);
  });

  it("takes what an outcome says of a taken version, so that who can't read it can publish it again", async () => {
    await publish("1.0.0");
    const blind: StorageDriver = Object.assign(Object.create(driver), {
      read: async () => {
        throw new RegistryError("FORBIDDEN", "no right to read");
      },
    });
    const again = (text: string) => new PromptRegistry(blind).storePrompt({ name: "p", version: "1.0.0", text });
    expect(await again("text of 1.0.0")).toMatchObject({ status: "unchanged", ref: "p@1.0.0" });
    await expect(again("other")).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
  });

  it("throws when one cause kept everything from being stored", async () => {
    const failing = withCommit(async () => {
      throw new RegistryError("NO_SPACE", "full");
    });
    const requests = ["a", "b"].map((name) => ({ name, version: "1.0.0", text: name }));
    await expect(failing.storePrompts(requests)).rejects.toMatchObject({ code: "NO_SPACE" });
  });

  it("stores all or none when atomic", async () => {
    await publish("1.0.0");
    const requests = [
      { name: "q", version: "1.0.0", text: "fine" },
      { name: "p", version: "1.0.0", text: "other" },
    ];
    await expect(registry.storePrompts(requests, { atomic: true })).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    await expect(registry.getPrompt("q")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(
      await registry.storePrompts([{ name: "p", version: "1.0.0", text: "text of 1.0.0" }, requests[0] as never], {
        atomic: true,
      }),
    ).toMatchObject([{ status: "unchanged" }, { status: "created" }]);
  });

  it("takes the same version twice as one, and refuses it with two texts", async () => {
    const one = { name: "p", version: "1.0.0", text: "a" };
    const results = await registry.storePrompts([one, one, { ...one, text: "b" }]);
    expect(results.map((r) => r.status)).toEqual(["created", "unchanged", "failed"]);
    expect((await registry.getPrompt("p")).text).toBe("a");
  });

  it("bumps from the highest version of the same call too", async () => {
    const results = await registry.storePrompts([
      { name: "p", version: "2.0.0", text: "a" },
      { name: "p", bump: "patch", text: "b" },
      { name: "p", version: "1.0.0", text: "c" },
      { name: "p", bump: "patch", text: "c" },
    ]);
    expect(results.map((r) => "version" in r && r.version)).toEqual(["2.0.0", "2.0.1", "1.0.0", "2.0.2"]);
  });

  it("names the item at fault", async () => {
    await expect(
      registry.storePrompts([
        { name: "a", version: "1.0.0", text: "" },
        { name: "B", version: "1.0.0", text: "" },
      ]),
    ).rejects.toMatchObject({
      code: "INVALID",
      context: { field: "prompts[1].name" },
    });
    expect((await registry.listPrompts()).items).toEqual([]);
  });
});

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

describe("pointers", () => {
  beforeEach(() => publish("1.0.0", "1.1.0", "1.2.0"));

  it("sets a label to what another selector means, with an expectation", async () => {
    expect(await registry.setLabel("p", "eu", "latest")).toMatchObject({ version: "1.2.0", status: "changed" });
    await registry.setLabel("p", "us", "eu");
    expect(await registry.setLabel("p", "us", "^1.0")).toMatchObject({ status: "unchanged" });
    await expect(registry.setLabel("p", "eu", "1.0.0", { expect: "1.1.0" })).rejects.toMatchObject({
      code: "CONFLICT",
    });
    expect(await registry.setLabel("p", "eu", "1.0.0", { expect: "1.2.0" })).toMatchObject({ from: "1.2.0" });
    await expect(registry.setLabel("p", "eu", "9.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(registry.setLabel("q", "eu", "1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await registry.yank("p", "1.1.0");
    await expect(registry.setLabel("p", "eu", "1.1.0")).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await registry.removeLabel("p", "eu")).toMatchObject({ status: "changed", from: "1.0.0" });
    expect(await registry.removeLabel("p", "eu")).toMatchObject({ status: "unchanged" });
  });

  it("rolls back step by step and is undone by unpinning", async () => {
    expect(await registry.rollback("p")).toMatchObject({ from: "1.2.0", version: "1.1.0" });
    expect(await registry.rollback("p")).toMatchObject({ from: "1.1.0", version: "1.0.0" });
    await expect(registry.rollback("p")).rejects.toMatchObject({ code: "CONFLICT" });
    expect((await registry.getPrompt("p")).version).toBe("1.0.0");
    expect(await registry.unpin("p")).toMatchObject({ from: "1.0.0" });
    expect((await registry.getPrompt("p")).version).toBe("1.2.0");
  });

  it("rolls back once when the reply is lost", async () => {
    const dropping = withCommit(async (next, c) => {
      await next(c);
      throw lost();
    });
    await dropping.rollback("p");
    expect((await registry.getPrompt("p")).version).toBe("1.1.0");
    expect((await registry.history("p")).items.filter((e) => e.action === "rollback")).toHaveLength(1);
  });

  it("plans again when somebody else moved the head", async () => {
    let raced = false;
    const racing = withCommit(async (next, c) => {
      if (!raced) {
        raced = true;
        await registry.setLabel("p", "us", "1.0.0");
      }
      return next(c);
    });
    await racing.setLabel("p", "eu", "1.1.0");
    expect((await registry.getPrompt("p@us")).version).toBe("1.0.0");
    expect((await registry.getPrompt("p@eu")).version).toBe("1.1.0");
  });

  it("remembers what was selected when", async () => {
    await registry.setLabel("p", "eu", "1.0.0");
    const before = new Date(time);
    await registry.setLabel("p", "eu", "1.1.0");
    await registry.rollback("p");
    expect(await registry.resolveAt("p", "eu", before)).toBe("1.0.0");
    expect(await registry.resolveAt("p", "latest", before)).toBe("1.2.0");
    expect(await registry.resolveAt("p", "latest", new Date(time + 1))).toBe("1.1.0");
    expect(await registry.resolveAt("p", "eu", new Date(0))).toBeUndefined();
    await expect(registry.resolveAt("q", "eu", before)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(registry.resolveAt("p", "eu", "yesterday")).rejects.toMatchObject({ code: "INVALID" });
  });
});

describe("removal", () => {
  beforeEach(() => publish("1.0.0", "1.1.0"));

  it("keeps the slot, and takes only the same digest back", async () => {
    const [answer] = await driver.read([askVersion("1.0.0")]);
    const copy = answer?.status === "found" ? answer.document.text : "";
    expect(await registry.deleteVersion("p", "1.0.0", { message: "leaks" })).toMatchObject({ versions: ["1.0.0"] });
    await expect(registry.getPrompt("p@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(registry.storePrompt({ name: "p", version: "1.0.0", text: "new" })).rejects.toMatchObject({
      code: "ALREADY_EXISTS",
    });
    await expect(registry.storePrompt({ name: "p", version: "1.0.0", text: "text of 1.0.0" })).rejects.toMatchObject({
      code: "ALREADY_EXISTS",
    });
    await expect(registry.unyank("p", "1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await registry.deleteVersion("p", "1.0.0")).toMatchObject({ status: "unchanged" });
    expect((await registry.listVersions("p")).items.map((e) => e.version)).toEqual(["1.1.0"]);
    expect((await registry.history("p")).items.map((e) => e.action)).toContain("publish");
    await expect(registry.restoreVersion({ name: "p", version: "1.0.0", text: "text of 1.0.0" })).rejects.toMatchObject(
      { code: "INVALID" },
    );
    expect(await registry.restoreVersion({ name: "p", version: "1.0.0", text: copy })).toMatchObject({
      status: "changed",
    });
    expect(await registry.restoreVersion({ name: "p", version: "1.0.0", text: copy })).toMatchObject({
      status: "unchanged",
    });
    expect((await registry.getPrompt("p@1.0.0")).text).toBe("text of 1.0.0");
    expect((await registry.getPrompt("p@^1.0")).version).toBe("1.1.0");
  });

  it("is not done while only the head says so", async () => {
    let calls = 0;
    const dying = withCommit(async (next, c) => {
      if (calls++ > 0) return next(c);
      // What a crash between head and tombstone leaves.
      await next({ ...c, changes: c.changes.map(({ remove: _, ...change }) => change) });
      throw lost();
    });
    expect(await dying.deleteVersion("p", "1.0.0")).toMatchObject({ status: "removed" });
    await expect(registry.getPrompt("p@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("refuses while a pointer is on the version, and takes a whole prompt with its pointers", async () => {
    await registry.setLabel("p", "eu", "1.0.0");
    await expect(registry.deleteVersion("p", "1.0.0")).rejects.toMatchObject({ code: "CONFLICT" });
    await registry.deletePrompt("p");
    await expect(registry.getPrompt("p")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(registry.getPrompt("p@eu")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect((await registry.listPrompts()).items).toEqual([]);
    expect((await registry.listPrompts({ includeRemoved: true })).items).toMatchObject([{ name: "p", removed: true }]);
    expect(await registry.deletePrompt("p")).toMatchObject({ status: "unchanged" });
    expect(await registry.storePrompt({ name: "p", bump: "minor", text: "again" })).toMatchObject({ version: "1.2.0" });
    expect((await registry.getPrompt("p")).text).toBe("again");
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

describe("unknown outcomes", () => {
  const swallowing = () => {
    let calls = 0;
    const swallow = withCommit(async () => {
      calls++;
      throw lost();
    });
    return { swallow, calls: () => calls };
  };

  it("are sent again a few times at most, and stay unknown", async () => {
    await publish("1.0.0");
    for (const change of [
      (r: PromptRegistry) => r.storePrompt({ name: "p", version: "2.0.0", text: "x" }),
      (r: PromptRegistry) => r.storePrompt({ name: "p", version: "2.0.0", text: "x", labels: ["eu"] }),
      (r: PromptRegistry) => r.setLabel("p", "eu", "1.0.0"),
      (r: PromptRegistry) => r.deleteVersion("p", "1.0.0"),
    ]) {
      const { swallow, calls } = swallowing();
      await expect(change(swallow)).rejects.toMatchObject({ outcome: "unknown" });
      expect(calls()).toBeLessThanOrEqual(3);
    }
  });

  it("are not hidden by an abort that comes after them", async () => {
    const controller = new AbortController();
    const aborting = withCommit(async (next, c) => {
      await next(c);
      controller.abort();
      throw lost();
    });
    const request = { name: "p", version: "1.0.0", text: "x" };
    await expect(aborting.storePrompt(request, { signal: controller.signal })).rejects.toMatchObject({
      outcome: "unknown",
    });
    expect(await registry.storePrompt(request)).toMatchObject({ status: "unchanged" });
  });

  it("do not undo what somebody did to the head since then", async () => {
    await publish("1.0.0");
    await registry.setLabel("p", "production", "1.0.0");
    let calls = 0;
    const dropping = withCommit(async (next, c) => {
      const outcomes = await next(c);
      if (calls++ > 0) return outcomes;
      await registry.setLabel("p", "production", "1.0.0", { message: "roll back" });
      throw lost();
    });
    const stored = await dropping.storePrompt({ name: "p", version: "2.0.0", text: "x", labels: ["production"] });
    expect(stored).toMatchObject({ status: "created" });
    expect((await registry.getPrompt("p@production")).version).toBe("1.0.0");
  });

  it("do not delete again what somebody restored since then", async () => {
    await publish("1.0.0");
    const [answer] = await driver.read([askVersion("1.0.0")]);
    const copy = answer?.status === "found" ? answer.document.text : "";
    let calls = 0;
    const dropping = withCommit(async (next, c) => {
      const outcomes = await next(c);
      if (calls++ > 0) return outcomes;
      await registry.restoreVersion({ name: "p", version: "1.0.0", text: copy });
      throw lost();
    });
    expect(await dropping.deleteVersion("p", "1.0.0")).toMatchObject({ status: "removed", versions: ["1.0.0"] });
    expect((await registry.getPrompt("p@1.0.0")).text).toBe("text of 1.0.0");
  });
});

describe("damage and bad requests", () => {
  async function damage(version: string): Promise<void> {
    const [answer] = await driver.read([askVersion(version)]);
    const text = answer?.status === "found" ? answer.document.text.replace("text of", "test of") : "";
    const inner = driver;
    driver = Object.assign(Object.create(inner), {
      peek: () => undefined,
      read: async (asks: Parameters<StorageDriver["read"]>[0]) =>
        (await inner.read(asks)).map((a) =>
          a.status === "found" && a.document.version === version ? { ...a, document: { ...a.document, text } } : a,
        ),
    });
    registry = new PromptRegistry(driver, { author: "ada", now: tick });
  }

  it("of one prompt keep no other from being stored", async () => {
    await publish("1.0.0");
    await damage("1.0.0");
    const results = await registry.storePrompts([
      { name: "good", bump: "minor", text: "fine" },
      { name: "p", bump: "minor", text: "new" },
    ]);
    expect(results).toMatchObject([{ status: "created" }, { status: "failed", error: { code: "CORRUPT" } }]);
  });

  it("of a version do not keep it from being removed", async () => {
    await publish("1.0.0", "1.1.0");
    await damage("1.0.0");
    await expect(registry.getPrompt("p@1.0.0")).rejects.toMatchObject({ code: "CORRUPT" });
    expect(await registry.deleteVersion("p", "1.0.0")).toMatchObject({ versions: ["1.0.0"] });
    expect(await registry.verify()).toMatchObject({ ok: true, tombstones: 1 });
  });

  it("are no base for what comes after them", async () => {
    await publish("1.0.0");
    const results = await registry.storePrompts([
      { name: "p", version: "5.0.0", text: "refused", expect: "9.9.9" },
      { name: "p", bump: "patch", text: "next" },
    ]);
    expect(results).toMatchObject([{ status: "failed" }, { version: "1.0.1", status: "created" }]);
    const twins = await registry.storePrompts([
      { name: "p", version: "1.0.0", text: "other" },
      { name: "p", version: "1.0.0", text: "text of 1.0.0" },
    ]);
    expect(twins).toMatchObject([{ status: "failed" }, { status: "unchanged" }]);
  });

  it.each([
    undefined,
    null,
    7,
    { name: "p", label: undefined },
    { name: "p", selector: "production" },
    { name: "p", version: 1 },
  ])("as a selector are INVALID: %j", async (selector) => {
    await publish("1.0.0");
    await expect(registry.getPrompt(selector as never)).rejects.toMatchObject({ code: "INVALID" });
  });

  it("in lists reject, and never throw", async () => {
    for (const bad of [
      () => registry.listVersions("BAD"),
      () => registry.history("BAD"),
      () => registry.changes({ limit: 0 }),
    ]) {
      await expect(bad()).rejects.toMatchObject({ code: "INVALID" });
    }
    await expect(
      registry.storePrompt({ name: "p", version: "1.0.0", text: "", labels: "eu" as never }),
    ).rejects.toMatchObject({
      code: "INVALID",
    });
  });

  it("verify reports no label that was put on while it looked", async () => {
    await publish("1.0.0");
    const racing: StorageDriver = Object.assign(Object.create(driver), {
      listVersions: async (...args: Parameters<StorageDriver["listVersions"]>) => {
        const page = await driver.listVersions(...args);
        await registry.storePrompt({ name: "p", version: "1.1.0", text: "new", labels: ["production"] });
        return page;
      },
    });
    expect(await new PromptRegistry(racing).verify()).toMatchObject({ ok: true, problems: [] });
  });
});
