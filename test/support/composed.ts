import type { StorageDriver } from "../../src/driver.ts";
import { memory } from "../../src/drivers/memory.ts";
import { cache } from "../../src/layers/cache/index.ts";
import { circuit } from "../../src/layers/circuit.ts";
import { fallback } from "../../src/layers/fallback.ts";
import { type Layer, stack } from "../../src/layers/layer.ts";
import { limit } from "../../src/layers/limit.ts";
import { retry } from "../../src/layers/retry.ts";
import { deadline, timeout } from "../../src/layers/timeout.ts";
import { trace } from "../../src/layers/trace.ts";

/** The layers that a remote storage has in production, around any storage. */
export const COMPOSED = "trace, cache, fallback, deadline, retry, circuit, timeout, limit";

export function composed(storage: StorageDriver, disk?: string): StorageDriver {
  const layers: readonly Layer[] = [
    trace({ log: () => {} }),
    cache(disk === undefined ? {} : { disk: { path: disk } }),
    fallback([memory()]),
    deadline(),
    retry(),
    circuit(),
    timeout(),
    limit(),
  ];
  return stack(storage, layers);
}
