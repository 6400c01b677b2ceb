import { describe, expect, it } from "vitest";
import { askVersion, driver, lost, publish, registry, withCommit } from "../../test/support/registry-lab.ts";
import type { StorageDriver } from "../driver.ts";
import { memory } from "../drivers/memory.ts";
import { RegistryError } from "../errors.ts";
import { PromptRegistry } from "../registry.ts";

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

  it("done again, moves no label back that others have moved on from what was expected", async () => {
    const first = { name: "p", version: "1.0.0", text: "one", labels: ["production"], expect: null };
    const second = { name: "p", version: "2.0.0", text: "two", labels: ["production"], expect: "1.0.0" };
    await registry.storePrompt(first);
    // One's own earlier try is no reason to refuse, nor is there anything to refuse where nothing would move.
    expect(await registry.storePrompt(first)).toMatchObject({ status: "unchanged" });
    expect(await registry.storePrompt({ ...first, labels: ["production", "eu"] })).toMatchObject({
      status: "unchanged",
    });
    await registry.storePrompt(second);
    await expect(registry.storePrompt(first)).rejects.toMatchObject({
      code: "CONFLICT",
      context: { version: "2.0.0" },
    });
    expect((await registry.getPrompt("p@production")).version).toBe("2.0.0");
    expect(await registry.storePrompt({ name: "p", version: "1.0.0", text: "one", expect: null })).toMatchObject({
      status: "unchanged",
    });
    expect(await registry.storePrompt({ ...first, expect: "2.0.0" })).toMatchObject({ status: "unchanged" });
    expect((await registry.getPrompt("p@production")).version).toBe("1.0.0");
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
