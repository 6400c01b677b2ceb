import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { git } from "./process.ts";
import type { GitStore } from "./store.ts";

/** A clone takes as long as all else that a check does. */
const CLONES = 3;

/**
 * Has Git itself check a bare repository, every object and link of it, and clones it.
 *
 * @throws {Error} with what Git said, when something is wrong.
 */
export async function checkRepository(gitDir: string): Promise<void> {
  await fsck(gitDir, []);
  await clone(gitDir);
}

/** The same for many that share their objects: all objects and all that any ref reaches, by one process. */
export async function checkStores(stores: readonly GitStore[]): Promise<void> {
  const [holder, ...others] = stores;
  if (holder === undefined) return;
  const tips = await Promise.all(stores.map(async (store) => (await store.refs("refs/")).map(({ oid }) => oid)));
  const folders = others.map(({ gitDir }) => join(gitDir, "objects"));
  await fsck(holder.gitDir, [...new Set(tips.flat())], folders);
  for (const { gitDir } of stores.slice(0, CLONES)) await clone(gitDir);
}

async function fsck(gitDir: string, tips: readonly string[], others: readonly string[] = []): Promise<void> {
  // Objects that no ref reaches are what a lost race leaves behind.
  const args = ["--git-dir", gitDir, "fsck", "--strict", "--full", "--no-dangling", "--no-progress", ...tips];
  const out = await git(args, { env: { GIT_ALTERNATE_OBJECT_DIRECTORIES: others.join(":") } });
  const complaints = out.split("\n").filter((line) => line !== "" && !/^notice: /.test(line));
  if (complaints.length > 0) throw new Error(`git fsck: ${complaints.join("; ")}`);
}

async function clone(gitDir: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "github-clone-"));
  try {
    // Links are checked out as files: what they point at is nobody's business here.
    await git(["clone", "--quiet", "--no-hardlinks", "-c", "core.symlinks=false", "--", gitDir, folder]);
    const status = await git(["-C", folder, "status", "--porcelain"]);
    if (status !== "") throw new Error(`the clone is not clean: ${status}`);
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
