import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { HistoryEntry } from "../../src/driver.ts";
import { fs } from "../../src/drivers/fs/index.ts";
import { parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { commitOf, headOf } from "../../src/testing/builders.ts";
import { type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { openGithub } from "../support/github-world.ts";

let server: GitHubServer;
const folder = mkdtempSync(join(tmpdir(), "fs-heads-"));
beforeAll(async () => {
  server = await startGitHub({ limits: { core: 1e6, graphql: 1e6 } });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const name = parseName("a");
const entry = (message: string): HistoryEntry => ({ at: "2026-01-01T00:00:00.000Z", action: "unyank", message });

// A repository keeps all of a history in latest.json, so a folder must read what is larger than any document.
it("the long history of a repository is read by its clone, and one that no clone could read is refused", async () => {
  const at = await server.addRepository({ name: `heads-${randomUUID()}` });
  const driver = await openGithub(server, at);
  const registry = new PromptRegistry(driver);
  await registry.storePrompt({ name, version: "1.0.0", text: "one\n", labels: ["production"] });
  const tell = async (entries: readonly HistoryEntry[]) => {
    const [answer] = await driver.read([{ name, selector: { kind: "head" } }]);
    const expect = answer?.status === "head" ? answer.head.revision : null;
    const next = headOf({ labels: { production: "1.0.0" } });
    return (await driver.commit(commitOf({ name, head: { expect, next, entries } })))[0];
  };
  const long = Array.from({ length: 60 }, (_, i) => entry(`${i} ${"x".repeat(50_000)}`));
  expect(await tell(long)).toMatchObject({ status: "done" });
  const huge = await tell(Array.from({ length: 65 }, () => entry("x".repeat(2 ** 20))));
  expect(huge).toMatchObject({ status: "failed", error: { code: "INVALID", outcome: "final" } });
  execFileSync("git", ["clone", "-q", at.gitDir, join(folder, "clone")]);
  expect(statSync(join(folder, "clone/prompts/a/latest.json")).size).toBeGreaterThan(2 ** 21);
  const clone = new PromptRegistry(fs({ path: join(folder, "clone") }));
  expect(await clone.getPrompt("a@production")).toMatchObject({ text: "one\n" });
  expect((await clone.history("a").all()).length).toBe((await registry.history("a").all()).length);
  expect(await clone.doctor()).toMatchObject({ ok: true });
});
