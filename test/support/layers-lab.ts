/** A store that fails as it is told; where it is imported, time stands still until a test moves it. */
import { afterEach, beforeEach, vi } from "vitest";
import { memory } from "../../src/drivers/memory.ts";
import { RegistryError } from "../../src/errors.ts";
import { askOf, count, documentOf, fault } from "../../src/testing/index.ts";

export const ASK = [askOf("a", "latest")];
export const change = { name: documentOf("a", "1.0.0").name, add: [documentOf("a", "1.0.0")] };

export const failure = (code: RegistryError["code"], options: ConstructorParameters<typeof RegistryError>[2] = {}) =>
  new RegistryError(code, "injected", options);

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Runs timers until the promise has settled. */
export async function run<T>(promise: Promise<T>): Promise<T> {
  let done = false;
  promise.then(
    () => {
      done = true;
    },
    () => {
      done = true;
    },
  );
  for (let i = 0; i < 1000 && !done; i++) await vi.advanceTimersByTimeAsync(50);
  return promise;
}

/** Reads of a store that must be waited for. */
export function lab(faults: Parameters<typeof fault>[1] = []) {
  const faulty = Object.assign(fault(memory(), faults), { peek: () => undefined });
  return { faulty, counts: count(faulty) };
}
