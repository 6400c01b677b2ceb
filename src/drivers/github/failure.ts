import { type ErrorContext, type ErrorOutcome, RegistryError, show } from "../../errors.ts";

/** Header names are lower-case. */
export type Headers = Readonly<Record<string, string | number | undefined>>;

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly data: unknown;
}

/** What was being done, and what it means when its answer is lost. */
export interface What {
  readonly operation: string;
  readonly location: string;
  /** Whether the call may have changed the branch although it failed. */
  readonly mutates: boolean;
}

const MINUTE_MS = 60_000;

export function messageOf(data: unknown): string | undefined {
  const message = typeof data === "object" && data !== null ? (data as { message?: unknown }).message : undefined;
  return typeof message === "string" ? message : undefined;
}

/** GitHub's own words, with the details of a 422. */
export function said({ data }: Reply): string {
  const message = messageOf(data);
  if (message === undefined) return "";
  const { errors } = data as { errors?: unknown };
  const details = Array.isArray(errors) ? errors.flatMap((e: unknown) => messageOf(e) ?? []).join(", ") : "";
  return `: ${show(details === "" ? message : `${message} (${details})`, 300)}`;
}

export function header({ headers }: Pick<Reply, "headers">, name: string): string | undefined {
  const value = headers[name];
  return value === undefined ? undefined : String(value);
}

function number(reply: Pick<Reply, "headers">, name: string): number | undefined {
  const value = Number(header(reply, name) ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}

/**
 * Milliseconds to wait, where the reply is a refusal for asking too much; `undefined` where it is none.
 * https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
 */
export function limitedFor(reply: Reply, now: number): number | undefined {
  if (reply.status !== 403 && reply.status !== 429) return undefined;
  const after = number(reply, "retry-after");
  if (after !== undefined) return Math.max(0, after * 1000);
  if (number(reply, "x-ratelimit-remaining") === 0) {
    const reset = number(reply, "x-ratelimit-reset");
    // By GitHub's own clock, where it tells it: with a wrong one the wait would be none, or hours.
    const told = Date.parse(header(reply, "date") ?? "");
    return reset === undefined ? MINUTE_MS : Math.max(1000, reset * 1000 - (Number.isNaN(told) ? now : told));
  }
  const isSecondary = /rate limit|abuse detection/i.test(messageOf(reply.data) ?? "");
  return isSecondary || reply.status === 429 ? MINUTE_MS : undefined;
}

export function rateLimited(ms: number, { operation, location }: What): RegistryError {
  return new RegistryError(
    "RATE_LIMITED",
    `${location}: GitHub takes no more requests from you for ${Math.ceil(ms / 1000)} s; wait, or ask less often (docs/github.md)`,
    { backend: "github", location, operation, retryAfter: Math.ceil(ms) },
  );
}

/** The error for a reply of 400 and more. */
export function refusal(reply: Reply, what: What, now = Date.now()): RegistryError {
  const { status } = reply;
  const { operation, location, mutates } = what;
  const context: ErrorContext = { backend: "github", location, operation };
  const lost: ErrorOutcome = mutates ? "unknown" : "temporary";
  const wait = limitedFor(reply, now);
  if (wait !== undefined) return rateLimited(wait, what);
  // A proxy's page is no answer of GitHub's.
  if (status < 500 && messageOf(reply.data) === undefined) {
    return new RegistryError(
      "UNAVAILABLE",
      `${location}: ${operation} got status ${status} from something that is not GitHub`,
      {
        ...context,
        outcome: lost,
      },
    );
  }
  const text = said(reply);
  if (status === 401) {
    return new RegistryError(
      "UNAUTHENTICATED",
      `${location}: the token is not valid, or has expired${text}; give a valid one`,
      context,
    );
  }
  if (status === 403) {
    return new RegistryError(
      "FORBIDDEN",
      `${location}: the token may not do this (${operation})${text}; it needs contents: write to publish, read to read`,
      context,
    );
  }
  if (status === 404 && mutates) {
    return new RegistryError(
      "FORBIDDEN",
      `${location}: there is nothing to write to, or the token may not write there${text}`,
      context,
    );
  }
  if (status === 404 || status === 410) {
    return new RegistryError("NOT_FOUND", `${location}: ${operation} found nothing${text}`, context);
  }
  if (status === 451) return new RegistryError("FORBIDDEN", `${location}: the repository is blocked${text}`, context);
  if (status === 409 || status === 422) {
    return new RegistryError("CONFLICT", `${location}: GitHub refused ${operation}${text}`, context);
  }
  if (status >= 500 || status === 408) {
    return new RegistryError(
      "UNAVAILABLE",
      `${location}: GitHub answered ${operation} with status ${status}; try again`,
      {
        ...context,
        outcome: lost,
      },
    );
  }
  return new RegistryError("INTERNAL", `${location}: ${operation} got status ${status}${text}`, context);
}

/** Octokit's errors carry the whole request, with its headers and the texts in its body; none of that is to be logged. */
function bare(cause: unknown): unknown {
  if (!(cause instanceof Error) || !("request" in cause)) return cause;
  return cause.cause instanceof Error ? cause.cause : new Error(cause.message);
}

/** The error for a call without an answer, or with one that was cut. */
export function broken(problem: string, what: What, cause?: unknown): RegistryError {
  const { operation, location, mutates } = what;
  const effect = mutates ? "; whether it happened is not known" : "; try again";
  return new RegistryError("UNAVAILABLE", `${location}: ${operation} ${problem}${effect}`, {
    backend: "github",
    location,
    operation,
    outcome: mutates ? "unknown" : "temporary",
    cause: bare(cause),
  });
}

export function timedOut(ms: number, what: What): RegistryError {
  const { operation, location, mutates } = what;
  const effect = mutates ? "; whether it happened is not known" : "; try again";
  return new RegistryError("TIMEOUT", `${location}: ${operation} got no answer within ${ms} ms${effect}`, {
    backend: "github",
    location,
    operation,
    outcome: mutates ? "unknown" : "temporary",
  });
}

/** Anything that was thrown, as the one class of errors. */
export function asFailure(error: unknown, operation: string, location: string): RegistryError {
  if (error instanceof RegistryError) return error;
  return new RegistryError(
    "INTERNAL",
    `${location}: ${operation} failed: ${show(error instanceof Error ? error.message : error, 200)}`,
    {
      backend: "github",
      location,
      operation,
      cause: bare(error),
    },
  );
}
