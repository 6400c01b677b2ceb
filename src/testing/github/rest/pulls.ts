import { refusal, repositoryOf, setRef } from "../access.ts";
import { type Call, invalid, json, notFound, Problem, paged, type Reply, type Route, text } from "../http.ts";
import { git } from "../process.ts";
import { user } from "../shapes.ts";
import { label, pullRequest } from "../shapes-pulls.ts";
import type { PullRequest, Repository } from "../world.ts";
import { changedFiles } from "./commits.ts";
import { person } from "./objects.ts";

const ROOT = "/repos/{owner}/{repo}/pulls";
const LABELS = "/repos/{owner}/{repo}/issues/{issue_number}/labels";

async function tips(repository: Repository, pull: PullRequest) {
  const tip = async (branch: string) => (await repository.store.ref(`refs/heads/${branch}`)) ?? "0".repeat(40);
  return pull.closed ?? { head: await tip(pull.head), base: await tip(pull.base) };
}

const short = async (call: Call, repository: Repository, pull: PullRequest) =>
  pullRequest(call.world, call.origin, repository, pull, await tips(repository, pull));

async function full(call: Call, repository: Repository, pull: PullRequest) {
  const at = await tips(repository, pull);
  const merge = pull.state === "open" ? await mergedTree(repository, at.base, at.head) : undefined;
  const base = await repository.store.mergeBase(at.base, at.head);
  const files = base === undefined ? [] : await changedFiles(call, repository, base, at.head);
  const total = (key: "additions" | "deletions") => files.reduce((sum, file) => sum + file[key], 0);
  return {
    ...pullRequest(call.world, call.origin, repository, pull, at),
    merged: pull.merged !== undefined,
    mergeable: pull.state === "open" ? merge !== undefined : null,
    rebaseable: null,
    mergeable_state: pull.state === "open" ? (merge === undefined ? "dirty" : "clean") : "unknown",
    merged_by: pull.merged === undefined ? null : user(call.world, call.origin, pull.merged.by),
    comments: 0,
    review_comments: 0,
    maintainer_can_modify: false,
    commits: base === undefined ? 0 : await repository.store.count(at.head, base),
    additions: total("additions"),
    deletions: total("deletions"),
    changed_files: files.length,
  };
}

/** The tree of a clean merge, by Git itself. */
async function mergedTree(repository: Repository, base: string, head: string): Promise<string | undefined> {
  const args = ["--git-dir", repository.store.gitDir, "merge-tree", "--write-tree", base, head];
  return git(args).then(
    (out) => out.split("\n")[0],
    () => undefined,
  );
}

function find(call: Call, repository: Repository): PullRequest {
  const number = Number(call.params.pull_number ?? call.params.issue_number);
  const pull = repository.pulls.find((one) => one.number === number);
  if (pull === undefined) throw notFound();
  return pull;
}

async function list(call: Call): Promise<Reply> {
  const repository = repositoryOf(call);
  const { query } = call;
  const state = query.get("state") ?? "open";
  const head = query.get("head");
  const base = query.get("base");
  const found = repository.pulls
    .filter((pull) => state === "all" || pull.state === state)
    // GitHub ignores a head without an owner.
    .filter((pull) => head === null || !head.includes(":") || head === `${repository.owner}:${pull.head}`)
    .filter((pull) => base === null || pull.base === base)
    .reverse();
  const shown = await Promise.all(found.map((pull) => short(call, repository, pull)));
  return paged(call, shown.length, (from, to) => shown.slice(from, to));
}

async function create(call: Call): Promise<Reply> {
  const repository = repositoryOf(call, "read");
  const head = text(call, "head").replace(new RegExp(`^${repository.owner}:`), "");
  const base = text(call, "base");
  const title = text(call, "title");
  const wrong = (field: string) => invalid("Validation Failed", [{ resource: "PullRequest", field, code: "invalid" }]);
  const custom = (message: string) =>
    invalid("Validation Failed", [{ resource: "PullRequest", code: "custom", message }]);
  const [tip, onto] = [
    await repository.store.ref(`refs/heads/${head}`),
    await repository.store.ref(`refs/heads/${base}`),
  ];
  if (tip === undefined) throw wrong("head");
  if (onto === undefined) throw wrong("base");
  const twin = repository.pulls.find((pull) => pull.state === "open" && pull.head === head && pull.base === base);
  if (twin !== undefined) throw custom(`A pull request already exists for ${repository.owner}:${head}.`);
  if (await repository.store.isAncestor(tip, onto)) throw custom(`No commits between ${base} and ${head}`);
  const now = call.world.time();
  const pull: PullRequest = {
    number: repository.pulls.length + 1,
    title,
    body: typeof call.body.body === "string" ? call.body.body : null,
    state: "open",
    head,
    base,
    author: call.token?.login ?? "ghost",
    draft: call.body.draft === true,
    createdAt: now,
    updatedAt: now,
    merged: undefined,
    closed: undefined,
    labels: [],
  };
  repository.pulls.push(pull);
  return json(await full(call, repository, pull), 201);
}

async function get(call: Call): Promise<Reply> {
  const repository = repositoryOf(call);
  return json(await full(call, repository, find(call, repository)));
}

async function update(call: Call): Promise<Reply> {
  const repository = repositoryOf(call, "write");
  const pull = find(call, repository);
  const { title, body, state, base } = call.body;
  if (typeof title === "string") pull.title = title;
  if (typeof body === "string" || body === null) pull.body = body;
  if (typeof base === "string") pull.base = base;
  if (state === "closed" && pull.state === "open") close(pull, call, await tips(repository, pull));
  if (state === "open" && pull.state === "closed") {
    if (pull.merged !== undefined) throw invalid("Validation Failed");
    pull.state = "open";
    pull.closed = undefined;
  }
  pull.updatedAt = call.world.time();
  return json(await full(call, repository, pull));
}

function close(pull: PullRequest, call: Call, at: { head: string; base: string }): void {
  pull.state = "closed";
  pull.closed = { ...at, at: call.world.time() };
}

async function files(call: Call): Promise<Reply> {
  const repository = repositoryOf(call);
  const at = await tips(repository, find(call, repository));
  const base = await repository.store.mergeBase(at.base, at.head);
  const all = await changedFiles(call, repository, base, at.head);
  return paged(call, all.length, (from, to) => all.slice(from, to));
}

async function merge(call: Call): Promise<Reply> {
  const repository = repositoryOf(call, "write");
  const pull = find(call, repository);
  const { store } = repository;
  if (pull.state !== "open") throw new Problem(405, "Pull Request is not mergeable");
  const at = await tips(repository, pull);
  if (typeof call.body.sha === "string" && call.body.sha !== at.head) {
    throw new Problem(409, "Head branch was modified. Review and try the merge again.");
  }
  const ref = `refs/heads/${pull.base}`;
  const tree = await mergedTree(repository, at.base, at.head);
  if (tree === undefined) throw new Problem(405, "Pull Request has merge conflicts");
  const squash = call.body.merge_method === "squash";
  const by = call.token?.login ?? "ghost";
  const author = person(call, undefined);
  const title =
    typeof call.body.commit_title === "string" ? call.body.commit_title : defaultTitle(repository, pull, squash);
  const rest = typeof call.body.commit_message === "string" ? call.body.commit_message : squash ? "" : pull.title;
  const message = rest === "" ? title : `${title}\n\n${rest}`;
  const parents = squash ? [at.base] : [at.base, at.head];
  const sha = await store.writeCommit({ tree, parents, author, committer: author, message });
  const why = await refusal(repository, ref, at.base, sha, true);
  if (why !== undefined) throw new Problem(405, `Repository rule violations found\n\n${why}\n\n`);
  if (!(await setRef(repository, ref, sha, at.base)))
    throw new Problem(409, "Base branch was modified. Review and try the merge again.");
  close(pull, call, at);
  pull.merged = { sha, at: call.world.time(), by };
  return json({ sha, merged: true, message: "Pull Request successfully merged" });
}

const defaultTitle = (repository: Repository, pull: PullRequest, squash: boolean): string =>
  squash
    ? `${pull.title} (#${pull.number})`
    : `Merge pull request #${pull.number} from ${repository.owner}/${pull.head}`;

async function getLabels(call: Call): Promise<Reply> {
  const repository = repositoryOf(call);
  return json(find(call, repository).labels.map((name) => label(call.origin, repository, name)));
}

async function addLabels(call: Call): Promise<Reply> {
  const repository = repositoryOf(call, "write");
  const pull = find(call, repository);
  const given = Array.isArray(call.body.labels) ? (call.body.labels as unknown[]) : [];
  const names = given.map((one) => (typeof one === "string" ? one : String((one as { name?: unknown }).name)));
  pull.labels = [...new Set([...pull.labels, ...names])];
  return json(pull.labels.map((name) => label(call.origin, repository, name)));
}

export const pullRoutes: readonly Route[] = [
  { method: "GET", template: ROOT, handle: list },
  { method: "POST", template: ROOT, handle: create },
  { method: "GET", template: `${ROOT}/{pull_number}`, handle: get },
  { method: "PATCH", template: `${ROOT}/{pull_number}`, handle: update },
  { method: "GET", template: `${ROOT}/{pull_number}/files`, handle: files },
  { method: "PUT", template: `${ROOT}/{pull_number}/merge`, handle: merge },
  { method: "GET", template: LABELS, handle: getLabels },
  { method: "POST", template: LABELS, handle: addLabels },
];
