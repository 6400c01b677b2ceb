import type { StorageDriver } from "../driver.ts";
import { RegistryError } from "../errors.ts";
import { around } from "./around.ts";
import { defineLayer, type Layer } from "./layer.ts";

/**
 * Refuses every write with `READ_ONLY`, before anything is asked of the store. A cache around it then also answers heads
 * and lists of versions within their TTL, as nobody here plans a write on them.
 *
 * @example
 * stack(driver, [cache(), readonly(), retry()]);
 */
export function readonly(): Layer {
  return defineLayer("readonly", (inner) => {
    const refuse = (operation: string) =>
      new RegistryError("READ_ONLY", `the ${inner.kind} storage ${inner.location} is opened read-only`, {
        backend: inner.kind,
        operation,
      });
    return {
      ...around(inner),
      capabilities: Object.freeze({ ...inner.capabilities, write: false }),
      commit: () => Promise.reject(refuse("commit")),
      repair: (plan, op) => (plan.repair.length === 0 ? inner.repair(plan, op) : Promise.reject(refuse("repair"))),
    } satisfies StorageDriver;
  });
}
