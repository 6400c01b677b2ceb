import { stat } from "node:fs/promises";
import { absolute, type Place } from "../access/places.ts";
import type { AuditLog } from "../types.ts";
import type { AuditOptions } from "./file.ts";
import { refuseFolder } from "./read.ts";

export { type AuditOptions, fileAudit } from "./file.ts";
export type { AuditLink, AuditRecord } from "./line.ts";
export { type MemoryAudit, memoryAudit } from "./memory.ts";
export { type VerifyOptions, verifyAudit } from "./read.ts";
export { sqlAudit } from "./sql.ts";
export type { AuditProblem, AuditReport } from "./verify.ts";

/**
 * Opens an audit log to append to.
 *
 * @param options with `cwd`, where relative paths start
 * @throws RegistryError CONFIG, FORBIDDEN, UNAVAILABLE
 * @example
 * const audit = await openAudit({ backend: "file", path: "./audit.jsonl" });
 */
export async function openAudit(
  place: Place,
  options: AuditOptions & { readonly cwd?: string } = {},
): Promise<AuditLog> {
  const found = absolute(place, options.cwd ?? process.cwd());
  if (found.backend === "file") {
    // At the start: once it serves, nobody looks at the log before the first change.
    refuseFolder(found.path, await stat(found.path).catch(() => undefined));
    return (await import("./file.ts")).fileAudit(found.path, options);
  }
  return await (await import("./sql.ts")).sqlAudit(found, options);
}
