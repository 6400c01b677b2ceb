/**
 * The closed list of error codes. A caller may switch over it; a new code is a new major version.
 *
 * - `INVALID` bad input (name, version, label, text, option), found before anything was written
 * - `CORRUPT` stored bytes do not match their digest or cannot be read as a document
 * - `CONFLICT` somebody else changed the same prompt in the meantime, or a pointer still needs what was to be removed
 * - `CONFIG` the registry is set up wrongly (unknown key, missing credential, missing peer package)
 * - `HISTORY_REWRITTEN` the store's own log no longer contains what was seen before
 * - the others say what they are
 */
export type ErrorCode =
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "CONFLICT"
  | "INVALID"
  | "CORRUPT"
  | "UNSUPPORTED"
  | "UNAUTHENTICATED"
  | "FORBIDDEN"
  | "RATE_LIMITED"
  | "UNAVAILABLE"
  | "TIMEOUT"
  | "ABORTED"
  | "NO_SPACE"
  | "READ_ONLY"
  | "CONFIG"
  | "HISTORY_REWRITTEN"
  | "INTERNAL";

/**
 * What the caller may assume about the effect.
 *
 * - `temporary` nothing happened; the same call may succeed later
 * - `unknown` it may or may not have happened; read back before doing it again
 * - `final` nothing happened, and the same call will fail again
 */
export type ErrorOutcome = "temporary" | "unknown" | "final";

/** Where an error happened; every field is optional and none ever holds a secret. */
export interface ErrorContext {
  readonly operation?: string;
  readonly backend?: string;
  readonly location?: string;
  readonly name?: string;
  readonly version?: string;
  readonly label?: string;
  readonly path?: string;
  /** Which input was at fault, for `INVALID` and `CONFIG`. */
  readonly field?: string;
  /** How often the operation was tried, where a retry layer tried it more than once. */
  readonly attempts?: number;
  /** Milliseconds the backend asked to wait. */
  readonly retryAfter?: number;
  /** 1-based position in a text, for front matter that does not parse. */
  readonly line?: number;
  readonly column?: number;
  /** All problems, where more than one was found at once. */
  readonly issues?: readonly string[];
}

export interface RegistryErrorOptions extends ErrorContext {
  readonly outcome?: ErrorOutcome;
  readonly cause?: unknown;
}

const TEMPORARY: ReadonlySet<ErrorCode> = new Set(["RATE_LIMITED", "UNAVAILABLE", "TIMEOUT"]);

/**
 * The one error class of this package.
 *
 * @example
 * try {
 *   await registry.getPrompt("support/triage@production");
 * } catch (error) {
 *   if (error instanceof RegistryError && error.code === "NOT_FOUND") useDefault();
 *   else throw error;
 * }
 */
export class RegistryError extends Error {
  override readonly name = "RegistryError";
  readonly code: ErrorCode;
  readonly outcome: ErrorOutcome;
  readonly context: ErrorContext;

  /** @param message what failed, where, and what to do; one line. */
  constructor(code: ErrorCode, message: string, options: RegistryErrorOptions = {}) {
    const { outcome, cause, ...context } = options;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.outcome = outcome ?? (TEMPORARY.has(code) ? "temporary" : "final");
    this.context = context;
  }

  /** The same error with more context; what is already known wins. */
  with(context: ErrorContext): RegistryError {
    return new RegistryError(this.code, this.message, {
      ...context,
      ...this.context,
      outcome: this.outcome,
      cause: this.cause,
    });
  }

  toJSON(): { code: ErrorCode; outcome: ErrorOutcome; message: string; context: ErrorContext } {
    return { code: this.code, outcome: this.outcome, message: this.message, context: this.context };
  }
}

export function isRegistryError(error: unknown, code?: ErrorCode): error is RegistryError {
  return error instanceof RegistryError && (code === undefined || error.code === code);
}

// Control, bidi and other invisible characters could forge a terminal or log line.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu;

/** Quotes a foreign value for a message: escaped, and cut to `max` characters. */
export function show(value: unknown, max = 80): string {
  let text: string;
  if (typeof value === "string") text = JSON.stringify(value.length > max ? value.slice(0, max) : value);
  else text = String(value).slice(0, max);
  text = text.replace(UNPRINTABLE, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);
  return typeof value === "string" && value.length > max ? `${text}… (${value.length} characters)` : text;
}

/** At most `max` characters, never cut in the middle of one. */
export function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}

/**
 * Throws `ABORTED` when the signal has fired, or `TIMEOUT` when it fired as a deadline.
 *
 * @example
 * throwIfAborted(op?.signal, "listPrompts");
 */
export function throwIfAborted(signal: AbortSignal | undefined, operation?: string): void {
  if (!signal?.aborted) return;
  throw abortError(signal, operation);
}

export function abortError(signal: AbortSignal, operation?: string): RegistryError {
  const reason: unknown = signal.reason;
  const where = operation === undefined ? "" : ` (${operation})`;
  const context = operation === undefined ? {} : { operation };
  if (reason instanceof RegistryError) return reason;
  if (reason instanceof Error && reason.name === "TimeoutError") {
    return new RegistryError("TIMEOUT", `the deadline passed${where}; try again or allow more time`, {
      ...context,
      cause: reason,
    });
  }
  return new RegistryError("ABORTED", `the call was aborted${where}`, { ...context, cause: reason });
}

/** Work that its caller stops waiting for when the signal fires; what is under way goes on, and its end is nobody's. */
export async function abortable<T>(
  work: Promise<T>,
  op: { readonly signal?: AbortSignal } | undefined,
  operation: string,
): Promise<T> {
  const signal = op?.signal;
  if (signal === undefined) return await work;
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(abortError(signal, operation));
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener("abort", stop);
    work.catch(() => {});
  }
}
