import type { Commit, Outcome } from "../../driver.ts";
import type { RegistryError } from "../../errors.ts";
import { type CommitText, describe } from "./message.ts";
import { POINTER_PENDING, Work } from "./plan.ts";
import type { Session } from "./session.ts";
import { placeOf, type Snapshot } from "./snapshot.ts";
import type { States } from "./state.ts";
import { MAX_TREE_FILES } from "./write.ts";

/** What several commits that waited for each other are to be together. */
export interface Plan {
  readonly work: Work;
  /** Index-aligned with the commits, and each with its changes. */
  readonly outcomes: readonly (readonly Outcome[])[];
  readonly text: CommitText;
}

export async function planGroup(
  session: Session,
  states: States,
  snapshot: Snapshot,
  commits: readonly Commit[],
): Promise<Plan> {
  await prefetch(states, snapshot, commits);
  const work = new Work(snapshot, states, session.client.settings);
  let outcomes: Outcome[][] = [];
  for (const commit of commits) outcomes.push(await work.apply(commit));
  if (work.edits.size > MAX_TREE_FILES) outcomes = dropShown(work, commits, outcomes);
  const text = describe(commits.map((commit, i) => ({ commit, outcomes: outcomes[i] as Outcome[] })));
  return { work, outcomes, text };
}

/**
 * What each of them is told when the Git commit did not come about: what it would have been told alone, as the others did
 * not write what may have stood in its way; and the error in place of what would have been done.
 *
 * @returns `undefined` for a commit of which nothing at all is known but the error
 */
export async function refused(
  { work, outcomes }: Plan,
  commits: readonly Commit[],
  error: RegistryError,
): Promise<(readonly Outcome[] | undefined)[]> {
  const told: (readonly Outcome[] | undefined)[] = [];
  for (const [i, commit] of commits.entries()) {
    const together = outcomes[i] as readonly Outcome[];
    const isDone = (outcome: Outcome) => outcome.status === "done";
    const depends = commits.length > 1 && !together.every(isDone);
    const own = depends ? await new Work(work.snapshot, work.states, work.settings).apply(commit) : together;
    told.push(
      own.every(isDone) ? undefined : own.map((one): Outcome => (isDone(one) ? { status: "failed", error } : one)),
    );
  }
  return told;
}

/** What the plan is going to look at, together. */
async function prefetch(states: States, snapshot: Snapshot, commits: readonly Commit[]): Promise<void> {
  const ids: string[] = [];
  for (const { changes } of commits) {
    for (const { name, add = [], restore = [], remove = [] } of changes) {
      const prompt = snapshot.prompt(name);
      if (prompt === undefined) continue;
      ids.push(...states.needs(prompt));
      for (const { version } of [...add, ...restore, ...remove]) {
        const id = prompt.id(prompt.scan.versions.get(version) ?? "");
        if (id !== undefined) ids.push(id);
      }
    }
  }
  if (ids.length > 0) await states.blobs.load(ids, snapshot.commit);
}

/** Links and hints are left for later where they would take one more call. */
function dropShown(work: Work, commits: readonly Commit[], outcomes: readonly Outcome[][]): Outcome[][] {
  const names = new Set<string>();
  for (const [path, { shown }] of [...work.edits]) {
    if (!shown) continue;
    work.drop(path);
    const place = placeOf(path, work.settings.root);
    if (place !== undefined) names.add(place.name);
  }
  return outcomes.map((own, i) =>
    own.map((outcome, n) => {
      const name = commits[i]?.changes[n]?.name;
      if (outcome.status !== "done" || name === undefined || !names.has(name)) return outcome;
      return { ...outcome, warnings: POINTER_PENDING };
    }),
  );
}
