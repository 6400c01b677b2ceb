import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import {
  EMULATE_PROBLEMS,
  type EmulatedGitHub,
  emulatedGitHubProblem,
  startEmulatedGitHub,
} from "../support/emulate-github.ts";
import { type Answer, client } from "../support/github-client.ts";
import { type Recorder, recordGitHub } from "../support/github-openapi/record.ts";
import { validateExchange } from "../support/github-openapi/validate.ts";
import { skipSuite } from "../support/skip.ts";

type Api = ReturnType<typeof client>;

/** What a writer of a registry does, and the ways in which it is refused: each with the status that came. */
async function tour(api: Api): Promise<readonly (readonly [string, number])[]> {
  const seen: [string, number][] = [];
  const step = async (what: string, answer: Promise<Answer>): Promise<Answer> => {
    const { status, ...rest } = await answer;
    seen.push([what, status]);
    return { status, ...rest };
  };
  await step("the repository", api.get(""));
  const start = (await step("the branch", api.get("git/ref/heads/main"))).body.object.sha as string;
  const old = (await step("its commit", api.get(`git/commits/${start}`))).body.tree.sha as string;
  await step("its tree", api.get(`git/trees/${old}?recursive=1`));
  const blob = await step("a blob", api.post("git/blobs", { content: "aGk=", encoding: "base64" }));
  await step("the blob again", api.get(`git/blobs/${blob.body.sha}`));
  const item = { path: "a/v1.0.0.md", mode: "100644", type: "blob" };
  const tree = await step("a tree", api.post("git/trees", { base_tree: old, tree: [{ ...item, content: "one\n" }] }));
  const commit = (message: string, parent: string) =>
    api.post("git/commits", { message, tree: tree.body.sha, parents: [parent] });
  const first = (await step("a commit", commit("one", start))).body.sha as string;
  const rival = (await step("its rival", commit("two", start))).body.sha as string;
  await step("the branch moves", api.patch("git/refs/heads/main", { sha: first, force: false }));
  await step("the rival is too late", api.patch("git/refs/heads/main", { sha: rival, force: false }));
  await step("a branch", api.post("git/refs", { ref: "refs/heads/draft", sha: first }));
  await step("the same branch again", api.post("git/refs", { ref: "refs/heads/draft", sha: first }));
  await step("branches by prefix", api.get("git/matching-refs/heads/dr"));
  await step("a file", api.get("contents/a/v1.0.0.md"));
  await step("a folder", api.get("contents/a"));
  await step("no such file", api.get("contents/a/v9.9.9.md"));
  await step("no such branch", api.get("git/ref/heads/nowhere"));
  await step("no such blob", api.get(`git/blobs/${"1".repeat(40)}`));
  await step("a file is written", api.put("contents/b.md", { message: "b", content: "Yg==", branch: "draft" }));
  await step("it is written again", api.put("contents/b.md", { message: "b", content: "Yw==", branch: "draft" }));
  await step("the log", api.get("commits?per_page=5"));
  await step("the log of a path", api.get("commits?path=a&sha=main"));
  await step("two branches compared", api.get("compare/main...draft"));
  const pull = await step("a pull request", api.post("pulls", { title: "b", head: "draft", base: "main", body: "" }));
  await step("the same again", api.post("pulls", { title: "b", head: "draft", base: "main", body: "" }));
  await step("pull requests", api.get("pulls?state=open"));
  await step("it is merged", api.put(`pulls/${pull.body.number}/merge`, { merge_method: "merge" }));
  await step("the branch goes", api.ask("DELETE", "git/refs/heads/draft"));
  await step("no such repository", api.get("/repos/octocat/nowhere"));
  await step("who", api.get("/user"));
  await step("what is left", api.get("/rate_limit"));
  return seen;
}

describe("the GitHub fake", () => {
  let server: GitHubServer;
  let statuses: readonly (readonly [string, number])[];
  beforeAll(async () => {
    server = await startGitHub({ validate: validateExchange });
    statuses = await tour(client(server));
  });
  afterAll(() => server.close());

  it("answers a tour of the API as GitHub's description says", async () => {
    expect(server.problems).toEqual([]);
    expect(statuses.length).toBeGreaterThan(30);
    await server.checkRepositories();
  });

  const problem = emulatedGitHubProblem();
  if (problem !== undefined) skipSuite("the GitHub fake beside emulate", problem);
  else {
    describe("beside emulate", () => {
      let emulated: EmulatedGitHub;
      let recorder: Recorder;
      let others: readonly (readonly [string, number])[];
      beforeAll(async () => {
        emulated = await startEmulatedGitHub();
        recorder = await recordGitHub(emulated.url);
        const { owner, token } = emulated;
        others = await tour(client({ url: recorder.url, owner, repo: await emulated.addRepository(), token }));
      });
      afterAll(async () => {
        await recorder?.close();
        await emulated?.stop();
      });

      it("both answer the same tour with the same statuses, but for what is known of it", () => {
        const different = others.filter(([, status], i) => status !== statuses[i]?.[1]).map(([what]) => what);
        expect(others.map(([what]) => what)).toEqual(statuses.map(([what]) => what));
        expect(different).toEqual(EMULATE_STATUSES);
      });

      it("emulate's replies hold to the description, but for what is known of it", () => {
        expect(recorder.problems).toEqual(EMULATE_PROBLEMS);
      });
    });
  }

  it("what is wrong is found: by the description, by the server at its end, by Git", async () => {
    const right = {
      method: "PATCH",
      route: "/repos/{owner}/{repo}/git/refs/{ref}",
      params: { owner: "o", repo: "r", ref: "heads/main" },
      query: {},
      requestBody: { sha: "1".repeat(40), force: false },
      status: 200,
      replyType: "application/json",
      replyBody: {
        ref: "refs/heads/main",
        node_id: "x",
        url: "https://api.github.com/x",
        object: { type: "commit", sha: "1".repeat(40), url: "https://api.github.com/x" },
      },
    };
    const problems = (change: object) => validateExchange({ ...right, ...change });
    expect(problems({})).toEqual([]);
    expect(problems({ requestBody: { force: false } })).toHaveLength(1);
    expect(problems({ requestBody: { ...right.requestBody, forced: true } })).toEqual([
      "request: unknown fields forced",
    ]);
    expect(problems({ query: { page: "1" } })).toEqual(["unknown query parameter page"]);
    expect(problems({ replyBody: { ...right.replyBody, ref: 1 } })).toEqual(["reply 200: /ref must be string"]);
    expect(problems({ status: 418 })).toHaveLength(1);
    expect(problems({ route: "/nowhere" })).toEqual(["the description has no PATCH /nowhere"]);

    const faulty = await startGitHub({ validate: ({ method }) => (method === "GET" ? ["this is wrong"] : []) });
    const api = client(faulty);
    await api.get("/nothing/of/the/kind");
    await api.commit({ "a.md": "a" });
    await faulty.checkRepositories();
    const { sha } = (await api.get("git/trees/main")).body;
    rmSync(join(faulty.gitDir, "objects", sha.slice(0, 2), sha.slice(2)));
    await expect(faulty.checkRepositories()).rejects.toThrow(/fsck|missing|broken/);
    await expect(faulty.close()).rejects.toThrow(/no such route[\s\S]*this is wrong/);
  });

  it("real Git clones, pushes, and is seen at once; the API's commits are pulled", async () => {
    const folder = mkdtempSync(join(tmpdir(), "github-push-"));
    const env = { PATH: process.env.PATH, HOME: folder, GIT_CONFIG_NOSYSTEM: "1", GIT_TERMINAL_PROMPT: "0" };
    const git = (...args: string[]) => execFileSync("git", args, { cwd: folder, env, stdio: "pipe" }).toString();
    // The server is in this process: Git must not block it.
    const remote = (...args: string[]) => promisify(execFile)("git", args, { cwd: folder, env });
    const place = await server.addRepository({ name: "pushed" });
    const api = client({ ...server, owner: place.owner, repo: place.repo });
    try {
      await remote("clone", "--quiet", place.cloneUrl, ".");
      git("config", "user.name", "hand");
      git("config", "user.email", "hand@example.org");
      writeFileSync(join(folder, "pushed.md"), "by hand\r\n");
      git("add", "pushed.md");
      git("commit", "--quiet", "-m", "pushed");
      await remote("push", "--quiet", "origin", "HEAD:main");
      const headers = { accept: "application/vnd.github.raw" };
      expect((await api.get("contents/pushed.md", { headers })).body).toBe("by hand\r\n");
      const sha = await api.commit({ "api.md": "by the API" });
      await remote("pull", "--quiet", "--ff-only", "origin", "main");
      expect(git("rev-parse", "HEAD").trim()).toBe(sha);
      // Somebody else was faster: Git refuses as it does everywhere.
      await api.commit({ "api.md": "again" });
      git("commit", "--quiet", "--allow-empty", "-m", "late");
      await expect(remote("push", "--quiet", "origin", "HEAD:main")).rejects.toThrow(/rejected/);
      const stranger = place.cloneUrl.replace(server.token, "ghp_wrong");
      await expect(remote("clone", "--quiet", stranger, "stranger")).rejects.toThrow();
      await server.checkRepositories();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** Steps that emulate 0.12.2 answers with another status than GitHub: it opens a second pull request for one branch. */
const EMULATE_STATUSES: readonly string[] = ["the same again"];
