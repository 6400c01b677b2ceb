import { setTimeout as sleep } from "node:timers/promises";
import type { SealedDocument } from "../document.ts";
import type { StorageDriver } from "../driver.ts";
import { Blobs } from "../drivers/github/blobs.ts";
import { Client, createClient, encodePath, type Send } from "../drivers/github/client.ts";
import { messageOf, type Reply } from "../drivers/github/failure.ts";
import { github } from "../drivers/github/index.ts";
import { type GithubOptions, resolveOptions } from "../drivers/github/options.ts";
import { moveBranch } from "../drivers/github/refs.ts";
import { Session } from "../drivers/github/session.ts";
import { States } from "../drivers/github/state.ts";
import { Writer } from "../drivers/github/writer.ts";
import { RegistryError, show, throwIfAborted } from "../errors.ts";
import { type Comparison, isOwn, markOwn, sameFiles } from "./own-commit.ts";

/** Where proposals are: no prompt has a segment `-`, so no two of them get in each other's way. */
export const PREFIX = "prompt-registry/";

/** Looks at a branch that is somewhere else each time it is to be moved. */
const MAX_LOOKS = 4;
const PAUSE_MS = 100;

/** A storage that reads a branch, and whose commits become what another branch is at. */
export interface Proposing {
  readonly driver: StorageDriver;
  /** The commit that was proposed; `undefined`: nothing was to be changed. */
  readonly commit: () => string | undefined;
  /** The last version that was added. */
  readonly document: () => SealedDocument | undefined;
}

/**
 * The same commits as the driver would write, on top of the same branch, which itself is not moved: the branch of the proposal
 * is set to them.
 *
 * @throws RegistryError CONFIG
 */
export async function proposing(options: GithubOptions, branch: string): Promise<Proposing> {
  const reading = await github({ ...options, create: false });
  const settings = {
    ...resolveOptions({ ...options, writes: "git", create: false }),
    // That is what a proposal is for.
    protectedLabels: new Set<string>(),
  };
  const plain = await createClient(settings);
  const client = new ProposalClient(plain, branch);
  const blobs = new Blobs(client);
  const states = new States(blobs);
  const writer = new Writer(new Session(client, blobs), states);
  let document: SealedDocument | undefined;
  const driver = {
    kind: reading.kind,
    location: reading.location,
    capabilities: reading.capabilities,
    native: reading.native,
    read: (asks, op) => reading.read(asks, op),
    peek: (ask) => reading.peek(ask),
    listPrompts: (query, op) => reading.listPrompts(query, op),
    listVersions: (name, query, op) => reading.listVersions(name, query, op),
    history: (name, query, op) => reading.history(name, query, op),
    changes: (query, op) => reading.changes(query, op),
    async commit(commit, op) {
      const outcomes = await writer.commit(commit, op);
      for (const [i, { add = [] }] of commit.changes.entries()) {
        if (outcomes[i]?.status === "done") document = add.at(-1) ?? document;
      }
      return outcomes;
    },
    async repair() {
      throw new RegistryError("UNSUPPORTED", "a repair can't be proposed", { backend: "github" });
    },
    check: (op) => reading.check(op),
    async close() {
      await writer.settled();
      await reading.close();
    },
  } satisfies StorageDriver;
  return { driver, commit: () => client.proposed, document: () => document };
}

function marked(send: Send): Send {
  const { message, tree } = send.body ?? {};
  return { ...send, body: { ...send.body, message: markOwn(String(message), String(tree)) } };
}

/** Sets the branch of the proposal where the driver would move its own. */
class ProposalClient extends Client {
  /** Without the limits of this one. */
  readonly #plain: Client;
  readonly #branch: string;
  proposed: string | undefined;

  constructor(plain: Client, branch: string) {
    super(plain.octokit, plain.settings, plain.auth);
    this.#plain = plain;
    this.#branch = branch;
  }

  override async send(send: Send): Promise<Reply> {
    const heads = `${this.repoPath}/git/refs/heads/`;
    if (send.method === "PATCH" && send.path.startsWith(heads))
      return await this.#propose(send, send.path.slice(heads.length));
    // Objects alone are nothing yet; whatever else would write is none of a proposal.
    const isObject = send.method === "POST" && send.path.startsWith(`${this.repoPath}/git/`) && send.mutates !== true;
    if (send.mutates === true || (send.method !== "GET" && !isObject && !send.path.endsWith("/graphql"))) {
      throw new RegistryError("UNSUPPORTED", `${this.settings.location}: ${send.operation} can't be proposed`, {
        backend: "github",
      });
    }
    return await super.send(isObject && send.path.endsWith("/git/commits") ? marked(send) : send);
  }

  /**
   * Moved from the very commit that was looked at: what somebody pushes after the look is seen by the next one.
   *
   * @param base encoded, as it stands in a path
   */
  async #propose(send: Send, base: string): Promise<Reply> {
    const { signal } = send;
    const to = String(send.body?.sha);
    const operation = "moving the branch of the proposal";
    const tips = new Set<string>();
    let said = "GitHub does not know the commit that it is at";
    for (let looks = 1; looks <= MAX_LOOKS; looks++) {
      let from = await this.#tip(signal);
      if (from === undefined) {
        const made = await this.#create(send, to);
        if (made.status < 300) return this.#done(to, made);
        from = await this.#tip(signal);
        if (from === undefined) return made;
      }
      // It was done, whatever was answered.
      if (from === to) return this.#done(to);
      tips.add(from);
      if (await this.#isOurs(base, from, signal)) {
        const move = await moveBranch(this.#plain, { branch: this.#branch, from, to, operation, signal });
        if (move.status === "moved") return this.#done(to);
        if (move.status === "unsupported") return await this.#force(send, to, operation);
        said = move.said;
      }
      if (looks < MAX_LOOKS) await sleep(PAUSE_MS * 2 ** looks * (0.5 + Math.random() / 2));
      throwIfAborted(signal, operation);
    }
    // The last refusal may have been one of those that did it all the same.
    if ((await this.#tip(signal)) === to) return this.#done(to);
    throw this.#stuck(tips.size > 1, said);
  }

  async #tip(signal: AbortSignal | undefined): Promise<string | undefined> {
    const path = `${this.repoPath}/git/ref/heads/${encodePath(this.#branch)}`;
    const operation = "reading the branch of the proposal";
    const reply = await super.send({ method: "GET", path, operation, accept: [404], signal });
    return reply.status === 404 ? undefined : String((reply.data as { object?: { sha?: unknown } }).object?.sha);
  }

  async #create(send: Send, sha: string): Promise<Reply> {
    const body = { ref: `refs/heads/${this.#branch}`, sha };
    const path = `${this.repoPath}/git/refs`;
    const operation = "creating the branch of the proposal";
    return await super.send({ ...send, method: "POST", path, body, operation, accept: [409, 422] });
  }

  /** All that a server without GraphQL has: what came since the look is lost. */
  async #force(send: Send, sha: string, operation: string): Promise<Reply> {
    const path = `${this.repoPath}/git/refs/heads/${encodePath(this.#branch)}`;
    const moved = await super.send({ ...send, path, operation, body: { sha, force: true } });
    return moved.status < 300 ? this.#done(sha, moved) : moved;
  }

  #done(sha: string, reply: Reply = { status: 200, headers: {}, data: { object: { sha } } }): Reply {
    this.proposed = sha;
    return reply;
  }

  /**
   * What a person put on top of a proposal must not be lost by proposing again.
   *
   * @returns `false` while GitHub does not tell, as a replica that lags
   * @throws RegistryError CONFLICT where somebody did
   */
  async #isOurs(base: string, tip: string, signal: AbortSignal | undefined): Promise<boolean> {
    const path = `${this.repoPath}/compare/${base}...${tip}`;
    const reply = await super.send({ method: "GET", path, operation: "comparing the proposal", accept: [404], signal });
    // Another history was begun by somebody else.
    if (reply.status === 404 && !/no common ancestor/i.test(messageOf(reply.data) ?? "")) return false;
    if (reply.status !== 404 && (await this.#isAllOurs(reply.data as Comparison, signal))) return true;
    throw this.#error(
      "CONFLICT",
      "final",
      `somebody added commits to the branch ${show(this.#branch, 200)}, or changed ours; merge or close that proposal first`,
    );
  }

  /** @param compared the base and the tip of the branch */
  async #isAllOurs(compared: Comparison, signal: AbortSignal | undefined): Promise<boolean> {
    const { commits = [], total_commits: total = commits.length } = compared;
    const [merges, plain] = [
      commits.filter(({ parents = [] }) => parents.length > 1),
      commits.filter(({ parents = [] }) => parents.length <= 1),
    ];
    if (total > commits.length || !plain.every(isOwn)) return false;
    if (merges.length === 0) return true;
    // To bring the branch up to date adds nothing; but a merge can hold whatever somebody made of it.
    const [from, to] = [plain[0]?.parents?.[0]?.sha, plain.at(-1)?.sha];
    if (from === undefined || to === undefined) return sameFiles(compared, {});
    const path = `${this.repoPath}/compare/${from}...${to}`;
    const own = await super.send({ method: "GET", path, operation: "comparing the proposal", signal });
    return sameFiles(compared, own.data as Comparison);
  }

  #stuck(isMoving: boolean, said: string): RegistryError {
    const branch = show(this.#branch, 200);
    if (isMoving)
      return this.#error("CONFLICT", "temporary", `others move the branch ${branch} all the time; try again`);
    const why = show(said.replace(/\s+/g, " "), 300);
    return this.#error(
      "UNAVAILABLE",
      "temporary",
      `the branch ${branch} was not moved: ${why}; try again, and if it stays so look at the rules of that branch`,
    );
  }

  #error(code: "CONFLICT" | "UNAVAILABLE", outcome: "final" | "temporary", problem: string): RegistryError {
    const { location } = this.settings;
    return new RegistryError(code, `${location}: ${problem}`, { backend: "github", location, outcome });
  }
}
