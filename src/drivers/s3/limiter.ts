import type { Operation } from "../../driver.ts";
import { abortError, throwIfAborted } from "../../errors.ts";

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

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const mine = (async () => {
      await before?.catch(() => {});
      return await work();
    })();
    this.#tails.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
    }
  }
}

/** Keeps the newest so many. */
export class Recent<K, V> {
  readonly #max: number;
  readonly #entries = new Map<K, V>();

  constructor(max: number) {
    this.#max = max;
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, value);
    }
    return value;
  }

  set(key: K, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size > this.#max) this.#entries.delete(this.#entries.keys().next().value as K);
  }

  delete(key: K): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
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
