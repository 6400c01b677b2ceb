import type { AuditEntry, AuditLog } from "../types.ts";

/** An audit log that ends with the process: for tests. */
export interface MemoryAudit extends AuditLog {
  readonly entries: readonly AuditEntry[];
}

export function memoryAudit(): MemoryAudit {
  const entries: AuditEntry[] = [];
  return {
    entries,
    async ready() {},
    async append(entry) {
      entries.push(Object.freeze({ ...entry }));
    },
    async close() {},
  };
}
