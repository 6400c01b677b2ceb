import type { Health } from "../../driver.ts";
import type { PromptRegistry } from "../../registry.ts";

export interface Readiness {
  readonly ok: boolean;
  /** `ready`, `draining`, `unavailable`: all that is told to those who need no token. */
  readonly state: "ready" | "draining" | "unavailable";
  /** What the storage and its layers said, for metrics and logs. */
  readonly health?: Health;
}

export interface ReadinessOptions {
  /** Milliseconds for which an answer holds. Default 2000. */
  readonly maxAge?: number;
  /** Milliseconds that the storage may take. Default 3000. */
  readonly deadline?: number;
}

/**
 * Whether requests should come here. The storage is really asked, but however often one looks, not more than once in
 * `maxAge`.
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

  get last(): Readiness | undefined {
    return this.#last?.readiness;
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
    const controller = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    // A check that does not listen to its signal must not keep a probe waiting.
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => {
        controller.abort();
        resolve(undefined);
      }, this.#deadline);
    });
    try {
      const health = await Promise.race([
        this.#registry.check({ signal: controller.signal }).catch(() => undefined),
        late,
      ]);
      if (health === undefined) return { ok: false, state: "unavailable" };
      return { ok: health.ok, state: health.ok ? "ready" : "unavailable", health };
    } finally {
      clearTimeout(timer);
    }
  }
}
