import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { type ObjectDatabase, ObjectReader } from "./database.ts";
import type { CommitObject, NewCommit, TreeEntry } from "./objects.ts";
import { GitConversation, GitFailure, git, type Parse } from "./process.ts";

/** The value of a ref and since when: what lets reads lag. */
interface RefEvent {
  readonly at: number;
  readonly oid: string | undefined;
}

interface LogOptions {
  readonly path?: string;
  readonly exclude?: string;
  readonly since?: string;
  readonly until?: string;
  readonly skip?: number;
  readonly limit?: number;
}

export interface Ref {
  /** Full: `refs/heads/main`. */
  readonly name: string;
  readonly oid: string;
}

export interface RefChange {
  readonly name: string;
  /** `null` deletes. */
  readonly to: string | null;
  /** The id that must be there now, `null` for none. */
  readonly expect: string | null;
}

const CONFIG =
  "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n\tlogAllRefUpdates = false\n\tfsync = none\n\tlooseCompression = 0\n" +
  "[http]\n\treceivepack = true\n[receive]\n\tfsckObjects = true\n[gc]\n\tauto = 0\n";

/** One bare repository, worked on by Git itself. */
export class GitStore extends ObjectReader {
  readonly gitDir: string;
  readonly #now: () => number;
  readonly #database: ObjectDatabase;
  readonly #log = new Map<string, RefEvent[]>();
  readonly #refs: GitConversation;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(database: ObjectDatabase, options: StoreOptions) {
    const gitDir = join(database.root, String(options.number), "repo.git");
    super(database, gitDir);
    this.gitDir = gitDir;
    this.#database = database;
    this.#now = options.now;
    for (const folder of ["objects/info", "objects/pack", "refs/heads", "refs/tags"]) {
      mkdirSync(join(gitDir, folder), { recursive: true });
    }
    writeFileSync(join(gitDir, "HEAD"), `ref: refs/heads/${options.defaultBranch}\n`);
    writeFileSync(join(gitDir, "config"), CONFIG);
    if (gitDir !== database.gitDir) {
      writeFileSync(join(gitDir, "objects/info/alternates"), `${join(database.gitDir, "objects")}\n`);
    }
    this.#refs = new GitConversation(["--git-dir", gitDir, "update-ref", "--stdin", "-z"]);
  }

  /** One change at a time, as GitHub does it: the first that comes is the first that is looked at. */
  exclusive<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(run);
    this.#queue = result.catch(() => {});
    return result;
  }

  writeBlob(content: Uint8Array): Promise<string> {
    return this.#database.writeBlob(content);
  }

  writeCommit(commit: NewCommit): Promise<string> {
    return this.#database.writeCommit(commit);
  }

  writeTree(entries: readonly TreeEntry[]): Promise<string> {
    return this.#database.writeTree(entries);
  }

  /** What a full ref name points at; `lag` milliseconds ago, when given. */
  async ref(name: string, lag = 0): Promise<string | undefined> {
    if (!isRefName(name)) return undefined;
    const oid = this.#stored(name);
    const events = this.#seen(name, oid);
    if (lag <= 0) return oid;
    const until = this.#now() - lag;
    return (events.findLast(({ at }) => at <= until) ?? events.find((event) => event.oid !== undefined))?.oid;
  }

  /** As Git's own files say: one a ref, or a line of `packed-refs`. */
  #stored(name: string): string | undefined {
    const loose = textOf(join(this.gitDir, name));
    if (loose !== undefined) return /^[0-9a-f]{40}/.exec(loose)?.[0];
    const packed = textOf(join(this.gitDir, "packed-refs"))?.split("\n");
    return packed?.find((entry) => entry.slice(41) === name)?.slice(0, 40);
  }

  #seen(name: string, oid: string | undefined): readonly RefEvent[] {
    const events = this.#log.get(name) ?? [];
    if (events.length === 0 || events.at(-1)?.oid !== oid) events.push({ at: this.#now(), oid });
    this.#log.set(name, events);
    return events;
  }

  /** In the order of their names. A prefix ends anywhere: `refs/heads/fea` holds `refs/heads/feature`. */
  async refs(prefix: string): Promise<readonly Ref[]> {
    const loose = readdirSync(join(this.gitDir, "refs"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith(".lock"))
      .map((entry) => relative(this.gitDir, join(entry.parentPath, entry.name)).split(sep).join("/"));
    const packed = [...(textOf(join(this.gitDir, "packed-refs")) ?? "").matchAll(/^[0-9a-f]{40} (\S+)$/gm)];
    const names = new Set([...loose, ...packed.map(([, name = ""]) => name)]);
    return [...names]
      .filter((name) => name.startsWith(prefix))
      .sort()
      .map((name) => ({ name, oid: this.#stored(name) }))
      .filter((ref): ref is Ref => ref.oid !== undefined);
  }

  /**
   * Compare-and-set by Git itself. `expect`: the id that must be there now, `null` for none. `to`: `null` deletes.
   * Answers `false` when it was another one; rejects with {@link GitFailure} for what Git refuses, such as `a` beside `a/b`.
   */
  updateRef(name: string, to: string | null, expect: string | null): Promise<boolean> {
    return this.updateRefs([{ name, to, expect }]);
  }

  /** The same for several: all of them, or none. */
  async updateRefs(updates: readonly RefChange[]): Promise<boolean> {
    const zero = "0".repeat(40);
    const lines = updates.map(({ name, to, expect }) =>
      to === null ? `delete ${name}\0${expect ?? zero}\0` : `update ${name}\0${to}\0${expect ?? zero}\0`,
    );
    const done: Parse<string> = (buffer) => {
      const text = buffer.toString("utf8");
      return /commit: ok\n$/.test(text) ? { value: text, length: buffer.length } : undefined;
    };
    for (const { name } of updates) await this.ref(name);
    try {
      await this.#refs.ask(`start\0${lines.join("")}prepare\0commit\0`, done);
    } catch (error) {
      if (
        error instanceof GitFailure &&
        /but expected|reference already exists|unable to resolve/.test(error.message)
      ) {
        return false;
      }
      throw error;
    }
    for (const { name, to } of updates) this.#seen(name, to ?? undefined);
    return true;
  }

  /** Whether `oid` is `of` or one of its ancestors. */
  async isAncestor(oid: string, of: string): Promise<boolean> {
    if ((await this.lineage(oid, of)) !== undefined) return true;
    return (await this.mergeBase(oid, of)) === oid;
  }

  /**
   * The commits after `from` up to `to`, newest first, where one follows the other on a straight line. `undefined`
   * otherwise: then Git has to be asked, which takes a process.
   */
  async lineage(from: string, to: string): Promise<readonly CommitObject[] | undefined> {
    const line: CommitObject[] = [];
    for (let at = to; at !== from; ) {
      const commit = await this.commit(at);
      const parent = commit?.parents[0];
      if (commit === undefined || parent === undefined || commit.parents.length > 1) return undefined;
      line.push(commit);
      at = parent;
    }
    return line;
  }

  async mergeBase(one: string, other: string): Promise<string | undefined> {
    return git(["--git-dir", this.gitDir, "merge-base", "--", one, other]).then(
      (out) => out.trim() || undefined,
      () => undefined,
    );
  }

  /** Newest first, as `git log` walks; `path` and `exclude` narrow it. */
  async log(from: string, options: LogOptions = {}): Promise<CommitObject[]> {
    const range = options.exclude === undefined ? [from] : [from, `^${options.exclude}`];
    const paths = options.path === undefined || options.path === "" ? [] : [`:(literal)${options.path}`];
    const { since, until } = options;
    const dates = [...(since ? [`--since=${since}`] : []), ...(until ? [`--until=${until}`] : [])];
    const limits = [...dates, `--skip=${options.skip ?? 0}`, `--max-count=${options.limit ?? 250}`];
    const out = await git(["--git-dir", this.gitDir, "rev-list", ...limits, ...range, "--", ...paths]);
    const oids = out.split("\n").filter((oid) => oid !== "");
    return (await Promise.all(oids.map((oid) => this.commit(oid)))).filter((commit) => commit !== undefined);
  }

  async count(from: string, exclude: string): Promise<number> {
    return Number(await git(["--git-dir", this.gitDir, "rev-list", "--count", from, `^${exclude}`, "--"]));
  }

  override async close(): Promise<void> {
    await Promise.all([super.close(), this.#refs.close()]);
  }
}

export interface StoreOptions {
  /** Of the repository in its database, from 1. */
  readonly number: number;
  readonly defaultBranch: string;
  readonly now: () => number;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}

/** Git's own rules (git-check-ref-format), for full names of branches and tags. */
export const isRefName = (name: string): boolean =>
  /^refs\/[^/]/.test(name) && !/[\0-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|\/$|\.$|\/\.|\.lock(\/|$)/.test(name);
