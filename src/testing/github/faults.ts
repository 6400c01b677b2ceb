import { primaryLimit, secondaryLimit } from "./limits.ts";
import type { GitHubFault } from "./types.ts";

/** A refusal as a fault: nothing is done. */
function refusal(reply: { status: number; headers?: Readonly<Record<string, string>>; json?: unknown }): GitHubFault {
  return {
    kind: "reply",
    status: reply.status,
    headers: { "content-type": "application/json; charset=utf-8", ...reply.headers },
    body: JSON.stringify(reply.json),
  };
}

/**
 * The faults that GitHub is known for, for {@link GitHubServer.fail}.
 *
 * @example
 * server.fail(({ write }) => write, githubFaults.secondaryLimit({ retryAfter: 1 }));
 */
export const githubFaults = {
  dropBefore: (): GitHubFault => ({ kind: "drop-before" }),
  dropAfter: (): GitHubFault => ({ kind: "drop-after" }),
  /** `bytes` of the body, then the connection breaks. */
  cut: (bytes = 10): GitHubFault => ({ kind: "cut", bytes }),
  /** Refs as they were `ms` milliseconds ago. */
  stale: (ms = 30_000): GitHubFault => ({ kind: "stale", ms }),
  /** 403, with nothing left until `reset` (seconds since the epoch). */
  primaryLimit: (options: { readonly reset: number }): GitHubFault => {
    const { status, json } = primaryLimit(1).reply;
    const headers = {
      "x-ratelimit-limit": "5000",
      "x-ratelimit-remaining": "0",
      "x-ratelimit-used": "5000",
      "x-ratelimit-reset": String(options.reset),
      "x-ratelimit-resource": "core",
    };
    return refusal({ status, headers, json });
  },
  /** 403 or 429 with `retry-after` (seconds; default 60). */
  secondaryLimit: (options: { readonly retryAfter?: number; readonly status?: 403 | 429 } = {}): GitHubFault =>
    refusal(secondaryLimit(options.retryAfter, options.status).reply),
  serverError: (): GitHubFault => refusal({ status: 500, json: { message: "Server Error" } }),
  /** HTML of the proxy in front, not of the API. */
  badGateway: (): GitHubFault => ({
    kind: "reply",
    status: 502,
    headers: { "content-type": "text/html; charset=utf-8" },
    body: "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>",
  }),
} as const;
