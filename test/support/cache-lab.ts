/** A cache over a store that can fail; where it is imported, time stands still until a test moves it. */
import { afterEach, beforeEach, vi } from "vitest";
import type { ReadAsk, StorageDriver } from "../../src/driver.ts";
import { memory } from "../../src/drivers/memory.ts";
import { RegistryError } from "../../src/errors.ts";
import { type CacheDriver, type CacheOptions, cache } from "../../src/layers/cache/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { type CountingDriver, count, type FaultyDriver, fault } from "../../src/testing/index.ts";

export const MINUTE = 60_000;
export const DAY = 86_400_000;

export interface Lab {
  /** The store without anything around it: what others do. */
  readonly others: PromptRegistry;
  readonly counts: CountingDriver;
  readonly faults: FaultyDriver;
  readonly cached: CacheDriver;
  readonly registry: PromptRegistry;
}

/** A store that must be waited for, as a remote one: it never answers a peek. */
function remote(inner: StorageDriver): FaultyDriver {
  const driver = fault(inner);
  return Object.assign(driver, { peek: () => undefined });
}

export function createLab(options: CacheOptions = {}, store = memory()): Lab {
  const faults = remote(store);
  const counts = count(faults);
  const cached = cache({ random: () => 1, ...options })(counts);
  return { others: new PromptRegistry(store), counts, faults, cached, registry: new PromptRegistry(cached) };
}

export const refusal = (code: "FORBIDDEN" | "UNAUTHENTICATED" | "CORRUPT") => ({
  method: "read" as const,
  what: "fail" as const,
  error: new RegistryError(code, "no"),
});

export async function publish(
  registry: PromptRegistry,
  version: string,
  labels: readonly string[] = [],
): Promise<void> {
  await registry.storePrompt({ name: "a", version, text: `text ${version}\n`, labels });
}

/** Lets what runs in the background finish. */
export const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-01-01T00:00:00Z") });
});

afterEach(() => {
  vi.useRealTimers();
});

/** What waits for `opened` goes on after `open()`. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/**
 * From here on replies to reads are taken from the store as it is, and arrive after `release()`; reads after `pass()` are
 * as ever.
 */
export function holdReplies(faults: FaultyDriver, isHeld: (ask: ReadAsk) => boolean = () => true) {
  const { read } = faults;
  const { opened, open } = gate();
  Object.assign(faults, {
    read: async (asks: readonly ReadAsk[]) => {
      const answers = await read.call(faults, asks);
      if (asks.some(isHeld)) await opened;
      return answers;
    },
  });
  return { pass: () => void Object.assign(faults, { read }), release: open };
}
