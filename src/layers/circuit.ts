import type { HealthCheck, Operation, Outcome, StorageDriver } from "../driver.ts";
import { RegistryError } from "../errors.ts";
import { around, type CallMethod, type RunCall } from "./around.ts";
import { defineLayer, type Layer } from "./layer.ts";
import { isOutage } from "./outage.ts";
import { checkCount, checkDuration, isOver } from "./signal.ts";

export interface CircuitOptions {
  /** Failures in a row that open the circuit. Default 5. */
  readonly failures?: number | undefined;
  /** Milliseconds until one call may try again; doubles with every try that fails. Default 5,000. */
  readonly cooldown?: number | undefined;
  /** Milliseconds; the cooldown never grows longer. Default 60,000. */
  readonly maxCooldown?: number | undefined;
  /** 0 to 1, for tests. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/**
 * Stops asking a store that does not answer: after some failures in a row every call fails at once with `UNAVAILABLE`,
 * until one call that is let through succeeds. Only outages count (`UNAVAILABLE`, `TIMEOUT`, `RATE_LIMITED`): a store
 * that says no is there.
 *
 * @throws RegistryError CONFIG
 * @example
 * stack(driver, [retry(), circuit({ failures: 5, cooldown: 5_000 }), timeout(5_000)]);
 */
export function circuit(options: CircuitOptions = {}): Layer {
  const { random = Math.random } = options;
  const threshold = checkCount("circuit.failures", options.failures ?? 5);
  const cooldown = checkDuration("circuit.cooldown", options.cooldown ?? 5000);
  const maxCooldown = Math.max(cooldown, checkDuration("circuit.maxCooldown", options.maxCooldown ?? 60_000));

  return defineLayer("circuit", (inner) => {
    let failures = 0;
    /** How often it opened without a success in between. */
    let openings = 0;
    /** On the clock that nobody sets. */
    let openUntil = 0;
    let probing = false;
    let rejected = 0;
    let last = "";

    function open(error: RegistryError): void {
      const base = Math.min(maxCooldown, cooldown * 2 ** Math.min(openings, 20));
      openings++;
      // Jitter, so that many processes do not come back at the same moment.
      const wait = Math.max(base * (0.75 + random() / 4), Math.min(maxCooldown, error.context.retryAfter ?? 0));
      openUntil = performance.now() + wait;
      failures = 0;
    }

    function reject(operation: string): RegistryError {
      rejected++;
      const retryAfter = Math.max(1, Math.ceil(openUntil - performance.now()));
      return new RegistryError(
        "UNAVAILABLE",
        `the ${inner.kind} storage ${inner.location} did not answer the last calls (${last}) and is left alone for now`,
        { backend: inner.kind, operation, retryAfter },
      );
    }

    /** @param outageIn what of a value that came says that the store could not be asked */
    async function guard<T>(
      operation: CallMethod,
      op: Operation | undefined,
      call: (op: Operation | undefined) => Promise<T>,
      outageIn: (value: T) => RegistryError | undefined,
    ): Promise<T> {
      const isProbe = openUntil > 0;
      if (isProbe && (probing || performance.now() < openUntil)) throw reject(operation);
      if (isProbe) probing = true;
      try {
        const value = await call(op);
        const outage = outageIn(value);
        if (outage === undefined) settled();
        else failed(outage, isProbe, op);
        return value;
      } catch (error) {
        if (isOutage(error)) failed(error, isProbe, op);
        else if (!isOver(op?.signal)) settled();
        throw error;
      } finally {
        if (isProbe) probing = false;
      }
    }

    function failed(outage: RegistryError, isProbe: boolean, op: Operation | undefined): void {
      // A caller who gave up says nothing about the store; what was on its way when it opened says nothing new.
      if (isOver(op?.signal) || (openUntil > 0 && !isProbe)) return;
      last = outage.code;
      failures++;
      if (isProbe || failures >= threshold) open(outage);
    }

    const run: RunCall = (operation, op, call) => guard(operation, op, call, () => undefined);

    function settled(): void {
      failures = 0;
      openings = 0;
      openUntil = 0;
    }

    return {
      ...around(inner, run),
      commit: (commit, op) => guard("commit", op, (o) => inner.commit(commit, o), outageOf),
      // Whoever checks wants to know how the store is, not what is believed of it.
      async check(op) {
        const health = await inner.check(op);
        const state = openUntil === 0 ? "closed" : performance.now() < openUntil ? "open" : "half-open";
        const own: HealthCheck = {
          name: "circuit",
          ok: state === "closed",
          detail: state === "closed" ? "closed: calls go through" : `${state} after ${last}: calls fail at once`,
          figures: { state, failures, rejected },
        };
        return { ...health, ok: health.ok && own.ok, checks: [...health.checks, own] };
      },
      close: () => inner.close(),
    } satisfies StorageDriver;
  });
}

/** Changes fail one by one: a commit of which nothing got an answer says of the store what an error says. */
function outageOf(outcomes: readonly Outcome[]): RegistryError | undefined {
  let outage: RegistryError | undefined;
  for (const outcome of outcomes) {
    if (outcome.status === "skipped") continue;
    if (outcome.status !== "failed" || !isOutage(outcome.error)) return undefined;
    outage ??= outcome.error;
  }
  return outage;
}
