import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GithubOptions } from "../../src/drivers/github/index.ts";
import { isRegistryError } from "../../src/errors.ts";
import { retry, stack } from "../../src/layers/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { type GitHubFault, type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { git, openGithub } from "../support/github-world.ts";

const FULL = process.env.PROMPT_REGISTRY_GITHUB_FULL === "1";
let server: GitHubServer;
beforeAll(async () => {
  server = await startGitHub({ limits: { core: 1e7, graphql: 1e7 } });
});
afterAll(async () => {
  await server.close();
});

const json = { "content-type": "application/json; charset=utf-8" };
const SECONDARY = JSON.stringify({ message: "You have exceeded a secondary rate limit. Please wait a few minutes." });
const FAULTS: Readonly<Record<string, GitHubFault>> = {
  "drop before": { kind: "drop-before" },
  "drop after": { kind: "drop-after" },
  "429": { kind: "reply", status: 429, headers: { ...json, "retry-after": "0" }, body: SECONDARY },
  "403 secondary": { kind: "reply", status: 403, headers: { ...json, "retry-after": "0" }, body: SECONDARY },
  "500": { kind: "reply", status: 500, headers: json, body: '{"message":"Server Error"}' },
  "500 after": { kind: "reply-after", status: 500, headers: json, body: '{"message":"Server Error"}' },
  "502 HTML": { kind: "reply", status: 502, headers: { "content-type": "text/html" }, body: "<html>Unicorn!</html>" },
  "502 HTML after": {
    kind: "reply-after",
    status: 502,
    headers: { "content-type": "text/html" },
    body: "<html></html>",
  },
  "200 HTML": { kind: "reply", status: 200, headers: { "content-type": "text/html" }, body: "<html>log in</html>" },
  "cut body": { kind: "cut", bytes: 20 },
  "stale head": { kind: "stale", ms: 30_000 },
};

type Step = readonly [name: string, run: (registry: PromptRegistry) => Promise<unknown>];
const STEPS: readonly Step[] = [
  ["publish 1.0.0", (r) => r.storePrompt({ name: "a", version: "1.0.0", text: "one\n" })],
  ["publish 1.1.0", (r) => r.storePrompt({ name: "a", version: "1.1.0", text: "two\n", labels: ["production"] })],
  ["label", (r) => r.setLabel("a", "production", "1.0.0")],
  ["publish b", (r) => r.storePrompts(["b", "c"].map((name) => ({ name, version: "1.0.0", text: `${name}\n` })))],
  ["delete", (r) => r.deleteVersion("c", "1.0.0")],
];

interface World {
  readonly gitDir: string;
  readonly registry: PromptRegistry;
  readonly fresh: () => Promise<PromptRegistry>;
}

async function world(options: Partial<GithubOptions>): Promise<World> {
  const at = await server.addRepository({ name: `f-${randomUUID()}` });
  const driver = await openGithub(server, at, { timeout: 2000, ...options });
  const layers = [retry({ attempts: 3, baseDelay: 1, budget: 100 })];
  return {
    gitDir: at.gitDir,
    registry: new PromptRegistry(stack(driver, layers), { author: "ada" }),
    fresh: async () => new PromptRegistry(await openGithub(server, at, options)),
  };
}

async function look(registry: PromptRegistry): Promise<unknown> {
  const found: unknown[] = [];
  for await (const { name, removed } of registry.listPrompts({ includeRemoved: true })) {
    const versions = await registry.listVersions(name, { includeRemoved: true }).all();
    const texts = [];
    for (const v of versions.filter((entry) => !entry.removed))
      texts.push((await registry.getPrompt(`${name}@${v.version}`)).text);
    const production = await registry.getPrompt(`${name}@production`).then(
      (prompt) => prompt.version,
      (error) => error.code,
    );
    const history = (await registry.history(name).all()).map(({ action, label, from, to }) => ({
      action,
      label,
      from,
      to,
    }));
    found.push({ name, removed, versions: versions.map((v) => v.version), texts, production, history });
  }
  expect((await registry.verify()).problems).toEqual([]);
  return found;
}

/** Commit ids in the log, and how often each is there. */
function trailers(gitDir: string): string[] {
  const log = git(gitDir, ["log", "--format=%(trailers:key=Prompt-Registry-Commit-Id,valueonly)", "main"]).toString();
  return log.split("\n").filter((line) => line !== "");
}

/** What a mutation can meet that objects and a reference can't: its one reply is lost. */
const TELLING = ["drop before", "drop after", "403 secondary", "500 after", "cut body", "stale head"];

for (const writes of ["git", "graphql"] as const) {
  describe(`GitHub faults, writes: ${writes}`, () => {
    let count = 0;
    let expected: unknown;

    // Without faults everything happens: how many requests that takes, and what is there in the end.
    beforeAll(async () => {
      const { registry, fresh, gitDir } = await world({ writes });
      server.reset();
      for (const [, run] of STEPS) await run(registry);
      count = server.requests.length;
      expected = await look(await fresh());
      expect(trailers(gitDir)).toHaveLength(STEPS.length);
    });

    for (const [name, fault] of Object.entries(FAULTS)) {
      if (!FULL && writes === "graphql" && !TELLING.includes(name)) continue;
      it(`${name}, at every request: what was acknowledged is there, nothing is twice, and doing it again completes it`, async () => {
        expect(count).toBeGreaterThan(STEPS.length * 2);
        // Each index meets a fifth of the faults, each fault a fifth of the indexes; all of both with the variable set.
        for (let at = FULL ? 0 : Object.keys(FAULTS).indexOf(name) % 5; at < count; at += FULL ? 1 : 5) {
          const { registry, fresh, gitDir } = await world({ writes });
          server.reset();
          server.faultWhen((request) => (request.index === at ? fault : undefined));
          const failed: Step[] = [];
          for (const step of STEPS) {
            try {
              await step[1](registry);
            } catch (error) {
              if (!isRegistryError(error)) throw error;
              expect(["temporary", "unknown"], `${at}: ${error.message}`).toContain(error.outcome);
              failed.push(step);
            }
          }
          server.reset();
          if (failed.length === 0) expect(await look(await fresh()), `request ${at}`).toEqual(expected);
          for (const [, run] of failed) await run(registry);
          expect(await look(await fresh()), `request ${at}, completed`).toEqual(expected);
          const ids = trailers(gitDir);
          expect(new Set(ids).size, `request ${at}`).toBe(ids.length);
        }
      });
    }
  });
}

describe("a branch that is read late", () => {
  it("shows a writer what it wrote, and takes its next commit, though every read is old", async () => {
    const at = await server.addRepository({ name: `lag-${randomUUID()}` });
    const driver = await openGithub(server, at);
    const registry = new PromptRegistry(driver);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    server.lag = 3_600_000;
    try {
      for (let i = 1; i <= 5; i++) {
        await registry.storePrompt({ name: "a", version: `1.${i}.0`, text: `text ${i}\n` });
        expect((await registry.getPrompt("a")).version).toBe(`1.${i}.0`);
        expect(await registry.listVersions("a").all()).toHaveLength(i + 1);
      }
    } finally {
      server.lag = 0;
    }
    expect(await new PromptRegistry(await openGithub(server, at)).listVersions("a").all()).toHaveLength(6);
    await driver.close();
  });

  it("is HISTORY_REWRITTEN when it stays behind for longer than a replica may", async () => {
    const at = await server.addRepository({ name: `old-${randomUUID()}` });
    const driver = await openGithub(server, at, { maxLag: 0 });
    const registry = new PromptRegistry(driver);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    await registry.storePrompt({ name: "a", version: "1.1.0", text: "two\n" });
    git(at.gitDir, ["update-ref", "refs/heads/main", "main~1"]);
    await registry.getPrompt("a").catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 5));
    await expect(driver.listPrompts({ limit: 1 })).rejects.toMatchObject({
      code: "HISTORY_REWRITTEN",
      outcome: "final",
    });
    await driver.close();
  });
});

describe("a branch that was rewritten", () => {
  it("is never believed again by a handle that knew it before, and is by a new one", async () => {
    const at = await server.addRepository({ name: `rewritten-${randomUUID()}` });
    const driver = await openGithub(server, at);
    const registry = new PromptRegistry(driver);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    const tree = git(at.gitDir, ["rev-parse", "main~1^{tree}"]).toString().trim();
    const other = git(at.gitDir, ["commit-tree", tree, "-m", "another past"]).toString().trim();
    git(at.gitDir, ["update-ref", "refs/heads/main", other]);
    for (let i = 0; i < 2; i++) {
      await expect(registry.getPrompt("a")).rejects.toMatchObject({ code: "HISTORY_REWRITTEN", outcome: "final" });
      const write = registry.storePrompt({ name: "a", version: "2.0.0", text: "two\n" });
      await expect(write).rejects.toMatchObject({ code: "HISTORY_REWRITTEN" });
    }
    const again = new PromptRegistry(await openGithub(server, at));
    await expect(again.getPrompt("a")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await again.storePrompt({ name: "a", version: "2.0.0", text: "two\n" });
    await driver.close();
  });
});
