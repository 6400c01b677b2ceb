import type { ReadAnswer, ReadAsk, StorageDriver } from "../../../src/driver.ts";
import { memory } from "../../../src/drivers/memory.ts";
import { RegistryError } from "../../../src/errors.ts";
import { compareVersions } from "../../../src/semver.ts";
import { createRandom } from "../../../src/testing/index.ts";
import { answering, mutate, type Patch, slotsOf, turn } from "./mutate.ts";

/** Handles to one storage with a bug that only concurrent clients meet, or only now and then. */
export interface RacyDriver {
  readonly bug: string;
  readonly handles: () => StorageDriver[];
}

function one(bug: string, patch: (inner: StorageDriver) => Patch): RacyDriver {
  return { bug, handles: () => [mutate(memory(), patch)] };
}

/** Now and then; the same ones in every run. */
function sometimes(probability: number, seed = 9): () => boolean {
  const random = createRandom(seed);
  return () => random.chance(probability);
}

const keyOf = (ask: ReadAsk) => JSON.stringify(ask);

export const racyDrivers: readonly RacyDriver[] = [
  one("stale read: now and then the answer of before", (inner) => {
    const now = sometimes(0.02);
    const last = new Map<string, ReadAnswer>();
    return answering((answer, ask) => {
      const old = last.get(keyOf(ask));
      last.set(keyOf(ask), answer);
      return old !== undefined && now() ? old : answer;
    })(inner);
  }),

  one("lost write: now and then done, and nothing is stored", (inner) => {
    const now = sometimes(0.02);
    return {
      commit: async (commit, op) => (now() ? commit.changes.map(() => ({ status: "done" })) : inner.commit(commit, op)),
    };
  }),

  one("late write: done is told before it is visible", (inner) => ({
    async commit(commit, op) {
      const [change] = commit.changes;
      const version = change?.add?.[0]?.version;
      if (change === undefined || version === undefined || change.guard !== undefined) return inner.commit(commit, op);
      if (slotsOf(inner, change.name).has(version)) return inner.commit(commit, op);
      void turn()
        .then(turn)
        .then(() => inner.commit(commit))
        .catch(() => {});
      return [{ status: "done" }];
    },
  })),

  one("latest is not monotone: the version that was published last", (inner) => {
    const last = new Map<string, string>();
    return {
      ...answering(async (answer, { name, selector }, driver) => {
        const version = last.get(name);
        if (selector.kind !== "latest" || answer.status !== "found" || version === undefined) return answer;
        const [other] = await driver.read([{ name, selector: { kind: "version", version: version as never } }]);
        return other?.status === "found" && answer.head !== undefined ? { ...other, head: answer.head } : answer;
      })(inner),
      async commit(commit, op) {
        const outcomes = await inner.commit(commit, op);
        const [change] = commit.changes;
        const version = change?.add?.[0]?.version;
        if (change !== undefined && version !== undefined && outcomes[0]?.status === "done")
          last.set(change.name, version);
        return outcomes;
      },
    };
  }),

  one("latest from an index that trails behind", (inner) => {
    const index = new Map<string, ReadAnswer>();
    return answering((answer, ask) => {
      if (ask.selector.kind !== "latest") return answer;
      const trailing = index.get(ask.name) ?? answer;
      void turn().then(() => index.set(ask.name, answer));
      return trailing;
    })(inner);
  }),

  one("check, then create: two writers of one slot are done", (inner) => ({
    async commit(commit, op) {
      const [change] = commit.changes;
      const version = change?.add?.[0]?.version;
      if (change === undefined || version === undefined || slotsOf(inner, change.name).has(version))
        return inner.commit(commit, op);
      await turn();
      slotsOf(inner, change.name).delete(version);
      return inner.commit(commit, op);
    },
  })),

  one("check, then set: two writers of one head are done", (inner) => ({
    async commit(commit, op) {
      const [change] = commit.changes;
      if (change?.head === undefined) return inner.commit(commit, op);
      const before = await revision(inner, change.name);
      if (before !== change.head.expect) return inner.commit(commit, op);
      await turn();
      const expect = await revision(inner, change.name);
      return inner.commit({ ...commit, changes: [{ ...change, head: { ...change.head, expect } }] }, op);
    },
  })),

  one("a guard that looks first", (inner) => ({
    async commit(commit, op) {
      const [change] = commit.changes;
      if (change?.guard === undefined) return inner.commit(commit, op);
      if ((await revision(inner, change.name)) !== change.guard) return [{ status: "conflict", added: false }];
      await turn();
      return inner.commit({ ...commit, changes: [{ ...change, guard: await revision(inner, change.name) }] }, op);
    },
  })),

  one("a conflict that was done all the same", (inner) => {
    const now = sometimes(0.1);
    return {
      async commit(commit, op) {
        const outcomes = await inner.commit(commit, op);
        return commit.changes[0]?.head !== undefined && now() ? [{ status: "conflict", added: false }] : outcomes;
      },
    };
  }),

  one("labels move one by one: the head of an answer is older than its label", (inner) => {
    const heads = new Map<string, ReadAnswer & { readonly status: "found" }>();
    return answering((answer, ask) => {
      if (ask.selector.kind !== "label" || answer.status !== "found") return answer;
      const old = heads.get(ask.name);
      heads.set(ask.name, answer);
      return old?.head === undefined ? answer : { ...answer, head: old.head };
    })(inner);
  }),

  one("a removed version is served until somebody else asks", (inner) => {
    const found = new Map<string, ReadAnswer>();
    return answering((answer, ask) => {
      if (ask.selector.kind !== "version") return answer;
      const old = found.get(keyOf(ask));
      if (answer.status === "found") found.set(keyOf(ask), answer);
      else found.delete(keyOf(ask));
      return answer.status === "removed" && old !== undefined ? old : answer;
    })(inner);
  }),

  one("a tombstone frees its slot", (inner) => ({
    async commit(commit, op) {
      const outcomes = await inner.commit(commit, op);
      for (const { name, remove } of commit.changes)
        for (const { version } of remove ?? []) slotsOf(inner, name).delete(version);
      return outcomes;
    },
  })),

  one("a temporary error that was done all the same (no read-back)", (inner) => {
    const now = sometimes(0.03);
    return {
      async commit(commit, op) {
        const outcomes = await inner.commit(commit, op);
        if (!now()) return outcomes;
        return commit.changes.map(() => ({ status: "failed", error: new RegistryError("UNAVAILABLE", "try again") }));
      },
    };
  }),

  {
    bug: "a second handle with a cache of its own",
    handles: () => {
      const inner = memory();
      const cached = new Map<string, ReadAnswer>();
      const second = mutate(
        inner,
        answering((answer, ask) => {
          const key = keyOf(ask);
          const old = cached.get(key);
          if (old === undefined) cached.set(key, answer);
          return old ?? answer;
        }),
      );
      return [inner, second];
    },
  },

  {
    bug: "peek of a second handle trails behind",
    handles: () => {
      const inner = memory();
      const peeked = new Map<string, ReadAnswer>();
      const second = mutate(inner, () => ({
        peek(ask) {
          const old = peeked.get(keyOf(ask));
          const now = inner.peek(ask);
          if (now !== undefined) peeked.set(keyOf(ask), now);
          return old ?? now;
        },
      }));
      return [inner, second];
    },
  },

  one("versions are told to exist in the order of their numbers", (inner) => {
    const highest = new Map<string, ReadAnswer & { readonly status: "found" }>();
    // A maximum that is kept, and not taken down when its version is yanked or removed.
    return answering((answer, ask) => {
      if (ask.selector.kind !== "latest" || answer.status !== "found") return answer;
      const old = highest.get(ask.name);
      if (old !== undefined && compareVersions(old.document.version, answer.document.version) > 0) return old;
      highest.set(ask.name, answer);
      return answer;
    })(inner);
  }),
];

async function revision(inner: StorageDriver, name: ReadAsk["name"]): Promise<string | null> {
  const [answer] = await inner.read([{ name, selector: { kind: "head" } }]);
  return answer?.status === "head" ? answer.head.revision : null;
}
