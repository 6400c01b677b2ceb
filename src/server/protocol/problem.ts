/**
 * Errors as RFC 9457 problems and back. The server writes them and the client reads them, so this file needs no schema
 * library.
 */
import { type ErrorCode, type ErrorContext, type ErrorOutcome, RegistryError, show } from "../../errors.ts";

export const PROBLEM_TYPE = "application/problem+json";

/**
 * The body of every reply that tells of an error. It is sent in ASCII: the media type names no charset and needs none, but
 * there are clients that guess one.
 */
export interface Problem {
  /** `/problems/not-found` and the like: stable, relative to the server. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What failed, where, and what to do; one line. */
  readonly detail: string;
  readonly code: ErrorCode;
  readonly outcome: ErrorOutcome;
  readonly context?: ErrorContext;
  readonly requestId?: string;
}

interface Kind {
  readonly status: number;
  readonly title: string;
}

/** The kinds of problem by their code; a reply may say a more exact status, its type stays. */
export const KINDS: Readonly<Record<ErrorCode, Kind>> = {
  NOT_FOUND: { status: 404, title: "Not found" },
  ALREADY_EXISTS: { status: 409, title: "The version exists" },
  CONFLICT: { status: 409, title: "Changed by somebody else, or still needed" },
  INVALID: { status: 400, title: "Bad request" },
  CORRUPT: { status: 500, title: "Stored bytes are damaged" },
  UNSUPPORTED: { status: 422, title: "Not supported by this storage" },
  UNAUTHENTICATED: { status: 401, title: "No valid credentials" },
  FORBIDDEN: { status: 403, title: "Not allowed" },
  RATE_LIMITED: { status: 429, title: "Too many requests" },
  UNAVAILABLE: { status: 503, title: "Not available now" },
  TIMEOUT: { status: 504, title: "Took too long" },
  ABORTED: { status: 503, title: "Ended before it was done" },
  NO_SPACE: { status: 507, title: "No space left" },
  READ_ONLY: { status: 403, title: "Read-only" },
  CONFIG: { status: 500, title: "The server is set up wrongly" },
  HISTORY_REWRITTEN: { status: 409, title: "The history was rewritten" },
  INTERNAL: { status: 500, title: "An error of the server" },
};

export function typeOf(code: ErrorCode): string {
  return `/problems/${code.toLowerCase().replaceAll("_", "-")}`;
}

/** A status that says more than the code does, e.g. 412 for a precondition that does not hold. */
export class StatusError extends RegistryError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: ErrorCode,
    message: string,
    options: ConstructorParameters<typeof RegistryError>[2] & {
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    const { headers = {}, ...rest } = options;
    super(code, message, rest);
    this.status = status;
    this.headers = headers;
  }
}

export function statusOf(error: RegistryError): number {
  return error instanceof StatusError ? error.status : KINDS[error.code].status;
}

/** Places of the server are no business of its clients. */
const HIDDEN: ReadonlySet<string> = new Set(["path", "location", "backend"]);

export function problemOf(error: RegistryError, requestId?: string): Problem {
  const { code, outcome } = error;
  const isOurs = code !== "CONFIG" && code !== "INTERNAL";
  const context = Object.fromEntries(Object.entries(error.context).filter(([key]) => isOurs && !HIDDEN.has(key)));
  return {
    type: typeOf(code),
    title: KINDS[code].title,
    status: statusOf(error),
    // What went wrong inside may tell of places and credentials; the server's log has it.
    detail: isOurs ? error.message : "the server could not do this; its log says why",
    code,
    outcome,
    ...(Object.keys(context).length === 0 ? {} : { context }),
    ...(requestId === undefined ? {} : { requestId }),
  };
}

const OUTCOMES: readonly unknown[] = ["temporary", "unknown", "final"];
const TEXTS = ["operation", "name", "version", "label", "field"] as const;
const NUMBERS = ["attempts", "retryAfter", "line", "column"] as const;

/**
 * The error that a problem tells of; `undefined` where this is none of ours. A code of a later version is understood by
 * its outcome.
 */
export function errorFrom(value: unknown, from: { readonly backend: string; readonly location: string }) {
  if (typeof value !== "object" || value === null) return undefined;
  const { type, code, outcome, detail, context } = value as Record<string, unknown>;
  if (typeof type !== "string" || !type.startsWith("/problems/") || typeof code !== "string") return undefined;
  if (!OUTCOMES.includes(outcome) || typeof detail !== "string") return undefined;
  const known = Object.hasOwn(KINDS, code) ? (code as ErrorCode) : outcome === "final" ? "INTERNAL" : "UNAVAILABLE";
  return new RegistryError(known, line(detail), {
    ...contextFrom(context),
    ...from,
    outcome: outcome as ErrorOutcome,
  });
}

function contextFrom(value: unknown): ErrorContext {
  if (typeof value !== "object" || value === null) return {};
  const given = value as Record<string, unknown>;
  const context: Record<string, unknown> = {};
  for (const key of TEXTS) {
    const text = given[key];
    if (typeof text === "string" && text.length <= 300) context[key] = text;
  }
  for (const key of NUMBERS) if (Number.isFinite(given[key])) context[key] = given[key];
  const { issues } = given;
  if (Array.isArray(issues)) context.issues = issues.filter((i) => typeof i === "string").map(line);
  return context;
}

/** A foreign sentence on one line: nothing in it can move a terminal's cursor or forge a line of a log. */
function line(text: string): string {
  const cut = text.length > 2000 ? `${text.slice(0, 2000)}…` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu, (c) => show(c).slice(1, -1));
}
