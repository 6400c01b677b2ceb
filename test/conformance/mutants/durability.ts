import type { StorageDriver } from "../../../src/driver.ts";
import { memory } from "../../../src/drivers/memory.ts";
import { type Mutant, mutate } from "./mutate.ts";

/** A storage that can be opened again: all its commits, done once more. */
function journaled(lose: (commits: number, at: number) => boolean): Mutant["options"] {
  const journals = new WeakMap<StorageDriver, Parameters<StorageDriver["commit"]>[0][]>();
  function open(journal: Parameters<StorageDriver["commit"]>[0][]): StorageDriver {
    const driver = mutate(memory(), (inner) => ({
      async commit(commit, op) {
        const outcomes = await inner.commit(commit, op);
        journal.push(structuredClone(commit));
        return outcomes;
      },
    }));
    journals.set(driver, journal);
    return driver;
  }
  return {
    open: async () => open([]),
    async reopen(driver) {
      await driver.close();
      const old = journals.get(driver) ?? [];
      const next = open([]);
      for (const [i, commit] of old.entries()) if (!lose(old.length, i)) await next.commit(commit);
      return next;
    },
  };
}

/** The memory driver as a storage that keeps everything: what the mutants of durability are mutants of. */
export const durable: Mutant["options"] = journaled(() => false);

/** A second handle that remembers what it read for as long as it wrote nothing itself. */
function staleHandle(inner: StorageDriver): StorageDriver {
  const remembered = new Map<string, Awaited<ReturnType<StorageDriver["read"]>>>();
  return mutate(inner, () => ({
    peek: () => undefined,
    async read(asks, op) {
      const key = JSON.stringify(asks);
      const answers = remembered.get(key) ?? (await inner.read(asks, op));
      remembered.set(key, answers);
      return answers;
    },
    async commit(commit, op) {
      remembered.clear();
      return inner.commit(commit, op);
    },
  }));
}

/** Bugs that only another handle, or the next one, meets. */
export const durabilityMutants: readonly Mutant[] = [
  {
    bug: "a second handle never hears of the first one's changes",
    caughtBy: ["I1 what one handle does, every other handle sees at its next read"],
    options: { open: async () => memory(), another: async (driver) => staleHandle(driver) },
  },
  {
    bug: "the last commit is lost when the storage is opened again (no fsync of the directory)",
    caughtBy: ["I1 heads are there after the storage was closed and opened, and go on from where they were"],
    options: journaled((commits, at) => at === commits - 1),
  },
  {
    bug: "the first commits are lost when the storage is opened again",
    caughtBy: [
      "I1 documents are there after the storage was closed and opened",
      "I6 a cursor of the feed outlives the handle that gave it: nothing since then is lost",
    ],
    options: journaled((_, at) => at === 0),
  },
];
