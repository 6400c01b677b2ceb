import type { ErrorCode } from "../errors.ts";

/** What `--help` prints, a line each; part of the interface: a number never changes its meaning. */
export const EXIT_CODES: readonly (readonly [number, string])[] = [
  [0, "done (also: there was nothing to do)"],
  [
    1,
    [
      "something was found: by verify, doctor, check (also of init), validate, outdated, audit verify, s3 setup,",
      "conformance, diff --exit-code; or was left: by import, copy, sync, backup, restore-archive, migrate",
    ].join("\n"),
  ],
  [2, "wrong usage, invalid input, or a deletion that was not confirmed"],
  [3, "no such prompt, version or label, or no such storage to read from"],
  [4, "conflict: it exists with another text, or somebody else changed it"],
  [5, "damaged data, or a rewritten history"],
  [6, "not allowed: credentials are missing, wrong or too weak"],
  [7, "temporary: unreachable, too slow, too many requests, no space; try again"],
  [8, "wrong configuration, or not possible with this storage, or read-only"],
  [70, "a bug in prompt-registry"],
  [130, "interrupted (143: terminated)"],
];

const BY_CODE: Readonly<Record<ErrorCode, number>> = {
  INVALID: 2,
  NOT_FOUND: 3,
  CONFLICT: 4,
  ALREADY_EXISTS: 4,
  CORRUPT: 5,
  HISTORY_REWRITTEN: 5,
  UNAUTHENTICATED: 6,
  FORBIDDEN: 6,
  UNAVAILABLE: 7,
  RATE_LIMITED: 7,
  TIMEOUT: 7,
  NO_SPACE: 7,
  CONFIG: 8,
  UNSUPPORTED: 8,
  READ_ONLY: 8,
  INTERNAL: 70,
  ABORTED: 130,
};

export const FINDINGS = 1;

export function exitCodeOf(code: ErrorCode): number {
  return BY_CODE[code];
}
