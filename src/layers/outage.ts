import { type ErrorCode, isRegistryError, RegistryError } from "../errors.ts";

const OUTAGE: ReadonlySet<ErrorCode> = new Set(["UNAVAILABLE", "TIMEOUT", "RATE_LIMITED"]);

/**
 * Whether an error says that the store could not be asked. Everything else is an answer: absent, 401 and 403, damaged
 * bytes, a wrong question (I10).
 */
export function isOutage(error: unknown): error is RegistryError {
  return isRegistryError(error) && OUTAGE.has(error.code);
}

/** Only `RegistryError` leaves a layer; what else a driver threw is a bug of it. */
export function asRegistryError(error: unknown, backend: string): RegistryError {
  if (isRegistryError(error)) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new RegistryError("INTERNAL", `the ${backend} storage failed unexpectedly: ${why}`, { backend, cause: error });
}
