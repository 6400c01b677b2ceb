import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { github } from "../../src/drivers/github/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { skipSuite } from "../support/skip.ts";

const [owner, repo] = (process.env.PROMPT_REGISTRY_GITHUB_LIVE ?? "").split("/");
const token = process.env.GITHUB_TOKEN;

if (!owner || !repo || token === undefined) {
  skipSuite("GitHub itself", "PROMPT_REGISTRY_GITHUB_LIVE=owner/repo and GITHUB_TOKEN are not set");
} else {
  describe("GitHub itself", () => {
    it.each(["git", "graphql"] as const)(
      "publishes, labels, reads and removes on a branch of its own, writes: %s",
      async (writes) => {
        const branch = `prompt-registry-live-${randomUUID()}`;
        const options = { owner, repo, token, branch, create: true, writes };
        const driver = await github(options);
        const registry = new PromptRegistry(driver, { author: "prompt-registry live test" });
        try {
          expect((await driver.check()).checks.filter(({ ok, name }) => !ok && name !== "rules")).toEqual([]);
          await registry.storePrompt({ name: "live/a", version: "1.0.0", text: "one\r\n", labels: ["production"] });
          await registry.storePrompts([1, 2, 3].map((i) => ({ name: `live/b${i}`, version: "1.0.0", text: `${i}\n` })));
          await registry.storePrompt({ name: "live/a", bump: "minor", text: "two\n" });
          await registry.setLabel("live/a", "production", "1.1.0");
          await registry.deleteVersion("live/a", "1.0.0");
          for (const reader of [registry, new PromptRegistry(await github(options))]) {
            expect((await reader.getPrompt("live/a@production")).text).toBe("two\n");
            await expect(reader.getPrompt("live/a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
            expect((await reader.listPrompts({ prefix: "live/" }).all()).map(({ name }) => name)).toHaveLength(4);
            expect((await reader.verify()).problems).toEqual([]);
          }
        } finally {
          await driver.native.octokit
            .request(`DELETE /repos/${owner}/${repo}/git/refs/heads/${branch}`)
            .catch(() => {});
          await driver.close();
        }
      },
    );
  });
}
