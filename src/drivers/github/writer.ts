import { setTimeout as sleep } from "node:timers/promises";
import type { Commit, Operation, Outcome } from "../../driver.ts";
import { abortError, RegistryError } from "../../errors.ts";
import { asFailure } from "./failure.ts";
import { type Plan, planGroup, refused } from "./group.ts";
import { laneOf } from "./lane.ts";
import type { Mark, Session } from "./session.ts";
import type { States } from "./state.ts";
import { type Written, writeCommit } from "./write.ts";

/** Tries at a branch that others write to, within this time. */
const MAX_TRIES = 40;
const MAX_MS = 60_000;
const MAX_DELAY = 4000;
/** Tries at a commit of which nobody could say what became of it. */
const MAX_DOUBTS = 4;
/** What one Git commit takes of those that wait. */
const MAX_MERGED_CHANGES = 1000;
const MAX_MERGED_BYTES = 8_000_000;
/** Refused so often one after the other, it is not what is in them that is refused. */
const MAX_REFUSALS = 5;

/** How long an aborted commit that is on its way may take to say what became of it. */
const GRACE_MS = 2000;

interface Waiting {
  readonly commit: Commit;
  readonly bytes: number;
  started: boolean;
  /** With others it was refused; alone it may pass, or is refused for what is in it. */
  alone: boolean;
  aborted: RegistryError | undefined;
  readonly resolve: (outcomes: readonly Outcome[]) => void;
  readonly reject: (error: RegistryError) => void;
}

/** A try that was sent, and that may be on the branch whatever was answered. */
interface Sent {
  readonly mark: Mark;
  /** What is to be told when it is there: those of another try were planned on something else. */
  readonly outcomes: Plan["outcomes"];
  /** As they were before it could be there. */
  readonly gaps: number;
}

/** Commits of one handle. Those that come while another is being written wait, and become one Git commit together. */
export class Writer {
  readonly #session: Session;
  readonly #states: States;
  #waiting: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  #refusals = 0;

  constructor(session: Session, states: States) {
    this.#session = session;
    this.#states = states;
  }

  commit(commit: Commit, op: Operation | undefined): Promise<readonly Outcome[]> {
    const { signal } = op ?? {};
    return new Promise((resolve, reject) => {
      const end = () => signal?.removeEventListener("abort", onAbort);
      const one: Waiting = {
        commit,
        bytes: sizeOf(commit),
        started: false,
        alone: false,
        aborted: undefined,
        resolve: (outcomes) => {
          end();
          resolve(outcomes);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      const onAbort = () => {
        const error = abortError(signal as AbortSignal, "commit");
        this.#waiting = this.#waiting.filter((other) => other !== one);
        if (!one.started) return one.reject(error);
        // It is on its way: what becomes of it is mostly known in a moment, and that is the better answer.
        one.aborted = error;
        setTimeout(() => one.reject(unknown(error)), GRACE_MS).unref();
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(one);
      this.#flushing ??= this.#flush();
    });
  }

  /** Waits until nothing is being written any more. */
  async settled(): Promise<void> {
    await this.#flushing;
  }

  /** Runs something else that writes to the branch, when nothing of this process does. */
  async alone<T>(run: () => Promise<T>): Promise<T> {
    return await this.#lane(async (wrote) => {
      try {
        return await run();
      } finally {
        wrote();
      }
    });
  }

  #lane<T>(work: (wrote: () => void) => Promise<T>): Promise<T> {
    const { baseUrl, owner, repo, spacing } = this.#session.client.settings;
    const key = [baseUrl, owner, repo, this.#session.knownBranch ?? ""].join("\n").toLowerCase();
    return laneOf(key).run(spacing, work);
  }

  async #flush(): Promise<void> {
    const { client } = this.#session;
    this.#refusals = 0;
    try {
      // Commits that were made in the same turn belong together.
      await undefined;
      while (this.#waiting.length > 0) {
        await this.#lane(async (wrote) => {
          const group = this.#take();
          if (group.length === 0) return;
          try {
            await this.#write(group, wrote);
          } catch (error) {
            const failure = asFailure(error, "commit", client.settings.location);
            for (const one of group) one.reject(error instanceof Abandoned && one.aborted ? one.aborted : failure);
          }
        });
      }
    } finally {
      this.#flushing = undefined;
    }
  }

  #take(): Waiting[] {
    const group: Waiting[] = [];
    let changes = 0;
    let bytes = 0;
    for (const one of this.#waiting) {
      const isAlone = this.#refusals < MAX_REFUSALS && (one.alone || group[0]?.alone === true);
      if (group.length > 0 && isAlone) break;
      changes += one.commit.changes.length;
      bytes += one.bytes;
      if (group.length > 0 && (changes > MAX_MERGED_CHANGES || bytes > MAX_MERGED_BYTES)) break;
      one.started = true;
      group.push(one);
    }
    this.#waiting = this.#waiting.slice(group.length);
    return group;
  }

  /** The whole read-modify-write, again and again from the new head, until it is in or surely not. */
  async #write(group: readonly Waiting[], wrote: () => void): Promise<void> {
    const session = this.#session;
    const began = performance.now();
    const sent: Sent[] = [];
    /** The first of which nobody could say what became of it. */
    let doubt: Sent | undefined;
    let doubts = 0;
    const stop = () => {
      if (doubt === undefined && group.every(({ aborted }) => aborted !== undefined)) throw new Abandoned();
    };
    for (let attempt = 1; ; attempt++) {
      let plan: Plan;
      try {
        stop();
        const snapshot = await session.current();
        const landed = sent.find(({ mark }) => session.hasLanded(mark));
        if (landed !== undefined) {
          settle(group, landed.outcomes);
          return;
        }
        // More commits came than were told, and ours may be one of those.
        if (doubt !== undefined && session.gaps !== doubt.gaps) throw this.#busy();
        const commits = group.map(({ commit }) => commit);
        const names = commits.flatMap(({ changes }) => changes.map(({ name }) => name));
        plan = await planGroup(session, this.#states, await session.proven(snapshot, names), commits);
      } catch (error) {
        throw doubt === undefined ? error : unknown(asFailure(error, "commit", session.client.settings.location));
      }
      const { work, outcomes, text } = plan;
      if (work.edits.size === 0) {
        settle(group, outcomes);
        return;
      }
      let written: Written;
      const before = sent.length;
      try {
        const branch = await session.branch();
        written = await writeCommit(session.client, work.snapshot, branch, work.edits, text, (mark) => {
          stop();
          sent.push({ mark, outcomes, gaps: session.gaps });
        });
        wrote();
      } catch (thrown) {
        if (thrown instanceof Abandoned) throw thrown;
        wrote();
        const failure = asFailure(thrown, "commit", session.client.settings.location);
        const last = sent[before];
        // What nobody foresaw says nothing about what became of the call.
        const error = last !== undefined && !(thrown instanceof RegistryError) ? unknown(failure) : failure;
        if (last === undefined || error.outcome !== "unknown" || ++doubts >= MAX_DOUBTS) {
          if (doubt === undefined && error.code === "FORBIDDEN" && this.#separate(group)) return;
          await this.#refuse(plan, group, doubt === undefined ? error : unknown(error));
          return;
        }
        doubt ??= last;
        await this.#pause(attempt);
        continue;
      }
      if (written.status === "written") {
        this.#refusals = 0;
        const edits = [...work.edits].map(([path, { id }]) => ({ path, id }));
        const message = `${text.subject}\n\n${text.body}`;
        session.advance(work.snapshot, { id: written.commit, message }, written.tree, edits);
        settle(group, outcomes);
        return;
      }
      if (attempt >= MAX_TRIES || performance.now() - began > MAX_MS) {
        await this.#refuse(plan, group, doubt === undefined ? this.#busy() : unknown(this.#busy()));
        return;
      }
      await this.#pause(attempt);
    }
  }

  /**
   * Rules look at what is in a commit (push protection does), so one of several may be the reason. They go back to the
   * front of those that wait, one at a time.
   *
   * @returns whether they did
   */
  #separate(group: readonly Waiting[]): boolean {
    if (group.length === 1 && group[0]?.alone === true) this.#refusals++;
    if (group.length === 1 || this.#refusals >= MAX_REFUSALS) return false;
    for (const one of group) {
      one.alone = true;
      one.started = false;
    }
    this.#waiting.unshift(...group);
    return true;
  }

  /** Changes of which nothing was to be written have their answer; the others have the error. */
  async #refuse(plan: Plan, group: readonly Waiting[], error: RegistryError): Promise<void> {
    const commits = group.map(({ commit }) => commit);
    const told = await refused(plan, commits, error);
    for (const [i, one] of group.entries()) {
      const own = told[i];
      if (own === undefined) one.reject(error);
      else one.resolve(own);
    }
  }

  /** GitHub's own pace, and full jitter, so that writers that met once do not meet again. */
  async #pause(attempt: number): Promise<void> {
    const { spacing } = this.#session.client.settings;
    await sleep(spacing + Math.random() * Math.min(MAX_DELAY, 20 * 2 ** Math.min(attempt, 10)));
  }

  #busy(): RegistryError {
    const { location } = this.#session.client.settings;
    return new RegistryError("CONFLICT", `${location}: others write to the branch all the time; try again`, {
      backend: "github",
      location,
      outcome: "temporary",
    });
  }
}

/** Everybody who waited for it went away before anything was done. */
class Abandoned extends Error {}

function settle(group: readonly Waiting[], outcomes: readonly (readonly Outcome[])[]): void {
  for (const [i, one] of group.entries()) one.resolve(outcomes[i] as readonly Outcome[]);
}

export function unknown(error: RegistryError): RegistryError {
  if (error.outcome === "unknown") return error;
  return new RegistryError(error.code, `${error.message}; whether it happened is not known`, {
    ...error.context,
    outcome: "unknown",
    cause: error.cause,
  });
}

function sizeOf({ changes }: Commit): number {
  let size = 0;
  for (const { add = [], remove = [], restore = [] } of changes) {
    for (const { text } of [...add, ...remove, ...restore]) size += text.length;
  }
  return size;
}
