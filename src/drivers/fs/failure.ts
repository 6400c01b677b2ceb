import { type ErrorCode, type ErrorContext, type ErrorOutcome, RegistryError } from "../../errors.ts";

const CODES: Readonly<Record<string, readonly [ErrorCode, ErrorOutcome, string]>> = {
  ENOSPC: ["NO_SPACE", "final", "the disk is full; make room and try again"],
  EDQUOT: ["NO_SPACE", "final", "the disk quota is used up; make room and try again"],
  EFBIG: ["NO_SPACE", "final", "the file is larger than this file system or user may write"],
  EROFS: ["READ_ONLY", "final", "the file system is read-only"],
  ENOENT: ["UNAVAILABLE", "temporary", "a folder or file vanished in the meantime"],
  EACCES: ["FORBIDDEN", "final", "permission denied; check the owner and mode of the folder"],
  EPERM: ["FORBIDDEN", "final", "the operating system does not permit it"],
  EMFILE: ["UNAVAILABLE", "temporary", "too many open files in this process; raise the limit (ulimit -n)"],
  ENFILE: ["UNAVAILABLE", "temporary", "too many open files on this machine"],
  ENOMEM: ["UNAVAILABLE", "temporary", "the machine is out of memory"],
  EAGAIN: ["UNAVAILABLE", "temporary", "the file system is busy"],
  EBUSY: ["UNAVAILABLE", "temporary", "the file is in use"],
  EINTR: ["UNAVAILABLE", "temporary", "the call was interrupted"],
  ETIMEDOUT: ["UNAVAILABLE", "temporary", "the network file system does not answer"],
  EHOSTDOWN: ["UNAVAILABLE", "temporary", "the network file system does not answer"],
  ESTALE: ["UNAVAILABLE", "temporary", "the network file system lost the file handle"],
  // A disk that failed once will not read better for being asked again at once: a retry layer must not insist.
  EIO: ["UNAVAILABLE", "final", "the disk reports an input/output error; check the disk"],
  ELOOP: ["FORBIDDEN", "final", "there is a symbolic link where a folder or file of the registry must be"],
  ENOTDIR: ["CORRUPT", "final", "there is a file or link where a folder of the registry must be"],
  EISDIR: ["CORRUPT", "final", "there is a folder where a file of the registry must be"],
};

/** The code of an operating-system error. */
export function errno(error: unknown): string | undefined {
  if (error instanceof RegistryError || typeof error !== "object" || error === null || !("code" in error))
    return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  const code = errno(error);
  return code !== undefined && codes.includes(code);
}

/**
 * @param outcome what is known of the effect where the error itself can't tell: `unknown` once something may be visible
 */
export function failure(error: unknown, doing: string, context: ErrorContext, outcome?: ErrorOutcome): RegistryError {
  if (error instanceof RegistryError) {
    if (outcome !== "unknown" || error.outcome === "unknown") return error;
    return new RegistryError(error.code, error.message, { ...error.context, outcome, cause: error.cause });
  }
  const code = errno(error);
  const [mapped, usual, why] = CODES[code ?? ""] ?? [
    "INTERNAL",
    "final",
    error instanceof Error ? error.message : String(error),
  ];
  return new RegistryError(mapped, `${doing}: ${why}${code === undefined ? "" : ` (${code})`}`, {
    backend: "fs",
    ...context,
    outcome: outcome ?? usual,
    cause: error,
  });
}
