import { type ErrorCode, type ErrorOutcome, RegistryError } from "../../../errors.ts";

type Meaning = readonly [ErrorCode, ErrorOutcome, string];

// https://www.postgresql.org/docs/current/errcodes-appendix.html; a whole code before its class.
const CODES: Readonly<Record<string, Meaning>> = {
  "08": ["UNAVAILABLE", "temporary", "the connection to the server broke"],
  "22": ["INVALID", "final", "PostgreSQL can't hold this value"],
  "25006": ["READ_ONLY", "final", "the server only answers reads (a replica, or a read-only session)"],
  "28": ["UNAUTHENTICATED", "final", "the server does not accept this user and password"],
  "3D000": ["CONFIG", "final", "the database does not exist; create it first"],
  "3F000": ["CONFIG", "final", "the schema does not exist"],
  "40001": ["UNAVAILABLE", "temporary", "too many others changed the same prompts at once; try again"],
  "40003": ["UNAVAILABLE", "unknown", "the server does not know whether it was committed"],
  "40P01": ["UNAVAILABLE", "temporary", "too many others changed the same prompts at once; try again"],
  "42501": ["FORBIDDEN", "final", "the user lacks the right to do this"],
  "42P01": ["CONFIG", "final", "the tables of the registry are gone"],
  "53100": ["NO_SPACE", "final", "the server's disk is full; make room and try again"],
  "53": ["UNAVAILABLE", "temporary", "the server is out of connections or memory"],
  "55P03": ["UNAVAILABLE", "temporary", "somebody else holds a lock; try again"],
  "57014": ["TIMEOUT", "temporary", "the server ended the statement (statement timeout, or cancelled)"],
  "57P": ["UNAVAILABLE", "temporary", "the server is starting or stopping"],
  "58": ["UNAVAILABLE", "final", "the server reports an error of its disk"],
  XX001: ["CORRUPT", "final", "the server found damaged data"],
  XX002: ["CORRUPT", "final", "the server found a damaged index"],
};
const NETWORK: ReadonlySet<string> = new Set(
  "ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ETIMEDOUT EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN ENOTFOUND EAI_AGAIN ENOENT EADDRNOTAVAIL".split(
    " ",
  ),
);
// Messages of `pg` for what has no code.
const LOST =
  /^(?:Connection terminated|Client has encountered a connection error|Connection ended|timeout expired|timeout exceeded|Query read timeout|Client was closed|This socket has been ended|write after end)/;

export function sqlState(error: unknown): string | undefined {
  if (error instanceof RegistryError || typeof error !== "object" || error === null) return undefined;
  const { code } = error as { code?: unknown };
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && !NETWORK.has(code) ? code : undefined;
}

/** Whether the whole transaction may be done again: the server has undone it. */
export function isRetryable(error: unknown): boolean {
  const state = sqlState(error);
  return state === "40001" || state === "40P01";
}

/** Whether the connection went away, so that what it was asked last may or may not have been done. */
export function isLost(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return state.startsWith("08") || state.startsWith("57P") || state === "40003";
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === "string" && NETWORK.has(code)) return true;
  return typeof message === "string" && LOST.test(message);
}

/**
 * @param outcome what is known of the effect where the error itself can't tell: `unknown` once a commit was on its way
 */
export function postgresFailure(
  error: unknown,
  doing: string,
  location: string,
  outcome?: ErrorOutcome,
): RegistryError {
  const context = { backend: "postgres", location };
  if (error instanceof RegistryError) {
    if (outcome === undefined || error.outcome === outcome) return error.with(context);
    return new RegistryError(error.code, error.message, { ...context, ...error.context, outcome, cause: error.cause });
  }
  const state = sqlState(error);
  const message = error instanceof Error ? error.message : String(error);
  const [code, usual, why] = meaning(error, state, message);
  const detail = state === undefined ? message : `${state}: ${message}`;
  return new RegistryError(code, `${doing}: ${why}${why === message ? "" : ` (${detail})`}`, {
    ...context,
    outcome: outcome ?? usual,
    cause: error,
  });
}

function meaning(error: unknown, state: string | undefined, message: string): Meaning {
  if (state !== undefined) {
    const found = CODES[state] ?? CODES[state.slice(0, 3)] ?? CODES[state.slice(0, 2)];
    return found ?? ["INTERNAL", "final", message];
  }
  if (isLost(error)) return ["UNAVAILABLE", "temporary", "the server can't be reached, or the connection broke"];
  if (/SSL|TLS|certificate|self.signed/i.test(message))
    return ["CONFIG", "final", "no secure connection to the server could be made"];
  if (/password|SASL|SCRAM/i.test(message))
    return ["UNAUTHENTICATED", "final", "the server does not accept this user and password"];
  return ["INTERNAL", "final", message];
}
