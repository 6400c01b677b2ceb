import { describe, expect, it } from "vitest";
import { driver, publish, registry, withCommit } from "../../test/support/registry-lab.ts";
import type { Change, Commit, Outcome, StorageDriver } from "../driver.ts";
import { RegistryError } from "../errors.ts";
import { parseName } from "../names.ts";
import { PromptRegistry } from "../registry.ts";
import { parseVersion } from "../semver.ts";
import type { StoreFailure } from "./store-result.ts";

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

describe("a storage that says it stored something else", () => {
  const text = "mine\n";
  const stored = [{ name: parseName("q"), version: parseVersion("1.0.0"), text: "damaged" }];

  it.each(["storePrompt", "storePrompts"] as const)("is asked what it has, by %s", async (method) => {
    const lying = withCommit(async (next, commit) =>
      (await next(commit)).map((outcome) => (outcome.status === "done" ? { ...outcome, stored } : outcome)),
    );
    const request = { name: "p", version: "1.0.0", text };
    const result =
      method === "storePrompt" ? await lying.storePrompt(request) : (await lying.storePrompts([request]))[0];
    expect(result).toMatchObject({ status: "created", digest: (await registry.getPrompt("p@1.0.0")).digest });
  });

  it.each(["storePrompt", "storePrompts"] as const)(
    "and nothing is claimed where it has nothing, by %s",
    async (method) => {
      const lying = withCommit(async (_, { changes }) => changes.map((): Outcome => ({ status: "done", stored })));
      const request = { name: "p", version: "1.0.0", text };
      const error =
        method === "storePrompt"
          ? await lying.storePrompt(request).catch((e: unknown) => e)
          : await lying.storePrompts([request]).then(([result]) => (result as StoreFailure).error);
      expect(error).toMatchObject({ code: "INTERNAL", outcome: "unknown" });
    },
  );
});
