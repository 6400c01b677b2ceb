import type { Change, Commit, HeadState, HistoryEntry, Operation, Outcome } from "../driver.ts";
import { isRegistryError, RegistryError, throwIfAborted } from "../errors.ts";
import type { PromptName } from "../names.ts";
import type { Act, HeadPlan } from "../rules/plan.ts";
import { historyOf } from "./asks.ts";
import type { Context } from "./context.ts";

export const MAX_ROUNDS = 100;
/** How often a commit of unknown outcome, of which nothing can be found, is sent again. */
export const MAX_UNKNOWN = 2;

/** Applies commits; what is too much for one is split, unless it must be atomic. */
export async function commitAll(
  context: Context,
  act: Act,
  changes: readonly Change[],
  op: Operation,
  atomic = false,
): Promise<readonly Outcome[]> {
  const { driver } = context;
  const { maxBatch, atomicity, write } = driver.capabilities;
  if (!write) {
    throw new RegistryError("READ_ONLY", `the ${driver.kind} storage ${driver.location} is read-only`, {
      backend: driver.kind,
    });
  }
  if (atomic && changes.length > 1 && (atomicity !== "batch" || changes.length > maxBatch)) {
    throw new RegistryError(
      "UNSUPPORTED",
      atomicity === "batch"
        ? `${changes.length} prompts are too many for one atomic commit; at most ${maxBatch}`
        : `the ${driver.kind} storage can't store several prompts atomically; leave atomic out`,
      { backend: driver.kind },
    );
  }
  const outcomes: Outcome[] = [];
  for (let i = 0; i < changes.length; i += maxBatch) {
    const part = changes.slice(i, i + maxBatch);
    const commit: Commit = {
      id: act.commit,
      at: act.at,
      ...(act.by === undefined ? {} : { by: act.by }),
      ...(act.message === undefined ? {} : { message: act.message }),
      ...(atomic ? { atomic } : {}),
      changes: part,
    };
    let got: readonly Outcome[];
    try {
      got = await driver.commit(commit, op);
    } catch (error) {
      if (outcomes.length === 0 || !isRegistryError(error)) throw error;
      // Parts before this one are committed and say so; this one speaks for itself.
      got = part.map(() => ({ status: "failed", error }));
    }
    outcomes.push(...got);
  }
  return outcomes;
}

export function headChange(name: PromptName, state: HeadState | undefined, plan: HeadPlan): Change {
  return { name, head: { expect: state?.revision ?? null, ...plan } };
}

/**
 * Plan → commit, and again from a fresh look while somebody else was faster. An unknown outcome is read back by the
 * commit's id before anything is tried again; what can't be found out stays unknown, whatever ends the call.
 *
 * @param plan reads the state and says what to change; `undefined`: nothing to do. `committed`: the head was moved by this
 *   very call, and only what comes after the head may be missing
 */
export async function commitHead(
  context: Context,
  name: PromptName,
  act: Act,
  op: Operation,
  plan: (committed: boolean) => Promise<Change | undefined>,
): Promise<"changed" | "unchanged"> {
  let committed = false;
  let unknown: RegistryError | undefined;
  let unknowns = 0;
  try {
    for (let round = 0; ; round++) {
      throwIfAborted(op.signal, "commit");
      if (round > MAX_ROUNDS) throw tooBusy(name);
      const change = await plan(committed);
      if (change === undefined) return committed ? "changed" : "unchanged";
      if (unknowns > MAX_UNKNOWN && unknown !== undefined) throw unknown;
      let outcome: Outcome;
      try {
        outcome = (await commitAll(context, act, [change], op))[0] as Outcome;
        if (outcome.status === "failed") throw outcome.error;
      } catch (error) {
        if (!isRegistryError(error) || error.outcome !== "unknown") throw error;
        unknown = error;
        unknowns++;
        committed ||= await wasCommitted(context, name, act, op, error);
        // The history proves the head, not the tombstones and documents that come after it: the next plan sees to those.
        if (committed && change.remove === undefined && change.restore === undefined) return "changed";
        await backOff(unknowns);
        continue;
      }
      if (outcome.status === "done") return "changed";
      if (outcome.status === "exists") {
        throw new RegistryError("CONFLICT", `${name}@${outcome.existing.version} is in the way`, {
          name,
          version: outcome.existing.version,
        });
      }
      await backOff(round);
    }
  } catch (error) {
    throw unknown ?? error;
  }
}

/** Milliseconds by which clocks may differ. */
const MAX_SKEW = 3_600_000;

/** Looks for a commit id among the entries since then; gives the unknown error back when the store can't be read. */
export async function wasCommitted(
  context: Context,
  name: PromptName,
  { commit, at }: Act,
  op: Operation,
  unknown: RegistryError,
): Promise<boolean> {
  const since = new Date(Date.parse(at) - MAX_SKEW).toISOString();
  try {
    for await (const { items } of historyOf(context, name, op).pages()) {
      if (items.some((entry: HistoryEntry) => entry.commit === commit)) return true;
      // Newest first. An entry is not older than the act that it came with, but for a server that goes by its own clock.
      if ((items.at(-1)?.at ?? since) < since) return false;
    }
    return false;
  } catch {
    throw unknown;
  }
}

export function tooBusy(name: PromptName): RegistryError {
  return new RegistryError("CONFLICT", `${name} is being changed by others all the time; try again`, {
    name,
    outcome: "temporary",
  });
}

/** Full jitter, so that writers that met once do not meet again. */
export function backOff(round: number): Promise<void> {
  const limit = Math.min(50, 2 ** Math.min(round, 6));
  return new Promise((resolve) => setTimeout(resolve, Math.random() * limit));
}
