import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadConfig, openRegistry, parseLocation } from "../../src/config.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { git, openGithub, testOptions } from "../support/github-world.ts";

let server: GitHubServer;
beforeAll(async () => {
  server = await startGitHub({ limits: { core: 1e6, graphql: 1e6 } });
});
afterAll(async () => {
  await server.close();
});

const text = { name: "a", version: "1.0.0", text: "one\n" };

describe("locations", () => {
  it.each([
    ["github:acme/prompts", { backend: "github", owner: "acme", repo: "prompts" }],
    ["github:acme/prompts.git#main", { backend: "github", owner: "acme", repo: "prompts", branch: "main" }],
    [
      "github:acme/p/team/x#feature/y",
      { backend: "github", owner: "acme", repo: "p", path: "team/x", branch: "feature/y" },
    ],
    ["github:acme/p?writes=graphql#b", { backend: "github", owner: "acme", repo: "p", writes: "graphql", branch: "b" }],
  ])("%s", (location, expected) => {
    expect(parseLocation(location)).toEqual(expected);
  });

  it.each(["github:", "github:acme", "github:acme/p#", "github:acme/p?token=ghp_secret"])(
    "%s is CONFIG",
    async (location) => {
      const error = await loadConfig(location, { env: {}, configFile: false }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "CONFIG" });
      expect(String(error)).not.toContain("secret");
    },
  );

  it("opens a registry with its options, checked", async () => {
    const { owner, repo, token, url: baseUrl } = server;
    const registry = await openRegistry({
      storage: { backend: "github", owner, repo, token, baseUrl: `${baseUrl}/api/v3`, spacing: 0 },
    });
    await registry.storePrompt({ ...text, name: "by/config" });
    expect((await registry.getPrompt("by/config")).text).toBe("one\n");
    await registry.close();
    const wrong = openRegistry({ storage: { backend: "github", owner, repo, spacing: "soon", colour: 1 } as never });
    await expect(wrong).rejects.toMatchObject({ code: "CONFIG" });
  });
});

describe("what is not there", () => {
  it("an empty repository is CONFIG, and gets its first commit when asked", async () => {
    const at = await server.addRepository({ name: `empty-${randomUUID()}`, init: false });
    const before = new PromptRegistry(await openGithub(server, at));
    for (const run of [() => before.getPrompt("a"), () => before.listPrompts().all(), () => before.storePrompt(text)]) {
      await expect(run()).rejects.toMatchObject({ code: "CONFIG", message: expect.stringContaining("create: true") });
    }
    const registry = new PromptRegistry(await openGithub(server, at, { create: true }));
    expect(await registry.listPrompts().all()).toEqual([]);
    await registry.storePrompt(text);
    expect((await before.getPrompt("a")).text).toBe("one\n");
    expect(git(at.gitDir, ["show", "main:.gitattributes"]).toString()).toContain("*.md -text");
  });

  it("a missing branch is CONFIG, and starts at the default branch when asked", async () => {
    const at = await server.addRepository({ name: `branch-${randomUUID()}` });
    await new PromptRegistry(await openGithub(server, at)).storePrompt(text);
    const options = { branch: "feature/x" };
    const before = new PromptRegistry(await openGithub(server, at, options));
    await expect(before.getPrompt("a")).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringContaining("feature/x"),
    });
    const registry = new PromptRegistry(await openGithub(server, at, { ...options, create: true }));
    await registry.storePrompt({ ...text, version: "2.0.0" });
    expect((await registry.getPrompt("a")).version).toBe("2.0.0");
    expect((await new PromptRegistry(await openGithub(server, at)).getPrompt("a")).version).toBe("1.0.0");
  });

  it("a repository that is not there, or not for this token, is CONFIG and no absent prompt; made when asked", async () => {
    const place = { ...server, repo: `new-${randomUUID()}` };
    const before = new PromptRegistry(await openGithub(server, place));
    await expect(before.getPrompt("a")).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringContaining("no such repository"),
    });
    const registry = new PromptRegistry(await openGithub(server, place, { create: true }));
    await registry.storePrompt(text);
    expect((await before.getPrompt("a")).text).toBe("one\n");
  });

  it("a wrong token is UNAUTHENTICATED, a token that may only read is FORBIDDEN to write", async () => {
    const at = await server.addRepository({ name: `token-${randomUUID()}` });
    const stranger = new PromptRegistry(await openGithub(server, at, { token: "ghp_wrong" }));
    await expect(stranger.getPrompt("a")).rejects.toMatchObject({ code: "UNAUTHENTICATED", outcome: "final" });
    const token = server.addToken({ permission: "read" });
    for (const writes of ["git", "graphql"] as const) {
      const driver = await openGithub(server, at, { token, writes });
      const reader = new PromptRegistry(driver);
      await expect(reader.getPrompt("a")).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(reader.storePrompt(text)).rejects.toMatchObject({ code: "FORBIDDEN", outcome: "final" });
      const { ok, checks } = await driver.check();
      expect([ok, checks.find(({ name }) => name === "write")?.ok]).toEqual([false, false]);
    }
  });

  it("a limit that is used up is RATE_LIMITED with the time to wait, and is not asked against", async () => {
    const own = await startGitHub();
    try {
      const driver = await openGithub(own);
      own.setRemaining(0);
      own.setRemaining(0, "graphql");
      for (let i = 0; i < 3; i++) {
        const error = await driver.listPrompts({ limit: 1 }).catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: "RATE_LIMITED", outcome: "temporary" });
        expect((error as { context: { retryAfter: number } }).context.retryAfter).toBeGreaterThan(0);
      }
      expect(own.requests).toHaveLength(1);
      await driver.close();
    } finally {
      await own.close();
    }
  });
});

describe("check", () => {
  it("tells repository, branch, the right to write, rules and what is left of the limits", async () => {
    const at = await server.addRepository({ name: `check-${randomUUID()}` });
    const driver = await openGithub(server, at);
    const health = await driver.check();
    expect(health.checks.map(({ name, ok }) => [name, ok])).toEqual([
      ["repository", true],
      ["branch", true],
      ["write", true],
      ["rules", true],
      ["limits", true],
    ]);
    expect(health.checks.at(-1)?.figures).toMatchObject({ coreLimit: 1e6 });
    at.rule({ type: "pull_request" });
    const rules = (await driver.check()).checks.find(({ name }) => name === "rules");
    expect(rules).toMatchObject({ ok: false, detail: expect.stringContaining("pull_request") });
    await expect(new PromptRegistry(driver).storePrompt(text)).rejects.toMatchObject({
      code: "FORBIDDEN",
      outcome: "final",
    });
    expect(JSON.stringify(health)).not.toContain(testOptions(server).token);
    await driver.close();
  });
});
