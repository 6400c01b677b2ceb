import { RegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import type { Blobs } from "./blobs.ts";
import type { Client } from "./client.ts";
import { directories } from "./cold.ts";
import { type Comparison, comparePath, editsOf } from "./compare.ts";
import { broken, messageOf, type Reply } from "./failure.ts";
import { Origin } from "./origin.ts";
import { type PathEdit, type PromptFiles, promptsOf, Snapshot } from "./snapshot.ts";
import { readTree } from "./tree.ts";

/** A commit that was seen on the branch. */
export interface SeenCommit {
  readonly id: string;
  readonly message: string;
}

/**
 * What one try at a commit has and no other: its id, or, where GitHub makes the commit and tells its id afterwards, a line of
 * its message.
 */
export type Mark = { readonly id: string } | { readonly line: string };

/** From here on the whole tree is cheaper than one folder after the other. */
const MAX_FOLDERS = 20;
const MAX_SEEN = 1000;
/** States of before that are kept for the feed, where they are not too large. */
const MAX_PAST = 50;
const MAX_PAST_PROMPTS = 5000;

/**
 * What this handle knows of the branch. It never goes back to an older state: a reply that shows one comes from a replica
 * that lags, and one that shows another past is an error for ever.
 */
export class Session {
  readonly client: Client;
  readonly blobs: Blobs;
  snapshot: Snapshot | undefined;
  /** When the branch was last asked for, in milliseconds since the epoch, with the answer that the snapshot is of now. */
  validatedAt = 0;
  /** The newest commits that were seen, oldest first. */
  readonly log: SeenCommit[] = [];
  /** How often commits came that are not in it, since there were too many at once. */
  gaps = 0;
  readonly #origin: Origin;
  #heads = new Set<string>();
  /** Prompts of the first look, of which nothing proves that they are of the commit that was told beside them. */
  #unproven = new Set<PromptName>();
  readonly #past = new Map<string, Snapshot>();
  #behindSince: number | undefined;
  #rewritten: RegistryError | undefined;
  #running: Promise<Snapshot> | undefined;
  #next: Promise<Snapshot> | undefined;

  constructor(client: Client, blobs: Blobs) {
    this.client = client;
    this.blobs = blobs;
    this.#origin = new Origin(client);
  }

  /** @throws RegistryError CONFIG for a repository that is not there */
  branch(): Promise<string> {
    return this.#origin.branch(this.snapshot === undefined);
  }

  /** The name, where it is known without asking. */
  get knownBranch(): string | undefined {
    return this.#origin.known;
  }

  /** @throws RegistryError CONFIG where there is no such repository for this token */
  repository(): Promise<Reply> {
    // What was there and is gone is not made anew as if it had never been.
    return this.#origin.repository(this.snapshot === undefined);
  }

  /** What the server itself says now; calls that come together share one look that starts after all of them. */
  async current(): Promise<Snapshot> {
    if (this.#running === undefined) return await this.#start();
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    );
    return await this.#next;
  }

  #start(): Promise<Snapshot> {
    this.#next = undefined;
    this.#running = this.#look().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #look(): Promise<Snapshot> {
    if (this.#rewritten !== undefined) throw this.#rewritten;
    const before = this.snapshot;
    const commit = await this.#head();
    // A commit of our own may have been made meanwhile.
    const snapshot = this.snapshot;
    if (snapshot === undefined) return this.#accept(new Snapshot(commit, undefined, false, new Map()));
    if (commit === snapshot.commit) return this.#accept(snapshot);
    if (this.#heads.has(commit)) {
      return before?.commit === snapshot.commit ? this.#behind(snapshot, commit) : snapshot;
    }
    return await this.#compare(snapshot, commit);
  }

  /** A whole state of before, where it is still remembered. */
  past(commit: string): Snapshot | undefined {
    const now = this.snapshot;
    return now?.commit === commit && now.complete ? now : this.#past.get(commit);
  }

  #accept(snapshot: Snapshot): Snapshot {
    const old = this.snapshot;
    if (old?.complete === true && old.commit !== snapshot.commit && old.prompts.size <= MAX_PAST_PROMPTS) {
      this.#past.set(old.commit, old);
      for (const [oldest] of this.#past) {
        if (this.#past.size <= MAX_PAST) break;
        this.#past.delete(oldest);
      }
    }
    this.snapshot = snapshot;
    this.#heads.add(snapshot.commit);
    this.validatedAt = Date.now();
    this.#behindSince = undefined;
    if (this.#heads.size > MAX_SEEN) this.#heads = new Set([...this.#heads].slice(-MAX_SEEN / 2));
    return snapshot;
  }

  #behind(snapshot: Snapshot, commit: string): Snapshot {
    this.#origin.forget();
    if (this.#mayLag()) return snapshot;
    throw this.#rewrote(`went back to ${commit.slice(0, 12)}`);
  }

  /** Whether what was answered can still be a replica's that lags. */
  #mayLag(): boolean {
    this.#behindSince ??= Date.now();
    return Date.now() - this.#behindSince <= this.client.settings.maxLag;
  }

  hasSeen(commit: string): boolean {
    return this.#heads.has(commit);
  }

  #rewrote(how: string): RegistryError {
    const { location } = this.client.settings;
    const seen = this.snapshot?.commit.slice(0, 12) ?? "";
    // Nothing is answered from memory any more.
    this.validatedAt = 0;
    this.#rewritten = new RegistryError(
      "HISTORY_REWRITTEN",
      `${location}: the branch ${how}, and no longer holds the commit ${seen} that was seen on it; find out who rewrote it, then open the registry again`,
      { backend: "github", location },
    );
    return this.#rewritten;
  }

  /** The commit that the branch is at. */
  async #head(): Promise<string> {
    const branch = await this.branch();
    const found = await this.#origin.head(branch);
    if (typeof found === "string") return found;
    if (this.snapshot === undefined) return await this.#origin.missing(found, branch);
    // A token that lost its access gets the same answer.
    if (found.status === 404) await this.repository();
    if (!this.#mayLag()) throw this.#rewrote("is gone");
    const what = { operation: "reading the branch", location: this.client.settings.location, mutates: false };
    throw broken("found no such branch, though it was there", what);
  }

  /** Brings the snapshot to a commit that is not one it has seen, if that comes after it. */
  async #compare(snapshot: Snapshot, commit: string): Promise<Snapshot> {
    const { repoPath, settings } = this.client;
    const operation = "comparing commits";
    const path = comparePath(repoPath, snapshot.commit, commit);
    const reply = await this.client.send({ method: "GET", path, operation, accept: [404] });
    if (reply.status === 404) {
      const said = messageOf(reply.data);
      if (said !== undefined && /no common ancestor/i.test(said))
        throw this.#rewrote(`was set to ${commit.slice(0, 12)}`);
      // One of the two is not known there: our own last commit, or, where another replica was asked, the newer one.
      if (said !== undefined) return this.#behind(this.snapshot ?? snapshot, commit);
      throw broken("got status 404 from something that is not GitHub", {
        operation,
        location: settings.location,
        mutates: false,
      });
    }
    const comparison = reply.data as Comparison;
    const { status, commits: list = [], total_commits: total = list.length } = comparison;
    const base = this.snapshot ?? snapshot;
    // Meanwhile a commit of our own went beyond it.
    if (base.commit !== snapshot.commit) return base;
    if (status === "behind" || status === "identical") {
      this.#heads.add(commit);
      return this.#behind(base, commit);
    }
    if (status !== "ahead") throw this.#rewrote(`was set to ${commit.slice(0, 12)}`);
    if (total > list.length) this.gaps++;
    this.remember(list.map(({ sha, commit: { message } }) => ({ id: sha, message })));
    const last = list.find(({ sha }) => sha === commit)?.commit.tree?.sha;
    const edits = editsOf(comparison, settings.root);
    if (edits === undefined) return this.#accept(new Snapshot(commit, last, false, new Map()));
    return this.#accept(base.after(commit, last, settings.root, edits));
  }

  remember(commits: readonly SeenCommit[]): void {
    this.log.push(...commits);
    if (this.log.length > MAX_SEEN) this.log.splice(0, this.log.length - MAX_SEEN);
    for (const { id } of commits) this.#heads.add(id);
  }

  /** Takes a commit that was just made on top of the snapshot. */
  advance(base: Snapshot, commit: SeenCommit, tree: string | undefined, edits: Iterable<PathEdit>): Snapshot {
    this.remember([commit]);
    const now = this.snapshot ?? base;
    // A look that ran meanwhile may have got here first.
    if (now.commit !== base.commit) return now;
    return this.#accept(now.after(commit.id, tree, this.client.settings.root, edits));
  }

  /** Whether that very commit was seen on the branch. */
  hasLanded(mark: Mark): boolean {
    return this.log.some(({ id, message }) =>
      "id" in mark ? id === mark.id : message.split("\n").includes(mark.line),
    );
  }

  /** The snapshot with all prompts in it. */
  async whole(snapshot: Snapshot): Promise<Snapshot> {
    if (snapshot.complete) return snapshot;
    const known = this.snapshot;
    if (known?.commit === snapshot.commit && known.complete) return known;
    const { root } = this.client.settings;
    const { entries, tree } = await readTree(this.client, snapshot.commit, root);
    // What is known already is the very same, and what was derived from it is kept with it.
    const prompts = new Map<PromptName, PromptFiles>();
    for (const [name, files] of promptsOf(entries, root)) prompts.set(name, keep(snapshot.prompt(name), files));
    return this.#know(snapshot.plus(prompts, true, snapshot.tree ?? tree));
  }

  /** The snapshot with at least these prompts in it. */
  async with(snapshot: Snapshot, names: Iterable<PromptName>): Promise<Snapshot> {
    const missing = [...new Set(names)].filter((name) => !snapshot.knows(name));
    if (missing.length === 0) return snapshot;
    if (missing.length <= MAX_FOLDERS) {
      const found = await directories(this.client, this.blobs, missing, snapshot.commit);
      if (found !== undefined) return this.#know(snapshot.plus(found.prompts));
    }
    return await this.whole(snapshot);
  }

  /** The same, for writing on it: what is not known to be of this very commit is read again. */
  async proven(snapshot: Snapshot, names: readonly PromptName[]): Promise<Snapshot> {
    if (snapshot.complete || !names.some((name) => this.#unproven.has(name))) return await this.with(snapshot, names);
    const { commit, tree } = snapshot;
    const sure = [...snapshot.prompts].filter(([name]) => !this.#unproven.has(name));
    const found = await this.with(new Snapshot(commit, tree, false, new Map(sure)), names);
    for (const name of names) this.#unproven.delete(name);
    return found;
  }

  /** The first look, by one query that brings the prompts along; `undefined` where that can't be. */
  async cold(names: readonly PromptName[]): Promise<Snapshot | undefined> {
    if (this.snapshot !== undefined || this.#running !== undefined || names.length > MAX_FOLDERS) return undefined;
    const found = await directories(this.client, this.blobs, names, undefined, this.knownBranch);
    if (found?.head === undefined || this.snapshot !== undefined) return undefined;
    this.#origin.learn(found.head.branch);
    for (const name of names) this.#unproven.add(name);
    return this.#accept(new Snapshot(found.head.commit, found.head.tree, false, found.prompts));
  }

  #know(more: Snapshot): Snapshot {
    if (this.snapshot?.commit === more.commit) {
      if (!this.snapshot.complete && !more.complete) this.snapshot = this.snapshot.plus(more.prompts);
      else if (!this.snapshot.complete) this.snapshot = more;
    }
    return more;
  }
}

function keep(known: PromptFiles | undefined, found: PromptFiles): PromptFiles {
  if (known === undefined || known.files.size !== found.files.size) return found;
  for (const [file, id] of found.files) if (known.files.get(file) !== id) return found;
  return known;
}
