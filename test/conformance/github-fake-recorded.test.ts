import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createClient } from "../../src/drivers/github/client.ts";
import { resolveOptions } from "../../src/drivers/github/options.ts";
import { type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { client } from "../support/github-client.ts";
import { routeOf } from "../support/github-openapi/record.ts";
import { validateExchange } from "../support/github-openapi/validate.ts";

/** One exchange with the real GitHub, as @octokit/fixtures recorded it. */
interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly status: number;
  readonly response: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

const require = createRequire(import.meta.url);
const recorded = (scenario: string): readonly Recorded[] => {
  const file = require.resolve(`@octokit/fixtures/scenarios/api.github.com/${scenario}/normalized-fixture.json`);
  return JSON.parse(readFileSync(file, "utf8")) as readonly Recorded[];
};

const SCENARIOS = ["git-refs", "create-file", "get-content", "get-repository", "get-archive", "errors"];
const all = SCENARIOS.flatMap(recorded);
const of = (method: string, path: RegExp): Recorded => {
  const found = all.find((one) => one.method === method && path.test(one.path));
  if (found === undefined) throw new Error(`nothing was recorded of ${method} ${path}`);
  return found;
};

describe("what the real GitHub answered", () => {
  let replay: Server;
  let current: Recorded;
  let baseUrl: string;

  beforeAll(async () => {
    replay = createServer((request, response) => {
      request.resume();
      const { "content-length": _, connection: __, "transfer-encoding": ___, ...headers } = current.headers;
      const { response: body } = current;
      const bytes = typeof body === "string" ? body : JSON.stringify(body);
      const plain = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
      response.writeHead(current.status, plain).end(current.status === 204 ? undefined : bytes);
    });
    await new Promise<void>((resolve) => replay.listen(0, "127.0.0.1", () => resolve()));
    baseUrl = `http://127.0.0.1:${(replay.address() as AddressInfo).port}`;
  });
  afterAll(() => replay.close());

  /** Through what every call of the driver goes through. */
  async function send(
    exchange: Recorded,
    more: { readonly accept?: readonly number[]; readonly maxBytes?: number } = {},
  ) {
    current = exchange;
    const kit = await createClient(resolveOptions({ owner: "o", repo: "r", token: "t", baseUrl }));
    const method = exchange.method.toUpperCase() as "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
    return kit.send({ method, path: exchange.path, operation: "read", mutates: method !== "GET", ...more });
  }

  it("references come with the id they point at, and an ETag", async () => {
    for (const [method, path] of [
      ["post", /git\/refs$/],
      ["patch", /git\/refs\/heads\/test$/],
    ] as const) {
      const { data } = await send(of(method, path));
      expect((data as { object: unknown }).object).toMatchObject({
        sha: expect.stringMatching(/^[0-9a-f]{40}$/),
        type: "commit",
      });
    }
    const list = await send(of("get", /git\/refs\/$/));
    expect(list.headers.etag).toMatch(/^(W\/)?"/);
    expect((await send(of("delete", /git\/refs\/heads\/test$/))).status).toBe(204);
  });

  it("a repository tells its default branch, and a file comes raw", async () => {
    const { data } = await send(of("get", /hello-world$/));
    expect(data).toMatchObject({ default_branch: "master", full_name: "octokit-fixture-org/hello-world" });
    const raw = await send(of("get", /README\.md$/), { maxBytes: 1000 });
    const text = typeof raw.data === "string" ? raw.data : Buffer.from(raw.data as ArrayBuffer).toString();
    expect(text).toBe("# hello-world");
    expect((await send(of("put", /test\.txt$/))).data).toMatchObject({ commit: { sha: expect.any(String) } });
  });

  it("a refusal is told as one, in GitHub's words", async () => {
    await expect(send(of("post", /labels$/))).rejects.toMatchObject({
      code: "CONFLICT",
      message: expect.stringContaining("Validation Failed"),
    });
  });

  it("recorded exchanges hold to the description, as far as it is not younger than they are", () => {
    const problems = all
      .filter(({ path }) => routeOf("GET", path).route !== "unknown" || /git\/refs/.test(path))
      .map((one) => {
        const method = one.method.toUpperCase();
        const { route, params } = routeOf(method, one.path);
        if (route === "unknown") return [];
        const isJson = typeof one.response === "object";
        return validateExchange({
          method,
          route,
          params,
          query: {},
          requestBody: one.body === "" ? undefined : one.body,
          status: one.status,
          replyType: isJson ? "application/json" : "text/plain",
          replyBody: one.response,
        }).map((problem) => `${method} ${route}: ${problem}`);
      });
    expect([...new Set(problems.flat())].sort()).toEqual(YOUNGER);
  });
});

/** What the description asks for today and replies did not have when they were recorded. */
const YOUNGER: readonly string[] = [
  "GET /repos/{owner}/{repo}: reply 200:  must have required property 'has_discussions'",
];

describe("the GitHub fake beside what was recorded", () => {
  let server: GitHubServer;
  beforeAll(async () => {
    server = await startGitHub({ validate: validateExchange });
  });
  afterAll(() => server.close());

  // Of its web server and its browsers' safety, and what comes only with OAuth.
  const ELSEWHERE =
    /^(access-control-|content-security|strict-transport|referrer-|x-(content-type|frame|xss)|x-oauth|x-accepted|connection|transfer-encoding|status|last-modified|content-encoding|x-poll)/;

  it("its headers are those of the real one", async () => {
    const real = Object.keys(of("get", /git\/refs\/$/).headers).filter((name) => !ELSEWHERE.test(name));
    const { headers } = await client(server).get("git/ref/heads/main");
    expect(real.filter((name) => !headers.has(name))).toEqual([]);
  });

  it("its refusals have the real one's fields", async () => {
    const real = of("post", /labels$/).response as object;
    const refused = await client(server).post("pulls", { title: "x", head: "nowhere", base: "main" });
    expect(refused.status).toBe(422);
    expect(Object.keys(refused.body)).toEqual(expect.arrayContaining(Object.keys(real)));
  });

  it("its repository and its references have the real one's fields, but for settings that nobody here reads", async () => {
    const api = client(server);
    const keys = (value: unknown) => Object.keys(value as object);
    const repository = of("get", /hello-world$/).response;
    const own = keys((await api.get("")).body);
    expect(
      keys(repository)
        .filter((key) => !own.includes(key))
        .sort(),
    ).toEqual(UNTOLD);
    const reference = of("patch", /git\/refs\/heads\/test$/).response;
    const ref = (await api.get("git/ref/heads/main")).body;
    expect(keys(ref).sort()).toEqual(keys(reference).sort());
  });
});

/** Fields of a repository that are about other things than its contents. */
const UNTOLD: readonly string[] = [
  "allow_auto_merge",
  "allow_forking",
  "allow_merge_commit",
  "allow_rebase_merge",
  "allow_squash_merge",
  "allow_update_branch",
  "delete_branch_on_merge",
  "organization",
  "temp_clone_token",
  "use_squash_pr_title_as_default",
  "web_commit_signoff_required",
];
