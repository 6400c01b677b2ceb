import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { client } from "../../../test/support/github-client.ts";
import { validateExchange } from "../../../test/support/github-openapi/validate.ts";
import { type GitHubServer, githubFaults, startGitHub } from "./index.ts";

// Git is started for real: on a busy machine that takes its time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let server: GitHubServer;
let api: ReturnType<typeof client>;
let now = Date.parse("2026-01-01T00:00:00Z");

beforeAll(async () => {
  server = await startGitHub({
    validate: validateExchange,
    now: () => now,
    limits: { writesPerMinute: 30, retryAfter: 7 },
  });
  api = client(server);
});

beforeEach(() => {
  server.reset();
  now += 120_000;
});

afterAll(async () => {
  await server.checkRepositories();
  await server.close();
});

describe("limits", () => {
  it("an unchanged answer costs nothing, and its ETag is one token's own", async () => {
    const first = await api.get("git/ref/heads/main");
    const etag = first.headers.get("etag") ?? "";
    const headers = { "if-none-match": etag };
    expect((await api.get("git/ref/heads/main", { headers })).status).toBe(304);
    const token = server.addToken();
    expect((await api.get("git/ref/heads/main", { headers, token })).status).toBe(200);
    expect(server.requests.map(({ cost }) => cost)).toEqual([1, 0, 1]);
    expect(server.quota()).toMatchObject({ limit: 5000, remaining: 4999, used: 1 });
    await api.commit({ "etag.txt": String(now) });
    expect((await api.get("git/ref/heads/main", { headers })).status).toBe(200);
  });

  it("the primary limit is 403 with the time at which it ends, and then ends", async () => {
    server.setRemaining(1);
    const last = await api.get("");
    expect([last.status, last.headers.get("x-ratelimit-remaining")]).toEqual([200, "0"]);
    const refused = await api.get("");
    expect(refused.status).toBe(403);
    expect(refused.body.message).toContain("API rate limit exceeded");
    const reset = Number(refused.headers.get("x-ratelimit-reset"));
    expect(reset * 1000).toBeGreaterThan(now);
    // Asking how much is left is free.
    const left = await api.get("/rate_limit");
    expect([left.status, left.body.resources.core.remaining]).toEqual([200, 0]);
    // GraphQL has its own limit.
    expect((await api.graphql("{ viewer { login } }")).data.viewer.login).toBe("octocat");
    server.setRemaining(0, "graphql");
    expect((await api.graphql("{ viewer { login } }")).errors[0].type).toBe("RATE_LIMITED");
    now = reset * 1000;
    expect((await api.get("")).status).toBe(200);
  });

  it("too many writes in a minute meet the secondary limit; reads do not", async () => {
    const write = () => api.post("git/blobs", { content: "x" });
    const statuses = [];
    for (let i = 0; i < 31; i++) statuses.push((await write()).status);
    expect(statuses).toEqual([...Array.from({ length: 30 }, () => 201), 403]);
    const refused = await write();
    expect(refused.headers.get("retry-after")).toBe("7");
    expect(refused.body.message).toContain("secondary rate limit");
    expect((await api.get("")).status).toBe(200);
    now += 60_001;
    expect((await write()).status).toBe(201);
  });
});

describe("faults", () => {
  const rejected = (run: Promise<unknown>) =>
    run.then(
      () => false,
      () => true,
    );

  it("a reply lost before and after tell whether it was done", async () => {
    const sha = await api.head();
    const create = (name: string) => api.post("git/refs", { ref: `refs/heads/${name}`, sha });
    const end = server.fail(({ write }) => write, githubFaults.dropBefore());
    expect(await rejected(create("before"))).toBe(true);
    end();
    server.fail(({ write }) => write, githubFaults.dropAfter());
    expect(await rejected(create("after"))).toBe(true);
    server.reset();
    expect((await api.get("git/ref/heads/before")).status).toBe(404);
    expect((await api.get("git/ref/heads/after")).status).toBe(200);
  });

  it("answers of the proxy in front, of the limits, and of the server itself can be had", async () => {
    const see = async (how: Parameters<typeof server.fail>[1]) => {
      server.faultWhen(() => how);
      const { status, headers, body } = await api.get("");
      return { status, headers, body };
    };
    const gateway = await see(githubFaults.badGateway());
    expect([gateway.status, gateway.headers.get("content-type")]).toEqual([502, "text/html; charset=utf-8"]);
    expect((await see(githubFaults.serverError())).body.message).toBe("Server Error");
    const slow = await see(githubFaults.secondaryLimit({ retryAfter: 3, status: 429 }));
    expect([slow.status, slow.headers.get("retry-after")]).toEqual([429, "3"]);
    const spent = await see(githubFaults.primaryLimit({ reset: 9 }));
    expect([spent.status, spent.headers.get("x-ratelimit-reset")]).toEqual([403, "9"]);
  });

  it("a body can be cut, damaged and late, and a done write answered by an error", async () => {
    server.faultWhen(() => githubFaults.cut(20));
    expect(await rejected(api.get(""))).toBe(true);
    server.faultWhen(() => ({ kind: "corrupt" }));
    const headers = { accept: "application/vnd.github.raw" };
    const damaged = (await api.get("contents/README.md", { headers })).body;
    server.faultWhen(() => ({ kind: "delay", ms: 20 }));
    const whole = (await api.get("contents/README.md", { headers })).body;
    expect([damaged.length, damaged === whole]).toEqual([whole.length, false]);
    const sha = await api.head();
    server.faultWhen(({ write }) => (write ? { kind: "reply-after", status: 500, body: "{}" } : undefined));
    expect((await api.post("git/refs", { ref: "refs/heads/done", sha })).status).toBe(500);
    expect((await api.get("git/ref/heads/done")).status).toBe(200);
    expect(server.requests.at(-2)).toMatchObject({ status: 500, write: true, route: "/repos/{owner}/{repo}/git/refs" });
  });

  it("reads lag behind as long as they are told to, writes never", async () => {
    const before = await api.head();
    now += 60_000;
    const after = await api.commit({ "lag.txt": "1" });
    server.faultWhen(({ write }) => (write ? undefined : githubFaults.stale(30_000)));
    expect(await api.head()).toBe(before);
    const query = `{ repository(owner: "${server.owner}", name: "${server.repo}") { object(expression: "main") { oid } } }`;
    expect((await api.graphql(query)).data.repository.object.oid).toBe(before);
    expect((await api.patch("git/refs/heads/main", { sha: before })).status).toBe(422);
    now += 30_000;
    expect(await api.head()).toBe(after);
    server.reset();
    const last = await api.commit({ "lag.txt": "2" });
    server.lag = 10_000;
    expect(await api.head()).toBe(after);
    server.lag = 0;
    expect(await api.head()).toBe(last);
  });

  it("a recursive tree is cut where it is told to be", async () => {
    const small = await startGitHub({ treeLimit: { entries: 3 }, validate: validateExchange });
    const at = client(small);
    await at.commit({ a: "1", b: "2", c: "3" });
    const { tree, truncated } = (await at.get("git/trees/main?recursive=1")).body;
    expect([tree.length, truncated]).toEqual([3, true]);
    await small.close();
  });
});
