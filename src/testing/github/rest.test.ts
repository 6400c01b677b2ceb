import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { client } from "../../../test/support/github-client.ts";
import { validateExchange } from "../../../test/support/github-openapi/validate.ts";
import { type GitHubServer, startGitHub } from "./index.ts";

// Git is started for real: on a busy machine that takes its time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let server: GitHubServer;
let api: ReturnType<typeof client>;

beforeAll(async () => {
  server = await startGitHub({ validate: validateExchange });
  api = client(server);
});

// Throws where a request or a reply was not as GitHub's description says.
afterAll(async () => {
  await server.checkRepositories();
  await server.close();
});

describe("refs", () => {
  it("a ref moves forward only, unless forced", async () => {
    const before = await api.head();
    const after = await api.commit({ "refs.txt": "1" });
    const back = await api.patch("git/refs/heads/main", { sha: before });
    expect([back.status, back.body.message]).toEqual([422, "Update is not a fast forward"]);
    expect(await api.head()).toBe(after);
    expect((await api.patch("git/refs/heads/main", { sha: before, force: true })).status).toBe(200);
    expect(await api.head()).toBe(before);
    expect((await api.patch("git/refs/heads/main", { sha: after })).status).toBe(200);
  });

  it("of eight commits on one parent one gets onto the branch", async () => {
    const parent = await api.head();
    const { sha: tree } = (await api.get(`git/trees/${parent}`)).body;
    const shas = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        return (await api.post("git/commits", { message: `race ${i}`, tree, parents: [parent] })).body.sha;
      }),
    );
    const statuses = await Promise.all(
      shas.map(async (sha) => (await api.patch("git/refs/heads/main", { sha })).status),
    );
    expect(statuses.sort()).toEqual([200, 422, 422, 422, 422, 422, 422, 422]);
  });

  it("branches are created once, listed by prefix, and deleted", async () => {
    const sha = await api.head();
    const create = (ref: string) => api.post("git/refs", { ref, sha });
    expect((await create("refs/heads/team/a")).status).toBe(201);
    expect((await create("refs/heads/team/a")).body.message).toBe("Reference already exists");
    // A file of refs can't be a folder too.
    expect((await create("refs/heads/team")).status).toBe(422);
    expect((await create("refs/heads/team/a/b")).status).toBe(422);
    expect((await create("heads/x")).status).toBe(422);
    expect((await create("refs/heads/a..b")).status).toBe(422);
    expect((await create("refs/heads/team/b")).status).toBe(201);
    const found = await api.get("git/matching-refs/heads/tea");
    expect(found.body.map((one: { ref: string }) => one.ref)).toEqual(["refs/heads/team/a", "refs/heads/team/b"]);
    expect((await api.get("branches/team/a")).body.commit.sha).toBe(sha);
    expect((await api.get("branches?per_page=1")).headers.get("link")).toContain('rel="next"');
    expect((await api.ask("DELETE", "git/refs/heads/team/a")).status).toBe(204);
    expect((await api.ask("DELETE", "git/refs/heads/team/a")).status).toBe(422);
    expect((await api.get("git/ref/heads/team/a")).status).toBe(404);
  });
});

describe("objects", () => {
  it("a tree takes contents, links, deletions and folders, and keeps the rest of its base", async () => {
    await api.commit({ "t/a.md": "a", "t/b.md": "b", "t/deep/c.md": "c" });
    const base = await api.head();
    const tree = await api.post("git/trees", {
      base_tree: base,
      tree: [
        { path: "t/latest.md", mode: "120000", type: "blob", content: "a.md" },
        { path: "t/b.md", mode: "100644", type: "blob", sha: null },
        { path: "t/deep/c.md", mode: "100644", type: "blob", sha: null },
        { path: "t/new/d.md", mode: "100644", type: "blob", content: "d" },
      ],
    });
    expect(tree.status).toBe(201);
    const all = (await api.get(`git/trees/${tree.body.sha}?recursive=1`)).body;
    const paths = all.tree.map(({ path, mode }: { path: string; mode: string }) => `${mode} ${path}`);
    expect(all.truncated).toBe(false);
    expect(paths.filter((path: string) => / t(\/|$)/.test(path))).toEqual([
      "040000 t",
      "100644 t/a.md",
      "120000 t/latest.md",
      "040000 t/new",
      "100644 t/new/d.md",
    ]);
  });

  it("a tree refuses what Git could not hold", async () => {
    const entry = (path: string, more: object = { content: "x" }) =>
      api.post("git/trees", { tree: [{ path, mode: "100644", type: "blob", ...more }] });
    for (const path of ["../x", "/x", "a//b", ".git/config", "a/../b", "."]) {
      expect((await entry(path)).status, path).toBe(422);
    }
    expect((await entry("x", { sha: "1".repeat(40) })).status).toBe(422);
    expect((await entry("x", { sha: null })).status).toBe(422);
  });

  it("blobs keep their bytes, base64 or not", async () => {
    const bytes = Buffer.from([0, 255, 13, 10, 128]);
    const made = await api.post("git/blobs", { content: bytes.toString("base64"), encoding: "base64" });
    expect(made.status).toBe(201);
    const found = await api.get(`git/blobs/${made.body.sha}`);
    expect(Buffer.from(found.body.content, "base64").equals(bytes)).toBe(true);
    expect(found.body.size).toBe(5);
    expect((await api.get(`git/blobs/${"1".repeat(40)}`)).status).toBe(404);
    expect((await api.post("git/blobs", { content: "***", encoding: "base64" })).status).toBe(422);
  });

  it("commits keep author, date and message, and need a tree and parents that are there", async () => {
    const parent = await api.head();
    const { sha: tree } = (await api.get(`git/trees/${parent}`)).body;
    const author = { name: "Ada", email: "ada@example.org", date: "2020-02-03T04:05:06Z" };
    const made = await api.post("git/commits", { message: "one\n\ntwo\n", tree, parents: [parent], author });
    expect(made.status).toBe(201);
    const found = (await api.get(`git/commits/${made.body.sha}`)).body;
    expect([found.author, found.message, found.parents[0].sha]).toEqual([author, "one\n\ntwo\n", parent]);
    expect((await api.post("git/commits", { message: "x", tree: "1".repeat(40) })).status).toBe(422);
    expect((await api.post("git/commits", { message: "x", tree, parents: ["1".repeat(40)] })).status).toBe(422);
  });
});

describe("contents", () => {
  it("a file is created, changed by its sha, and deleted", async () => {
    const content = (text: string) => Buffer.from(text).toString("base64");
    const made = await api.put("contents/c/file.md", { message: "create", content: content("one") });
    expect(made.status).toBe(201);
    const put = (body: object) =>
      api.put("contents/c/file.md", { message: "change", content: content("two"), ...body });
    expect((await put({})).status).toBe(422);
    expect((await put({ sha: "1".repeat(40) })).status).toBe(409);
    expect((await put({ sha: made.body.content.sha })).status).toBe(200);
    const found = await api.get("contents/c/file.md");
    expect(Buffer.from(found.body.content, "base64").toString()).toBe("two");
    const gone = await api.ask("DELETE", "contents/c/file.md", { body: { message: "x", sha: found.body.sha } });
    expect(gone.status).toBe(200);
    expect((await api.get("contents/c/file.md")).status).toBe(404);
    expect((await api.get("contents/c")).status).toBe(404);
  });

  it("folders are listed, links are followed, and raw is raw", async () => {
    const base = await api.head();
    const tree = await api.post("git/trees", {
      base_tree: base,
      tree: [
        { path: "l/v1.md", mode: "100644", type: "blob", content: "eins\r\n" },
        { path: "l/latest.md", mode: "120000", type: "blob", content: "v1.md" },
        { path: "l/broken.md", mode: "120000", type: "blob", content: "nowhere.md" },
        { path: "l/outside.md", mode: "120000", type: "blob", content: "../../etc/passwd" },
      ],
    });
    const commit = await api.post("git/commits", { message: "links", tree: tree.body.sha, parents: [base] });
    await api.patch("git/refs/heads/main", { sha: commit.body.sha });
    const headers = { accept: "application/vnd.github.raw+json" };
    expect((await api.get("contents/l/latest.md", { headers })).body).toBe("eins\r\n");
    expect((await api.get("contents/l/latest.md")).body.type).toBe("file");
    for (const [name, target] of [
      ["broken.md", "nowhere.md"],
      ["outside.md", "../../etc/passwd"],
    ]) {
      expect((await api.get(`contents/l/${name}`)).body).toMatchObject({ type: "symlink", target });
    }
    const names = (await api.get("contents/l")).body.map((one: { name: string }) => one.name);
    expect(names).toEqual(["broken.md", "latest.md", "outside.md", "v1.md"]);
    expect((await api.get("contents/l/v1.md?ref=nowhere")).status).toBe(404);
    expect((await api.get("contents")).status).toBe(200);
  });
});

describe("log", () => {
  it("commits are listed by path, page by page, and compared", async () => {
    const start = await api.head();
    await api.commit({ "log/a": "1" });
    await api.commit({ "log/b": "1" });
    const end = await api.commit({ "log/a": "2" });
    const byPath = await api.get("commits?path=log/a&sha=main");
    expect(byPath.body).toHaveLength(2);
    const first = await api.get("commits?per_page=2");
    expect(first.body[0].sha).toBe(end);
    const next = /<([^>]+)>; rel="next"/.exec(first.headers.get("link") ?? "")?.[1] ?? "";
    expect((await api.get(next)).body[1].sha).toBe(start);
    expect((await api.get(`commits/${end}`)).body.files).toMatchObject([{ filename: "log/a", status: "modified" }]);
    const compare = async (basehead: string) => (await api.get(`compare/${basehead}`)).body;
    expect(await compare(`${start}...main`)).toMatchObject({ status: "ahead", ahead_by: 3, behind_by: 0 });
    expect(await compare(`main...${start}`)).toMatchObject({ status: "behind", ahead_by: 0, behind_by: 3 });
    expect(await compare("main...main")).toMatchObject({ status: "identical" });
    const { sha: tree } = (await api.get(`git/trees/${start}`)).body;
    const other = await api.post("git/commits", { message: "fork", tree, parents: [start] });
    expect(await compare(`main...${other.body.sha}`)).toMatchObject({ status: "diverged", ahead_by: 1, behind_by: 3 });
    expect((await api.get("compare/main...nowhere")).status).toBe(404);
  });

  it("the archive lies behind a redirect", async () => {
    const found = await api.get("tarball/main");
    expect(found.status).toBe(302);
    const archive = await fetch(found.headers.get("location") ?? "");
    expect(archive.headers.get("content-type")).toBe("application/x-gzip");
    expect([...new Uint8Array(await archive.arrayBuffer()).subarray(0, 2)]).toEqual([0x1f, 0x8b]);
  });
});

describe("pull requests and rules", () => {
  it("a pull request is opened once, found by its branch, changed, and merged at a known sha", async () => {
    const sha = await api.head();
    await api.post("git/refs", { ref: "refs/heads/proposal", sha });
    const open = () => api.post("pulls", { title: "A", head: "proposal", base: "main", body: "why" });
    expect((await open()).body.errors[0].message).toBe("No commits between main and proposal");
    const tip = await api.commit({ "p/a.md": "new" }, "proposal");
    const made = await open();
    expect([made.status, made.body.mergeable, made.body.changed_files]).toEqual([201, true, 1]);
    expect((await open()).status).toBe(422);
    const { number } = made.body;
    const found = await api.get(`pulls?head=${server.owner}:proposal&state=open`);
    expect(found.body.map((one: { number: number }) => one.number)).toEqual([number]);
    expect((await api.patch(`pulls/${number}`, { title: "B", body: "more" })).body.title).toBe("B");
    await api.post(`issues/${number}/labels`, { labels: ["prompt"] });
    expect((await api.get(`pulls/${number}`)).body.labels[0].name).toBe("prompt");
    expect((await api.get(`pulls/${number}/files`)).body[0]).toMatchObject({ filename: "p/a.md", status: "added" });
    const merge = (at: string) => api.put(`pulls/${number}/merge`, { sha: at, merge_method: "squash" });
    expect((await merge(sha)).status).toBe(409);
    expect((await merge(tip)).body.merged).toBe(true);
    expect((await merge(tip)).status).toBe(405);
    expect((await api.get(`pulls/${number}`)).body).toMatchObject({ merged: true, state: "closed" });
    expect((await api.get("contents/p/a.md")).status).toBe(200);
  });

  it("rules of a branch are told and kept", async () => {
    const { owner, repo } = await server.addRepository({ name: "guarded" });
    const at = client({ ...server, owner, repo });
    const conditions = { ref_name: { include: ["~DEFAULT_BRANCH"], exclude: [] } };
    const rules = [{ type: "non_fast_forward" }, { type: "deletion" }];
    const made = await at.post("rulesets", {
      name: "keep",
      target: "branch",
      enforcement: "active",
      conditions,
      rules,
    });
    expect(made.status).toBe(201);
    const types = (await at.get("rules/branches/main")).body.map((rule: { type: string }) => rule.type);
    expect(types).toEqual(["non_fast_forward", "deletion"]);
    const before = await at.head();
    await at.commit({ a: "1" });
    expect((await at.patch("git/refs/heads/main", { sha: before, force: true })).status).toBe(422);
    expect((await at.ask("DELETE", "git/refs/heads/main")).status).toBe(422);
    expect((await at.get("branches/main")).body.protected).toBe(true);
  });
});

describe("access", () => {
  it("who is unknown, who may not see, and who may not write are told apart", async () => {
    expect((await api.get("", { token: "ghp_wrong" })).status).toBe(401);
    expect((await api.get("", { token: undefined })).status).toBe(404);
    const reader = server.addToken({ permission: "read", scopes: ["read:user"] });
    const seen = await api.get("", { token: reader });
    expect([seen.status, seen.body.permissions.push]).toEqual([200, false]);
    expect(seen.headers.get("x-oauth-scopes")).toBe("read:user");
    const denied = await api.post("git/blobs", { content: "x" }, { token: reader });
    expect([denied.status, denied.body.message]).toEqual([403, "Resource not accessible by personal access token"]);
    const elsewhere = server.addToken({ repositories: ["octo-org/other"] });
    expect((await api.get("", { token: elsewhere })).status).toBe(404);
    server.revokeToken(reader);
    expect((await api.get("", { token: reader })).status).toBe(401);
    expect((await api.get("/user")).body.login).toBe("octocat");
  });

  it("repositories are created once, empty or with a first commit", async () => {
    const made = await api.post("/user/repos", { name: "mine", private: true });
    expect([made.status, made.body.full_name]).toEqual([201, "octocat/mine"]);
    expect((await api.post("/user/repos", { name: "mine" })).status).toBe(422);
    const mine = client({ ...server, owner: "octocat", repo: "mine" });
    for (const path of ["git/ref/heads/main", "git/trees/main", "commits"]) {
      const found = await mine.get(path);
      expect([found.status, found.body.message], path).toEqual([409, "Git Repository is empty."]);
    }
    expect((await mine.post("git/blobs", { content: "x" })).status).toBe(409);
    // The one way to make a first commit.
    const first = await mine.put("contents/README.md", { message: "start", content: "aGk=" });
    expect(first.status).toBe(201);
    expect((await mine.get("git/ref/heads/main")).status).toBe(200);
    expect((await api.post(`/orgs/${server.owner}/repos`, { name: "ours", auto_init: true })).status).toBe(201);
    expect((await api.post("/orgs/nobody/repos", { name: "x" })).status).toBe(404);
  });

  it("GitHub Enterprise's addresses lead to the same place", async () => {
    const found = await api.get(`/api/v3/repos/${server.owner}/${server.repo}`);
    expect(found.body.name).toBe(server.repo);
    const reply = await api.post("/api/graphql", { query: "{ viewer { login } }" });
    expect(reply.body.data.viewer.login).toBe("octocat");
  });
});
