import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PromptRegistry } from "../../src/registry.ts";
import { type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { git, openGithub, testOptions } from "../support/github-world.ts";
import type { GithubOrder, GithubReport } from "./github-worker.ts";

const FULL = process.env.PROMPT_REGISTRY_GITHUB_FULL === "1";
const WRITERS = 5;
const VERSIONS = FULL ? 40 : 8;

let server: GitHubServer;
let script: string;
let folder: string;
beforeAll(async () => {
  server = await startGitHub({ limits: { core: 1e7, graphql: 1e7 } });
  // Within the project, so that the packages that are left out of the bundle are found.
  const cache = fileURLToPath(new URL("../../.cache", import.meta.url));
  mkdirSync(cache, { recursive: true });
  folder = mkdtempSync(join(cache, "github-workers-"));
  script = join(folder, "worker.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("./github-worker.ts", import.meta.url))],
    outfile: script,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "warning",
  });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

function work(order: GithubOrder): Promise<GithubReport> {
  const child: ChildProcess = fork(script, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`a writer ended by itself (${code})`)));
    child.on("message", ({ report, failed }: { report?: GithubReport; failed?: string }) => {
      if (report !== undefined) resolve(report);
      else reject(new Error(failed));
    });
    child.send(order);
  });
}

describe.each(FULL ? (["git", "graphql"] as const) : (["git"] as const))("several processes, writes: %s", (writes) => {
  it(`${WRITERS} writers × ${VERSIONS} versions on one branch are all in, none twice, in one line of fewer commits`, async () => {
    const at = await server.addRepository({ name: `race-${writes}` });
    const options = { ...testOptions(server, at), writes };
    const reports = await Promise.all(
      Array.from({ length: WRITERS }, (_, who) => work({ options, who: who + 1, versions: VERSIONS })),
    );
    expect(reports.flatMap(({ failed }) => failed)).toEqual([]);
    const registry = new PromptRegistry(await openGithub(server, at));
    const shared = await registry.listVersions("shared/all").all();
    expect(shared).toHaveLength(WRITERS * VERSIONS);
    for (const ref of reports.flatMap(({ acked }) => acked)) {
      const [name, version] = ref.split("@");
      expect((await registry.getPrompt(ref)).text).toBe(`${version} of ${name}\n`);
    }
    expect((await registry.getPrompt("shared/all")).version).toBe(`${WRITERS}.${VERSIONS - 1}.0`);
    expect((await registry.verify()).problems).toEqual([]);
    const log = (args: readonly string[]) =>
      git(at.gitDir, ["log", ...args, "main"])
        .toString()
        .trim();
    expect(log(["--merges", "--format=%H"])).toBe("");
    const ids = log(["--format=%(trailers:key=Prompt-Registry-Commit-Id,valueonly)"]).split("\n").filter(Boolean);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toHaveLength(2 * WRITERS * VERSIONS);
    const commits = log(["--format=%H"]).split("\n").length - 1;
    expect(commits).toBeLessThanOrEqual(2 * WRITERS * VERSIONS);
    expect(git(at.gitDir, ["fsck", "--strict", "--no-dangling"]).toString()).toBe("");
    await registry.close();
  });
});

it("commits that wait for each other become one", async () => {
  const at = await server.addRepository({ name: "merged" });
  const driver = await openGithub(server, at);
  const registry = new PromptRegistry(driver);
  await registry.storePrompt({ name: "first", version: "1.0.0", text: "x\n" });
  await Promise.all(
    Array.from({ length: 50 }, (_, i) => registry.storePrompt({ name: `p${i}`, version: "1.0.0", text: `${i}\n` })),
  );
  const count = Number(git(at.gitDir, ["rev-list", "--count", "main"]).toString());
  expect(await registry.listPrompts().all()).toHaveLength(51);
  expect(count).toBeLessThanOrEqual(4);
  await driver.close();
});
