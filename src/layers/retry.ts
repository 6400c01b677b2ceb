import type { Change, Commit, HealthCheck, Operation, Outcome, StorageDriver } from "../driver.ts";
import type { RegistryError } from "../errors.ts";
import { around, type RunCall } from "./around.ts";
import { defineLayer, type Layer } from "./layer.ts";
import { asRegistryError } from "./outage.ts";
import { checkCount, checkDuration, isOver, sleep } from "./signal.ts";

export interface RetryOptions {
  /** Tries in all, the first one included. Default 3. */
  readonly attempts?: number | undefined;
  /** Milliseconds; the wait before the nth retry is a random part of `baseDelay * 2^(n-1)`. Default 50. */
  readonly baseDelay?: number | undefined;
  /** Milliseconds; no wait is longer, and a store that asks for a longer one is not asked again. Default 5,000. */
  readonly maxDelay?: number | undefined;
  /**
   * Retries that may be spent while nothing succeeds, shared by all calls. Every success gives a tenth of one back. In a
   * full outage this, and not `attempts`, is what bounds the load. Default 10.
   */
  readonly budget?: number | undefined;
  /** 0 to 1, for tests. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** Successes that earn one retry: a store that works now and then is asked at most a tenth more. */
const SUCCESSES = 10;

/**
 * Tries again what did not happen: calls that failed with the outcome `temporary`, and nothing else. A commit whose
 * outcome is unknown is never sent again here: the registry reads back first. The only place where anything is retried.
 *
 * @throws RegistryError CONFIG
 * @example
 * stack(driver, [retry({ attempts: 3, budget: 10 }), timeout(5_000)]);
 */
export function retry(options: RetryOptions = {}): Layer {
  const { random = Math.random } = options;
  const attempts = checkCount("retry.attempts", options.attempts ?? 3);
  const baseDelay = checkDuration("retry.baseDelay", options.baseDelay ?? 50, { zero: true });
  const maxDelay = checkDuration("retry.maxDelay", options.maxDelay ?? 5000, { zero: true });
  const budget = checkCount("retry.budget", options.budget ?? 10, 0);

  return defineLayer("retry", (inner) => {
    // Counted in tenths, as sums of 0.1 never quite get to 1.
    let tokens = budget * SUCCESSES;
    let retries = 0;
    let refused = 0;

    /** How long to wait before the next attempt; `undefined`: no more. */
    function nextDelay(error: RegistryError, attempt: number, op: Operation | undefined): number | undefined {
      if (error.outcome !== "temporary" || attempt >= attempts || isOver(op?.signal)) return undefined;
      const { retryAfter = 0 } = error.context;
      if (retryAfter > maxDelay) return undefined;
      if (tokens < SUCCESSES) {
        refused++;
        return undefined;
      }
      tokens -= SUCCESSES;
      retries++;
      const jitter = random() * Math.min(maxDelay, baseDelay * 2 ** (attempt - 1));
      // The store's word is a minimum; without jitter on top everybody would be back at the same moment.
      return Math.min(maxDelay, retryAfter + jitter);
    }

    function succeeded(): void {
      tokens = Math.min(budget * SUCCESSES, tokens + 1);
    }

    const run: RunCall = async (operation, op, call) => {
      for (let attempt = 1; ; attempt++) {
        try {
          const value = await call(op);
          succeeded();
          return value;
        } catch (thrown) {
          const error = asRegistryError(thrown, inner.kind);
          const delay = nextDelay(error, attempt, op);
          if (delay === undefined) throw error.with({ operation, attempts: attempt });
          await sleep(delay, op?.signal, operation);
        }
      }
    };

    /** Changes of one commit fail one by one; those that surely did not happen are sent again, and no others. */
    async function commitAll(commit: Commit, op: Operation | undefined): Promise<readonly Outcome[]> {
      const all = commit.changes.map((_, i) => i);
      let outcomes: readonly Outcome[] | undefined;
      let open = all;
      for (let attempt = 1; ; attempt++) {
        let got: readonly Outcome[];
        try {
          const changes = open.map((i) => commit.changes[i] as Change);
          got = await inner.commit(open === all ? commit : { ...commit, changes }, op);
        } catch (thrown) {
          const error = asRegistryError(thrown, inner.kind);
          if (outcomes === undefined) {
            const delay = nextDelay(error, attempt, op);
            if (delay === undefined) throw error.with({ operation: "commit", attempts: attempt });
            await sleep(delay, op?.signal, "commit");
            continue;
          }
          // Some changes are done already: from here on each speaks for itself.
          got = open.map(() => ({ status: "failed", error }));
        }
        outcomes = merge(outcomes, open, got);
        open = unsent(commit, outcomes);
        const error = failure(outcomes, open);
        if (error === undefined) {
          succeeded();
          return outcomes;
        }
        const delay = nextDelay(error, attempt, op);
        if (delay === undefined) return outcomes;
        try {
          await sleep(delay, op?.signal, "commit");
        } catch {
          return outcomes;
        }
      }
    }

    return {
      ...around(inner, run),
      commit: commitAll,
      // Health is what there is now, not what there is at the third try.
      async check(op) {
        const health = await inner.check(op);
        const left = tokens / SUCCESSES;
        const own: HealthCheck = {
          name: "retry",
          ok: true,
          detail: `${retries} retries, ${left} of ${budget} left, ${refused} not made for lack of them`,
          figures: { retries, refused, left, budget },
        };
        return { ...health, checks: [...health.checks, own] };
      },
      close: () => inner.close(),
    } satisfies StorageDriver;
  });
}

function isTemporary(outcome: Outcome): boolean {
  return outcome.status === "failed" && outcome.error.outcome === "temporary";
}

/** Which changes did not happen and may happen later. */
function unsent(commit: Commit, outcomes: readonly Outcome[]): number[] {
  const indexes = outcomes.map((_, i) => i);
  if (commit.atomic !== true) return indexes.filter((i) => isTemporary(outcomes[i] as Outcome));
  return outcomes.some(isTemporary) && outcomes.every((o) => o.status === "skipped" || isTemporary(o)) ? indexes : [];
}

function failure(outcomes: readonly Outcome[], open: readonly number[]): RegistryError | undefined {
  for (const i of open) {
    const outcome = outcomes[i];
    if (outcome?.status === "failed") return outcome.error;
  }
  return undefined;
}

function merge(before: readonly Outcome[] | undefined, indexes: readonly number[], got: readonly Outcome[]): Outcome[] {
  const merged = [...(before ?? got)];
  for (const [i, index] of indexes.entries()) merged[index] = got[i] as Outcome;
  return merged;
}
