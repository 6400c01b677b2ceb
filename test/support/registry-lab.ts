/** A registry over an empty memory, made anew for every test of the file that imports it. */
import { beforeEach } from "vitest";
import type { Commit, Outcome, ReadAsk, StorageDriver } from "../../src/driver.ts";
import { memory } from "../../src/drivers/memory.ts";
import { RegistryError } from "../../src/errors.ts";
import type { PromptName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import type { Version } from "../../src/semver.ts";

export let driver: StorageDriver;
export let registry: PromptRegistry;
export let time: number;

beforeEach(() => {
  time = Date.UTC(2026, 0, 1);
  use(memory());
});

/** For the rest of a test. */
export function use(other: StorageDriver): void {
  driver = other;
  registry = new PromptRegistry(driver, { author: "ada", now: tick });
}

export function tick(): Date {
  time += 1000;
  return new Date(time);
}

export async function publish(...versions: string[]): Promise<void> {
  for (const version of versions) await registry.storePrompt({ name: "p", version, text: `text of ${version}` });
}

export function askVersion(version: string): ReadAsk {
  return { name: "p" as PromptName, selector: { kind: "version", version: version as Version } };
}

/** The same storage with another `commit`, as a layer would do it. */
export function withCommit(
  commit: (next: (c: Commit) => Promise<readonly Outcome[]>, c: Commit) => Promise<readonly Outcome[]>,
): PromptRegistry {
  const broken: StorageDriver = Object.assign(Object.create(driver), {
    commit: (c: Commit) => commit((x) => driver.commit(x), c),
  });
  return new PromptRegistry(broken, { author: "ada", now: tick });
}

export const lost = () => new RegistryError("UNAVAILABLE", "the connection was lost", { outcome: "unknown" });
