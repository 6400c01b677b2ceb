import { addressKey } from "../access/cidr.ts";
import { StatusError } from "../protocol/problem.ts";
import type { Principal } from "../types.ts";

/** Event streams that are open on one handler. Nobody gets them all. */
export class Streams {
  readonly #most: number;
  readonly #mostOfOne: number;
  readonly #mostOfStrangers: number;
  readonly #open = new Map<string, number>();

  /** @param most at once; a tenth of them for each caller, and half for all callers without credentials */
  constructor(most: number) {
    this.#most = most;
    this.#mostOfOne = Math.max(1, Math.ceil(most / 10));
    this.#mostOfStrangers = Math.max(1, Math.ceil(most / 2));
  }

  get size(): number {
    return this.#count("all");
  }

  /**
   * @returns gives the place back; calling it again does nothing
   * @throws StatusError UNAVAILABLE (503), RATE_LIMITED (429)
   */
  enter(principal: Principal, address: string | undefined): () => void {
    const isStranger = principal.id === "anonymous";
    const own = isStranger ? `address ${addressKey(address) ?? "unknown"}` : `principal ${principal.id}`;
    const kinds = isStranger ? ["all", "strangers", own] : ["all", own];
    const isFull = this.size >= this.#most || (isStranger && this.#count("strangers") >= this.#mostOfStrangers);
    if (isFull) {
      throw new StatusError(503, "UNAVAILABLE", "too many event streams are open; try again later", {
        retryAfter: 10_000,
      });
    }
    if (this.#count(own) >= this.#mostOfOne) {
      throw new StatusError(429, "RATE_LIMITED", "you have too many event streams open; close some", {
        retryAfter: 10_000,
      });
    }
    for (const kind of kinds) this.#open.set(kind, this.#count(kind) + 1);
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      for (const kind of kinds) {
        const left = this.#count(kind) - 1;
        if (left > 0) this.#open.set(kind, left);
        else this.#open.delete(kind);
      }
    };
  }

  #count(kind: string): number {
    return this.#open.get(kind) ?? 0;
  }
}
