/** How often something may happen. */
export interface Rate {
  /** A second, in the long run. `Infinity`: no limit. */
  readonly rate: number;
  /** At once, after a quiet time. Default: twice the rate. */
  readonly burst?: number;
}

interface Bucket {
  /** When the key would have paid for everything it took. */
  paid: number;
  /** There was at least one more when the last was taken; so there is one now, whatever the time. */
  hasMore: boolean;
}

const MAX_KEYS = 20_000;

/**
 * Token buckets by key, as the generic cell rate algorithm: one number a key, and no timer. Memory is bounded: of more
 * than 20,000 keys those that are full again are forgotten, and where that is not enough, those that came first.
 */
export class Buckets {
  readonly #buckets = new Map<string, Bucket>();
  readonly #interval: number;
  readonly #slack: number;
  readonly #maxKeys: number;
  readonly #now: () => number;

  constructor(
    { rate, burst = rate * 2 }: Rate,
    options: { readonly now?: () => number; readonly maxKeys?: number } = {},
  ) {
    this.#interval = 1000 / rate;
    this.#slack = this.#interval * Math.max(burst - 1, 0);
    this.#maxKeys = options.maxKeys ?? MAX_KEYS;
    this.#now = options.now ?? (() => performance.now());
  }

  get size(): number {
    return this.#buckets.size;
  }

  /**
   * Takes one.
   *
   * @param now where the caller has just looked at the clock
   * @returns 0, or the milliseconds until one is there; nothing was taken then
   */
  take(key: string, now = this.#now()): number {
    if (this.#interval === 0) return 0;
    const bucket = this.#buckets.get(key);
    const paid = bucket?.paid;
    const from = paid === undefined || paid < now ? now : paid;
    const wait = from - now - this.#slack;
    if (wait > 0) return wait;
    const after = from + this.#interval;
    const hasMore = after - now <= this.#slack;
    if (bucket !== undefined) {
      bucket.paid = after;
      bucket.hasMore = hasMore;
      return 0;
    }
    if (this.#buckets.size >= this.#maxKeys) this.#makeRoom(now);
    this.#buckets.set(key, { paid: after, hasMore });
    return 0;
  }

  /** What `take` would say, without taking. */
  wait(key: string): number {
    const bucket = this.#buckets.get(key);
    if (bucket === undefined || bucket.hasMore) return 0;
    return Math.max(0, bucket.paid - this.#now() - this.#slack);
  }

  /** Full buckets are as good as none. Where all are in use, a tenth goes: better than memory without end. */
  #makeRoom(now: number): void {
    for (const [key, { paid }] of this.#buckets) if (paid <= now) this.#buckets.delete(key);
    let excess = this.#buckets.size - Math.floor(this.#maxKeys * 0.9);
    for (const key of this.#buckets.keys()) {
      if (excess-- <= 0) break;
      this.#buckets.delete(key);
    }
  }
}

/** One customer of an IPv6 network has a whole /64, so that is what counts. */
export function addressKey(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = "", tail] = address.split("%", 1)[0]?.split("::") ?? [];
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const after = tail === "" ? 0 : tail.split(":").length;
    while (groups.length < 8 - after && groups.length < 4) groups.push("0");
  }
  return `${groups.slice(0, 4).join(":")}::/64`;
}
