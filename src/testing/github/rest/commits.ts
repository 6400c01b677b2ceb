import { spawn } from "node:child_process";
import { diffLines } from "diff";
import { isEmpty, repositoryOf, resolveCommit, withCommits } from "../access.ts";
import { type Call, invalid, json, linkHeader, notFound, Problem, type Reply, type Route } from "../http.ts";
import type { CommitObject } from "../objects.ts";
import { GIT_ENV } from "../process.ts";
import { commit as commitShape, repoUrl } from "../shapes.ts";
import { diffTrees } from "../trees.ts";
import { type Repository, rulesOf } from "../world.ts";

const ROOT = "/repos/{owner}/{repo}";

async function listCommits(call: Call): Promise<Reply> {
  const repository = await withCommits(call);
  const from = await resolveCommit(repository, call.query.get("sha"), call.lag);
  if (from === undefined) throw notFound();
  const limit = Math.min(100, Math.max(1, Number(call.query.get("per_page") ?? 30) || 30));
  const page = Math.max(1, Number(call.query.get("page") ?? 1) || 1);
  const path = call.query.get("path");
  const found = await repository.store.log(from, {
    ...(path === null ? {} : { path }),
    ...dates(call),
    skip: (page - 1) * limit,
    limit: limit + 1,
  });
  const link = linkHeader(call, page, undefined, found.length > limit);
  const commits = found.slice(0, limit).map((it) => commitShape(call.world, call.origin, repository, it));
  return { status: 200, json: commits, ...(link === "" ? {} : { headers: { link } }) };
}

function dates(call: Call): { since?: string; until?: string } {
  const since = call.query.get("since");
  const until = call.query.get("until");
  return { ...(since === null ? {} : { since }), ...(until === null ? {} : { until }) };
}

async function getCommit(call: Call): Promise<Reply> {
  const repository = await withCommits(call);
  const oid = await resolveCommit(repository, call.params.ref, call.lag);
  const commit = oid === undefined ? undefined : await repository.store.commit(oid);
  if (commit === undefined) throw invalid(`No commit found for SHA: ${call.params.ref}`);
  const files = await changedFiles(call, repository, commit.parents[0], commit.oid);
  const total = files.reduce((sum, file) => sum + file.changes, 0);
  const additions = files.reduce((sum, file) => sum + file.additions, 0);
  return json({
    ...commitShape(call.world, call.origin, repository, commit),
    stats: { total, additions, deletions: total - additions },
    files,
  });
}

/** From one commit to another; from nothing, when there is no first one. */
export async function changedFiles(call: Call, repository: Repository, from: string | undefined, to: string) {
  const { store } = repository;
  const before = from === undefined ? undefined : (await store.commit(from))?.tree;
  const differences = await diffTrees(store, before, (await store.commit(to))?.tree);
  const url = repoUrl(call.origin, repository);
  const html = `${call.origin}/${repository.owner}/${repository.name}`;
  return Promise.all(
    differences.map(async ({ path, before, after }) => {
      const [additions, deletions] = await changedLines(repository, before?.oid, after?.oid);
      return {
        sha: after?.oid ?? null,
        filename: path,
        status: before === undefined ? "added" : after === undefined ? "removed" : "modified",
        additions,
        deletions,
        changes: additions + deletions,
        blob_url: `${html}/blob/${to}/${encodeURI(path)}`,
        raw_url: `${html}/raw/${to}/${encodeURI(path)}`,
        contents_url: `${url}/contents/${encodeURI(path)}?ref=${to}`,
      };
    }),
  );
}

async function changedLines(repository: Repository, before?: string, after?: string): Promise<[number, number]> {
  const lines = async (oid: string | undefined) =>
    (oid === undefined ? undefined : await repository.store.object(oid))?.content.toString("utf8") ?? "";
  let [additions, deletions] = [0, 0];
  for (const { added, removed, count } of diffLines(await lines(before), await lines(after))) {
    if (added) additions += count ?? 0;
    if (removed) deletions += count ?? 0;
  }
  return [additions, deletions];
}

interface Relation {
  readonly mergeBase: string;
  readonly ahead: number;
  readonly behind: number;
  /** Of `head` and not of `base`, newest first, at most 250. */
  readonly commits: readonly CommitObject[];
}

async function relate({ store }: Repository, base: string, head: string): Promise<Relation | undefined> {
  const forth = await store.lineage(base, head);
  if (forth) return { mergeBase: base, ahead: forth.length, behind: 0, commits: forth.slice(0, 250) };
  const back = await store.lineage(head, base);
  if (back) return { mergeBase: head, ahead: 0, behind: back.length, commits: [] };
  const mergeBase = await store.mergeBase(base, head);
  if (mergeBase === undefined) return undefined;
  const [ahead, behind] = [await store.count(head, base), await store.count(base, head)];
  return { mergeBase, ahead, behind, commits: await store.log(head, { exclude: base, limit: 250 }) };
}

async function compare(call: Call): Promise<Reply> {
  const repository = repositoryOf(call);
  const { store } = repository;
  const [left = "", right = ""] = (call.params.basehead ?? "").split("...");
  const bare = (name: string) => name.replace(/^[^:]*:/, "");
  const base = await resolveCommit(repository, bare(left), call.lag);
  const head = await resolveCommit(repository, bare(right), call.lag);
  if (left === "" || right === "" || base === undefined || head === undefined) throw notFound();
  const [baseCommit, relation] = [await store.commit(base), await relate(repository, base, head)];
  const mergeBase = relation && (await store.commit(relation.mergeBase));
  if (baseCommit === undefined) throw notFound();
  if (mergeBase === undefined) throw new Problem(404, `No common ancestor between ${left} and ${right}.`);
  const { ahead, behind, commits } = relation as Relation;
  const status = ahead === 0 ? (behind === 0 ? "identical" : "behind") : behind === 0 ? "ahead" : "diverged";
  const shape = (it: typeof baseCommit) => commitShape(call.world, call.origin, repository, it);
  const html = `${call.origin}/${repository.owner}/${repository.name}/compare/${base}...${head}`;
  return json({
    url: `${repoUrl(call.origin, repository)}/compare/${encodeURI(call.params.basehead ?? "")}`,
    html_url: html,
    permalink_url: html,
    diff_url: `${html}.diff`,
    patch_url: `${html}.patch`,
    base_commit: shape(baseCommit),
    merge_base_commit: shape(mergeBase),
    status,
    ahead_by: ahead,
    behind_by: behind,
    total_commits: ahead,
    // Oldest first, unlike everywhere else.
    commits: [...commits].reverse().map(shape),
    files: (await changedFiles(call, repository, mergeBase.oid, head)).slice(0, 300),
  });
}

async function branch(call: Call, repository: Repository, name: string, oid: string) {
  const url = repoUrl(call.origin, repository);
  const isProtected = rulesOf(repository, `refs/heads/${name}`).length > 0;
  return {
    short: { name, commit: { sha: oid, url: `${url}/commits/${oid}` }, protected: isProtected },
    protection: {
      enabled: isProtected,
      required_status_checks: { enforcement_level: "off", contexts: [], checks: [] },
    },
    protection_url: `${url}/branches/${encodeURI(name)}/protection`,
  };
}

async function listBranches(call: Call): Promise<Reply> {
  const repository = repositoryOf(call);
  const refs = await repository.store.refs("refs/heads/");
  const size = Math.min(100, Math.max(1, Number(call.query.get("per_page") ?? 30) || 30));
  const page = Math.max(1, Number(call.query.get("page") ?? 1) || 1);
  const shown = refs.slice((page - 1) * size, page * size);
  const link = linkHeader(call, page, Math.ceil(refs.length / size));
  const branches = shown.map(({ name, oid }) => branch(call, repository, name.slice(11), oid));
  const body = (await Promise.all(branches)).map(({ short }) => short);
  return { status: 200, json: body, ...(link === "" ? {} : { headers: { link } }) };
}

async function getBranch(call: Call): Promise<Reply> {
  const repository = repositoryOf(call);
  const name = call.params.branch ?? "";
  const oid = await repository.store.ref(`refs/heads/${name}`, call.lag);
  const commit = oid === undefined ? undefined : await repository.store.commit(oid);
  if (oid === undefined || commit === undefined) throw new Problem(404, "Branch not found");
  const { short, protection, protection_url } = await branch(call, repository, name, oid);
  const url = `${repoUrl(call.origin, repository)}/branches/${encodeURI(name)}`;
  return json({
    ...short,
    commit: commitShape(call.world, call.origin, repository, commit),
    _links: { self: url, html: `${call.origin}/${repository.owner}/${repository.name}/tree/${encodeURI(name)}` },
    protection,
    protection_url,
  });
}

/** The archive lies elsewhere, behind a redirect that needs no token. */
async function tarball(call: Call): Promise<Reply> {
  const repository = repositoryOf(call);
  const ref = call.params.ref === "" ? undefined : call.params.ref;
  const oid = await resolveCommit(repository, ref, call.lag);
  if (oid === undefined || (await isEmpty(repository))) throw notFound();
  const location = `${call.origin}/codeload/${repository.owner}/${repository.name}/${oid}`;
  return { status: 302, headers: { location } };
}

async function codeload(call: Call): Promise<Reply> {
  const repository = call.world.find(call.params.owner ?? "", call.params.repo ?? "");
  const commit = await repository?.store.commit(call.params.sha ?? "");
  if (repository === undefined || commit === undefined) throw notFound();
  const prefix = `${repository.owner}-${repository.name}-${commit.oid.slice(0, 7)}/`;
  const args = ["--git-dir", repository.store.gitDir, "archive", "--format=tar.gz", `--prefix=${prefix}`, commit.oid];
  const child = spawn("git", args, { env: GIT_ENV, stdio: ["ignore", "pipe", "ignore"] });
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
  return { status: 200, bytes: Buffer.concat(chunks), type: "application/x-gzip" };
}

export const commitRoutes: readonly Route[] = [
  { method: "GET", template: `${ROOT}/commits`, handle: listCommits },
  { method: "GET", template: `${ROOT}/commits/{ref}`, handle: getCommit },
  { method: "GET", template: `${ROOT}/compare/{basehead}`, handle: compare },
  { method: "GET", template: `${ROOT}/branches`, handle: listBranches },
  { method: "GET", template: `${ROOT}/branches/{branch}`, handle: getBranch },
  { method: "GET", template: `${ROOT}/tarball/{ref}`, handle: tarball },
  { method: "GET", template: "/codeload/{owner}/{repo}/{sha}", handle: codeload },
];
