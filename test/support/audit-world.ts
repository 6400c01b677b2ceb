import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { fileAudit, verifyAudit } from "../../src/server/audit/index.ts";
import type { AuditEntry } from "../../src/server/types.ts";

/** A folder of its own for the tests of a file, removed after them. */
export const root = mkdtempSync(join(tmpdir(), "audit-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
export function fresh(): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder, { mode: 0o700 });
  return folder;
}

export const entry = (i: number): AuditEntry => ({
  who: "token:ab12cd34ef56",
  name: "ada",
  action: "labels.put",
  prompt: "support/triage",
  label: "production",
  from: `1.${i}.0`,
  to: `1.${i + 1}.0`,
  requestId: `r${i}`,
  outcome: "done",
});

export const file = (path: string) => ({ backend: "file", path }) as const;
export const linesOf = (path: string) => readFileSync(path, "utf8").split("\n").slice(0, -1);

/** A log of so many entries. */
export async function written(count: number): Promise<{ path: string; lines: string[]; head: string }> {
  const path = join(fresh(), "audit.jsonl");
  const audit = fileAudit(path);
  for (let i = 0; i < count; i++) await audit.append(entry(i));
  await audit.close();
  const [head = ""] = (await verifyAudit(file(path))).heads;
  return { path, lines: linesOf(path), head };
}
