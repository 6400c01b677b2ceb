import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { askOf, commitOf } from "../../src/testing/index.ts";
import { commitByGit, fileAt, git, openGithub, publish } from "../support/github-world.ts";

let server: GitHubServer;
beforeAll(async () => {
  server = await startGitHub({ limits: { core: 1e6, graphql: 1e6 } });
});
afterAll(async () => {
  await server.close();
});

const place = () => server.addRepository({ name: `lag-${randomUUID()}` });

type Fetch = typeof globalThis.fetch;
const reply = (status: number, data: unknown) =>
  new Response(JSON.stringify(data), { status, headers: { "content-type": "application/json; charset=utf-8" } });
const NOT_FOUND = { message: "Not Found", documentation_url: "https://docs.github.com/rest" };

/** What was written is there, or the caller is to ask again; it is never absent. */
async function knowsOrWaits(registry: PromptRegistry): Promise<void> {
  const answer = await registry.getPrompt("a").then(
    ({ version }) => version,
    (error: { outcome: string }) => error.outcome,
  );
  expect(["1.0.0", "temporary"]).toContain(answer);
}

describe("a replica that does not know the newest commit", () => {
  it("says nothing about what is in it", async () => {
    const at = await place();
    const writer = new PromptRegistry(await openGithub(server, at));
    await writer.storePrompt({ name: "first", version: "1.0.0", text: "x\n" });
    await writer.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    let lagging = false;
    const fetch: Fetch = async (input, init) => {
      const body = typeof init?.body === "string" ? init.body : "";
      const { variables = {} } = (body === "" ? {} : JSON.parse(body)) as { variables?: Record<string, string> };
      // An expression of a commit that is not there yet is null, without an error.
      const broken = Object.fromEntries(
        Object.entries(variables).map(([key, value]) => [key, value.replace(/^[0-9a-f]{40}(?=$|:)/, "0".repeat(40))]),
      );
      if (!lagging || !String(input).endsWith("/graphql")) return globalThis.fetch(input, init);
      const sent = JSON.parse(body.replace(/oid: ?"[0-9a-f]{40}"/g, `oid: "${"0".repeat(40)}"`)) as object;
      return globalThis.fetch(input, { ...init, body: JSON.stringify({ ...sent, variables: broken }) });
    };
    const driver = await openGithub(server, at, { fetch });
    await driver.read([askOf("first", "1.0.0")]);
    lagging = true;
    const answer = await driver.read([askOf("a", "1.0.0")]).then(
      ([one]) => one?.status,
      (error: { outcome: string }) => error.outcome,
    );
    lagging = false;
    expect(["found", "temporary"]).toContain(answer);
    // What was believed then is written on.
    const [outcome] = await driver.commit(commitOf([publish("a", "1.0.0", "another\n")]));
    expect(outcome?.status).toBe("exists");
    expect(fileAt(at.gitDir, "main", "prompts/a/v1.0.0.md").toString()).toContain("one\n");
    await driver.close();
  });

  it("is no rewritten branch, though it is older than all that was seen", async () => {
    const at = await place();
    const base = git(at.gitDir, ["rev-parse", "main"]).toString().trim();
    const other = new PromptRegistry(await openGithub(server, at));
    await other.storePrompt({ name: "first", version: "1.0.0", text: "x\n" });
    let lagging = false;
    const fetch: Fetch = async (input, init) => {
      const url = String(input);
      if (lagging && url.includes("/git/ref/heads/"))
        return reply(200, { ref: "refs/heads/main", node_id: "x", url, object: { type: "commit", sha: base, url } });
      if (lagging && url.includes("/compare/")) return reply(404, NOT_FOUND);
      if (lagging && url.includes("/git/commits/") && !url.includes(base)) return reply(404, NOT_FOUND);
      return await globalThis.fetch(input, init);
    };
    const driver = await openGithub(server, at, { fetch });
    const registry = new PromptRegistry(driver);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    lagging = true;
    await knowsOrWaits(registry);
    lagging = false;
    expect((await registry.getPrompt("a")).version).toBe("1.0.0");
    await driver.close();
  });

  it("is no proof that a branch is gone", async () => {
    const at = await place();
    let lagging = false;
    const fetch: Fetch = async (input, init) =>
      lagging && String(input).includes("/git/ref/heads/") ? reply(404, NOT_FOUND) : globalThis.fetch(input, init);
    const driver = await openGithub(server, at, { fetch });
    const registry = new PromptRegistry(driver);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    lagging = true;
    await knowsOrWaits(registry);
    lagging = false;
    expect((await registry.getPrompt("a")).version).toBe("1.0.0");
    lagging = true;
    const short = await openGithub(server, at, { fetch, maxLag: 0 });
    lagging = false;
    await short.listPrompts({ limit: 1 });
    git(at.gitDir, ["update-ref", "-d", "refs/heads/main"]);
    await short.listPrompts({ limit: 1 }).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 5));
    await expect(short.listPrompts({ limit: 1 })).rejects.toMatchObject({ code: "HISTORY_REWRITTEN" });
    await driver.close();
    await short.close();
  });

  it("does not make a feed's cursor invalid", async () => {
    const at = await place();
    let hidden = "";
    const fetch: Fetch = async (input, init) =>
      hidden !== "" && String(input).endsWith(`/git/commits/${hidden}`)
        ? reply(404, NOT_FOUND)
        : globalThis.fetch(input, init);
    const driver = await openGithub(server, at, { fetch });
    const { cursor } = await driver.changes({ limit: 10 });
    await driver.commit(commitOf([publish("a", "1.0.0")]));
    hidden = git(at.gitDir, ["rev-parse", "main"]).toString().trim();
    await expect(driver.changes({ limit: 10, cursor: cursor as string })).rejects.toMatchObject({
      outcome: "temporary",
    });
    await driver.close();
  });
});

describe("a tree", () => {
  it("that is cut in one folder alone is no whole list", async () => {
    const at = await place();
    const writer = await openGithub(server, at);
    await writer.commit(commitOf(["a", "b", "c"].map((name) => publish(name, "1.0.0"))));
    const fetch: Fetch = async (input, init) => {
      const response = await globalThis.fetch(input, init);
      if (!String(input).includes("/git/trees/")) return response;
      const tree = (await response.json()) as { tree: unknown[]; truncated: boolean };
      return reply(200, { ...tree, tree: tree.tree.slice(0, 2), truncated: true });
    };
    const driver = await openGithub(server, at, { fetch, graphql: "off" });
    await expect(driver.listPrompts({ limit: 10 })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await driver.close();
    await writer.close();
  });

  it("with a link in the place of a version has no such version, also when it came while the branch was known", async () => {
    const at = await place();
    const driver = await openGithub(server, at);
    await driver.commit(commitOf([publish("a", "1.0.0")]));
    await driver.listPrompts({ limit: 10 });
    commitByGit(at.gitDir, "main", [{ path: "prompts/a/v2.0.0.md", bytes: "../b/v1.0.0.md", mode: "120000" }]);
    expect((await driver.read([askOf("a", "2.0.0")]))[0]?.status).toBe("absent");
    expect((await driver.read([askOf("a", "latest")]))[0]).toMatchObject({ document: { version: "1.0.0" } });
    await driver.close();
  });
});

describe("a branch that was set back to an older commit", () => {
  /** Three commits, of which the handle saw the last two. */
  async function setBack(to: string) {
    const at = await place();
    const other = await openGithub(server, at);
    await other.commit(commitOf([publish("a", "1.0.0")]));
    const driver = await openGithub(server, at, { maxLag: 60_000 });
    await driver.commit(commitOf([publish("a", "1.1.0")]));
    await driver.commit(commitOf([publish("a", "1.2.0")]));
    const tip = git(at.gitDir, ["rev-parse", "main"]).toString().trim();
    git(at.gitDir, ["update-ref", "refs/heads/main", to]);
    await other.close();
    return { at, driver, tip };
  }
  const latest = async (driver: Awaited<ReturnType<typeof openGithub>>) =>
    (await driver.read([askOf("a", "latest")]))[0];
  const REWRITTEN = { code: "HISTORY_REWRITTEN", outcome: "final" };
  let skip = 0;
  const wait = (ms: number) => {
    skip += ms;
  };
  beforeEach(() => {
    skip = 0;
    const real = Date.now.bind(Date);
    vi.spyOn(Date, "now").mockImplementation(() => real() + skip);
  });

  it.each([
    ["that was seen", "main~1"],
    ["that never was", "main~2"],
  ])("(%s) may be a replica's answer for as long as maxLag, and then is HISTORY_REWRITTEN for good", async (_, to) => {
    const { at, driver, tip } = await setBack(to);
    for (let i = 0; i < 2; i++) expect(await latest(driver)).toMatchObject({ document: { version: "1.2.0" } });
    wait(60_001);
    await expect(latest(driver)).rejects.toMatchObject(REWRITTEN);
    await expect(driver.commit(commitOf([publish("b", "1.0.0")]))).rejects.toMatchObject(REWRITTEN);
    await expect(driver.changes({ limit: 1 })).rejects.toMatchObject(REWRITTEN);
    // Not even when it is back.
    git(at.gitDir, ["update-ref", "refs/heads/main", tip]);
    await expect(latest(driver)).rejects.toMatchObject(REWRITTEN);
    const again = await openGithub(server, at);
    expect(await latest(again)).toMatchObject({ document: { version: "1.2.0" } });
    await driver.close();
    await again.close();
  });

  it("is HISTORY_REWRITTEN at once when somebody went on from there", async () => {
    const { at, driver, tip } = await setBack("main~1");
    expect(await latest(driver)).toMatchObject({ document: { version: "1.2.0" } });
    commitByGit(at.gitDir, "main", [{ path: "README.md", bytes: "other\n" }]);
    await expect(latest(driver)).rejects.toMatchObject(REWRITTEN);
    await expect(driver.commit(commitOf([publish("b", "1.0.0")]))).rejects.toMatchObject(REWRITTEN);
    expect(git(at.gitDir, ["branch", "--contains", tip, "--format=%(refname)"]).toString()).toBe("");
    await driver.close();
  });

  it("is a replica that lagged when it is at the newest commit again in time, however often that happens", async () => {
    const { at, driver, tip } = await setBack("main~1");
    for (let i = 0; i < 3; i++) {
      git(at.gitDir, ["update-ref", "refs/heads/main", "main~1"]);
      expect(await latest(driver)).toMatchObject({ document: { version: "1.2.0" } });
      wait(50_000);
      git(at.gitDir, ["update-ref", "refs/heads/main", tip]);
      expect(await latest(driver)).toMatchObject({ document: { version: "1.2.0" } });
      wait(50_000);
    }
    await driver.close();
  });

  it("gets back what was acknowledged by a write within maxLag, which loses nothing", async () => {
    const { at, driver } = await setBack("main~1");
    expect((await driver.commit(commitOf([publish("a", "1.3.0")])))[0]?.status).toBe("done");
    const again = await openGithub(server, at);
    const { items } = await again.listVersions(parseName("a"), { limit: 10 });
    expect(items.map(({ version }) => version)).toEqual(["1.3.0", "1.2.0", "1.1.0", "1.0.0"]);
    await driver.close();
    await again.close();
  });
});
