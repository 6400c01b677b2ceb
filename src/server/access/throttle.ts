import { addressKey } from "./cidr.ts";

const FAILURES = 20;
const INTERVAL = 3000;

export interface ThrottleOptions {
  /** Wrong credentials that one address may send in a row. Default 20. */
  readonly failures?: number | undefined;
  /** Milliseconds after which one more is allowed. Default 3,000. */
  readonly interval?: number | undefined;
  /** Well-formed tokens of an address that has to wait that are looked at all the same; one more each 15th of `interval`. Default 20. */
  readonly spare?: number | undefined;
  /** Addresses that are remembered. Default 10,000; the one that was quiet the longest is forgotten first. */
  readonly addresses?: number | undefined;
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

  constructor({ failures = FAILURES, interval = INTERVAL, addresses = 10_000 }: ThrottleOptions, now: () => number) {
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

/**
 * The same for requests without any credentials: ten times as many. They are counted apart, so that they keep nobody out
 * who has some.
 */
export function missingThrottle(options: ThrottleOptions | undefined, now: () => number): Throttle {
  const { failures = FAILURES, interval = INTERVAL, ...rest } = options ?? {};
  return new Throttle({ ...rest, failures: failures * 10, interval: interval / 10 }, now);
}

/** Of what is looked at although its address has to wait. */
export function spareThrottle(options: ThrottleOptions = {}, now: () => number): Throttle {
  const { spare = FAILURES, interval = INTERVAL, ...rest } = options;
  return new Throttle({ ...rest, failures: spare, interval: interval / 15 }, now);
}
