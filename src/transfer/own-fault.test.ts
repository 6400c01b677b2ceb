import { describe, expect, it } from "vitest";
import type { Outcome, StorageDriver } from "../driver.ts";
import { memory } from "../drivers/memory.ts";
import { type ErrorCode, type ErrorOutcome, RegistryError } from "../errors.ts";
import { PromptRegistry } from "../registry.ts";
import { copyStorage, importPrompts, restoreArchive, syncStorages, writeArchive } from "./index.ts";
import { isOwnFault } from "./own-fault.ts";

/** What a store says that has something against one name. */
function refusing(name: string, error: RegistryError): StorageDriver {
  const inner = memory();
  return {
    ...inner,
    async commit(commit, op) {
      const changes = commit.changes.filter((change) => change.name !== name);
      const done = changes.length === 0 ? [] : [...(await inner.commit({ ...commit, changes }, op))];
      return commit.changes.map((change): Outcome => {
        return change.name === name ? { status: "failed", error } : (done.shift() as Outcome);
      });
    },
  };
}

const OWN: readonly (readonly [ErrorCode, ErrorOutcome])[] = [
  ["FORBIDDEN", "final"],
  ["NOT_FOUND", "final"],
  ["UNSUPPORTED", "final"],
  ["CONFLICT", "temporary"],
];
const COMMON: readonly (readonly [ErrorCode, ErrorOutcome])[] = [
  ["NO_SPACE", "final"],
  ["READ_ONLY", "final"],
  ["UNAUTHENTICATED", "final"],
  ["UNAVAILABLE", "temporary"],
  ["INVALID", "unknown"],
];

const errorOf = ([code, outcome]: readonly [ErrorCode, ErrorOutcome]) =>
  new RegistryError(code, "not this one", { outcome, retryAfter: 0 });

async function source(): Promise<StorageDriver> {
  const from = memory();
  const registry = new PromptRegistry(from);
  for (const name of ["a", "b", "c"]) await registry.storePrompt({ name, version: "1.0.0", text: name });
  return from;
}

/** Each way to bring many prompts somewhere, and the names that were left. */
const WAYS: Readonly<Record<string, (to: StorageDriver) => Promise<readonly string[]>>> = {
  copy: async (to) => (await copyStorage(await source(), to, { verify: false })).failures.map(({ name }) => name),
  sync: async (to) => (await syncStorages(await source(), to, { verify: false })).failures.map(({ name }) => name),
  import: async (to) => {
    const prompts = ["a", "b", "c"].map((name) => ({ name, version: "1.0.0", text: name, labels: [] }));
    const outcomes = await importPrompts(new PromptRegistry(to), prompts);
    return outcomes.filter(({ status }) => status === "failed").map(({ name }) => name);
  },
  restore: async (to) => {
    const from = await source();
    return (await restoreArchive(to, () => writeArchive(from), { verify: false })).failures.map(({ name }) => name);
  },
};

describe.each(Object.keys(WAYS))("%s", (way) => {
  const bring = WAYS[way] as (to: StorageDriver) => Promise<readonly string[]>;

  it.each(OWN)("lists what is of one prompt, and goes on with the others: %s, %s", async (...what) => {
    const to = refusing("b", errorOf(what));
    expect(isOwnFault(errorOf(what))).toBe(true);
    expect(await bring(to)).toEqual(["b"]);
    const names = await new PromptRegistry(to).listPrompts().all();
    expect(names.map(({ name }) => name)).toEqual(["a", "c"]);
  });

  it.each(COMMON)("ends with what would be of every other one, too: %s, %s", async (...what) => {
    expect(isOwnFault(errorOf(what))).toBe(false);
    await expect(bring(refusing("b", errorOf(what)))).rejects.toMatchObject({ code: what[0] });
  });
});
