import type { Health } from "../../driver.ts";
import type { PromptRegistry } from "../../registry.ts";
import { reasonOf } from "./reason.ts";

export interface Readiness {
  readonly ok: boolean;
  /** `ready`, `draining`, `unavailable`: all that is told to those who need no token. */
  readonly state: "ready" | "draining" | "unavailable";
}

export interface ReadinessOptions {
  /** Milliseconds for which an answer holds. Default 2000. */
  readonly maxAge?: number;
  /** Milliseconds that the storage may take. Default 3000. */
  readonly deadline?: number;
}

/**
 * Whether requests should come here. The storage is really asked, but however often one looks, not more than once in
 * `maxAge`; and it is only read, since anybody may look. A check that writes is for those who may.
 */
export class ReadinessCheck {
  readonly #registry: PromptRegistry;
  readonly #maxAge: number;
  readonly #deadline: number;
  #last: { readonly at: number; readonly readiness: Readiness } | undefined;
  #running: Promise<Readiness> | undefined;
  #draining = false;

  constructor(registry: PromptRegistry, options: ReadinessOptions = {}) {
    this.#registry = registry;
    this.#maxAge = options.maxAge ?? 2000;
    this.#deadline = options.deadline ?? 3000;
  }

  /** From now on the answer is no: whoever sends requests here shall send them elsewhere. */
  drain(): void {
    this.#draining = true;
  }

  async look(): Promise<Readiness> {
    if (this.#draining) return { ok: false, state: "draining" };
    if (this.#last !== undefined && performance.now() - this.#last.at < this.#maxAge) return this.#last.readiness;
    this.#running ??= this.#ask().finally(() => {
      this.#running = undefined;
    });
    const readiness = await this.#running;
    return this.#draining ? { ok: false, state: "draining" } : readiness;
  }

  async #ask(): Promise<Readiness> {
    const readiness = await this.#check();
    this.#last = { at: performance.now(), readiness };
    return readiness;
  }

  async #check(): Promise<Readiness> {
    const { driver } = this.#registry;
    // The feed is what no cache and no fallback answers in place of the storage.
    const ok = await within(this.#deadline, async (signal) => {
      await driver.changes({ limit: 1 }, { signal, fresh: true });
      return true;
    });
    return ok === true ? { ok, state: "ready" } : { ok: false, state: "unavailable" };
  }
}

/** What the storage and its layers count, without trying what only a write would tell. @returns `undefined`: not known now */
export function figuresOf(registry: PromptRegistry, { maxAge = 2000, deadline = 3000 }: ReadinessOptions = {}) {
  let last: { readonly at: number; readonly health: Promise<Health | undefined> } | undefined;
  return (): Promise<Health | undefined> => {
    if (last === undefined || performance.now() - last.at >= maxAge) {
      const health = within(deadline, (signal) => registry.driver.check({ signal, probe: false }));
      last = { at: performance.now(), health };
    }
    return last.health;
  };
}

/** Tries once all that the storage must be able to do. @returns what it can't, in words; `undefined`: it can, or it was not asked */
export async function probe(registry: PromptRegistry, signal: AbortSignal): Promise<string | undefined> {
  try {
    const health = await registry.check({ signal });
    if (health.ok) return undefined;
    const failed = [health, ...(health.inner ?? [])].flatMap(({ checks }) => checks.filter(({ ok }) => !ok));
    return failed.map(({ name, detail }) => `${name}: ${detail ?? "no"}`).join("; ") || "it says so";
  } catch (error) {
    return signal.aborted ? undefined : reasonOf(error);
  }
}

/** What does not listen to its signal must not keep anybody waiting. */
async function within<T>(ms: number, ask: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      controller.abort();
      resolve(undefined);
    }, ms);
  });
  try {
    return await Promise.race([ask(controller.signal).catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}
