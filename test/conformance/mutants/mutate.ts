import type { Commit, ReadAnswer, ReadAsk, StorageDriver, StoredDocument } from "../../../src/driver.ts";
import { memory } from "../../../src/drivers/memory.ts";
import type { PromptName } from "../../../src/names.ts";
import type { Version } from "../../../src/semver.ts";
import type { SuiteOptions } from "../../../src/testing/index.ts";

/** A driver with one seeded bug, and a test of the suite that must find it. */
export interface Mutant {
  readonly bug: string;
  /** Full titles of tests of which each must fail. */
  readonly caughtBy: readonly string[];
  /** Groups of tests that the bug makes wait for nothing. */
  readonly without?: RegExp;
  readonly options: Pick<SuiteOptions, "open"> & Partial<Pick<SuiteOptions, "another" | "reopen" | "damage">>;
}

export type Patch = Partial<Omit<StorageDriver, "native">>;

/** The driver with some of its parts replaced. */
export function mutate(inner: StorageDriver, patch: (inner: StorageDriver) => Patch): StorageDriver {
  const plain: StorageDriver = {
    kind: inner.kind,
    location: inner.location,
    capabilities: inner.capabilities,
    native: inner.native,
    peek: (ask) => inner.peek(ask),
    read: (asks, op) => inner.read(asks, op),
    listPrompts: (query, op) => inner.listPrompts(query, op),
    listVersions: (name, query, op) => inner.listVersions(name, query, op),
    history: (name, query, op) => inner.history(name, query, op),
    changes: (query, op) => inner.changes(query, op),
    commit: (commit, op) => inner.commit(commit, op),
    repair: (plan, op) => inner.repair(plan, op),
    check: (op) => inner.check(op),
    close: () => inner.close(),
  };
  return { ...plain, ...patch(inner) };
}

/** A mutant of one memory driver. */
export function mutant(
  bug: string,
  caughtBy: string | readonly string[],
  patch: (inner: StorageDriver) => Patch,
): Mutant {
  return {
    bug,
    caughtBy: typeof caughtBy === "string" ? [caughtBy] : caughtBy,
    options: { open: async () => mutate(memory(), patch) },
  };
}

/** Replaces answers one by one; without a peek that would know better. */
export function answering(
  map: (answer: ReadAnswer, ask: ReadAsk, inner: StorageDriver) => ReadAnswer | Promise<ReadAnswer>,
) {
  return (inner: StorageDriver): Patch => ({
    peek: () => undefined,
    async read(asks, op) {
      const answers = await inner.read(asks, op);
      return Promise.all(answers.map((answer, i) => map(answer, asks[i] as ReadAsk, inner)));
    },
  });
}

/** Changes what is committed before it is. */
export function committing(map: (commit: Commit, inner: StorageDriver) => Promise<Commit> | Commit) {
  return (inner: StorageDriver): Patch => ({
    commit: async (commit, op) => inner.commit(await map(commit, inner), op),
  });
}

interface Inside {
  readonly slots: Map<Version, { readonly document: StoredDocument; readonly tombstone: boolean }>;
  answers: { lease: { until: number }; versions: Map<string, unknown>; labels: Map<string, unknown> };
}

/** The slots of a prompt inside a memory driver, for bugs that no driver can be talked into from outside. */
export function slotsOf(inner: StorageDriver, name: PromptName): Inside["slots"] {
  const inside = (inner as StorageDriver<ReadonlyMap<string, Inside>>).native.get(name);
  if (inside === undefined) return new Map();
  inside.answers.lease.until = 0;
  inside.answers = { lease: { until: Number.POSITIVE_INFINITY }, versions: new Map(), labels: new Map() };
  return inside.slots;
}

export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
