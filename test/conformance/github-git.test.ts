import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { fs } from "../../src/drivers/fs/index.ts";
import { parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { type GitHubRepositoryHandle, type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { copyStorage } from "../../src/transfer/index.ts";
import { loadCorpus } from "../support/corpus.ts";
import { commitByGit, git, gitEnv, openGithub } from "../support/github-world.ts";

let server: GitHubServer;
const root = mkdtempSync(join(tmpdir(), "github-git-"));
beforeAll(async () => {
  server = await startGitHub({ limits: { core: 1e6, graphql: 1e6 } });
});
afterAll(async () => {
  await server.checkRepositories();
  await server.close();
  rmSync(root, { recursive: true, force: true });
});

const place = () => server.addRepository({ name: `g-${randomUUID()}` });
const run = (cwd: string, ...args: string[]) =>
  execFileSync("git", args, { cwd, env: gitEnv(), stdio: ["ignore", "pipe", "pipe"] }).toString();

function clone({ gitDir }: GitHubRepositoryHandle): string {
  const to = join(root, `clone-${randomUUID()}`);
  execFileSync("git", ["clone", "--quiet", "--", gitDir, to], { env: gitEnv(), stdio: ["ignore", "pipe", "pipe"] });
  return to;
}

/** Everything a reader can see. */
async function contents(driver: StorageDriver) {
  const registry = new PromptRegistry(driver);
  const found: Record<string, unknown> = {};
  for await (const { name } of registry.listPrompts({ includeRemoved: true })) {
    const [head] = await driver.read([{ name: parseName(name), selector: { kind: "head" } }]);
    const versions = await registry.listVersions(name, { includeRemoved: true }).all();
    const answers = await driver.read(
      versions.map(({ version }) => ({
        name: parseName(name),
        selector: { kind: "version", version: version as never },
      })),
    );
    const state = head?.status === "head" ? { ...head.head, revision: undefined } : head;
    found[name] = {
      state,
      versions,
      texts: answers.map((answer) => ("document" in answer ? answer.document.text : answer.status)),
      history: await registry.history(name).all(),
    };
  }
  return found;
}

async function fill(driver: StorageDriver): Promise<PromptRegistry> {
  const registry = new PromptRegistry(driver, { author: "Ada <ada@example.org>" });
  for (const version of ["1.0.0", "1.1.0", "2.0.0"]) {
    const text = `---\nmodel: m\n---\nVersion ${version}\r\n✓ no final newline`;
    await registry.storePrompt({ name: "support/triage", version, text, message: `why ${version}` });
  }
  await registry.setLabel("support/triage", "production", "1.0.0");
  await registry.setLabel("support/triage", "production", "1.1.0", { message: "better" });
  await registry.setLabel("support/triage", "staging", "1.1.0");
  await registry.rollback("support/triage");
  await registry.storePrompt({ name: "support/reply", version: "0.1.0-beta.1", text: "\ufeffbom\n" });
  await registry.storePrompt({ name: "support/reply", version: "0.1.0", text: "" });
  await registry.deleteVersion("support/reply", "0.1.0-beta.1", { message: "leaked" });
  await registry.storePrompt({ name: "a", version: "1.0.0", text: "plain\n" });
  await registry.yank("a", "1.0.0", { message: "wrong" });
  return registry;
}

describe("a clone of a GitHub registry is a folder registry, and the reverse", () => {
  it("opens a clone as a folder with the same texts, heads, versions and history, and real links", async () => {
    const at = await place();
    const driver = await openGithub(server, at);
    await fill(driver);
    const folder = clone(at);
    expect(await contents(fs({ path: folder }))).toEqual(await contents(driver));
    expect(readlinkSync(join(folder, "prompts/support/triage/production.md"))).toBe("v1.1.0.md");
    expect(readlinkSync(join(folder, "prompts/support/triage/latest.md"))).toBe("v1.1.0.md");
    const plan = { repair: [], at: "2026-01-01T00:00:00.000Z" } as const;
    expect((await fs({ path: folder }).repair(plan)).findings).toEqual([]);
    expect((await driver.repair(plan)).findings).toEqual([]);
    await driver.close();
  });

  it("goes on in the clone, and reads what was pushed from there", async () => {
    const at = await place();
    const driver = await openGithub(server, at);
    await fill(driver);
    const folder = clone(at);
    const local = new PromptRegistry(fs({ path: folder }), { author: "grace" });
    await local.storePrompt({ name: "support/triage", version: "3.0.0", text: "three\n" });
    await local.setLabel("support/triage", "production", "3.0.0");
    await local.unpin("support/triage");
    await local.deleteVersion("a", "1.0.0");
    run(folder, "add", "-A");
    run(folder, "commit", "--quiet", "-m", "by hand");
    run(folder, "push", "--quiet", "origin", "HEAD");
    expect(await contents(driver)).toEqual(await contents(fs({ path: folder })));
    const remote = new PromptRegistry(driver, { author: "ada" });
    await remote.setLabel("support/triage", "production", "2.0.0");
    await remote.storePrompt({ name: "support/triage", version: "3.1.0", text: "four\n", labels: ["next"] });
    run(folder, "pull", "--quiet", "--ff-only");
    expect(await contents(fs({ path: folder }))).toEqual(await contents(driver));
    expect((await local.getPrompt("support/triage@next")).version).toBe("3.1.0");
    await driver.close();
  });

  it("reads a folder registry that was pushed with Git, with links, with link texts and without .heads", async () => {
    for (const links of ["symlink", "text"] as const) {
      const folder = join(root, `folder-${links}`);
      await fill(fs({ path: folder, links }));
      for (const heads of [true, false]) {
        const at = await place();
        const work = clone(at);
        cpSync(join(folder, "prompts"), join(work, "prompts"), { recursive: true, verbatimSymlinks: true });
        if (!heads) run(work, "config", "core.excludesFile", excludes(".heads/\n"));
        run(work, "add", "-A");
        run(work, "commit", "--quiet", "-m", "the folder");
        run(work, "push", "--quiet", "origin", "HEAD");
        const driver = await openGithub(server, at);
        expect(await contents(driver)).toEqual(await contents(fs({ path: folder })));
        await driver.close();
      }
    }
  });

  it("takes labels from links, and files dropped in by hand as unsealed, where there is no head", async () => {
    const at = await place();
    commitByGit(at.gitDir, "main", [
      { path: "prompts/hand/v1.0.0.md", bytes: "one\r\n" },
      { path: "prompts/hand/v1.1.0.md", bytes: "two\n" },
      { path: "prompts/hand/production.md", bytes: "v1.0.0.md", mode: "120000" },
      { path: "prompts/hand/staging.md", bytes: "v1.1.0.md\n" },
      { path: "prompts/hand/gone.md", bytes: "v9.0.0.md", mode: "120000" },
      { path: "prompts/hand/latest.md", bytes: "v1.0.0.md", mode: "120000" },
      { path: "prompts/hand/v2.0.0.md", bytes: "v1.1.0.md", mode: "120000" },
      { path: "README.md", bytes: "not a prompt\n" },
    ]);
    const driver = await openGithub(server, at);
    const registry = new PromptRegistry(driver);
    const prompt = await registry.getPrompt("hand@production");
    expect([prompt.version, prompt.text, prompt.sealed]).toEqual(["1.0.0", "one\r\n", false]);
    expect((await registry.getPrompt("hand@staging")).version).toBe("1.1.0");
    expect((await registry.getPrompt("hand")).version).toBe("1.1.0");
    await expect(registry.getPrompt("hand@gone")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await registry.listPrompts().all()).toHaveLength(1);
    const { findings } = await registry.doctor({ fix: ["projection", "unsealed"] });
    expect(findings.map(({ kind, repaired }) => [kind, repaired]).sort()).toEqual([
      ["head", false],
      ["projection", true],
      ["unsealed", true],
      ["unsealed", true],
    ]);
    expect((await registry.getPrompt("hand@1.0.0")).sealed).toBe(true);
    await driver.close();
  });

  it("never trusts latest.json over the version files", async () => {
    const at = await place();
    const driver = await openGithub(server, at);
    const registry = await fill(driver);
    const file = "prompts/support/triage/latest.json";
    const text = git(at.gitDir, ["cat-file", "blob", `main:${file}`]).toString();
    const head = JSON.parse(text) as {
      labels: Record<string, string>;
      latest: string;
      pin?: string;
      generation: number;
    };
    const edited = { ...head, latest: "9.9.9", pin: "8.0.0", labels: { ...head.labels, production: "7.0.0" } };
    commitByGit(at.gitDir, "main", [
      { path: file, bytes: JSON.stringify({ ...edited, generation: head.generation + 1 }) },
    ]);
    expect((await registry.getPrompt("support/triage")).version).toBe("2.0.0");
    await expect(registry.getPrompt("support/triage@production")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect((await registry.getPrompt("support/triage@staging")).version).toBe("1.1.0");
    const { findings } = await registry.doctor();
    expect(
      findings
        .filter(({ kind }) => kind === "head")
        .map(({ version }) => version)
        .sort(),
    ).toEqual(["7.0.0", "8.0.0"]);
    commitByGit(at.gitDir, "main", [{ path: file, bytes: `<<<<<<< ours\n${text}` }]);
    await expect(registry.getPrompt("support/triage")).rejects.toMatchObject({ code: "CORRUPT" });
    expect((await registry.getPrompt("support/triage@1.0.0")).version).toBe("1.0.0");
    expect((await registry.getPrompt("support/reply")).version).toBe("0.1.0");
    await driver.close();
  });

  it("reports a link that was moved by hand, and adopts it on purpose", async () => {
    const at = await place();
    const driver = await openGithub(server, at);
    const registry = await fill(driver);
    const folder = clone(at);
    rmSync(join(folder, "prompts/support/triage/production.md"));
    symlinkSync("v2.0.0.md", join(folder, "prompts/support/triage/production.md"));
    run(folder, "add", "-A");
    run(folder, "commit", "--quiet", "-m", "move production");
    run(folder, "push", "--quiet", "origin", "HEAD");
    expect((await registry.getPrompt("support/triage@production")).version).toBe("1.1.0");
    const plan = { repair: ["moved-link"], at: "2099-01-01T00:00:00.000Z", by: "ada" } as const;
    const { findings } = await driver.repair(plan);
    expect(findings.map(({ kind, label, repaired }) => [kind, label, repaired])).toEqual([
      ["moved-link", "production", true],
    ]);
    expect((await registry.getPrompt("support/triage@production")).version).toBe("2.0.0");
    expect((await driver.repair(plan)).findings).toEqual([]);
    await driver.close();
  });

  it("makes commits that read well: author, date, message and one subject line", async () => {
    const at = await place();
    const driver = await openGithub(server, at);
    const registry = new PromptRegistry(driver, {
      now: () => new Date("2026-03-04T05:06:07.000Z"),
      author: "Ada <ada@example.org>",
    });
    await registry.storePrompt({ name: "support/triage", version: "1.2.0", text: "t\n", message: "Sort by urgency" });
    await registry.setLabel("support/triage", "production", "1.2.0", { author: "grace" });
    const show = (what: string, rev: string) =>
      git(at.gitDir, ["log", "-1", `--format=${what}`, rev])
        .toString()
        .trim();
    expect(show("%an|%ae|%at|%s", "main~1")).toBe("Ada|ada@example.org|1772600767|support/triage: publish 1.2.0");
    expect(show("%b", "main~1")).toMatch(/^Sort by urgency\n\nPrompt-Registry-Commit-Id: [0-9a-f-]{36}$/);
    expect(show("%an|%ae|%s", "main")).toBe(
      "grace|unknown@prompt-registry.invalid|support/triage: label production 1.2.0",
    );
    await driver.close();
  });

  it("carries the corpus from a folder to GitHub and back: equal texts, heads and history", async () => {
    const source = fs({ path: join(root, "corpus") });
    const registry = new PromptRegistry(source, { author: "ada" });
    const { revisions } = loadCorpus();
    const part = process.env.PROMPT_REGISTRY_GITHUB_FULL === "1" ? revisions : revisions.slice(0, 80);
    for (const { name, version, text, committedAt } of part) {
      await new PromptRegistry(source, { author: "ada", now: () => new Date(committedAt) }).storePrompt({
        name,
        version,
        text,
      });
    }
    const names = [...new Set(part.map(({ name }) => name))];
    for (const name of names.slice(0, 10)) await registry.setLabel(name, "production", "1.0.0");
    const at = await place();
    const driver = await openGithub(server, at);
    await copyStorage(source, driver);
    const back = fs({ path: join(root, "back") });
    await copyStorage(driver, back);
    const before = await contents(source);
    expect(Object.keys(before)).toHaveLength(names.length);
    expect(await contents(driver)).toEqual(before);
    expect(await contents(back)).toEqual(before);
    expect(await contents(fs({ path: clone(at) }))).toEqual(before);
    await driver.close();
  });
});

function excludes(text: string): string {
  const file = join(root, `excludes-${randomUUID()}`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  expect(lstatSync(file).isFile() && readFileSync(file, "utf8")).toBe(text);
  return file;
}
