import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { GithubOptions } from "../../src/drivers/github/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import {
  type GitHubFault,
  type GitHubRepositoryHandle,
  type GitHubServer,
  githubFaults,
  startGitHub,
} from "../../src/testing/github/index.ts";
import { World } from "../cli/world.ts";
import { git, openGithub } from "../support/github-world.ts";

let server: GitHubServer;
beforeAll(async () => {
  server = await startGitHub({ limits: { core: 1e6, graphql: 1e6 } });
});
afterEach(() => {
  server.reset();
  vi.unstubAllEnvs();
});
afterAll(async () => {
  await server.close();
});

interface Missing {
  readonly place: GitHubRepositoryHandle;
  readonly options: Partial<GithubOptions>;
  /** The request that makes it. */
  readonly route: string;
}

/** What can be missing, each with the call that makes it. */
const MISSING: Readonly<Record<string, () => Promise<Missing>>> = {
  "a repository": async () => ({
    place: { ...server, repo: `new-${randomUUID()}` },
    options: { create: true },
    route: "POST /orgs/{org}/repos",
  }),
  "a first commit": async () => ({
    place: await server.addRepository({ name: `empty-${randomUUID()}`, init: false }),
    options: { create: true },
    route: "PUT /repos/{owner}/{repo}/contents/{path}",
  }),
  "a branch": async () => ({
    place: await server.addRepository({ name: `branch-${randomUUID()}` }),
    options: { create: true, branch: "prompts/x" },
    route: "POST /repos/{owner}/{repo}/git/refs",
  }),
};

const open = async ({ place, options }: Missing) => new PromptRegistry(await openGithub(server, place, options));

async function names(registry: PromptRegistry): Promise<string[]> {
  return (await registry.listPrompts().all()).map(({ name }) => name);
}

describe.each(Object.keys(MISSING))("%s that is missing", (what) => {
  it("is made once, and by whom does not matter, where several open it at once", async () => {
    const missing = await (MISSING[what] as () => Promise<Missing>)();
    const registries = await Promise.all(Array.from({ length: 5 }, () => open(missing)));
    expect(await Promise.all(registries.map(names))).toEqual(registries.map(() => []));
    const made = server.requests.filter(({ method, route }) => `${method} ${route}` === missing.route);
    expect(made.filter(({ status = 0 }) => status < 300)).toHaveLength(1);
    expect(made.length).toBeGreaterThan(1);
    await Promise.all(registries.map((one, i) => one.storePrompt({ name: `p${i}`, version: "1.0.0", text: `${i}\n` })));
    expect(await names(await open(missing))).toEqual(["p0", "p1", "p2", "p3", "p4"]);
    await Promise.all(registries.map((one) => one.close()));
  });

  it.each<[string, GitHubFault]>([
    ["before it arrived", githubFaults.dropBefore()],
    ["after it was done", githubFaults.dropAfter()],
    ["in the middle of the reply", githubFaults.cut(20)],
  ])("is made though the connection broke %s", async (_, fault) => {
    const missing = await (MISSING[what] as () => Promise<Missing>)();
    let failed = 0;
    server.faultWhen(({ method, route }) =>
      `${method} ${route}` === missing.route && failed++ === 0 ? fault : undefined,
    );
    const registry = await open(missing);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    expect(failed).toBeGreaterThan(0);
    expect(await names(await open(missing))).toEqual(["a"]);
    await registry.close();
  });
});

describe("init --create", () => {
  it("makes the repository, and does not when it is not asked to", async () => {
    vi.stubEnv("GITHUB_TOKEN", server.token);
    const world = new World();
    world.real = true;
    const storage = `github:${server.owner}/made-by-init?baseUrl=${encodeURIComponent(server.url)}#main`;
    const missing = await world.run("init", "--storage", storage);
    expect([missing.code, missing.err]).toEqual([1, expect.stringContaining("no such repository")]);
    const made = await world.run("init", "--storage", storage, "--create");
    expect(made.code, made.err).toBe(0);
    expect((await world.run("check")).code).toBe(0);
    expect((await new World().run("init", "--create")).code).toBe(2);
  });
});

it("a branch that may not be created is FORBIDDEN, and tried once", async () => {
  const place = await server.addRepository({ name: `ruled-${randomUUID()}` });
  place.rule({ type: "creation", refs: ["~ALL"] });
  const registry = new PromptRegistry(await openGithub(server, place, { create: true, branch: "x" }));
  await expect(names(registry)).rejects.toMatchObject({ code: "FORBIDDEN", outcome: "final" });
  expect(server.requests.filter(({ method }) => method === "POST")).toHaveLength(1);
  await registry.close();
});

it("what was there and is gone is not made anew", async () => {
  const place = await server.addRepository({ name: `gone-${randomUUID()}` });
  let gone = false;
  const asked: string[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    asked.push(`${init?.method} ${input}`);
    if (!gone) return await globalThis.fetch(input, init);
    return new Response(JSON.stringify({ message: "Not Found", documentation_url: "https://docs.github.com/rest" }), {
      status: 404,
      headers: { "content-type": "application/json; charset=utf-8" },
    });
  };
  const registry = new PromptRegistry(await openGithub(server, place, { create: true, fetch, graphql: "off" }));
  await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
  gone = true;
  asked.length = 0;
  await expect(registry.getPrompt("a")).rejects.toMatchObject({ code: "CONFIG" });
  await expect(registry.storePrompt({ name: "b", version: "1.0.0", text: "two\n" })).rejects.toMatchObject({
    code: "CONFIG",
  });
  expect(asked.filter((call) => !call.startsWith("GET "))).toEqual([]);
  gone = false;
  expect((await registry.getPrompt("a")).text).toBe("one\n");
  expect(git(place.gitDir, ["rev-list", "--count", "main"]).toString().trim()).toBe("2");
  await registry.close();
});
