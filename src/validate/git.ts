/**
 * What a commit and the index hold. Objects and names are read and nothing else: no checkout, no diff, no hooks, no remote; so that neither
 * a repository's own settings nor what lies in its working tree can make Git run anything.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { isRegistryError, RegistryError, show, throwIfAborted } from "../errors.ts";

export interface BaseFile {
  /** Git's, six octal digits: `100644` a file, `120000` a link, `160000` a submodule. */
  readonly mode: string;
  readonly oid: string;
}

export interface Base {
  /** Full object id of the commit. */
  readonly commit: string;
  /** Files below the folder, relative to it. */
  readonly files: ReadonlyMap<string, BaseFile>;
  /** The same where the work began: what the base got since then can't have been removed by the work. */
  forked(): Promise<ReadonlyMap<string, BaseFile>>;
  read(oid: string): Promise<Buffer>;
}

const SETTINGS = [
  ...["core.fsmonitor=false", "core.hooksPath=/dev/null", "core.pager=cat", "protocol.allow=never"],
  ...["log.showSignature=false", "core.attributesFile=/dev/null", "uploadpack.packObjectsHook="],
].flatMap((setting) => ["-c", setting]);
const MAX_OUTPUT = 256 * 2 ** 20;

/**
 * @param folder absolute
 * @throws RegistryError INVALID for a folder in no repository, or a base that is no commit; CONFIG where Git is missing, or
 *   does not trust the repository
 */
export async function readBase(folder: string, ref: string, signal?: AbortSignal): Promise<Base> {
  const prefix = await prefixOf(folder, signal);
  const commit = await resolve(folder, ref, signal);
  const list = (of: string) => listFiles(folder, of, prefix, signal);
  let forked: Promise<ReadonlyMap<string, BaseFile>> | undefined;
  return {
    commit,
    files: await list(commit),
    forked() {
      forked ??= fork();
      return forked;
    },
    read: (oid) => readBlob(folder, oid, signal),
  };

  async function fork(): Promise<ReadonlyMap<string, BaseFile>> {
    const at = await run(folder, ["merge-base", "--end-of-options", commit, "HEAD"], signal).catch((error: unknown) => {
      throwIfAborted(signal, "validate");
      if (error instanceof GitFailure) return undefined;
      throw error;
    });
    // A shallow clone, or no common history: then everything in the base counts.
    return at === undefined ? list(commit) : list(at.toString("utf8").trim());
  }
}

function readBlob(folder: string, oid: string, signal: AbortSignal | undefined): Promise<Buffer> {
  return run(folder, ["cat-file", "blob", oid], signal);
}

/** What Git is to commit of a folder, as far as it can't be seen in the folder itself. */
export interface Index {
  /** Left out of a sparse checkout, and yet a part of the work; by path relative to the folder. */
  readonly skipped: ReadonlyMap<string, BaseFile>;
  /** Files of heads that Git knows, whether they are the same on the disk or not. */
  readonly heads: ReadonlySet<string>;
  /** `undefined`: it is not here, as in a partial clone. */
  read(oid: string): Promise<Buffer | undefined>;
}

export const NO_INDEX: Index = Object.freeze({
  skipped: new Map<string, BaseFile>(),
  heads: new Set<string>(),
  read: async () => undefined,
});

/** @returns {@link NO_INDEX} where there is no repository, or no Git */
export async function readIndex(
  folder: string,
  isHead: (path: string) => boolean,
  signal?: AbortSignal,
): Promise<Index> {
  let output: Buffer;
  try {
    output = await run(folder, ["ls-files", "-z", "-t", "--stage"], signal);
  } catch (error) {
    throwIfAborted(signal, "validate");
    if (error instanceof GitFailure || isRegistryError(error, "CONFIG")) return NO_INDEX;
    throw error;
  }
  const skipped = new Map<string, BaseFile>();
  const heads = new Set<string>();
  for (const record of output.toString("utf8").split("\0")) {
    const tab = record.indexOf("\t");
    const [tag, mode, oid] = record.slice(0, Math.max(0, tab)).split(" ");
    const path = record.slice(tab + 1);
    if (mode === undefined || oid === undefined) continue;
    if (tag === "S") skipped.set(path, { mode, oid });
    if (isHead(path)) heads.add(path);
  }
  return {
    ...{ skipped, heads },
    async read(oid) {
      try {
        return await readBlob(folder, oid, signal);
      } catch (error) {
        throwIfAborted(signal, "validate");
        if (error instanceof GitFailure) return undefined;
        throw error;
      }
    },
  };
}

/** Object ids of single files of a commit, by the absolute path of each; those that it lacks are left out. */
export async function readOids(
  folder: string,
  commit: string,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const prefix = await prefixOf(folder, signal);
  const files = parseList(
    await run(folder, ["ls-tree", "-z", "--full-tree", commit, "--", ...names.map((name) => prefix + name)], signal),
    prefix,
  );
  return new Map([...files].map(([path, { oid }]) => [path, oid]));
}

/** The id that Git gives to bytes, in the hash that the other id is of. */
export function blobId(bytes: Uint8Array, like: string): string {
  const hash = createHash(like.length === 64 ? "sha256" : "sha1");
  return hash.update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

async function prefixOf(folder: string, signal: AbortSignal | undefined): Promise<string> {
  try {
    return (await run(folder, ["rev-parse", "--show-prefix"], signal)).toString("utf8").replace(/\n$/, "");
  } catch (error) {
    if (!(error instanceof GitFailure)) throw error;
    if (/dubious ownership/.test(error.stderr)) {
      throw new RegistryError(
        "CONFIG",
        `Git does not trust this repository, as it belongs to another user; run git config --global --add safe.directory with its folder`,
        { field: "base", path: folder },
      );
    }
    throw new RegistryError("INVALID", `${show(folder)} is in no Git repository, so there is no base to compare with`, {
      field: "base",
      path: folder,
    });
  }
}

async function resolve(folder: string, ref: string, signal: AbortSignal | undefined): Promise<string> {
  try {
    const out = await run(folder, ["rev-parse", "--verify", "--quiet", "--end-of-options", `${ref}^{commit}`], signal);
    const commit = out.toString("utf8").trim();
    if (/^[0-9a-f]{40,64}$/.test(commit)) return commit;
  } catch (error) {
    if (!(error instanceof GitFailure)) throw error;
  }
  throw new RegistryError(
    "INVALID",
    `the base ${show(ref)} is no commit here; in a shallow clone, fetch it first (actions/checkout: fetch-depth: 0)`,
    { field: "base" },
  );
}

async function listFiles(
  folder: string,
  commit: string,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, BaseFile>> {
  const below = prefix === "" ? [] : ["--", prefix];
  return parseList(await run(folder, ["ls-tree", "-r", "-z", "--full-tree", commit, ...below], signal), prefix);
}

/** `MODE TYPE OID\tPATH`, each ended by NUL: a path may hold anything else. */
function parseList(output: Buffer, prefix: string): Map<string, BaseFile> {
  const files = new Map<string, BaseFile>();
  for (const record of output.toString("utf8").split("\0")) {
    const tab = record.indexOf("\t");
    if (tab < 0) continue;
    const [mode, , oid] = record.slice(0, tab).split(" ");
    const path = record.slice(tab + 1);
    if (mode === undefined || oid === undefined || !path.startsWith(prefix)) continue;
    files.set(path.slice(prefix.length), { mode, oid });
  }
  return files;
}

class GitFailure extends Error {
  readonly stderr: string;

  constructor(stderr: string) {
    super("git failed");
    this.stderr = stderr;
  }
}

function run(folder: string, args: readonly string[], signal: AbortSignal | undefined): Promise<Buffer> {
  const all = [
    "--no-pager",
    "--no-optional-locks",
    "--no-replace-objects",
    "--literal-pathspecs",
    ...SETTINGS,
    ...args,
  ];
  return new Promise((resolvePromise, reject) => {
    const options = { cwd: folder, env: environment(), maxBuffer: MAX_OUTPUT, encoding: "buffer", signal } as const;
    execFile("git", all, options, (error, stdout, stderr) => {
      if (error === null) resolvePromise(stdout);
      else if (error.name === "AbortError") reject(error);
      else if ((error as NodeJS.ErrnoException).code === "ENOENT") {
        reject(new RegistryError("CONFIG", "git is not installed, or not in PATH; --base needs it", { field: "base" }));
      } else reject(new GitFailure(stderr.toString("utf8")));
    });
  });
}

/** A hook, or a parent that is a Git command itself, points these at another repository or index. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([key]) => !key.startsWith("GIT_") || key.startsWith("GIT_CONFIG"));
  return {
    ...Object.fromEntries(kept),
    ...{ GIT_TERMINAL_PROMPT: "0", GIT_NO_LAZY_FETCH: "1", GIT_OPTIONAL_LOCKS: "0", LC_ALL: "C" },
  };
}
