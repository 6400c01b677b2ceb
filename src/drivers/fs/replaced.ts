/**
 * Whose a `latest.json` is that does not show the last generation. One of ours was left behind by a writer that died, and
 * means nothing. One that Git put there, on a switch of branches, which leaves an ignored `.heads/` as it was, is what was
 * checked out, and counts. What tells them apart is their time: Git writes with the time of the clock, and this driver,
 * within a work tree of Git, with one that no clock gives.
 */
import { dirname, join } from "node:path";
import { isErrno } from "./failure.ts";
import type { Stamp } from "./files.ts";
import type { Store } from "./store.ts";
import { call, type Task } from "./task.ts";

/** Milliseconds for which it holds that there is no Git: `git init` may come later than this process. */
const NO_GIT = 1000;

/** Whether the folder lies in a work tree of Git. */
export function* isInGit(store: Store, root: string): Task<boolean> {
  const { git } = store;
  if (git?.root === root && (git.is || performance.now() - git.at < NO_GIT)) return git.is;
  let is = false;
  for (let path = root; !is; path = dirname(path)) {
    is = yield* isThere(join(path, ".git"));
    if (dirname(path) === path) break;
  }
  store.git = { root, is, at: performance.now() };
  return is;
}

/** What a process that is shut into the registry's own folder may not ask of those above is not there for it. */
function* isThere(path: string): Task<boolean> {
  try {
    return (yield* call("lstat", path)) !== undefined;
  } catch (error) {
    if (isErrno(error, "EACCES", "EPERM", "ERR_ACCESS_DENIED")) return false;
    throw error;
  }
}

/**
 * The modification time, in seconds, that says of a `latest.json` that it shows a generation: a whole second. Where file
 * systems count no finer, nothing can be told apart, and the generations count.
 */
export function ownTime(): number {
  return Math.floor(Date.now() / 1000);
}

/** @param last the file of the last generation: whoever wrote before it, it went before */
export function* wasPutThere(store: Store, root: string, file: Stamp, last: Stamp): Task<boolean> {
  if (isOwn(file) || file.mtimeMs <= last.mtimeMs) return false;
  return yield* isInGit(store, root);
}

/**
 * The modification time, in seconds, for a generation that goes over a `latest.json` of Git's that the clock says is yet to
 * come, as after it was set back: the other way round, this generation would be the older one.
 */
export function* timeAfter(store: Store, root: string, file: Stamp | undefined): Task<number | undefined> {
  if (file === undefined || isOwn(file) || file.mtimeMs < Date.now()) return undefined;
  return (yield* isInGit(store, root)) ? (file.mtimeMs + 1) / 1000 : undefined;
}

function isOwn({ mtimeMs }: Stamp): boolean {
  return mtimeMs % 1000 === 0;
}
