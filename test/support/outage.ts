import { type ErrorCode, RegistryError } from "../../src/errors.ts";

/** Faults of a store that answers nothing; the codes of an outage are `UNAVAILABLE`, `TIMEOUT` and `RATE_LIMITED`. */
export const outage = (code: ErrorCode = "UNAVAILABLE") =>
  (["read", "listPrompts", "listVersions", "history", "changes", "commit"] as const).map((method) => ({
    method,
    what: "fail" as const,
    error: new RegistryError(code, "down"),
  }));
