import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type GitHubServer, githubFaults, startGitHub } from "../../src/testing/github/index.ts";
import { askOf, commitOf, documentOf } from "../../src/testing/index.ts";
import { commitByGit, git, openGithub, publish } from "../support/github-world.ts";

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

const place = (more: object = {}) => server.addRepository({ name: `limits-${randomUUID()}`, ...more });
const json = { "content-type": "application/json; charset=utf-8" };
const names = Array.from({ length: 60 }, (_, i) => `p${i}`);
const asks = names.map((name) => askOf(name, "1.0.0"));
const files = names.map((name) => ({
  path: `prompts/${name}/v1.0.0.md`,
  bytes: documentOf(name, "1.0.0", `text of ${name}\n`).text,
}));

describe("limits", () => {
  it("of GraphQL alone stop no reads: they go on by REST, with few calls, and GraphQL is left alone", async () => {
    const at = await place();
    commitByGit(at.gitDir, "main", files);
    server.setRemaining(0, "graphql");
    const driver = await openGithub(server, at);
    for (const some of [asks.slice(0, 1), asks]) {
      expect((await driver.read(some)).every(({ status }) => status === "found")).toBe(true);
    }
    expect(server.requests.filter(({ route }) => route === "/graphql")).toHaveLength(1);
    expect(server.requests.length).toBeLessThan(12);
    await driver.close();
    // Whoever wants GraphQL and nothing else is told.
    const strict = await openGithub(server, at, { graphql: "on" });
    await expect(strict.read(asks.slice(0, 1))).rejects.toMatchObject({ code: "RATE_LIMITED", outcome: "temporary" });
    await strict.close();
  });

  it("last as long as GitHub's own clock says, whatever this machine's does", async () => {
    const at = await place();
    const now = Date.now() + 3 * 3_600_000;
    const headers = {
      ...json,
      ...{ date: new Date(now).toUTCString(), "x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0" },
      ...{ "x-ratelimit-reset": String(Math.floor(now / 1000) + 120), "x-ratelimit-resource": "graphql" },
    };
    const body = JSON.stringify({ errors: [{ type: "RATE_LIMITED", message: "API rate limit exceeded" }] });
    const driver = await openGithub(server, at, {
      graphql: "on",
      fetch: async (input, init) =>
        String(input).endsWith("/graphql")
          ? new Response(body, { status: 200, headers })
          : await globalThis.fetch(input, init),
    });
    const limited = await driver.read([askOf("a", "1.0.0")]).catch((error) => error);
    expect(limited).toMatchObject({ code: "RATE_LIMITED" });
    expect(limited.context.retryAfter).toBeLessThan(200_000);
    await driver.close();
  });

  it("of those without a token are kept by reading many documents in one piece", async () => {
    const at = await place({ private: false });
    commitByGit(at.gitDir, "main", files);
    for (const name of ["GITHUB_TOKEN", "GH_TOKEN"]) vi.stubEnv(name, "");
    // Nor with one that somebody stored on this machine.
    for (const name of ["HOME", "XDG_CONFIG_HOME", "APPDATA", "USERPROFILE"]) vi.stubEnv(name, join(tmpdir(), at.repo));
    const driver = await openGithub(server, at, { token: "" });
    expect((await driver.read(asks)).every(({ status }) => status === "found")).toBe(true);
    expect(server.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
    expect(server.requests.length).toBeLessThan(8);
    await driver.close();
  });

  it("that are met by a check are told as limits, and not as a right that is missing", async () => {
    const at = await place();
    const driver = await openGithub(server, at);
    server.fail(({ route }) => route.includes("/rules/branches/"), githubFaults.secondaryLimit({ retryAfter: 30 }));
    const { checks } = await driver.check();
    expect(checks.find(({ name }) => name === "rules")).toMatchObject({
      ok: false,
      detail: expect.stringContaining("takes no more requests"),
    });
    await driver.close();
  });
});

describe("a write that GitHub does not know the commit of yet", () => {
  it("is tried again, as it was made a moment ago", async () => {
    const at = await place();
    const driver = await openGithub(server, at);
    let times = 0;
    server.faultWhen(({ method }) =>
      method === "PATCH" && ++times <= 2
        ? { kind: "reply", status: 422, headers: json, body: JSON.stringify({ message: "Object does not exist" }) }
        : undefined,
    );
    expect((await driver.commit(commitOf([publish("a", "1.0.0")])))[0]?.status).toBe("done");
    expect(times).toBe(3);
    expect(git(at.gitDir, ["rev-list", "--count", "main"]).toString().trim()).toBe("2");
    await driver.close();
  });
});

describe("an answer that was damaged on the way", () => {
  it("is asked for again, and does not stand for the branch by its mark", async () => {
    const at = await place();
    const writer = await openGithub(server, at);
    await writer.commit(commitOf([publish("a", "1.0.0")]));
    let damaged = false;
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const response = await globalThis.fetch(input, init);
      if (!damaged || response.status !== 200 || !String(input).includes("/git/ref/heads/")) return response;
      damaged = false;
      const body = (await response.json()) as { object: { sha: string } };
      body.object.sha = body.object.sha.replace(/^./, (char) => (char === "0" ? "1" : "0"));
      return new Response(JSON.stringify(body), { status: 200, headers: response.headers });
    };
    const driver = await openGithub(server, at, { fetch });
    expect((await driver.read([askOf("a", "latest")]))[0]).toMatchObject({ document: { version: "1.0.0" } });
    await writer.commit(commitOf([publish("a", "1.1.0")]));
    damaged = true;
    await driver.read([askOf("a", "latest")]);
    expect(damaged).toBe(false);
    expect((await driver.read([askOf("a", "latest")]))[0]).toMatchObject({ document: { version: "1.1.0" } });
    await driver.close();
    await writer.close();
  });
});
