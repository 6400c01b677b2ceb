import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GithubOptions, github } from "../../src/drivers/github/index.ts";
import { parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { type GitHubRepositoryHandle, type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { askOf, commitOf, documentOf } from "../../src/testing/index.ts";
import { commitByGit, openGithub, testOptions } from "../support/github-world.ts";

// 1,000 prompts × 5 versions, the first 200 of them with labels.
const PROMPTS = 1000;
const names = Array.from({ length: PROMPTS }, (_, i) => `team${i % 7}/p${String(i).padStart(4, "0")}`);
let server: GitHubServer;
let rest: GitHubServer;
let big: GitHubRepositoryHandle;
let bigRest: GitHubRepositoryHandle;

async function fill(of: GitHubServer): Promise<GitHubRepositoryHandle> {
  const at = await of.addRepository({ name: `big-${randomUUID()}` });
  const edits = names.flatMap((name, n) => {
    const versions = ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "2.0.0"];
    const files = versions.map((version) => ({
      path: `prompts/${name}/v${version}.md`,
      bytes: documentOf(name, version, `${name} ${version}\n`).text,
    }));
    const head = {
      format: 1,
      name,
      generation: 1,
      latest: "2.0.0",
      labels: { production: "1.0.0" },
      yanked: {},
      history: [],
    };
    return n < 200 ? [...files, { path: `prompts/${name}/latest.json`, bytes: JSON.stringify(head) }] : files;
  });
  commitByGit(at.gitDir, "main", edits);
  return at;
}

beforeAll(async () => {
  server = await startGitHub({ limits: { core: 1e6, graphql: 1e6 } });
  rest = await startGitHub({ limits: { core: 1e6, graphql: 1e6 }, graphql: false });
  big = await fill(server);
  bigRest = await fill(rest);
});
afterAll(async () => {
  await server.close();
  await rest.close();
});

/** The requests that something makes, as `METHOD route status`. */
async function asked(of: GitHubServer, run: () => Promise<unknown>): Promise<string[]> {
  of.reset();
  await run();
  return of.requests.map(
    ({ method, route, status }) => `${method} ${route.replace("/repos/{owner}/{repo}", "")} ${status}`,
  );
}

/** As users have it, but for the wait between commits. */
function open(of: GitHubServer, at: GitHubRepositoryHandle, options: Partial<GithubOptions> = {}) {
  return github({ ...testOptions(of, at), documentMaxAge: 60_000, ...options });
}

const REF = "GET /git/ref/{ref}";

describe("calls of the API", () => {
  it("a pinned version: 1 cold, 0 warm", async () => {
    const driver = await open(server, big);
    const ask = askOf(names[3] as string, "1.1.0");
    expect(await asked(server, () => driver.read([ask]))).toHaveLength(1);
    expect(await asked(server, () => driver.read([ask]))).toEqual([]);
    expect(driver.peek(ask)).toMatchObject({ status: "found" });
    await driver.close();
  });

  it("the latest version: 1 cold, then one question that costs nothing while the branch stays as it is", async () => {
    const driver = await open(server, big);
    const ask = askOf(names[3] as string, "latest");
    expect(await asked(server, () => driver.read([ask]))).toEqual(["POST /graphql 200"]);
    await driver.read([ask]);
    expect(await asked(server, () => driver.read([ask]))).toEqual([`${REF} 304`]);
    expect(server.requests.map(({ cost }) => cost)).toEqual([0]);
    await driver.close();
  });

  it.each(["git", "graphql"] as const)("a store by %s: its writes and one conditional read", async (writes) => {
    const at = await server.addRepository({ name: `store-${writes}` });
    const driver = await open(server, at, { writes });
    const registry = new PromptRegistry(driver);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    const calls = await asked(server, () => registry.storePrompt({ name: "a", version: "1.1.0", text: "two\n" }));
    const reads = calls.filter((call) => call.startsWith("GET"));
    expect(reads.every((call) => call.startsWith(REF))).toBe(true);
    expect(reads.length).toBeLessThanOrEqual(1);
    expect(calls.length - reads.length).toBe(writes === "git" ? 3 : 1);
    await registry.listPrompts().all();
    const batch = Array.from({ length: 100 }, (_, i) => ({ name: `b${i}`, version: "1.0.0", text: `${i}\n` }));
    const many = await asked(server, () => registry.storePrompts(batch));
    expect(many.filter((call) => !call.startsWith("GET"))).toHaveLength(writes === "git" ? 3 : 1);
    expect(many.filter((call) => call.startsWith("GET")).length).toBeLessThanOrEqual(1);
    expect((await registry.listPrompts({ limit: 1000 }).all()).length).toBe(101);
    await driver.close();
  });

  it("more than 150 files are written in parts, and are one commit all the same", async () => {
    const at = await server.addRepository({ name: "parts" });
    const driver = await open(server, at);
    const changes = Array.from({ length: 400 }, (_, i) => ({
      name: parseName(`c${i}`),
      add: [documentOf(`c${i}`, "1.0.0")],
    }));
    const calls = await asked(server, () => driver.commit(commitOf(changes, { atomic: true })));
    expect(calls.filter((call) => call.startsWith("POST /git/trees"))).toHaveLength(3);
    expect(calls.filter((call) => call.startsWith("POST /git/commits"))).toHaveLength(1);
    expect((await driver.listPrompts({ limit: 1000 })).items).toHaveLength(400);
    await driver.close();
  });

  it("a list of 1,000 prompts × 5 versions: 2 cold, 1 warm; a cold page of heads at most 2 more", async () => {
    for (const [of, at] of [
      [server, big],
      [rest, bigRest],
    ] as const) {
      const driver = await open(of, at);
      expect(await asked(of, () => driver.listPrompts({ limit: 100 }))).toContain("GET /git/trees/{tree_sha} 200");
      await driver.listPrompts({ limit: 1000 });
      const warm = await asked(of, async () => {
        expect((await driver.listPrompts({ limit: 1000 })).items).toHaveLength(1000);
      });
      expect(warm.length).toBeLessThanOrEqual(1);
      await driver.close();
    }
    const driver = await open(server, big);
    await driver.listPrompts({ limit: 1 });
    const heads = await asked(server, () => driver.listPrompts({ limit: 100, include: "heads" }));
    expect(heads.length).toBeLessThanOrEqual(2);
    await driver.close();
  });

  it("792 documents, cold: at most 10, with GraphQL and without", async () => {
    const asks = names.slice(0, 792).map((name) => askOf(name, "1.2.0"));
    for (const [of, at] of [
      [server, big],
      [rest, bigRest],
    ] as const) {
      const driver = await open(of, at);
      const calls = await asked(of, async () => {
        expect((await driver.read(asks)).every(({ status }) => status === "found")).toBe(true);
      });
      expect(calls.length, calls.join("\n")).toBeLessThanOrEqual(10);
      await driver.close();
    }
  });

  it("texts on disk are not asked for again by the next process", async () => {
    const disk = mkdtempSync(join(tmpdir(), "github-disk-"));
    try {
      const asks = names.slice(0, 300).map((name) => askOf(name, "1.2.0"));
      const first = await open(server, big, { disk });
      await first.read(asks);
      await first.close();
      const second = await open(server, big, { disk });
      const calls = await asked(server, () => second.read(asks));
      expect(calls).toEqual([`${REF} 200`, "GET /git/trees/{tree_sha} 200"]);
      await second.close();
    } finally {
      rmSync(disk, { recursive: true, force: true });
    }
  });

  it("a tree that is too large for one reply is walked", async () => {
    const small = await startGitHub({ limits: { core: 1e6, graphql: 1e6 }, treeLimit: { entries: 40 } });
    try {
      const driver = await openGithub(small);
      const wanted = Array.from({ length: 60 }, (_, i) => `t${i % 3}/n${i}`);
      const add = (name: string) => ({ name: parseName(name), add: [documentOf(name, "1.0.0")] });
      await driver.commit(commitOf(wanted.map(add)));
      const again = await openGithub(small);
      expect((await again.listPrompts({ limit: 100 })).items.map(({ name }) => name)).toEqual([...wanted].sort());
      await driver.close();
      await again.close();
    } finally {
      await small.close();
    }
  });
});
