import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { HealthCheck } from "../../../driver.ts";
import { spaceCheck } from "../../disk.ts";
import { SCHEMA_VERSION } from "../schema.ts";
import type { SqliteEngine } from "./engine.ts";
import { sqliteFailure } from "./failure.ts";

/** A check reads the whole file and stops everything else while it does: not for gigabytes. */
const MAX_CHECKED_BYTES = 256 * 2 ** 20;
const SYNCHRONOUS = ["OFF", "NORMAL", "FULL", "EXTRA"];

export async function checkSqlite(engine: SqliteEngine, write: boolean): Promise<HealthCheck[]> {
  const { connection, file, location } = engine;
  const checks: HealthCheck[] = [];
  const pragma = (name: string) => Object.values(connection.prepare(`PRAGMA ${name}`).get([]) as object)[0] as unknown;
  const add = async (name: string, look: () => Pick<HealthCheck, "ok" | "detail">) => {
    try {
      checks.push({ name, ...(await engine.patiently(undefined, "check", look)) });
    } catch (error) {
      checks.push({ name, ok: false, detail: sqliteFailure(error, "check failed", location).message });
    }
  };
  await add("reachable", () => {
    const { version } = connection.prepare("SELECT sqlite_version() AS version").get([]) as { version: string };
    return { ok: true, detail: `SQLite ${version} by ${connection.module}` };
  });
  if (file !== undefined) {
    await add("file", () => {
      file.requireSame();
      return {
        ok: true,
        detail: file.isImmutable ? "read as a file that never changes" : "is the one that was opened",
      };
    });
  }
  await add("schema", () => {
    const sql = "SELECT max(version) AS version FROM prompt_registry_schema";
    const found = Number((connection.prepare(sql).get([]) as { version: number }).version);
    return { ok: found === SCHEMA_VERSION, detail: `version ${found}, and this program's is ${SCHEMA_VERSION}` };
  });
  await add("journal", () => {
    const mode = String(pragma("journal_mode"));
    const needsNone = file === undefined || file.isImmutable;
    return { ok: mode === "wal" || needsNone, detail: `journal mode ${mode}` };
  });
  await add("synchronous", () => {
    const level = Number(pragma("synchronous"));
    return { ok: level >= 2, detail: `synchronous ${SYNCHRONOUS[level] ?? level}` };
  });
  if (write) {
    await add("writable", () => {
      connection.exec("BEGIN IMMEDIATE");
      try {
        connection.exec("UPDATE search_state SET position = position");
      } finally {
        connection.exec("ROLLBACK");
      }
      return { ok: true, detail: "wrote in a transaction and took it back" };
    });
  }
  if (write && file !== undefined) await add("space", () => spaceCheck(statfsSync(dirname(file.path))));
  await add("integrity", () => {
    const bytes = Number(pragma("page_count")) * Number(pragma("page_size"));
    if (bytes > MAX_CHECKED_BYTES) {
      return {
        ok: true,
        detail: `not looked at: ${Math.round(bytes / 2 ** 20)} MiB; run PRAGMA integrity_check on a copy`,
      };
    }
    const found = String(pragma("quick_check(1)"));
    return { ok: found === "ok", detail: found };
  });
  return checks;
}
