import { afterAll, describe, expect, it } from "vitest";
import { PromptRegistry } from "../../src/registry.ts";
import { type GitHubOptions, type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { validateExchange } from "../support/github-openapi/validate.ts";
import { openGithub } from "../support/github-world.ts";

/** A day with a registry: everything a driver asks GitHub for, once. */
async function day(server: GitHubServer, options: Parameters<typeof openGithub>[2]): Promise<void> {
  const driver = await openGithub(server, server, options);
  const registry = new PromptRegistry(driver);
  const at = { limit: 10 };
  try {
    const { cursor } = await driver.changes({ limit: 10 });
    await registry.storePrompt({ name: "support/triage", version: "1.0.0", text: "one\n" });
    await registry.storePrompts([
      { name: "support/triage", version: "1.1.0", text: "two\n" },
      { name: "mail/reply", version: "0.1.0", text: "---\ntitle: reply\n---\nä\r\n" },
    ]);
    await registry.setLabel("support/triage", "production", "1.0.0");
    await registry.rollback("support/triage", { to: "1.0.0" });
    expect((await registry.getPrompt("support/triage@production")).version).toBe("1.0.0");
    const other = await openGithub(server, server, options);
    try {
      const cold = new PromptRegistry(other);
      expect((await cold.getPrompt("mail/reply")).text).toBe("---\ntitle: reply\n---\nä\r\n");
      expect((await cold.getPrompts(["support/triage@1.1.0", "mail/reply"])).length).toBe(2);
      expect((await cold.listPrompts({ include: "heads", ...at })).items.map(({ name }) => name)).toEqual([
        "mail/reply",
        "support/triage",
      ]);
      expect((await cold.listVersions("support/triage", at)).items.length).toBe(2);
      expect((await cold.history("support/triage", at)).items.length).toBeGreaterThanOrEqual(4);
      expect(
        (await other.changes({ limit: 10, ...(cursor === undefined ? {} : { cursor }) })).items.length,
      ).toBeGreaterThan(0);
      expect((await other.check()).checks.filter(({ ok }) => !ok)).toEqual([]);
      await other.repair({ repair: [], at: new Date().toISOString() });
    } finally {
      await other.close();
    }
  } finally {
    await driver.close();
  }
}

const servers: GitHubServer[] = [];
afterAll(async () => {
  for (const server of servers) await server.close();
});

async function start(options: GitHubOptions = {}): Promise<GitHubServer> {
  const server = await startGitHub({ validate: validateExchange, ...options });
  servers.push(server);
  return server;
}

describe("every request of the driver is one that GitHub's description knows", () => {
  for (const [name, options, driver] of [
    ["by REST alone", { graphql: false }, { graphql: "off" }],
    ["by REST, reading by GraphQL", {}, {}],
    ["by GraphQL", {}, { graphql: "on", writes: "graphql" }],
    ["where GraphQL is missing", { graphql: false }, { graphql: "auto" }],
    ["where trees are cut", { treeLimit: { entries: 8 } }, {}],
    ["on a new branch of an empty repository", { repository: { init: false } }, { create: true, branch: "prompts" }],
  ] as const) {
    it(name, async () => {
      const server = await start(options);
      await day(server, driver);
      expect(server.problems).toEqual([]);
      await server.checkRepositories();
    });
  }
});
