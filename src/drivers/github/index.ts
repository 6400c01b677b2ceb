import type { Octokit } from "@octokit/core";
import type { Capabilities, Operation, ReadAsk, StorageDriver } from "../../driver.ts";
import { abortable, RegistryError, throwIfAborted } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import { answerAll, rememberedAnswer } from "./answers.ts";
import { Blobs } from "./blobs.ts";
import { checkGithub } from "./check.ts";
import { createClient, type Quota } from "./client.ts";
import { asFailure } from "./failure.ts";
import { Feed } from "./feed.ts";
import { history, listPrompts, listVersions } from "./listing.ts";
import { type GithubOptions, resolveOptions } from "./options.ts";
import { MAX_DOCUMENT_BYTES } from "./plan.ts";
import { repair } from "./repair.ts";
import { Session } from "./session.ts";
import type { PromptFiles, Snapshot } from "./snapshot.ts";
import { States } from "./state.ts";
import { Writer } from "./writer.ts";

export { type GithubAppOptions, type GithubAuth, type GithubAuthOptions, githubAuth } from "../../github/auth.ts";
export type { GithubGrant } from "../../github/grant.ts";
export {
  createGitHubWebFlow,
  type GithubWebFlow,
  type GithubWebFlowOptions,
  type PendingLogin,
  type PendingLogins,
} from "../../github/web.ts";
export type { GithubOptions, GithubWrites } from "./options.ts";

/** What the contract does not cover. */
export interface GithubNative {
  readonly octokit: Octokit;
  readonly owner: string;
  readonly repo: string;
  /** As given; a default branch is found out when it is needed. */
  readonly branch: string | undefined;
  /** What GitHub last said is left of its limits, by resource (`core`, `graphql`). */
  quotas(): ReadonlyMap<string, Quota>;
  /** Calls made up to now. */
  calls(): number;
}

export type { Quota } from "./client.ts";

const CAPABILITIES: Capabilities = Object.freeze({
  write: true,
  atomicity: "batch",
  listing: "indexed",
  search: false,
  maxDocumentBytes: MAX_DOCUMENT_BYTES,
  maxBatch: 1000,
  consistency: "session",
});

/**
 * A branch of a GitHub repository: `prompts/support/triage/v1.0.0.md`, as in a folder registry, so that a clone is one. Every
 * `commit()` is one Git commit. Nothing is asked before the first call.
 *
 * @throws RegistryError CONFIG for options that can't be, and where `@octokit/core` is missing
 * @example
 * const registry = new PromptRegistry(await github({ owner: "acme", repo: "prompts", branch: "main" }));
 */
export async function github(options: GithubOptions): Promise<StorageDriver<GithubNative>> {
  const settings = resolveOptions(options);
  const { location } = settings;
  const client = await createClient(settings);
  const blobs = new Blobs(client);
  const states = new States(blobs);
  const session = new Session(client, blobs);
  const feed = new Feed(session);
  const writer = new Writer(session, states);
  let closed = false;

  function enter(op: Operation | undefined, operation: string): void {
    if (closed) throw new RegistryError("ABORTED", "the GitHub storage is closed", { backend: "github", operation });
    throwIfAborted(op?.signal, operation);
  }

  /** Runs what only looks. Others may wait for the same look, so an abort ends the waiting and not the look. */
  async function look<T>(op: Operation | undefined, operation: string, run: () => Promise<T>): Promise<T> {
    enter(op, operation);
    try {
      return await abortable(run(), op, operation);
    } catch (error) {
      throw asFailure(error, operation, location);
    }
  }

  async function promptAt(name: PromptName): Promise<{ snapshot: Snapshot; prompt: PromptFiles | undefined }> {
    const snapshot = (await session.cold([name])) ?? (await session.with(await session.current(), [name]));
    const prompt = snapshot.prompt(name);
    return { snapshot, prompt: prompt?.isPrompt === true ? prompt : undefined };
  }

  function isRecent(): boolean {
    return settings.documentMaxAge > 0 && Date.now() - session.validatedAt < settings.documentMaxAge;
  }

  async function read(asks: readonly ReadAsk[], op: Operation | undefined) {
    if (op?.fresh !== true && isRecent()) {
      const known = asks.map((ask) => (ask.known === undefined ? rememberedAnswer(session, ask) : undefined));
      if (known.every((answer) => answer !== undefined)) return known;
    }
    const names = [...new Set(asks.map(({ name }) => name))];
    const cold = await session.cold(names);
    const snapshot = cold ?? (await session.with(await session.current(), names));
    return await answerAll(session, states, snapshot, asks);
  }

  return {
    kind: "github",
    location,
    capabilities: CAPABILITIES,
    native: Object.freeze({
      octokit: client.octokit,
      owner: settings.owner,
      repo: settings.repo,
      branch: settings.branch,
      quotas: () => new Map(client.quotas),
      calls: () => client.calls,
    }),
    peek(ask) {
      if (closed || ask.known !== undefined || !isRecent()) return undefined;
      try {
        return rememberedAnswer(session, ask);
      } catch {
        return undefined;
      }
    },
    async read(asks, op) {
      enter(op, "read");
      if (asks.length === 0) return [];
      return await look(op, "read", () => read(asks, op));
    },
    async listPrompts(query, op) {
      if (query.text !== undefined) {
        throw new RegistryError("UNSUPPORTED", "the GitHub storage has no text search", { backend: "github" });
      }
      return await look(op, "listPrompts", async () => {
        return await listPrompts(states, await session.whole(await session.current()), query);
      });
    },
    async listVersions(name, query, op) {
      return await look(op, "listVersions", async () => listVersions(states, (await promptAt(name)).prompt, query));
    },
    async history(name, query, op) {
      return await look(op, "history", async () => {
        const { prompt, snapshot } = await promptAt(name);
        return await history(states, prompt, query, snapshot.commit);
      });
    },
    async changes(query, op) {
      return await look(op, "changes", () => feed.changes(query));
    },
    async commit(commit, op) {
      enter(op, "commit");
      if (commit.changes.length > CAPABILITIES.maxBatch) {
        const problem = `${commit.changes.length} changes in one commit; at most ${CAPABILITIES.maxBatch}`;
        throw new RegistryError("INVALID", problem, { backend: "github" });
      }
      if (commit.changes.length === 0) return [];
      return await writer.commit(commit, op);
    },
    async repair(plan, op) {
      return await look(op, "repair", () => repair(session, states, writer, plan));
    },
    async check(op) {
      throwIfAborted(op?.signal, "check");
      const started = performance.now();
      const checks = closed
        ? [{ name: "open", ok: false, detail: "closed" }]
        : await abortable(checkGithub(session, op), op, "check");
      const latency = performance.now() - started;
      return { ok: checks.every((one) => one.ok), kind: "github", location, latency, checks };
    },
    async close() {
      closed = true;
      await writer.settled();
    },
  } satisfies StorageDriver<GithubNative>;
}
