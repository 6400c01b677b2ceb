import { Problem, type ProblemOptions } from "./http.ts";
import type { GitHubLimits, GitHubQuota } from "./types.ts";

export type Resource = "core" | "graphql";

const HOUR = 3_600_000;
const DOCS = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api";

interface Window {
  used: number;
  endsAt: number;
}

/** The primary limits a token and resource, and the secondary one a token. */
export class Limits {
  readonly #limits: GitHubLimits;
  readonly #now: () => number;
  readonly #windows = new Map<string, Window>();
  readonly #writes = new Map<string, number[]>();

  constructor(limits: GitHubLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  limit(resource: Resource, token: string): number {
    return this.#limits[resource] ?? (token === "" ? 60 : 5000);
  }

  #window(resource: Resource, token: string): Window {
    const key = `${resource} ${token}`;
    let window = this.#windows.get(key);
    if (window === undefined || window.endsAt <= this.#now()) {
      window = { used: 0, endsAt: this.#now() + HOUR };
      this.#windows.set(key, window);
    }
    return window;
  }

  quota(resource: Resource, token: string): GitHubQuota {
    const { used, endsAt } = this.#window(resource, token);
    const limit = this.limit(resource, token);
    return { limit, remaining: Math.max(0, limit - used), used, reset: Math.ceil(endsAt / 1000) };
  }

  setRemaining(remaining: number, resource: Resource, token: string): void {
    this.#window(resource, token).used = this.limit(resource, token) - remaining;
  }

  spend(cost: number, resource: Resource, token: string): void {
    this.#window(resource, token).used += cost;
  }

  headers(resource: Resource, token: string): Readonly<Record<string, string>> {
    const { limit, remaining, used, reset } = this.quota(resource, token);
    return {
      "x-ratelimit-limit": String(limit),
      "x-ratelimit-remaining": String(remaining),
      "x-ratelimit-used": String(used),
      "x-ratelimit-reset": String(reset),
      "x-ratelimit-resource": resource,
    };
  }

  isSpent(resource: Resource, token: string): boolean {
    return this.quota(resource, token).remaining === 0;
  }

  /** Counts a write; throws when there were too many within the last minute. */
  countWrite(token: string): void {
    const max = this.#limits.writesPerMinute;
    if (max === undefined) return;
    const now = this.#now();
    const recent = (this.#writes.get(token) ?? []).filter((at) => at > now - 60_000);
    this.#writes.set(token, recent);
    if (recent.length >= max) throw secondaryLimit(this.#limits.retryAfter);
    recent.push(now);
  }

  reset(): void {
    this.#windows.clear();
    this.#writes.clear();
  }
}

export const primaryLimit = (user: number): Problem =>
  new Problem(403, `API rate limit exceeded for user ID ${user}.`, { docs: DOCS });

export function secondaryLimit(retryAfter = 60, status: 403 | 429 = 403): Problem {
  const options: ProblemOptions = {
    docs: `${DOCS}#about-secondary-rate-limits`,
    headers: { "retry-after": String(retryAfter) },
  };
  return new Problem(
    status,
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    options,
  );
}
