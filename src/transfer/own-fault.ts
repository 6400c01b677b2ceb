import { type ErrorCode, isRegistryError, type RegistryError } from "../errors.ts";

const OWN_FAULT: ReadonlySet<ErrorCode> = new Set([
  ...(["CORRUPT", "INVALID", "CONFLICT", "ALREADY_EXISTS", "UNSUPPORTED", "FORBIDDEN", "NOT_FOUND"] as const),
]);

/**
 * Whether an error is of one prompt or its name, which the caller may not know or write, and so no reason to leave out the others.
 * Anything else (no space, a store that can only be read or is out of reach) would fail every other one, too. A conflict that may
 * pass is of one prompt as well: others are at work on it all the time.
 */
export function isOwnFault(error: unknown): error is RegistryError {
  return (
    isRegistryError(error) && OWN_FAULT.has(error.code) && (error.outcome === "final" || error.code === "CONFLICT")
  );
}
