import type { StorageDriver } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";

/** One call of a storage, when it has ended. */
export interface StorageCall {
  readonly backend: string;
  /** `read`, `commit`, … */
  readonly operation: string;
  /** `ok`, or the code of the error. */
  readonly result: string;
  readonly ms: number;
}

/**
 * A storage that tells of every call. It stands below all layers, so it is none of them: what is counted is what really
 * went to the backend. `peek` is not told, being memory or one small local read.
 */
export function counted(inner: StorageDriver, told: (call: StorageCall) => void): StorageDriver {
  const { kind: backend } = inner;

  async function run<T>(operation: string, call: () => Promise<T>): Promise<T> {
    const started = performance.now();
    let result = "ok";
    try {
      return await call();
    } catch (error) {
      result = isRegistryError(error) ? error.code : "INTERNAL";
      throw error;
    } finally {
      told({ backend, operation, result, ms: performance.now() - started });
    }
  }

  return {
    kind: inner.kind,
    location: inner.location,
    capabilities: inner.capabilities,
    native: inner.native,
    peek: (ask) => inner.peek(ask),
    read: (asks, op) => run("read", () => inner.read(asks, op)),
    listPrompts: (query, op) => run("listPrompts", () => inner.listPrompts(query, op)),
    listVersions: (name, query, op) => run("listVersions", () => inner.listVersions(name, query, op)),
    history: (name, query, op) => run("history", () => inner.history(name, query, op)),
    changes: (query, op) => run("changes", () => inner.changes(query, op)),
    commit: (commit, op) => run("commit", () => inner.commit(commit, op)),
    repair: (plan, op) => run("repair", () => inner.repair(plan, op)),
    check: (op) => run("check", () => inner.check(op)),
    close: () => inner.close(),
  } satisfies StorageDriver;
}
