import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { client } from "../../../test/support/github-client.ts";
import { validateExchange } from "../../../test/support/github-openapi/validate.ts";
import { type GitHubServer, startGitHub } from "./index.ts";

// Git is started for real: on a busy machine that takes its time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let server: GitHubServer;
let api: ReturnType<typeof client>;
let where: { owner: string; name: string };

beforeAll(async () => {
  server = await startGitHub({ validate: validateExchange, textLimit: 100 });
  api = client(server);
  where = { owner: server.owner, name: server.repo };
});

afterAll(async () => {
  await server.checkRepositories();
  await server.close();
});

const COMMIT = `mutation ($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid message } ref { name target { oid } } clientMutationId }
}`;

const base64 = (text: string) => Buffer.from(text).toString("base64");

const commit = (expectedHeadOid: string, fileChanges: object, more: object = {}) =>
  api.graphql(COMMIT, {
    input: {
      branch: { repositoryNameWithOwner: `${server.owner}/${server.repo}`, branchName: "main" },
      message: { headline: "change", body: "why" },
      expectedHeadOid,
      fileChanges,
      ...more,
    },
  });

it("a commit adds, replaces and deletes files at once, on the expected head only", async () => {
  const start = await api.head();
  const additions = [
    { path: "g/a.md", contents: base64("a") },
    { path: "g/b.md", contents: base64("b") },
  ];
  const made = (await commit(start, { additions }, { clientMutationId: "1" })).data.createCommitOnBranch;
  expect(made).toMatchObject({ commit: { message: "change\n\nwhy" }, ref: { name: "main" }, clientMutationId: "1" });
  expect(made.ref.target.oid).toBe(await api.head());
  const stale = await commit(start, { additions });
  expect(stale.data).toEqual({ createCommitOnBranch: null });
  expect(stale.errors[0]).toMatchObject({ type: "STALE_DATA", path: ["createCommitOnBranch"] });
  const head = await api.head();
  const next = await commit(head, { additions: [{ path: "g/c.md", contents: "" }], deletions: [{ path: "g/a.md" }] });
  expect(next.errors).toBeUndefined();
  const names = (await api.get("contents/g")).body.map((one: { name: string; size: number }) => [one.name, one.size]);
  expect(names).toEqual([
    ["b.md", 1],
    ["c.md", 0],
  ]);
  const missing = await commit(await api.head(), { deletions: [{ path: "g/nowhere.md" }] });
  expect(missing.errors[0].message).toContain("does not exist");
});

it("of eight commits on one head one is made", async () => {
  const head = await api.head();
  const all = await Promise.all(
    Array.from({ length: 8 }, (_, i) => commit(head, { additions: [{ path: `race/${i}`, contents: "" }] })),
  );
  const types = all.map((reply) => reply.errors?.[0].type ?? "made").sort();
  expect(types).toEqual([...Array.from({ length: 7 }, () => "STALE_DATA"), "made"]);
  expect((await api.get("contents/race")).body).toHaveLength(1);
});

it("a file in the place of a link is a plain file", async () => {
  const base = await api.head();
  const link = [{ path: "m/latest.md", mode: "120000", type: "blob", content: "v1.md" }];
  const tree = await api.post("git/trees", { base_tree: base, tree: link });
  const made = await api.post("git/commits", { message: "link", tree: tree.body.sha, parents: [base] });
  await api.patch("git/refs/heads/main", { sha: made.body.sha });
  await commit(made.body.sha, { additions: [{ path: "m/latest.md", contents: base64("v2.md") }] });
  const query = `query ($owner: String!, $name: String!) { repository(owner: $owner, name: $name) {
    object(expression: "main:m") { ... on Tree { entries { name mode } } } } }`;
  const found = await api.graphql(query, where);
  expect(found.data.repository.object.entries).toEqual([{ name: "latest.md", mode: 0o100644 }]);
});

it("many objects are read by one query, binary and long ones told as such", async () => {
  const base = await api.head();
  const additions = [
    { path: "r/text.md", contents: base64("ä\r\n") },
    { path: "r/binary", contents: Buffer.from([1, 0, 2]).toString("base64") },
    { path: "r/long", contents: base64("é".repeat(80)) },
  ];
  await commit(base, { additions });
  const query = `query ($owner: String!, $name: String!) {
    rateLimit { cost remaining }
    repository(owner: $owner, name: $name) {
      isEmpty viewerPermission defaultBranchRef { name target { oid } }
      none: object(expression: "main:nowhere") { oid }
      gone: ref(qualifiedName: "refs/heads/nowhere") { name }
      text: object(expression: "main:r/text.md") { ...Text }
      binary: object(expression: "HEAD:r/binary") { ...Text }
      long: object(expression: "refs/heads/main:r/long") { ...Text }
      folder: object(expression: "main:r") { ... on Tree { entries { name path type size object { ...Text } } } }
    }
  }
  fragment Text on Blob { text isBinary isTruncated byteSize }`;
  const { data, errors } = await api.graphql(query, where);
  expect(errors).toBeUndefined();
  const { none, gone, text, binary, long, folder, defaultBranchRef, viewerPermission } = data.repository;
  expect([none, gone]).toEqual([null, null]);
  expect(text).toEqual({ text: "ä\r\n", isBinary: false, isTruncated: false, byteSize: 4 });
  expect(binary).toEqual({ text: null, isBinary: true, isTruncated: false, byteSize: 3 });
  expect(long).toMatchObject({ isTruncated: true, byteSize: 160, text: "é".repeat(50) });
  expect(folder.entries.map((one: { path: string }) => one.path)).toEqual(["r/binary", "r/long", "r/text.md"]);
  expect(defaultBranchRef.target.oid).toBe(await api.head());
  expect(viewerPermission).toBe("ADMIN");
});

it("history and refs come page by page, and no page is too long", async () => {
  const history = (args: string) =>
    api.graphql(
      `query ($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { ref(qualifiedName: "main") {
        target { ... on Commit { history(${args}) { nodes { oid message } pageInfo { hasNextPage endCursor } } } } } } }`,
      where,
    );
  const of = (reply: Awaited<ReturnType<typeof history>>) => reply.data.repository.ref.target.history;
  const all = of(await history("first: 100"));
  const first = of(await history("first: 2"));
  expect(first.pageInfo.hasNextPage).toBe(true);
  const second = of(await history(`first: 100, after: "${first.pageInfo.endCursor}"`));
  expect([...first.nodes, ...second.nodes]).toEqual(all.nodes);
  expect((await history("first: 101")).errors[0].type).toBe("EXCESSIVE_PAGINATION");
});

it("what the schema does not know is refused, and so is who may not", async () => {
  expect((await api.graphql("{ nothing }")).errors[0].message).toContain('Cannot query field "nothing"');
  expect((await api.graphql("{")).errors[0].message).toContain("Syntax Error");
  const unanswered = await api.graphql("{ meta { gitHubServicesSha } }");
  expect(unanswered.errors[0].message).toContain("does not answer the field Query.meta");
  const unknown = await api.graphql('{ repository(owner: "a", name: "b") { id } }');
  expect([unknown.data.repository, unknown.errors[0].type]).toEqual([null, "NOT_FOUND"]);
  expect(
    (await api.ask("POST", "/graphql", { token: undefined, body: { query: "{ viewer { login } }" } })).status,
  ).toBe(401);
  const token = server.addToken({ permission: "read" });
  const input = {
    branch: { repositoryNameWithOwner: `${server.owner}/${server.repo}`, branchName: "main" },
    message: { headline: "x" },
    expectedHeadOid: await api.head(),
  };
  expect((await api.graphql(COMMIT, { input }, { token })).errors[0].type).toBe("FORBIDDEN");
  const nowhere = { ...input, branch: { ...input.branch, branchName: "nowhere" } };
  expect((await api.graphql(COMMIT, { input: nowhere })).errors[0].type).toBe("NOT_FOUND");
  const bad = { ...input, fileChanges: { additions: [{ path: "../x", contents: "" }] } };
  expect((await api.graphql(COMMIT, { input: bad })).errors).toHaveLength(1);
});

it("a branch is made by mutation, and rules hold for mutations too", async () => {
  const { owner, repo } = await server.addRepository({ name: "ruled" });
  const at = client({ ...server, owner, repo });
  const id = (await api.graphql(`{ repository(owner: "${owner}", name: "${repo}") { id } }`)).data.repository.id;
  const create = `mutation ($input: CreateRefInput!) { createRef(input: $input) { ref { name } } }`;
  const input = { repositoryId: id, name: "refs/heads/draft", oid: await at.head() };
  expect((await api.graphql(create, { input })).data.createRef.ref.name).toBe("draft");
  expect((await api.graphql(create, { input })).errors).toHaveLength(1);
  const conditions = { ref_name: { include: ["~DEFAULT_BRANCH"], exclude: [] } };
  const rules = [{ type: "pull_request" }];
  await at.post("rulesets", { name: "review", target: "branch", enforcement: "active", conditions, rules });
  const branch = { repositoryNameWithOwner: `${owner}/${repo}`, branchName: "main" };
  const refused = await commit(await at.head(), { additions: [{ path: "x", contents: "" }] }, { branch });
  expect(refused.errors[0].message).toContain("Changes must be made through a pull request.");
});

it("refs move by mutation only from where they are said to be, all of them or none", async () => {
  const { owner, repo } = await server.addRepository({ name: "moved" });
  const at = client({ ...server, owner, repo });
  const id = (await api.graphql(`{ repository(owner: "${owner}", name: "${repo}") { id } }`)).data.repository.id;
  const mutation = "mutation ($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }";
  const move = (refUpdates: readonly object[], options?: { token: string }) =>
    at.graphql(mutation, { input: { repositoryId: id, refUpdates } }, options);
  const ref = async (name: string) => (await at.get(`git/ref/heads/${name}`)).body.object?.sha;
  const none = "0".repeat(40);
  const name = (branch: string) => `refs/heads/${branch}`;
  const one = await at.commit({ a: "1" });
  const two = await at.commit({ a: "2" });

  expect(await move([{ name: name("x"), beforeOid: none, afterOid: two }])).toEqual({
    data: { updateRefs: { clientMutationId: null } },
  });
  // As github.com says it: no type, no path, no data.
  const general = {
    errors: [{ message: expect.stringMatching(/^Something went wrong .* when reporting this issue\.$/) }],
  };
  expect(await move([{ name: name("x"), beforeOid: none, afterOid: two }])).toEqual(general);
  expect(await move([{ name: name("x"), beforeOid: one, afterOid: one, force: true }])).toEqual(general);
  // Back is by force only.
  expect(await move([{ name: name("x"), beforeOid: two, afterOid: one }])).toEqual(general);
  expect(await move([{ name: name("x"), afterOid: "f".repeat(40) }])).toEqual(general);
  expect(await ref("x")).toBe(two);
  expect((await move([{ name: name("x"), beforeOid: two, afterOid: one, force: true }])).errors).toBeUndefined();
  expect(await ref("x")).toBe(one);

  const both = [
    { name: name("x"), beforeOid: one, afterOid: two },
    { name: name("y"), beforeOid: one, afterOid: two },
  ];
  expect(await move(both)).toEqual(general);
  expect([await ref("x"), await ref("y")]).toEqual([one, undefined]);
  expect(await move([{ name: name("x"), beforeOid: two, afterOid: none }])).toEqual(general);
  expect((await move([{ name: name("x"), beforeOid: one, afterOid: none }])).errors).toBeUndefined();
  expect(await ref("x")).toBeUndefined();
  expect(await move([{ name: name("x"), afterOid: none }])).toEqual(general);
  // Of many at once one is first.
  const race = await Promise.all([1, 2, 3, 4].map(() => move([{ name: name("z"), beforeOid: none, afterOid: one }])));
  expect(race.filter(({ errors }) => errors === undefined)).toHaveLength(1);

  const token = server.addToken({ permission: "read" });
  const denied = await move([{ name: name("x"), afterOid: one }], { token });
  expect(denied.errors[0].type).toBe("FORBIDDEN");
  expect((await at.graphql(mutation, { input: { repositoryId: "R_none", refUpdates: [] } })).errors[0].type).toBe(
    "NOT_FOUND",
  );
});

it("a server without GraphQL says so", async () => {
  const plain = await startGitHub({ graphql: false });
  const reply = await client(plain).ask("POST", "/graphql", { body: { query: "{ viewer { login } }" } });
  expect(reply.status).toBe(404);
  await plain.close();
});
