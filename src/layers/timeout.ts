import type { Health, Operation, StorageDriver } from "../driver.ts";
import { abortError, isRegistryError, RegistryError, throwIfAborted } from "../errors.ts";
import { around, type RunCall } from "./around.ts";
import { defineLayer, type Layer, type LayerName } from "./layer.ts";
import { asRegistryError } from "./outage.ts";
import { checkDuration, timeoutReason } from "./signal.ts";

/** Methods whose effect is not known when their answer did not come. */
type Writing = "commit" | "repair";

/**
 * Ends every call that takes longer than `ms`: a hang becomes `TIMEOUT`, even where the driver does not listen to its
 * signal. A read that timed out is `temporary`, a commit `unknown`, unless the driver itself says in time that nothing
 * happened. Stands inside `retry`, so it bounds each attempt; {@link deadline} bounds the whole call.
 *
 * @param ms milliseconds; default 10,000
 * @throws RegistryError CONFIG for a duration that is none
 * @example
 * stack(driver, [retry(), timeout(5_000)]);
 */
export function timeout(ms = 10_000): Layer {
  checkDuration("timeout", ms);
  return defineLayer("timeout", (inner) => limited("timeout", ms, inner));
}

/**
 * The same for a whole call, all attempts and waits between them included. Stands around `retry`.
 *
 * @param ms milliseconds; default 30,000
 * @throws RegistryError CONFIG for a duration that is none
 * @example
 * stack(driver, [deadline(15_000), retry(), timeout(5_000)]);
 */
export function deadline(ms = 30_000): Layer {
  checkDuration("deadline", ms);
  return defineLayer("deadline", (inner) => limited("deadline", ms, inner));
}

function limited(layer: LayerName, ms: number, inner: StorageDriver): StorageDriver {
  const run: RunCall = (operation, op, call) => within(ms, { backend: inner.kind, operation, layer }, op, call);
  return {
    ...around(inner, run),
    check: (op) => checkWithin(layer, ms, inner, op),
    close: () => inner.close(),
  } satisfies StorageDriver;
}

/** A check never throws for a sick store, and a store that hangs is sick; only the caller's own end is thrown. */
export async function checkWithin(
  layer: LayerName,
  ms: number,
  inner: StorageDriver,
  op: Operation | undefined,
): Promise<Health> {
  const started = Date.now();
  try {
    return await within(ms, { backend: inner.kind, operation: "check", layer }, op, (o) => inner.check(o));
  } catch (error) {
    if (op?.signal?.aborted || !isRegistryError(error, "TIMEOUT")) throw error;
    return {
      ok: false,
      kind: inner.kind,
      location: inner.location,
      latency: Date.now() - started,
      checks: [{ name: layer, ok: false, detail: `no answer within ${ms} ms` }],
    };
  }
}

interface What {
  readonly backend: string;
  readonly operation: string;
  readonly layer: LayerName;
}

function within<T>(ms: number, what: What, op: Operation | undefined, call: (op: Operation) => Promise<T>): Promise<T> {
  const outer = op?.signal;
  return new Promise<T>((resolve, reject) => {
    throwIfAborted(outer, what.operation);
    // AbortSignal.any and AbortSignal.timeout would do it in one line; on Node 20 signals that live long keep what was
    // derived from them (https://github.com/nodejs/node/issues/54614).
    const controller = new AbortController();
    let grace: NodeJS.Timeout | undefined;
    const stop = (reason: unknown, error: () => RegistryError) => {
      controller.abort(reason);
      // What the driver says about the effect is better than "unknown": it gets a moment to say it.
      grace ??= setTimeout(() => settle(() => reject(error())), 0);
    };
    const onAbort = () => stop((outer as AbortSignal).reason, () => abandoned(what, outer as AbortSignal));
    const timer = setTimeout(() => stop(timeoutReason(), () => expired(what, ms)), ms);
    const settle = (end: () => void) => {
      clearTimeout(timer);
      clearTimeout(grace);
      outer?.removeEventListener("abort", onAbort);
      end();
    };
    outer?.addEventListener("abort", onAbort, { once: true });
    call({ ...op, signal: controller.signal }).then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(asRegistryError(error, what.backend))),
    );
  });
}

function isWrite(operation: string): operation is Writing {
  return operation === "commit" || operation === "repair";
}

function expired({ backend, operation, layer }: What, ms: number): RegistryError {
  const unknown = isWrite(operation);
  const effect = unknown ? "; whether it happened is not known" : "";
  return new RegistryError(
    "TIMEOUT",
    `the ${backend} storage gave no answer to ${operation} within ${ms} ms (${layer})${effect}`,
    { backend, operation, outcome: unknown ? "unknown" : "temporary" },
  );
}

function abandoned({ backend, operation }: What, signal: AbortSignal): RegistryError {
  const error = abortError(signal, operation);
  if (!isWrite(operation)) return error;
  return new RegistryError(error.code, `${error.message}; whether it happened is not known`, {
    ...error.context,
    backend,
    outcome: "unknown",
    cause: error.cause,
  });
}
