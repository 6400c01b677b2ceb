import { type Client, encodePath } from "./client.ts";
import { broken } from "./failure.ts";
import { isObjectId } from "./objects.ts";
import type { TreeEntry } from "./snapshot.ts";

interface Tree {
  readonly sha: string;
  readonly entries: readonly TreeEntry[];
  readonly truncated: boolean;
}

async function fetchTree(client: Client, id: string, recursive: boolean): Promise<Tree> {
  const operation = "reading the tree";
  const what = { operation, location: client.settings.location, mutates: false };
  const path = `${client.repoPath}/git/trees/${encodePath(id)}${recursive ? "?recursive=1" : ""}`;
  const reply = await client.send({ method: "GET", path, operation, accept: [404, 409, 422] });
  // The branch names it, so it is there.
  if (reply.status >= 400) throw broken("found no such tree yet, though the branch names it", what);
  const { sha, tree, truncated } = reply.data as { sha?: unknown; tree?: unknown; truncated?: unknown };
  if (!isObjectId(sha) || !Array.isArray(tree)) throw broken("got an answer that is none of GitHub's", what);
  return { sha, entries: tree as TreeEntry[], truncated: truncated === true };
}

/** One folder alone. What is cut then can't be had in smaller parts, and must not pass for all there is. */
async function fetchFolder(client: Client, id: string): Promise<Tree> {
  const folder = await fetchTree(client, id, false);
  if (!folder.truncated) return folder;
  const what = { operation: "reading the tree", location: client.settings.location, mutates: false };
  throw broken("got a part of one folder only, which has more entries than GitHub lists", what);
}

/**
 * Everything below `root` at a commit: one call, or, where that is too much for one reply (100,000 entries or 7 MB), one
 * for each folder that is small enough.
 */
export async function readTree(
  client: Client,
  commit: string,
  root: string,
): Promise<{ readonly entries: readonly TreeEntry[]; readonly tree: string | undefined }> {
  const whole = await fetchTree(client, commit, true);
  const tree = whole.sha === commit ? undefined : whole.sha;
  if (!whole.truncated) return { entries: whole.entries, tree };
  const entries: TreeEntry[] = [];
  let folder: Tree | undefined = await fetchFolder(client, commit);
  for (const part of root.split("/").filter((p) => p !== "")) {
    const next: TreeEntry | undefined = folder?.entries.find((e) => e.type === "tree" && e.path === part);
    folder = next === undefined ? undefined : await fetchFolder(client, next.sha);
  }
  if (folder !== undefined) await walk(client, folder, root, entries);
  return { entries, tree };
}

async function walk(client: Client, folder: Tree, prefix: string, entries: TreeEntry[]): Promise<void> {
  const below = (entry: TreeEntry, at: string) => ({ ...entry, path: at + entry.path });
  for (const entry of folder.entries) {
    entries.push(below(entry, prefix));
    if (entry.type !== "tree") continue;
    const at = `${prefix}${entry.path}/`;
    const all = await fetchTree(client, entry.sha, true);
    if (!all.truncated) entries.push(...all.entries.map((e) => below(e, at)));
    else await walk(client, await fetchFolder(client, entry.sha), at, entries);
  }
}
