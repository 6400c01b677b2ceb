import { type ErrorCode, type ErrorOutcome, RegistryError } from "../../../errors.ts";

// Primary result codes, https://sqlite.org/rescode.html
const CODES: Readonly<Record<number, readonly [ErrorCode, ErrorOutcome, string]>> = {
  5: ["UNAVAILABLE", "temporary", "another process is writing to the database; try again"],
  6: ["UNAVAILABLE", "temporary", "the database is locked; try again"],
  7: ["UNAVAILABLE", "temporary", "the machine is out of memory"],
  8: ["READ_ONLY", "final", "the database can only be read"],
  9: ["ABORTED", "final", "the call was interrupted"],
  // A disk that failed once will not read better for being asked again at once: a retry layer must not insist.
  10: ["UNAVAILABLE", "final", "the disk reports an input/output error; check the disk"],
  11: ["CORRUPT", "final", "the database file is damaged; restore it from a copy"],
  13: ["NO_SPACE", "final", "the disk is full; make room and try again"],
  14: ["CONFIG", "final", "the database file can't be opened; check its path, owner and mode"],
  18: ["INVALID", "final", "the text is too large for SQLite"],
  23: ["FORBIDDEN", "final", "SQLite was told not to permit it"],
  26: ["CORRUPT", "final", "the file is no SQLite database"],
};
const BY_NAME: Readonly<Record<string, number>> = {
  SQLITE_BUSY: 5,
  SQLITE_LOCKED: 6,
  SQLITE_NOMEM: 7,
  SQLITE_READONLY: 8,
  SQLITE_INTERRUPT: 9,
  SQLITE_IOERR: 10,
  SQLITE_CORRUPT: 11,
  SQLITE_FULL: 13,
  SQLITE_CANTOPEN: 14,
  SQLITE_TOOBIG: 18,
  SQLITE_AUTH: 23,
  SQLITE_NOTADB: 26,
};

/** The primary result code of an error of either module. */
export function sqliteCode(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const { errcode, rawCode, code } = error as { errcode?: unknown; rawCode?: unknown; code?: unknown };
  if (typeof errcode === "number") return errcode & 0xff;
  if (typeof rawCode === "number") return rawCode & 0xff;
  if (typeof code !== "string") return undefined;
  return Object.entries(BY_NAME).find(([name]) => code === name || code.startsWith(`${name}_`))?.[1];
}

export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === 5 || code === 6;
}

export function sqliteFailure(error: unknown, doing: string, location: string, outcome?: ErrorOutcome): RegistryError {
  if (error instanceof RegistryError) return error.with({ backend: "sqlite", location });
  const code = sqliteCode(error);
  const message = error instanceof Error ? error.message : String(error);
  const [mapped, usual, why] = CODES[code ?? 0] ?? ["INTERNAL", "final", message];
  return new RegistryError(mapped, `${doing}: ${why}${code === undefined ? "" : ` (SQLite ${code}: ${message})`}`, {
    backend: "sqlite",
    location,
    outcome: outcome ?? usual,
    cause: error,
  });
}
