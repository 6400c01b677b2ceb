import { type Mode, type TreeEntry, typeOfMode } from "./objects.ts";
import type { GitStore } from "./store.ts";

/** What becomes of a path: an object, or nothing. */
export interface TreeChange {
  readonly mode: Mode;
  readonly oid: string | null;
}

interface Folder {
  readonly files: Map<string, TreeChange>;
  readonly folders: Map<string, Folder>;
}

const folder = (): Folder => ({ files: new Map(), folders: new Map() });

/**
 * Writes a tree that is `base` with these changes, folder by folder. A folder left without entries is not there.
 * A file in the place of a folder, or the reverse, takes its place, as at GitHub.
 */
export async function changeTree(
  store: GitStore,
  base: string | undefined,
  changes: ReadonlyMap<string, TreeChange>,
): Promise<string> {
  const root = folder();
  for (const [path, change] of changes) {
    const names = path.split("/");
    const last = names.pop() as string;
    let at = root;
    for (const name of names) {
      const next = at.folders.get(name) ?? folder();
      at.folders.set(name, next);
      at = next;
    }
    at.files.set(last, change);
  }
  return (await write(store, base, root)) ?? store.writeTree([]);
}

async function write(store: GitStore, base: string | undefined, changes: Folder): Promise<string | undefined> {
  const old = base === undefined ? [] : ((await store.tree(base)) ?? []);
  const entries = new Map<string, TreeEntry>(old.map((entry) => [entry.name, entry]));
  for (const [name, { mode, oid }] of changes.files) {
    if (oid === null) entries.delete(name);
    else entries.set(name, { mode, name, oid });
  }
  await Promise.all(
    [...changes.folders].map(async ([name, inner]) => {
      const before = entries.get(name);
      const isFolder = before !== undefined && typeOfMode(before.mode) === "tree";
      const oid = await write(store, isFolder ? before.oid : undefined, inner);
      if (oid !== undefined) entries.set(name, { mode: "040000", name, oid });
      else if (isFolder) entries.delete(name);
    }),
  );
  return entries.size === 0 ? undefined : store.writeTree([...entries.values()]);
}

/** All entries below a tree, folders before what they hold, in Git's own order. Ends early when `visit` answers false. */
export async function walkTree(
  store: GitStore,
  tree: string,
  visit: (path: string, entry: TreeEntry) => boolean | Promise<boolean>,
  prefix = "",
): Promise<boolean> {
  for (const entry of (await store.tree(tree)) ?? []) {
    const path = prefix + entry.name;
    if (!(await visit(path, entry))) return false;
    if (typeOfMode(entry.mode) === "tree" && !(await walkTree(store, entry.oid, visit, `${path}/`))) return false;
  }
  return true;
}

/** Why a path may not be in a tree; `undefined`: it may. */
export function pathProblem(path: string): string | undefined {
  if (path === "" || path.startsWith("/")) return "tree.path cannot start with a slash";
  const names = path.split("/");
  if (names.some((name) => name === "")) return "tree.path contains a malformed path component";
  if (names.some((name) => name === "." || name === ".." || /^\.git$/i.test(name) || name.includes("\0"))) {
    return "tree.path contains a malformed path component";
  }
  return undefined;
}

/** A path whose object is another one in two trees, or is in one of them only. */
export interface Difference {
  readonly path: string;
  readonly before?: TreeEntry;
  readonly after?: TreeEntry;
}

/** Files only, in the order of their paths; `undefined` stands for an empty tree. */
export async function diffTrees(
  store: GitStore,
  before: string | undefined,
  after: string | undefined,
  prefix = "",
): Promise<readonly Difference[]> {
  if (before === after) return [];
  const entries = async (tree: string | undefined) =>
    new Map(((tree === undefined ? undefined : await store.tree(tree)) ?? []).map((entry) => [entry.name, entry]));
  const [old, now] = [await entries(before), await entries(after)];
  const found: Difference[] = [];
  for (const name of [...new Set([...old.keys(), ...now.keys()])].sort()) {
    const [one, other] = [old.get(name), now.get(name)];
    if (one?.oid === other?.oid && one?.mode === other?.mode) continue;
    const path = prefix + name;
    const folder = (entry: TreeEntry | undefined) =>
      entry !== undefined && typeOfMode(entry.mode) === "tree" ? entry.oid : undefined;
    const file = (entry: TreeEntry | undefined) => (folder(entry) === undefined ? entry : undefined);
    found.push(...(await diffTrees(store, folder(one), folder(other), `${path}/`)));
    const [left, right] = [file(one), file(other)];
    if (left === undefined && right === undefined) continue;
    found.push({ path, ...(left && { before: left }), ...(right && { after: right }) });
  }
  return found;
}
