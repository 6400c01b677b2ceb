import { setTimeout as sleep } from "node:timers/promises";
import { createClient, encodePath } from "../drivers/github/client.ts";
import { header, messageOf, type Reply, refusal } from "../drivers/github/failure.ts";
import { type GithubOptions, resolveOptions } from "../drivers/github/options.ts";
import { isRegistryError, RegistryError, show } from "../errors.ts";
import { PREFIX } from "./proposing.ts";
import { type Proposal, type Pull, removeBranch, shown } from "./pull.ts";

export type { Proposal } from "./pull.ts";

export type MergeMethod = "merge" | "squash" | "rebase";

export interface MergedProposal extends Proposal {
  /** The commit that the base branch is at. */
  readonly merged: string;
}

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Proposals of one repository to one branch. */
export interface Proposals {
  /** Base branch. */
  base(): Promise<string>;
  /** Open ones, newest first. */
  list(options?: CallOptions): Promise<readonly Proposal[]>;
  /** The open one of a branch. */
  find(branch: string, options?: CallOptions): Promise<Proposal | undefined>;
  /** Opens a pull request for a branch, or brings title and text of the open one up to date. */
  submit(
    branch: string,
    text: { readonly title: string; readonly body: string },
    options?: CallOptions,
  ): Promise<{ readonly proposal: Proposal; readonly status: "opened" | "updated" }>;
  /**
   * Merges, and removes the branch.
   *
   * @param options.sha the commit that was reviewed. Default: the one that is proposed now
   * @throws RegistryError CONFLICT when the proposal changed meanwhile, or does not fit the base branch any more; FORBIDDEN
   * where rules of the branch ask for more; INVALID for a pull request that is no proposal
   */
  merge(
    number: number,
    options?: CallOptions & { readonly sha?: string | undefined; readonly method?: MergeMethod | undefined },
  ): Promise<MergedProposal>;
  /** Closes without merging, and removes the branch. */
  close(number: number, options?: CallOptions): Promise<Proposal>;
  /** Whether the branch is ahead of what the base branch is at now, and behind by nothing. */
  isFresh(branch: string, options?: CallOptions): Promise<boolean>;
}

const PAGE = 100;
const MAX_PAGES = 20;

/**
 * @throws RegistryError CONFIG
 * @example
 * const proposals = await githubProposals({ owner: "acme", repo: "prompts" });
 * for (const { number, title } of await proposals.list()) console.log(number, title);
 */
export async function githubProposals(options: GithubOptions): Promise<Proposals> {
  const client = await createClient(resolveOptions(options));
  const { repoPath, settings } = client;
  const { owner, repo, location } = settings;
  const pulls = `${repoPath}/pulls`;
  let known = settings.branch;

  async function base(): Promise<string> {
    if (known !== undefined) return known;
    const reply = await client.send({ method: "GET", path: repoPath, operation: "reading the repository" });
    known = String((reply.data as { default_branch?: unknown }).default_branch);
    return known;
  }

  async function page(query: Readonly<Record<string, string>>, operation: string, { signal }: CallOptions) {
    const path = `${pulls}?${new URLSearchParams({ ...query, state: "open", base: await base(), per_page: String(PAGE) })}`;
    const reply = await client.send({ method: "GET", path, operation, signal });
    return {
      pulls: Array.isArray(reply.data) ? (reply.data as Pull[]) : [],
      more: /rel="next"/.test(header(reply, "link") ?? ""),
    };
  }

  async function list(op: CallOptions = {}): Promise<Proposal[]> {
    const found: Proposal[] = [];
    for (let number = 1; number <= MAX_PAGES; number++) {
      const { pulls: some, more } = await page({ page: String(number) }, "listing pull requests", op);
      for (const pull of some) if (isOurs(pull)) found.push(shown(pull));
      if (!more) break;
    }
    return found;
  }

  async function find(branch: string, op: CallOptions = {}): Promise<Proposal | undefined> {
    const { pulls: some } = await page({ head: `${owner}:${branch}` }, "looking for the proposal", op);
    const pull = some.find((one) => isOurs(one) && one.head.ref === branch);
    return pull === undefined ? undefined : shown(pull);
  }

  /** A fork can have branches of any name: what it proposes is no proposal of ours. */
  function isOurs({ head }: Pull): boolean {
    const from = head.repo?.full_name?.toLowerCase();
    return head.ref.startsWith(PREFIX) && from === `${owner}/${repo}`.toLowerCase();
  }

  async function get(number: number, { signal }: CallOptions): Promise<Pull> {
    const path = `${pulls}/${number}`;
    const reply = await client.send({ method: "GET", path, operation: "reading the proposal", accept: [404], signal });
    if (reply.status === 404) {
      throw new RegistryError("NOT_FOUND", `${location}: there is no pull request ${number}`, { backend: "github" });
    }
    const pull = reply.data as Pull;
    if (!isOurs(pull) || pull.base.ref !== (await base())) {
      throw new RegistryError(
        "INVALID",
        `${location}: pull request ${number} is no proposal of prompt-registry for ${show(await base())}; use GitHub for it`,
        { backend: "github", field: "number" },
      );
    }
    return pull;
  }

  /** GitHub finds out whether it can be merged after it was first asked, and refuses until it knows. */
  async function settled(number: number, op: CallOptions): Promise<Pull> {
    let pull = await get(number, op);
    for (let tries = 0; tries < 8 && pull.state === "open" && pull.mergeable === null; tries++) {
      await sleep(250 * 2 ** Math.min(tries, 3));
      pull = await get(number, op);
    }
    return pull;
  }

  async function change(number: number, body: Record<string, unknown>, op: CallOptions): Promise<Proposal> {
    const path = `${pulls}/${number}`;
    const reply = await client.send({
      method: "PATCH",
      path,
      operation: "changing the proposal",
      body,
      mutates: true,
      ...op,
    });
    return shown(reply.data as Pull);
  }

  async function submit(branch: string, text: { title: string; body: string }, op: CallOptions = {}) {
    const there = await find(branch, op);
    if (there !== undefined) return { proposal: await change(there.number, text, op), status: "updated" as const };
    const body = { ...text, head: branch, base: await base() };
    const operation = "opening the pull request";
    const send = { method: "POST", path: pulls, operation, body, mutates: true, accept: [422], ...op } as const;
    let reply: Reply | undefined;
    try {
      reply = await client.send(send);
      if (reply.status < 300) return { proposal: shown(reply.data as Pull), status: "opened" as const };
    } catch (error) {
      if (!isRegistryError(error) || error.outcome !== "unknown") throw error;
    }
    // Somebody opened it meanwhile, or it was us and the reply was lost.
    const now = await find(branch, op);
    if (now !== undefined) {
      return {
        proposal: await change(now.number, text, op),
        status: reply === undefined ? ("opened" as const) : ("updated" as const),
      };
    }
    if (reply !== undefined) throw refusal(reply, { operation, location, mutates: false });
    throw new RegistryError("UNAVAILABLE", `${location}: ${operation} broke off on the way; propose it again`, {
      backend: "github",
      location,
    });
  }

  async function merge(number: number, options: NonNullable<Parameters<Proposals["merge"]>[1]> = {}) {
    const { signal, sha, method = "merge" } = options;
    const pull = await settled(number, { signal });
    const expected = sha ?? pull.head.sha;
    if (!/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(expected)) {
      throw new RegistryError("INVALID", `${show(expected)} is no whole commit id`, { field: "sha" });
    }
    if (pull.merged === true) return { ...shown(pull), merged: String(pull.merge_commit_sha) };
    if (pull.state !== "open") throw conflict(`pull request ${number} is closed`);
    const send = {
      method: "PUT",
      path: `${pulls}/${number}/merge`,
      operation: "merging the proposal",
      body: { sha: expected, merge_method: method },
      mutates: true,
      accept: [405, 409, 422],
      signal,
    } as const;
    const merged = await client.send(send).then(
      (reply) => mergedBy(reply, number, method),
      async (error: unknown) => {
        if (!isRegistryError(error) || error.outcome !== "unknown") throw error;
        const now = await get(number, { signal }).catch(() => undefined);
        if (now?.merged === true) return String(now.merge_commit_sha);
        throw error;
      },
    );
    await removeBranch(client, pull.head.ref, expected);
    return { ...shown(pull), sha: expected, merged };
  }

  function mergedBy(reply: Reply, number: number, method: MergeMethod): string {
    if (reply.status < 300) return String((reply.data as { sha?: unknown }).sha);
    const said = messageOf(reply.data) ?? "";
    if (reply.status === 409) throw conflict(`pull request ${number} or its base has changed; look at it again`);
    if (/was modified/i.test(said)) throw conflict(`the base of pull request ${number} has just changed; try again`);
    if (/conflict|not mergeable/i.test(said)) {
      throw conflict(`pull request ${number} does not fit its base any more; propose it again`);
    }
    throw new RegistryError(
      "FORBIDDEN",
      `${location}: GitHub does not merge pull request ${number} (--method ${method}): ${show(said.replace(/\s+/g, " "), 300)}`,
      { backend: "github", location, operation: "merging the proposal" },
    );
  }

  const conflict = (problem: string) =>
    new RegistryError("CONFLICT", `${location}: ${problem}`, { backend: "github", location });

  async function close(number: number, op: CallOptions = {}): Promise<Proposal> {
    const pull = await get(number, op);
    if (pull.merged === true) throw conflict(`pull request ${number} is merged already`);
    const closed = pull.state === "open" ? await change(number, { state: "closed" }, op) : shown(pull);
    await removeBranch(client, pull.head.ref, pull.head.sha);
    return closed;
  }

  async function isFresh(branch: string, { signal }: CallOptions = {}): Promise<boolean> {
    const path = `${repoPath}/compare/${encodePath(await base())}...${encodePath(branch)}`;
    const reply = await client.send({
      method: "GET",
      path,
      operation: "comparing the proposal",
      accept: [404],
      signal,
    });
    return (reply.data as { status?: unknown }).status === "ahead";
  }

  return { base, list, find, submit, merge, close, isFresh };
}
