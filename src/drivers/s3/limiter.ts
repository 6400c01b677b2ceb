import type { Operation } from "../../driver.ts";
import { abortError, throwIfAborted } from "../../errors.ts";
import { unlessAborted } from "../../layers/signal.ts";

/** So many at once; the others wait in order, and leave the queue when their signal fires. */
export class Limiter {
  readonly #max: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(max: number) {
    this.#max = max;
  }

  async run<T>(op: Operation | undefined, work: () => Promise<T>): Promise<T> {
    throwIfAborted(op?.signal);
    if (this.#running >= this.#max) await this.#turn(op?.signal);
    else this.#running++;
    try {
      return await work();
    } finally {
      const [next] = this.#waiting;
      // Whoever waits takes over the place.
      if (next === undefined) this.#running--;
      else {
        this.#waiting.delete(next);
        next();
      }
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        this.#waiting.delete(start);
        reject(abortError(signal as AbortSignal));
      };
      const start = () => {
        signal?.removeEventListener("abort", stop);
        resolve();
      };
      this.#waiting.add(start);
      signal?.addEventListener("abort", stop, { once: true });
    });
  }
}

/** One after the other for each key. */
export class Queues {
  readonly #tails = new Map<string, Promise<unknown>>();

  /** @param signal ends the waiting; not the work */
  async run<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const turn = this.#tails.get(key)?.catch(() => {});
    const mine = (async () => {
      await turn;
      throwIfAborted(signal, "commit");
      return await work();
    })();
    this.#tails.set(key, mine);
    const over = () => {
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
    };
    mine.then(over, over);
    if (turn !== undefined) await unlessAborted(turn, signal, "commit");
    return await mine;
  }
}

/** Waits for all, so that nothing goes on behind the caller's back; then the first failure, if there was one. */
export async function settle<T>(all: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(all);
  const failed = settled.find((one) => one.status === "rejected");
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
  return settled.map((one) => (one as PromiseFulfilledResult<T>).value);
}

/** Keeps the newest so many, and no more of them than weigh so much. */
export class Recent<K, V> {
  readonly #max: number;
  readonly #maxWeight: number;
  readonly #entries = new Map<K, { readonly value: V; readonly weight: number }>();
  #weight = 0;

  constructor(max: number, maxWeight = Number.POSITIVE_INFINITY) {
    this.#max = max;
    this.#maxWeight = maxWeight;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: K, value: V, weight = 0): void {
    this.delete(key);
    this.#entries.set(key, { value, weight });
    this.#weight += weight;
    while (this.#entries.size > this.#max || (this.#weight > this.#maxWeight && this.#entries.size > 1)) {
      this.delete(this.#entries.keys().next().value as K);
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#weight = 0;
  }

  delete(key: K): void {
    this.#weight -= this.#entries.get(key)?.weight ?? 0;
    this.#entries.delete(key);
  }
}

/** Full jitter: from nothing up to a bound that doubles, 10 ms at first, a second at most. */
export function pause(round: number, signal?: AbortSignal): Promise<void> {
  const ms = Math.random() * Math.min(1000, 10 * 2 ** Math.min(round, 7));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(abortError(signal as AbortSignal));
    };
    if (signal?.aborted === true) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
