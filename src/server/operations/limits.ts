import { RegistryError } from "../../errors.ts";
import type { Access, Principal } from "../types.ts";
import { Buckets, type Rate } from "./buckets.ts";

/** What one server takes on. Every limit has a default; docs/server.md has them in a table. */
export interface ServerLimits {
  /** Requests that are worked on at once. Default 128. Answers that lie ready in memory are not counted. */
  readonly concurrency?: number;
  /** Requests that may wait for that. Default 64. */
  readonly queue?: number;
  /** Milliseconds that one waits at most. Default 1000. */
  readonly queueWait?: number;
  /** Connections at once. Default 10,000. */
  readonly connections?: number;
  /** Open event streams. Default 1000. */
  readonly streams?: number;
  /** Requests of one principal but the anonymous one. Default 1000 a second, 2000 at once. */
  readonly principalRate?: Rate;
  /** Requests from one address (IPv6: one /64) that is not of this machine. Default 2000 a second, 4000 at once. */
  readonly addressRate?: Rate;
  /** Bytes of the request line and headers. Default 16 KiB. */
  readonly headerBytes?: number;
  /** Bytes of a document on its way in. Default 1 MiB and 64 KiB for what stands around it. */
  readonly documentBytes?: number;
  /** Bytes of any other body, as of a batch. Default 16 MiB. */
  readonly bodyBytes?: number;
  /** Bytes of all bodies that are being read, of which one caller has a quarter, but one body at least. Default 128 MiB. */
  readonly bodiesBytes?: number;
  /** Bytes of large answers that clients have not taken yet, of which one caller has a quarter. Default 128 MiB. */
  readonly repliesBytes?: number;
  /** Milliseconds until the headers are there. Default 10,000. */
  readonly headersTimeout?: number;
  /** Milliseconds until the whole request is there. Default 30,000. */
  readonly requestTimeout?: number;
  /** Milliseconds until the answer begins; then the request is given up with 504, whether its work ends or not. Default 30,000. */
  readonly answerTimeout?: number;
  /** Milliseconds that an idle connection is kept. Default 65,000, longer than the usual 60 of balancers in front. */
  readonly keepAliveTimeout?: number;
  /** Milliseconds that a client may take no byte of its answer. Default 30,000. */
  readonly writeTimeout?: number;
}

export type CheckedLimits = Required<ServerLimits>;

export const DEFAULT_LIMITS: CheckedLimits = Object.freeze({
  concurrency: 128,
  queue: 64,
  queueWait: 1000,
  connections: 10_000,
  streams: 1000,
  principalRate: Object.freeze({ rate: 1000, burst: 2000 }),
  addressRate: Object.freeze({ rate: 2000, burst: 4000 }),
  headerBytes: 16 * 2 ** 10,
  documentBytes: 2 ** 20 + 64 * 2 ** 10,
  bodyBytes: 16 * 2 ** 20,
  bodiesBytes: 128 * 2 ** 20,
  repliesBytes: 128 * 2 ** 20,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  answerTimeout: 30_000,
  keepAliveTimeout: 65_000,
  writeTimeout: 30_000,
});

/** @throws RegistryError CONFIG for a limit that is none */
export function checkLimits(limits: ServerLimits = {}): CheckedLimits {
  const given = Object.entries(limits).filter(([, value]) => value !== undefined);
  for (const [key, value] of given) {
    const fits =
      typeof value === "number" ? Number.isInteger(value) && value >= (key === "queue" ? 0 : 1) : isRate(value);
    if (!fits || !Object.hasOwn(DEFAULT_LIMITS, key)) {
      throw new RegistryError("CONFIG", `limits.${key} is no limit; see docs/server.md`, { field: `limits.${key}` });
    }
  }
  return Object.freeze({ ...DEFAULT_LIMITS, ...Object.fromEntries(given) });
}

function isRate(value: unknown): boolean {
  const { rate, burst = 1 } = (value ?? {}) as Partial<Rate>;
  return typeof rate === "number" && rate > 0 && typeof burst === "number" && burst >= 1;
}

/** Nobody in particular: one of them must not use up what is there for all. */
const NOBODY: ReadonlySet<string> = new Set(["anonymous", "anyone"]);

export interface ThrottledAccess extends Access {
  /** Whom `remembered` told last. */
  seen: Principal | undefined;
  /** @param now by the clock of `performance`, where the caller has just looked at it */
  debit(principal: Principal, now?: number): void;
}

/**
 * Access that also counts. A request is paid for when its answer is known (`debit`), so that one that is asked about twice
 * on its way pays once.
 */
export function throttled(access: Access, rate: Rate, now?: () => number): ThrottledAccess {
  const buckets = new Buckets(rate, now === undefined ? {} : { now });

  function check(principal: Principal): Principal {
    const wait = NOBODY.has(principal.id) ? 0 : buckets.wait(principal.id);
    if (wait === 0) return principal;
    throw new RegistryError("RATE_LIMITED", "too many requests with this token; wait and try again", {
      retryAfter: Math.ceil(wait),
    });
  }

  const { remembered } = access;
  const throttled: ThrottledAccess = {
    seen: undefined,
    authenticate: async (request) => check(await access.authenticate(request)),
    allows: (principal, right, resource) => access.allows(principal, right, resource),
    ...(remembered === undefined
      ? {}
      : {
          remembered(request) {
            const principal = remembered.call(access, request);
            const isFree = principal === undefined || NOBODY.has(principal.id) || buckets.wait(principal.id) === 0;
            throttled.seen = isFree ? principal : undefined;
            return throttled.seen;
          },
        }),
    debit(principal, now) {
      if (!NOBODY.has(principal.id)) buckets.take(principal.id, now);
    },
  };
  return throttled;
}
