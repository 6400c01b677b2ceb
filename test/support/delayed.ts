import type { StorageDriver } from "../../src/driver.ts";
import { createRandom } from "../../src/testing/random.ts";

/**
 * A storage behind a network that reorders: each question takes a random time to get there, and its answer one to come back.
 * Nothing is answered at once.
 *
 * @param most milliseconds each way
 */
export function delayed(inner: StorageDriver, seed: number, most = 6): StorageDriver {
  const random = createRandom(seed);
  const pause = async () => {
    if (random.chance(0.7)) await new Promise((resolve) => setTimeout(resolve, random.int(most * 10) / 10));
  };
  async function there<T>(call: () => Promise<T>): Promise<T> {
    await pause();
    const answer = await call();
    await pause();
    return answer;
  }
  return {
    ...inner,
    peek: () => undefined,
    read: (asks, op) => there(() => inner.read(asks, op)),
    listVersions: (name, query, op) => there(() => inner.listVersions(name, query, op)),
    commit: (commit, op) => there(() => inner.commit(commit, op)),
  };
}
