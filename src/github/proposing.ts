import type { SealedDocument } from "../document.ts";
import type { StorageDriver } from "../driver.ts";
import { Blobs } from "../drivers/github/blobs.ts";
import { Client, createClient, encodePath, type Send } from "../drivers/github/client.ts";
import type { Reply } from "../drivers/github/failure.ts";
import { github } from "../drivers/github/index.ts";
import { TRAILER } from "../drivers/github/message.ts";
import { type GithubOptions, resolveOptions } from "../drivers/github/options.ts";
import { Session } from "../drivers/github/session.ts";
import { States } from "../drivers/github/state.ts";
import { Writer } from "../drivers/github/writer.ts";
import { RegistryError, show } from "../errors.ts";

/** Where proposals are: no prompt has a segment `-`, so no two of them get in each other's way. */
export const PREFIX = "prompt-registry/";

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

/** Sets the branch of the proposal where the driver would move its own. */
class ProposalClient extends Client {
  readonly #branch: string;
  proposed: string | undefined;

  constructor({ octokit, settings, auth }: Client, branch: string) {
    super(octokit, settings, auth);
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
    return await super.send(send);
  }

  /** @param base encoded, as it stands in a path */
  async #propose(send: Send, base: string): Promise<Reply> {
    const { signal } = send;
    const sha = String(send.body?.sha);
    const ref = `heads/${encodePath(this.#branch)}`;
    const where = { method: "GET", path: `${this.repoPath}/git/ref/${ref}`, accept: [404], signal } as const;
    let there = await super.send({ ...where, operation: "reading the branch of the proposal" });
    if (there.status === 404) {
      const body = { ref: `refs/heads/${this.#branch}`, sha };
      const path = `${this.repoPath}/git/refs`;
      const operation = "creating the branch of the proposal";
      const made = await super.send({ ...send, method: "POST", path, body, operation, accept: [409, 422] });
      if (made.status < 300) return this.#done(made, sha);
      there = await super.send({ ...where, operation: "reading the branch of the proposal" });
      if (there.status === 404) return made;
    }
    await this.#checkTip(base, String((there.data as { object?: { sha?: unknown } }).object?.sha), signal);
    const path = `${this.repoPath}/git/refs/${ref}`;
    const operation = "moving the branch of the proposal";
    const moved = await super.send({ ...send, path, operation, body: { sha, force: true } });
    return moved.status < 300 ? this.#done(moved, sha) : moved;
  }

  #done(reply: Reply, sha: string): Reply {
    this.proposed = sha;
    return reply;
  }

  /** What a person put on top of a proposal must not be lost by proposing again. */
  async #checkTip(base: string, tip: string, signal: AbortSignal | undefined): Promise<void> {
    const path = `${this.repoPath}/compare/${base}...${tip}`;
    const reply = await super.send({ method: "GET", path, operation: "comparing the proposal", accept: [404], signal });
    const { commits = [] } = reply.data as {
      commits?: readonly { readonly parents?: readonly unknown[]; readonly commit?: { readonly message?: string } }[];
    };
    const isOurs = commits.every(
      ({ parents = [], commit }) => parents.length > 1 || commit?.message?.includes(`\n${TRAILER}: `) === true,
    );
    if (isOurs) return;
    throw new RegistryError(
      "CONFLICT",
      `${this.settings.location}: somebody added commits to the branch ${show(this.#branch, 200)}; merge or close that proposal first`,
      { backend: "github", location: this.settings.location, outcome: "final" },
    );
  }
}
