import type {
  Cursor,
  ListQuery,
  Operation,
  PageQuery,
  ReadAsk,
  RepairPlan,
  StorageDriver,
  VersionQuery,
} from "../driver.ts";
import { abortError, RegistryError } from "../errors.ts";
import { around, type RunCall } from "../layers/around.ts";
import type { PromptName } from "../names.ts";

/** The methods of a driver that can be counted and made to fail. */
export type DriverMethod =
  | "peek"
  | "read"
  | "listPrompts"
  | "listVersions"
  | "history"
  | "changes"
  | "commit"
  | "repair"
  | "check";

export interface Fault {
  readonly method: DriverMethod;
  /** Which call of the method, counted from 1; default: every call. */
  readonly call?: number;
  /**
   * - `fail`: throws `error` and does nothing
   * - `dropReply`: does it, and throws `error` all the same: the caller can't know what happened
   * - `delay`: waits before doing it: for `wait`, else for one turn of the event loop
   * - `hang`: does nothing until the call's signal fires; without a signal, for ever
   */
  readonly what: "fail" | "dropReply" | "delay" | "hang";
  /** Default: `UNAVAILABLE`; its outcome is `unknown` where the reply of a commit or repair is dropped. */
  readonly error?: RegistryError;
  /** For `delay`. */
  readonly wait?: () => Promise<unknown>;
}

export interface FaultyDriver extends StorageDriver {
  /** What struck, in order. Fails nothing by itself: look here to see that a test met its fault. */
  readonly struck: readonly Fault[];
  /** Adds a fault, or ends all of them with `[]`. Calls are counted anew from here. */
  plan(faults: Fault | readonly Fault[]): void;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

function defaultError(fault: Fault): RegistryError {
  const unknown = fault.what === "dropReply" && (fault.method === "commit" || fault.method === "repair");
  return new RegistryError("UNAVAILABLE", `injected: ${fault.what} of ${fault.method}`, {
    operation: fault.method,
    outcome: unknown ? "unknown" : "temporary",
  });
}

/**
 * Makes calls of a driver fail, wait or lose their reply.
 *
 * @example
 * const driver = fault(memory(), { method: "commit", call: 1, what: "dropReply" });
 * const registry = new PromptRegistry(driver);
 * await registry.storePrompt({ name: "a", version: "1.0.0", text: "a" }); // reads back, and knows that it is there
 */
export function fault(inner: StorageDriver, faults: Fault | readonly Fault[] = []): FaultyDriver {
  let planned: readonly Fault[] = [];
  let calls = new Map<DriverMethod, number>();
  const struck: Fault[] = [];

  function plan(next: Fault | readonly Fault[]): void {
    planned = Array.isArray(next) ? next : [next as Fault];
    calls = new Map();
  }
  plan(faults);

  function strikes(method: DriverMethod): Fault | undefined {
    const call = (calls.get(method) ?? 0) + 1;
    calls.set(method, call);
    const found = planned.find((f) => f.method === method && (f.call === undefined || f.call === call));
    if (found !== undefined) struck.push(found);
    return found;
  }

  const run: RunCall = async (method, op, call) => {
    const found = strikes(method);
    switch (found?.what) {
      case undefined:
        return call(op);
      case "fail":
        throw found.error ?? defaultError(found);
      case "dropReply":
        await call(op);
        throw found.error ?? defaultError(found);
      case "delay":
        await (found.wait ?? turn)();
        return call(op);
      case "hang":
        return hang(op?.signal);
    }
  };

  return {
    ...around(inner, run),
    struck,
    plan,
    // An answer from memory can't be late or lost; any fault makes it one that `read` must give.
    peek: (ask) => (strikes("peek") === undefined ? inner.peek(ask) : undefined),
  } satisfies FaultyDriver;
}

function hang(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal === undefined) return;
    const end = () => reject(abortError(signal));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

export interface Counts {
  /** Calls of each method. */
  readonly calls: Readonly<Record<DriverMethod, number>>;
  /** Calls that may go to the store: all but `peek`. */
  readonly total: number;
  /** Asks in all reads. */
  readonly asks: number;
  /** Changes in all commits. */
  readonly changes: number;
}

export interface CountingDriver extends StorageDriver {
  readonly counts: Counts;
  /** Starts again from zero. */
  reset(): void;
}

/**
 * Counts what a driver is asked.
 *
 * @example
 * const driver = count(memory());
 * await new PromptRegistry(driver).getPrompts(["a", "b"]);
 * driver.counts.calls.read; // 1
 */
export function count(inner: StorageDriver): CountingDriver {
  const zero = () => ({
    ...{ peek: 0, read: 0, listPrompts: 0, listVersions: 0, history: 0 },
    ...{ changes: 0, commit: 0, repair: 0, check: 0 },
  });
  let calls: Record<DriverMethod, number> = zero();
  let asks = 0;
  let changes = 0;
  return {
    kind: inner.kind,
    location: inner.location,
    capabilities: inner.capabilities,
    native: inner.native,
    get counts(): Counts {
      const total = Object.values(calls).reduce((sum, n) => sum + n, 0) - calls.peek;
      return { calls: { ...calls }, total, asks, changes };
    },
    reset() {
      calls = zero();
      asks = 0;
      changes = 0;
    },
    peek(ask: ReadAsk) {
      calls.peek++;
      return inner.peek(ask);
    },
    read(batch: readonly ReadAsk[], op?: Operation) {
      calls.read++;
      asks += batch.length;
      return inner.read(batch, op);
    },
    listPrompts(query: ListQuery, op?: Operation) {
      calls.listPrompts++;
      return inner.listPrompts(query, op);
    },
    listVersions(name: PromptName, query: VersionQuery, op?: Operation) {
      calls.listVersions++;
      return inner.listVersions(name, query, op);
    },
    history(name: PromptName, query: PageQuery, op?: Operation) {
      calls.history++;
      return inner.history(name, query, op);
    },
    changes(query: { readonly cursor?: Cursor; readonly limit: number }, op?: Operation) {
      calls.changes++;
      return inner.changes(query, op);
    },
    commit(commit, op) {
      calls.commit++;
      changes += commit.changes.length;
      return inner.commit(commit, op);
    },
    repair(plan: RepairPlan, op?: Operation) {
      calls.repair++;
      return inner.repair(plan, op);
    },
    check(op?: Operation) {
      calls.check++;
      return inner.check(op);
    },
    close: () => inner.close(),
  } satisfies CountingDriver;
}
