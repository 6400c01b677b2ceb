import type { StorageDriver } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import { around, type RunCall } from "../../layers/around.ts";

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

  const run: RunCall = async (operation, op, call) => {
    const started = performance.now();
    let result = "ok";
    try {
      return await call(op);
    } catch (error) {
      result = isRegistryError(error) ? error.code : "INTERNAL";
      throw error;
    } finally {
      told({ backend, operation, result, ms: performance.now() - started });
    }
  };

  return around(inner, run);
}
