import { resolveCommit, withCommits } from "../access.ts";
import { type Call, invalid, json, notFound, Problem, type Reply, type Route, text, wants } from "../http.ts";
import { type Mode, type Person, type TreeEntry, typeOfMode, wholeSeconds } from "../objects.ts";
import { gitCommit, nodeId, repoUrl, treeItem } from "../shapes.ts";
import { changeTree, pathProblem, type TreeChange, walkTree } from "../trees.ts";
import type { Repository } from "../world.ts";

const ROOT = "/repos/{owner}/{repo}/git";
const SHA = /^[0-9a-f]{40}$/;

async function getBlob(call: Call): Promise<Reply> {
  const repository = await withCommits(call);
  const sha = call.params.file_sha ?? "";
  if (!SHA.test(sha)) throw invalid("The sha parameter must be exactly 40 characters and contain only [0-9a-f].");
  const object = await repository.store.object(sha);
  if (object?.type !== "blob") throw notFound();
  if (wants(call, "raw")) {
    return { status: 200, bytes: object.content, type: "application/vnd.github.raw+json; charset=utf-8" };
  }
  return json({
    sha,
    node_id: nodeId("Blob", sha),
    size: object.content.length,
    url: `${repoUrl(call.origin, repository)}/git/blobs/${sha}`,
    content: wrapped(object.content),
    encoding: "base64",
  });
}

/** GitHub breaks base64 after 60 characters. */
export const wrapped = (content: Buffer): string => content.toString("base64").replace(/.{1,60}/g, "$&\n");

export function decoded(content: string, encoding: unknown): Buffer {
  if (encoding !== "base64") return Buffer.from(content, "utf8");
  const bare = content.replaceAll(/[\r\n]/g, "");
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(bare) || bare.length % 4 !== 0) throw invalid("content is not valid Base64");
  return Buffer.from(bare, "base64");
}

async function createBlob(call: Call): Promise<Reply> {
  const repository = await withCommits(call, "write");
  if (typeof call.body.content !== "string") throw invalid('Invalid request.\n\n"content" wasn\'t supplied.');
  const sha = await repository.store.writeBlob(decoded(call.body.content, call.body.encoding ?? "utf-8"));
  return json({ url: `${repoUrl(call.origin, repository)}/git/blobs/${sha}`, sha }, 201);
}

/** A tree by its own id, or by what has one: a commit, a branch, a tag. */
async function treeOf(repository: Repository, name: string, lag: number): Promise<string | undefined> {
  if (SHA.test(name) && (await repository.store.object(name))?.type === "tree") return name;
  const [ref = "", path = ""] = name.split(/:(.*)/s);
  const oid = await resolveCommit(repository, ref, lag);
  const commit = oid === undefined ? undefined : await repository.store.commit(oid);
  if (commit === undefined) return undefined;
  const entry = await repository.store.entry(commit.tree, path);
  return entry !== undefined && typeOfMode(entry.mode) === "tree" ? entry.oid : undefined;
}

async function getTree(call: Call): Promise<Reply> {
  const repository = await withCommits(call);
  const { store } = repository;
  const sha = await treeOf(repository, call.params.tree_sha ?? "", call.lag);
  if (sha === undefined) throw notFound();
  const limit = call.world.options.treeLimit;
  const maxEntries = limit?.entries ?? 100_000;
  const maxBytes = limit?.bytes ?? 7_000_000;
  const items: unknown[] = [];
  let bytes = 0;
  let truncated = false;
  const add = async (path: string, entry: TreeEntry) => {
    const size = typeOfMode(entry.mode) === "blob" ? await store.size(entry.oid) : undefined;
    const item = treeItem(call.origin, repository, entry, path, size);
    bytes += JSON.stringify(item).length + 1;
    if (items.length >= maxEntries || bytes > maxBytes) {
      truncated = true;
      return false;
    }
    items.push(item);
    return true;
  };
  // Any value is yes, also "0" and "false".
  if (call.query.has("recursive")) await walkTree(store, sha, add);
  else for (const entry of (await store.tree(sha)) ?? []) if (!(await add(entry.name, entry))) break;
  return json({ sha, url: `${repoUrl(call.origin, repository)}/git/trees/${sha}`, tree: items, truncated });
}

const MODES = new Set<unknown>(["100644", "100755", "040000", "160000", "120000"]);

async function createTree(call: Call): Promise<Reply> {
  const repository = await withCommits(call, "write");
  const { store } = repository;
  const items = call.body.tree;
  if (!Array.isArray(items)) throw invalid('Invalid request.\n\n"tree" wasn\'t supplied.');
  let base: string | undefined;
  if (typeof call.body.base_tree === "string") {
    base = await treeOf(repository, call.body.base_tree, 0);
    if (base === undefined) throw invalid("GitRPC::BadObjectState");
  }
  const changes = await Promise.all(
    (items as Readonly<Record<string, unknown>>[]).map(async (item): Promise<[string, TreeChange]> => {
      const path = String(item.path ?? "");
      const problem = pathProblem(path);
      if (problem !== undefined) throw invalid(problem);
      if (!MODES.has(item.mode)) throw invalid("Must supply a valid tree.mode");
      return [path, { mode: item.mode as Mode, oid: await oidOf(repository, item, base, path) }];
    }),
  );
  const sha = await changeTree(store, base, new Map(changes));
  const tree = await Promise.all(
    ((await store.tree(sha)) ?? []).map(async (entry) => {
      const size = typeOfMode(entry.mode) === "blob" ? await store.size(entry.oid) : undefined;
      return treeItem(call.origin, repository, entry, entry.name, size);
    }),
  );
  return json({ sha, url: `${repoUrl(call.origin, repository)}/git/trees/${sha}`, tree, truncated: false }, 201);
}

async function oidOf(
  repository: Repository,
  item: Readonly<Record<string, unknown>>,
  base: string | undefined,
  path: string,
): Promise<string | null> {
  const { sha, content, mode } = item;
  if (sha !== undefined && content !== undefined)
    throw invalid("Must supply either tree.sha or tree.content, not both");
  if (typeof content === "string") return repository.store.writeBlob(Buffer.from(content, "utf8"));
  if (sha === null) {
    const there = base !== undefined && (await repository.store.entry(base, path)) !== undefined;
    if (!there) throw invalid("GitRPC::BadObjectState");
    return null;
  }
  if (typeof sha !== "string" || !SHA.test(sha))
    throw invalid("The tree parameter is invalid: tree.sha must be 40 characters");
  const found = mode === "160000" ? "commit" : (await repository.store.object(sha))?.type;
  if (found !== typeOfMode(mode as Mode)) throw invalid(`tree.sha ${sha} is not a valid ${typeOfMode(mode as Mode)}`);
  return sha;
}

async function getCommit(call: Call): Promise<Reply> {
  const repository = await withCommits(call);
  const commit = await repository.store.commit(call.params.commit_sha ?? "");
  if (commit === undefined) throw notFound();
  return json(gitCommit(call.origin, repository, commit));
}

async function createCommit(call: Call): Promise<Reply> {
  const repository = await withCommits(call, "write");
  const { store } = repository;
  const message = text(call, "message");
  const tree = text(call, "tree");
  if ((await store.tree(tree)) === undefined) throw invalid("Tree SHA does not exist");
  const parents = Array.isArray(call.body.parents) ? (call.body.parents as unknown[]).map(String) : [];
  for (const parent of parents) {
    if ((await store.commit(parent)) === undefined)
      throw invalid("Parent SHA does not exist or is not a commit object");
  }
  const author = person(call, call.body.author);
  const committer = call.body.committer === undefined ? author : person(call, call.body.committer);
  const oid = await store.writeCommit({ tree, parents, author, committer, message });
  const commit = await store.commit(oid);
  if (commit === undefined) throw new Problem(500, "Server Error");
  return json(gitCommit(call.origin, repository, commit), 201);
}

export function person(call: Call, given: unknown): Person {
  const login = call.token?.login ?? "ghost";
  const noreply = `${call.world.userId(login)}+${login}@users.noreply.github.com`;
  const { name = login, email = noreply, date } = (given ?? {}) as Partial<Record<keyof Person, string>>;
  if (given !== undefined && (name === "" || email === ""))
    throw invalid("Invalid request.\n\nauthor needs name and email.");
  const at = date === undefined ? call.world.now() : Date.parse(date);
  if (Number.isNaN(at)) throw invalid(`Invalid request.\n\n"${date}" is not a valid date.`);
  return { name, email, date: wholeSeconds(at) };
}

export const objectRoutes: readonly Route[] = [
  { method: "GET", template: `${ROOT}/blobs/{file_sha}`, handle: getBlob },
  { method: "POST", template: `${ROOT}/blobs`, handle: createBlob },
  { method: "GET", template: `${ROOT}/trees/{tree_sha}`, handle: getTree },
  { method: "POST", template: `${ROOT}/trees`, handle: createTree },
  { method: "GET", template: `${ROOT}/commits/{commit_sha}`, handle: getCommit },
  { method: "POST", template: `${ROOT}/commits`, handle: createCommit },
];
