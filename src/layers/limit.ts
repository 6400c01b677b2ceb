import type { HealthCheck, Operation, StorageDriver } from "../driver.ts";
import { abortError, RegistryError, throwIfAborted } from "../errors.ts";
import { around, type RunCall } from "./around.ts";
import { defineLayer, type Layer } from "./layer.ts";
import { checkCount } from "./signal.ts";

export interface LimitOptions {
  /** Calls under way at the same time. Default 32. */
  readonly concurrency?: number | undefined;
  /** Calls a second; default: no limit. */
  readonly rate?: number | undefined;
  /** Calls that may come at once before `rate` holds; default: `rate`, at least 1. */
  readonly burst?: number | undefined;
  /** Calls that may wait; one more is `RATE_LIMITED`. Default 1,000. */
  readonly queue?: number | undefined;
}

interface Waiter {
  readonly start: () => void;
  readonly fail: (error: RegistryError) => void;
}

/**
 * Keeps a store from more than it bears: so many calls at once, so many a second; the others wait in order. A call that
 * is aborted while it waits was never sent, and says so.
 *
 * @throws RegistryError CONFIG
 * @example
 * stack(driver, [timeout(5_000), limit({ concurrency: 8, rate: 50 })]);
 */
export function limit(options: LimitOptions = {}): Layer {
  const concurrency = checkCount("limit.concurrency", options.concurrency ?? 32);
  const maxQueue = checkCount("limit.queue", options.queue ?? 1000, 0);
  const { rate = Number.POSITIVE_INFINITY } = options;
  if (!(rate > 0)) throw new RegistryError("CONFIG", "limit.rate must be more than 0", { field: "limit.rate" });
  const burst = checkCount("limit.burst", options.burst ?? (Number.isFinite(rate) ? Math.max(1, Math.ceil(rate)) : 1));

  return defineLayer("limit", (inner) => {
    const queue: Waiter[] = [];
    let running = 0;
    let tokens = burst;
    let filledAt = performance.now();
    let timer: NodeJS.Timeout | undefined;
    let refused = 0;
    let closed = false;

    /** Whether a call may go now; takes its token. */
    function admitted(): boolean {
      if (running >= concurrency) return false;
      if (rate === Number.POSITIVE_INFINITY) return true;
      const now = performance.now();
      tokens = Math.min(burst, tokens + ((now - filledAt) / 1000) * rate);
      filledAt = now;
      // Sums of fractions may stay a hair below a whole token.
      if (tokens < 1 - 1e-6) return false;
      tokens = Math.max(0, tokens - 1);
      return true;
    }

    function next(): void {
      while (queue.length > 0 && admitted()) queue.shift()?.start();
      if (queue.length === 0 || running >= concurrency || timer !== undefined) return;
      const wait = Math.max(1, Math.ceil(((1 - tokens) / rate) * 1000));
      timer = setTimeout(() => {
        timer = undefined;
        next();
      }, wait);
    }

    function enter(operation: string, op: Operation | undefined): Promise<void> | undefined {
      throwIfAborted(op?.signal, operation);
      if (closed || (queue.length === 0 && admitted())) {
        running++;
        return undefined;
      }
      if (queue.length >= maxQueue) {
        refused++;
        throw new RegistryError("RATE_LIMITED", `${queue.length} calls wait for the ${inner.kind} storage already`, {
          backend: inner.kind,
          operation,
        });
      }
      return new Promise((resolve, reject) => {
        const signal = op?.signal;
        const leave = () => {
          queue.splice(queue.indexOf(waiter), 1);
          reject(abortError(signal as AbortSignal, operation));
        };
        const waiter: Waiter = {
          start: () => {
            running++;
            signal?.removeEventListener("abort", leave);
            resolve();
          },
          fail: (error) => {
            signal?.removeEventListener("abort", leave);
            reject(error);
          },
        };
        queue.push(waiter);
        signal?.addEventListener("abort", leave, { once: true });
        next();
      });
    }

    const run: RunCall = async (method, op, call) => {
      const turn = enter(method, op);
      if (turn !== undefined) await turn;
      try {
        return await call(op);
      } finally {
        running--;
        next();
      }
    };

    return {
      ...around(inner, run),
      async check(op) {
        const health = await inner.check(op);
        const own: HealthCheck = {
          name: "limit",
          ok: true,
          detail: `${running} of ${concurrency} calls under way, ${queue.length} waiting, ${refused} refused`,
          figures: { running, concurrency, waiting: queue.length, refused },
        };
        return { ...health, checks: [...health.checks, own] };
      },
      async close() {
        closed = true;
        clearTimeout(timer);
        const error = new RegistryError("ABORTED", `the ${inner.kind} storage is closed`, { backend: inner.kind });
        for (const waiter of queue.splice(0)) waiter.fail(error);
        await inner.close();
      },
    } satisfies StorageDriver;
  });
}
