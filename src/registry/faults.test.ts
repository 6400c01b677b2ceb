import { describe, expect, it } from "vitest";
import { askVersion, driver, lost, publish, registry, time, use, withCommit } from "../../test/support/registry-lab.ts";
import type { StorageDriver } from "../driver.ts";
import { PromptRegistry } from "../registry.ts";

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

  it("are found behind any number of changes that others made since, whatever their clocks say", async () => {
    await publish("1.0.0", "1.5.0");
    const others = new PromptRegistry(driver, { now: () => new Date(time + 600_000) });
    let calls = 0;
    const dropping = withCommit(async (next, c) => {
      const outcomes = await next(c);
      if (calls++ > 0) return outcomes;
      for (let i = 0; i < 150; i++) await others.storePrompt({ name: "p", version: `0.0.${i}`, text: "x" });
      await others.setLabel("p", "eu", "1.5.0");
      throw lost();
    });
    expect(await dropping.setLabel("p", "eu", "1.0.0")).toMatchObject({ status: "changed" });
    expect((await registry.getPrompt("p@eu")).version).toBe("1.5.0");
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
    const damaged: StorageDriver = Object.assign(Object.create(inner), {
      peek: () => undefined,
      read: async (asks: Parameters<StorageDriver["read"]>[0]) =>
        (await inner.read(asks)).map((a) =>
          a.status === "found" && a.document.version === version ? { ...a, document: { ...a.document, text } } : a,
        ),
    });
    use(damaged);
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
