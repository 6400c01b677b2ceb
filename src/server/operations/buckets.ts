/** How often something may happen. */
export interface Rate {
  /** A second, in the long run. `Infinity`: no limit. */
  readonly rate: number;
  /** At once, after a quiet time. Default: twice the rate. */
  readonly burst?: number;
}

const MAX_KEYS = 20_000;

/**
 * Token buckets by key, as the generic cell rate algorithm: one number a key, and no timer. Memory is bounded: of more
 * than 20,000 keys those that are full again are forgotten, and where that is not enough, those that came first.
 */
export class Buckets {
  /** When the key would have paid for everything it took. */
  readonly #paid = new Map<string, number>();
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
    return this.#paid.size;
  }

  /** Takes one. @returns 0, or the milliseconds until one is there; nothing was taken then */
  take(key: string): number {
    if (this.#interval === 0) return 0;
    const now = this.#now();
    const paid = this.#paid.get(key);
    const from = paid === undefined || paid < now ? now : paid;
    const wait = from - now - this.#slack;
    if (wait > 0) return wait;
    if (paid === undefined && this.#paid.size >= this.#maxKeys) this.#makeRoom(now);
    this.#paid.set(key, from + this.#interval);
    return 0;
  }

  /** What `take` would say, without taking. */
  wait(key: string): number {
    const paid = this.#paid.get(key);
    if (paid === undefined) return 0;
    return Math.max(0, paid - this.#now() - this.#slack);
  }

  /** Full buckets are as good as none. Where all are in use, a tenth goes: better than memory without end. */
  #makeRoom(now: number): void {
    for (const [key, paid] of this.#paid) if (paid <= now) this.#paid.delete(key);
    let excess = this.#paid.size - Math.floor(this.#maxKeys * 0.9);
    for (const key of this.#paid.keys()) {
      if (excess-- <= 0) break;
      this.#paid.delete(key);
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
