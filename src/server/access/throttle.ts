import { addressKey } from "./cidr.ts";

export interface ThrottleOptions {
  /** Wrong credentials that one address may send in a row. Default 20. */
  readonly failures?: number;
  /** Milliseconds after which one more is allowed. Default 3,000. */
  readonly interval?: number;
  /** Addresses that are remembered. Default 10,000; the one that was quiet the longest is forgotten first. */
  readonly addresses?: number;
}

interface Bucket {
  /** Failures that are not yet forgiven. */
  level: number;
  at: number;
}

/** Counts wrong credentials by address; a bucket that leaks. */
export class Throttle {
  readonly #buckets = new Map<string, Bucket>();
  readonly #failures: number;
  readonly #interval: number;
  readonly #addresses: number;
  readonly #now: () => number;

  constructor({ failures = 20, interval = 3000, addresses = 10_000 }: ThrottleOptions, now: () => number) {
    this.#failures = failures;
    this.#interval = interval;
    this.#addresses = addresses;
    this.#now = now;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Milliseconds this address has to wait; 0 for none. */
  wait(address: string | undefined): number {
    const key = addressKey(address);
    const bucket = key === undefined ? undefined : this.#buckets.get(key);
    if (bucket === undefined) return 0;
    const over = this.#level(bucket) - (this.#failures - 1);
    return over > 0 ? Math.ceil(over * this.#interval) : 0;
  }

  failed(address: string | undefined): void {
    const key = addressKey(address);
    if (key === undefined) return;
    const bucket = this.#buckets.get(key);
    const level = bucket === undefined ? 0 : this.#level(bucket);
    this.#buckets.delete(key);
    this.#buckets.set(key, { level: level + 1, at: this.#now() });
    if (this.#buckets.size <= this.#addresses) return;
    for (const oldest of this.#buckets.keys()) {
      this.#buckets.delete(oldest);
      break;
    }
  }

  #level({ level, at }: Bucket): number {
    return Math.max(0, level - (this.#now() - at) / this.#interval);
  }
}
