import { beforeEach, describe, expect, it } from "vitest";
import { askVersion, driver, lost, publish, registry, time, withCommit } from "../../test/support/registry-lab.ts";
import { type OpenedDocument, openStored } from "../document.ts";
import type { StorageDriver } from "../driver.ts";
import { RegistryError } from "../errors.ts";
import { parseName } from "../names.ts";
import { PromptRegistry } from "../registry.ts";
import { parseVersion } from "../semver.ts";
import { commitOf, tombstoneOf } from "../testing/builders.ts";

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

  it("a version that was yanked before it was removed comes back yanked", async () => {
    const copyOf = async (version: string) => {
      const [answer] = await driver.read([askVersion(version)]);
      return answer?.status === "found" ? answer.document.text : "";
    };
    const [bad, good] = [await copyOf("1.2.0"), await copyOf("1.1.0")];
    await registry.yank("p", "1.1.0");
    await registry.unyank("p", "1.1.0");
    await registry.yank("p", "1.2.0", { message: "leaks data" });
    for (let i = 0; i < 2; i++) {
      for (const version of ["1.2.0", "1.1.0"]) await registry.deleteVersion("p", version);
      await registry.restoreVersion({ name: "p", version: "1.2.0", text: bad });
      await registry.restoreVersion({ name: "p", version: "1.1.0", text: good });
      expect((await registry.getPrompt("p")).version).toBe("1.1.0");
      expect((await registry.getPrompt("p@^1")).version).toBe("1.1.0");
      const prompt = await registry.getPrompt("p@1.2.0", { status: true });
      expect(prompt.yanked).toMatchObject({ reason: "leaks data" });
      expect(prompt.yanked).not.toHaveProperty("removed");
    }
    expect(await registry.resolveAt("p", "latest", new Date(Date.now() + 1e12))).toBe("1.1.0");
    await registry.unyank("p", "1.2.0");
    expect((await registry.getPrompt("p")).version).toBe("1.2.0");
  });

  it("comes back yanked whatever the clocks said, and at all where the history is damaged", async () => {
    const ahead = new PromptRegistry(driver, { now: () => new Date(time + 300_000) });
    await ahead.storePrompt({ name: "p", version: "1.3.0", text: "bad" });
    await registry.yank("p", "1.3.0", { message: "leaks keys" });
    const [answer] = await driver.read([askVersion("1.3.0")]);
    const copy = { name: "p", version: "1.3.0", text: answer?.status === "found" ? answer.document.text : "" };
    await registry.deleteVersion("p", "1.3.0");
    await registry.restoreVersion(copy);
    expect((await registry.getPrompt("p")).version).toBe("1.2.0");
    await registry.deleteVersion("p", "1.3.0");
    const damaged: StorageDriver = Object.assign(Object.create(driver), {
      history: async () => {
        throw new RegistryError("CORRUPT", "one file of many");
      },
    });
    expect(await new PromptRegistry(damaged).restoreVersion(copy)).toMatchObject({ status: "changed" });
    expect((await registry.getPrompt("p@1.3.0")).text).toBe("bad");
  });

  it("a restore that only brings the document back looks again where others restored and removed it meanwhile", async () => {
    const [answer] = await driver.read([askVersion("1.0.0")]);
    const { text } = (answer as { readonly document: { readonly text: string } }).document;
    const copy = { name: "p", version: "1.0.0", text };
    const slot = { name: parseName("p"), version: parseVersion("1.0.0") };
    const { digest } = openStored(text, slot) as OpenedDocument;
    // As a copy of an older registry may be: there is a tombstone, of which the head knows nothing.
    await driver.commit(commitOf({ name: parseName("p"), remove: [tombstoneOf({ ...slot, text, digest })] }));
    let others = 0;
    const late = withCommit(async (next, c) => {
      if (others++ === 0) {
        await registry.restoreVersion(copy);
        await registry.deleteVersion("p", "1.0.0");
      }
      return next(c);
    });
    expect(await late.restoreVersion(copy)).toMatchObject({ status: "changed" });
    expect((await registry.getPrompt("p@1.0.0")).text).toContain("1.0.0");
    expect((await registry.verify()).problems).toEqual([]);
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
