import { mkdirSync, mkdtempSync, statfsSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CommitObject,
  encodeCommit,
  type GitObject,
  type NewCommit,
  type ObjectType,
  parseCommit,
  parseTree,
  type TreeEntry,
  typeOfMode,
} from "./objects.ts";
import { GitConversation, line, type Parse } from "./process.ts";

/** Kept in memory up to this size: the same trees and commits are read with every request. */
const REMEMBERED_BYTES = 64 * 1024;

/** Free in memory, for the files to be kept there. */
const ENOUGH_BYTES = 2 ** 30;

const batchReply: Parse<GitObject | undefined> = (buffer) => {
  const end = buffer.indexOf(10);
  if (end < 0) return undefined;
  const [oid = "", type = "", size] = buffer.toString("utf8", 0, end).split(" ");
  if (size === undefined) return { value: undefined, length: end + 1 };
  const length = end + 1 + Number(size) + 1;
  if (buffer.length < length) return undefined;
  const content = Buffer.from(buffer.subarray(end + 1, length - 1));
  return { value: { oid, type: type as ObjectType, content }, length };
};

/**
 * The objects of a server's repositories, written and read by Git processes that live as long as it does. The first
 * repository holds them; the others borrow from it (`objects/info/alternates`), as forks do at GitHub, so that each
 * costs no processes of its own. What real Git writes into one of those, its own {@link ObjectReader} finds.
 */
export class ObjectDatabase {
  /** Folder of everything. */
  readonly root: string;
  /** The repository that holds the objects. */
  readonly gitDir: string;
  readonly objects = new Map<string, GitObject>();
  readonly commits = new Map<string, CommitObject>();
  readonly trees = new Map<string, readonly TreeEntry[]>();
  readonly sizes = new Map<string, number>();
  readonly reader: GitConversation;
  readonly #blobs: GitConversation;
  readonly #trees: GitConversation;
  readonly #commits: GitConversation;
  readonly #scratch: string;
  readonly #free: string[] = [];
  #files = 0;

  constructor() {
    this.root = mkdtempSync(join(folderOfTemps(), "github-fake-"));
    this.gitDir = join(this.root, "1", "repo.git");
    this.#scratch = join(this.root, "scratch");
    mkdirSync(this.#scratch);
    const base = ["--git-dir", this.gitDir];
    const hash = (type: string) => [...base, "hash-object", "-w", "-t", type, "--no-filters", "--stdin-paths"];
    this.reader = new GitConversation([...base, "cat-file", "--batch"]);
    this.#blobs = new GitConversation(hash("blob"));
    // What an entry names may be in a repository that borrows; who calls has seen it.
    this.#trees = new GitConversation([...base, "mktree", "--missing", "--batch", "-z"]);
    this.#commits = new GitConversation(hash("commit"));
  }

  async writeBlob(content: Uint8Array): Promise<string> {
    const oid = await this.#hashed(this.#blobs, content);
    this.remember({ oid, type: "blob", content: Buffer.from(content) });
    return oid;
  }

  async writeCommit(commit: NewCommit): Promise<string> {
    const content = Buffer.from(encodeCommit(commit));
    const oid = await this.#hashed(this.#commits, content);
    this.remember({ oid, type: "commit", content });
    return oid;
  }

  writeTree(entries: readonly TreeEntry[]): Promise<string> {
    const records = entries.map(({ mode, oid, name }) => `${mode} ${typeOfMode(mode)} ${oid}\t${name}\0`);
    return this.#trees.ask(`${records.join("")}\0`, line);
  }

  /** Git itself finds the id of everything: it reads the content from a file, which is then free for the next. */
  async #hashed(conversation: GitConversation, content: Uint8Array): Promise<string> {
    const path = this.#free.pop() ?? join(this.#scratch, String(this.#files++));
    writeFileSync(path, content);
    try {
      return await conversation.ask(`${path}\n`, line);
    } finally {
      this.#free.push(path);
    }
  }

  remember(object: GitObject): void {
    this.sizes.set(object.oid, object.content.length);
    if (object.content.length <= REMEMBERED_BYTES) this.objects.set(object.oid, object);
  }

  async close(): Promise<void> {
    const all = [this.reader, this.#blobs, this.#trees, this.#commits];
    await Promise.all(all.map((conversation) => conversation.close()));
    await rm(this.root, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Each request writes some small files, which takes a disk longer than all the rest: memory where there is a lot of it. */
function folderOfTemps(): string {
  try {
    const { bavail, bsize } = statfsSync("/dev/shm");
    if (process.env.TMPDIR === undefined && bavail * bsize > ENOUGH_BYTES) return "/dev/shm";
  } catch {}
  return tmpdir();
}

/** The objects that one repository sees. */
export class ObjectReader {
  readonly #database: ObjectDatabase;
  /** Only in a repository that borrows, for what was not written through the database. */
  readonly #own: GitConversation | undefined;

  constructor(database: ObjectDatabase, gitDir: string) {
    this.#database = database;
    const args = ["--git-dir", gitDir, "cat-file", "--batch"];
    this.#own = gitDir === database.gitDir ? undefined : new GitConversation(args);
  }

  async object(oid: string): Promise<GitObject | undefined> {
    if (!/^[0-9a-f]{40}$/.test(oid)) return undefined;
    const known = this.#database.objects.get(oid);
    if (known !== undefined) return known;
    const found =
      (await this.#database.reader.ask(`${oid}\n`, batchReply)) ?? (await this.#own?.ask(`${oid}\n`, batchReply));
    if (found !== undefined) this.#database.remember(found);
    return found;
  }

  /** Bytes of an object that is there. */
  async size(oid: string): Promise<number> {
    return this.#database.sizes.get(oid) ?? (await this.object(oid))?.content.length ?? 0;
  }

  async tree(oid: string): Promise<readonly TreeEntry[] | undefined> {
    const known = this.#database.trees.get(oid);
    if (known !== undefined) return known;
    const object = await this.object(oid);
    if (object?.type !== "tree") return undefined;
    const entries = parseTree(object.content);
    this.#database.trees.set(oid, entries);
    return entries;
  }

  async commit(oid: string): Promise<CommitObject | undefined> {
    const known = this.#database.commits.get(oid);
    if (known !== undefined) return known;
    const object = await this.object(oid);
    if (object?.type !== "commit") return undefined;
    const commit = parseCommit(oid, object.content);
    this.#database.commits.set(oid, commit);
    return commit;
  }

  /** The object at a path below a tree. `""` is the tree itself. */
  async entry(tree: string, path: string): Promise<TreeEntry | undefined> {
    let entry: TreeEntry = { mode: "040000", name: "", oid: tree };
    for (const name of path.split("/").filter((part) => part !== "")) {
      if (typeOfMode(entry.mode) !== "tree") return undefined;
      const next = (await this.tree(entry.oid))?.find((child) => child.name === name);
      if (next === undefined) return undefined;
      entry = next;
    }
    return entry;
  }

  async close(): Promise<void> {
    await this.#own?.close();
  }
}
