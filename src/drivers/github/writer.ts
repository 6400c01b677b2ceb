import { setTimeout as sleep } from "node:timers/promises";
import type { Commit, Operation, Outcome } from "../../driver.ts";
import { abortError, RegistryError } from "../../errors.ts";
import { asFailure } from "./failure.ts";
import { laneOf } from "./lane.ts";
import { describe } from "./message.ts";
import { POINTER_PENDING, Work } from "./plan.ts";
import type { Session } from "./session.ts";
import { placeOf, type Snapshot } from "./snapshot.ts";
import type { States } from "./state.ts";
import { MAX_TREE_FILES, type Written, writeCommit } from "./write.ts";

/** Tries at a branch that others write to, within this time. */
const MAX_TRIES = 40;
const MAX_MS = 60_000;
const MAX_DELAY = 4000;
/** Tries at a commit of which nobody could say what became of it. */
const MAX_DOUBTS = 4;
/** What one Git commit takes of those that wait. */
const MAX_MERGED_CHANGES = 1000;
const MAX_MERGED_BYTES = 8_000_000;

/** How long an aborted commit that is on its way may take to say what became of it. */
const GRACE_MS = 2000;

interface Waiting {
  readonly commit: Commit;
  readonly bytes: number;
  started: boolean;
  aborted: RegistryError | undefined;
  readonly resolve: (outcomes: readonly Outcome[]) => void;
  readonly reject: (error: RegistryError) => void;
}

/** Commits of one handle. Those that come while another is being written wait, and become one Git commit together. */
export class Writer {
  readonly #session: Session;
  readonly #states: States;
  #waiting: Waiting[] = [];
  #flushing: Promise<void> | undefined;

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
    /** Attempts that may have succeeded. */
    const sent = new Set<string>();
    let doubt: { readonly error: RegistryError; readonly plan: Plan } | undefined;
    let doubts = 0;
    const stop = () => {
      if (doubt === undefined && group.every(({ aborted }) => aborted !== undefined)) throw new Abandoned();
    };
    for (let attempt = 1; ; attempt++) {
      let plan: Plan;
      try {
        stop();
        const snapshot = await session.current();
        if (doubt !== undefined && session.hasLanded(sent, doubt.plan.text.trailer)) {
          settle(group, doubt.plan.outcomes);
          return;
        }
        plan = await this.#plan(await this.#known(snapshot, group), group);
      } catch (error) {
        throw doubt === undefined ? error : unknown(asFailure(error, "commit", session.client.settings.location));
      }
      const { work, outcomes, text } = plan;
      if (work.edits.size === 0) {
        settle(group, outcomes);
        return;
      }
      let written: Written;
      try {
        const branch = await session.branch();
        written = await writeCommit(session.client, work.snapshot, branch, work.edits, text, (id) => {
          stop();
          if (id !== undefined) sent.add(id);
        });
        wrote();
      } catch (thrown) {
        if (thrown instanceof Abandoned) throw thrown;
        wrote();
        const error = asFailure(thrown, "commit", session.client.settings.location);
        if (error.outcome !== "unknown" || ++doubts >= MAX_DOUBTS) {
          this.#refuse(plan, group, doubt === undefined ? error : unknown(error));
          return;
        }
        doubt = { error, plan };
        await pause(attempt);
        continue;
      }
      if (written.status === "written") {
        const edits = [...work.edits].map(([path, { id }]) => ({ path, id }));
        const message = `${text.subject}\n\n${text.body}`;
        session.advance(work.snapshot, { id: written.commit, message }, written.tree, edits);
        settle(group, outcomes);
        return;
      }
      if (attempt >= MAX_TRIES || performance.now() - began > MAX_MS) {
        this.#refuse(plan, group, doubt === undefined ? this.#busy() : unknown(this.#busy()));
        return;
      }
      await pause(attempt);
    }
  }

  async #known(snapshot: Snapshot, group: readonly Waiting[]): Promise<Snapshot> {
    return await this.#session.with(
      snapshot,
      group.flatMap(({ commit }) => commit.changes.map(({ name }) => name)),
    );
  }

  async #plan(snapshot: Snapshot, group: readonly Waiting[]): Promise<Plan> {
    const { client } = this.#session;
    await this.#prefetch(snapshot, group);
    const work = new Work(snapshot, this.#states, client.settings);
    let outcomes: Outcome[][] = [];
    for (const { commit } of group) outcomes.push(await work.apply(commit));
    if (work.edits.size > MAX_TREE_FILES) outcomes = dropShown(work, group, outcomes);
    const text = describe(group.map(({ commit }, i) => ({ commit, outcomes: outcomes[i] as Outcome[] })));
    return { work, outcomes, text };
  }

  /** What the plan is going to look at, together. */
  async #prefetch(snapshot: Snapshot, group: readonly Waiting[]): Promise<void> {
    const ids: string[] = [];
    for (const { commit } of group) {
      for (const { name, add = [], restore = [], remove = [] } of commit.changes) {
        const prompt = snapshot.prompt(name);
        if (prompt === undefined) continue;
        ids.push(...this.#states.needs(prompt));
        for (const { version } of [...add, ...restore, ...remove]) {
          const file = prompt.scan.versions.get(version);
          const id = file === undefined ? undefined : prompt.id(file);
          if (id !== undefined) ids.push(id);
        }
      }
    }
    if (ids.length > 0) await this.#states.blobs.load(ids, snapshot.commit);
  }

  /** Changes of which nothing was to be written have their answer; the others have the error. */
  #refuse({ outcomes }: Plan, group: readonly Waiting[], error: RegistryError): void {
    for (const [i, one] of group.entries()) {
      const own = outcomes[i] as Outcome[];
      if (own.some((outcome) => outcome.status === "done")) one.reject(error);
      else one.resolve(own);
    }
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

interface Plan {
  readonly work: Work;
  readonly outcomes: Outcome[][];
  readonly text: ReturnType<typeof describe>;
}

function settle(group: readonly Waiting[], outcomes: readonly (readonly Outcome[])[]): void {
  for (const [i, one] of group.entries()) one.resolve(outcomes[i] as readonly Outcome[]);
}

/** Links and hints are left for later where they would take one more call. */
function dropShown(work: Work, group: readonly Waiting[], outcomes: Outcome[][]): Outcome[][] {
  const names = new Set<string>();
  for (const [path, { shown }] of [...work.edits]) {
    if (!shown) continue;
    work.drop(path);
    const place = placeOf(path, work.settings.root);
    if (place !== undefined) names.add(place.name);
  }
  return outcomes.map((own, i) =>
    own.map((outcome, n) => {
      const name = group[i]?.commit.changes[n]?.name;
      if (outcome.status !== "done" || name === undefined || !names.has(name)) return outcome;
      return { ...outcome, warnings: POINTER_PENDING };
    }),
  );
}

/** Full jitter, so that writers that met once do not meet again. */
async function pause(attempt: number): Promise<void> {
  await sleep(Math.random() * Math.min(MAX_DELAY, 20 * 2 ** Math.min(attempt, 10)));
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
