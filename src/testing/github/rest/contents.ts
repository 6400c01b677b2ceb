import { refuse, repositoryOf, resolveCommit, setRef } from "../access.ts";
import { type Call, invalid, json, notFound, Problem, type Reply, type Route, text, wants } from "../http.ts";
import { type TreeEntry, typeOfMode } from "../objects.ts";
import { contentItem, gitCommit } from "../shapes.ts";
import { changeTree, pathProblem } from "../trees.ts";
import type { Repository } from "../world.ts";
import { decoded, person, wrapped } from "./objects.ts";

const TEMPLATE = "/repos/{owner}/{repo}/contents/{path}";
/** Above this, the JSON form has no content. */
const INLINE_BYTES = 1024 * 1024;
const FOLDER_ENTRIES = 1000;

async function getContents(call: Call): Promise<Reply> {
  const repository = repositoryOf(call);
  const { store } = repository;
  const path = (call.params.path ?? "").replace(/\/$/, "");
  const ref = call.query.get("ref") ?? repository.defaultBranch;
  const oid = await resolveCommit(repository, ref, call.lag);
  if (oid === undefined) {
    const empty = (await store.refs("refs/")).length === 0;
    throw empty
      ? new Problem(404, "This repository is empty.")
      : new Problem(404, `No commit found for the ref ${ref}`);
  }
  const commit = await store.commit(oid);
  const found = commit && (await store.entry(commit.tree, path));
  if (commit === undefined || found === undefined) throw notFound();
  const item = (at: string, entry: TreeEntry, size: number) =>
    contentItem(call.origin, repository, ref, at, entry, size);

  if (typeOfMode(found.mode) === "tree") {
    const entries = await Promise.all(
      ((await store.tree(found.oid)) ?? []).slice(0, FOLDER_ENTRIES).map(async (entry) => {
        const size = typeOfMode(entry.mode) === "blob" ? await store.size(entry.oid) : 0;
        return item(path === "" ? entry.name : `${path}/${entry.name}`, entry, size);
      }),
    );
    return json(wants(call, "object") ? { ...item(path, found, 0), entries } : entries);
  }
  if (found.mode === "160000") return json({ ...item(path, found, 0), submodule_git_url: "git://127.0.0.1/submodule" });

  const link = found.mode === "120000" ? await followed(repository, commit.tree, path, found) : undefined;
  if (found.mode === "120000" && link?.entry === undefined) {
    return json({ ...item(path, found, link?.target.length ?? 0), target: link?.target ?? "" });
  }
  const entry = link?.entry ?? found;
  const content = (await store.object(entry.oid))?.content ?? Buffer.alloc(0);
  if (wants(call, "raw")) {
    return { status: 200, bytes: content, type: "application/vnd.github.raw+json; charset=utf-8" };
  }
  // A link is followed: the content is the target's, under the link's own name.
  const large = content.length > INLINE_BYTES;
  return json({
    ...item(path, entry, content.length),
    content: large ? "" : wrapped(content),
    encoding: large ? "none" : "base64",
  });
}

/** Where a symbolic link leads, if that is a file of the same tree. */
async function followed(repository: Repository, tree: string, path: string, link: TreeEntry) {
  const { store } = repository;
  let at = path;
  let entry = link;
  let target = "";
  for (let steps = 0; steps < 8 && entry.mode === "120000"; steps++) {
    target = (await store.object(entry.oid))?.content.toString("utf8") ?? "";
    const names = target.startsWith("/") ? [".."] : [...at.split("/").slice(0, -1), ...target.split("/")];
    const resolved: string[] = [];
    for (const name of names) {
      if (name === "..") {
        if (resolved.pop() === undefined) return { target };
      } else if (name !== "." && name !== "") resolved.push(name);
    }
    at = resolved.join("/");
    const next = await store.entry(tree, at);
    if (next === undefined || typeOfMode(next.mode) !== "blob") return { target };
    entry = next;
  }
  return entry.mode === "120000" ? { target } : { target, entry };
}

interface Edit {
  readonly repository: Repository;
  readonly path: string;
  readonly ref: string;
  readonly head: string | undefined;
  readonly tree: string | undefined;
  readonly found: TreeEntry | undefined;
}

async function edit(call: Call): Promise<Edit> {
  const repository = repositoryOf(call, "write");
  const { store } = repository;
  const path = call.params.path ?? "";
  if (pathProblem(path) !== undefined) throw invalid("path contains a malformed path component");
  const given = call.body.branch ?? call.query.get("branch");
  const branch = typeof given === "string" ? given : repository.defaultBranch;
  const ref = `refs/heads/${branch}`;
  const head = await store.ref(ref);
  if (head === undefined && (await store.refs("refs/")).length > 0)
    throw new Problem(404, `Branch ${branch} not found`);
  const tree = head === undefined ? undefined : (await store.commit(head))?.tree;
  return { repository, path, ref, head, tree, found: tree === undefined ? undefined : await store.entry(tree, path) };
}

function checkSha(call: Call, { path, found }: Edit): void {
  const sha = call.body.sha ?? call.query.get("sha");
  if (found === undefined) return;
  if (sha === undefined || sha === null) throw invalid('Invalid request.\n\n"sha" wasn\'t supplied.');
  if (sha !== found.oid) throw new Problem(409, `${path} does not match ${sha}`);
}

async function save(call: Call, at: Edit, entry: { mode: string; oid: string | null }) {
  const { repository, path, ref, head } = at;
  const { store } = repository;
  const author = person(call, call.body.author ?? call.body.committer);
  const committer = person(call, call.body.committer ?? call.body.author);
  const message = text(call, "message");
  const tree = await changeTree(store, at.tree, new Map([[path, entry]]));
  const parents = head === undefined ? [] : [head];
  const oid = await store.writeCommit({ tree, parents, author, committer, message });
  await refuse(repository, ref, head, oid);
  if (!(await setRef(repository, ref, oid, head ?? null))) {
    throw new Problem(409, `is at ${await store.ref(ref)} but expected ${head}`);
  }
  const commit = await store.commit(oid);
  if (commit === undefined) throw new Problem(500, "Server Error");
  return gitCommit(call.origin, repository, commit);
}

async function putContents(call: Call): Promise<Reply> {
  const at = await edit(call);
  const { repository, path, found } = at;
  if (found !== undefined && typeOfMode(found.mode) !== "blob") throw invalid(`${path} is a directory`);
  checkSha(call, at);
  if (typeof call.body.content !== "string") throw invalid('Invalid request.\n\n"content" wasn\'t supplied.');
  const content = decoded(call.body.content, "base64");
  const oid = await repository.store.writeBlob(content);
  const mode = found?.mode === "100755" ? "100755" : "100644";
  const commit = await save(call, at, { mode, oid });
  const branch = at.ref.slice("refs/heads/".length);
  const item = contentItem(call.origin, repository, branch, path, { mode, name: path, oid }, content.length);
  return json({ content: item, commit }, found === undefined ? 201 : 200);
}

async function deleteContents(call: Call): Promise<Reply> {
  const at = await edit(call);
  if (at.found === undefined) throw notFound();
  checkSha(call, at);
  return json({ content: null, commit: await save(call, at, { mode: "100644", oid: null }) });
}

export const contentRoutes: readonly Route[] = [
  { method: "GET", template: TEMPLATE, handle: getContents },
  { method: "PUT", template: TEMPLATE, handle: putContents },
  { method: "DELETE", template: TEMPLATE, handle: deleteContents },
];
