import type { HealthCheck, Operation } from "../../../driver.ts";
import { SCHEMA_VERSION } from "../schema.ts";
import { all, type Decision, type Task } from "../task.ts";
import type { PostgresEngine } from "./engine.ts";
import { postgresFailure } from "./failure.ts";

interface Seen {
  readonly version: string;
  readonly encoding: string;
  readonly sync: string | null;
  readonly recovery: boolean;
  readonly schema: number;
}

export async function checkPostgres(
  engine: PostgresEngine,
  schema: string,
  write: boolean,
  op: Operation | undefined,
): Promise<HealthCheck[]> {
  const checks: HealthCheck[] = [];
  const failed = (name: string, error: unknown) => {
    checks.push({ name, ok: false, detail: postgresFailure(error, "check failed", engine.location).message });
  };
  let seen: Seen;
  try {
    const statement = {
      name: "check",
      params: [],
      sql: `SELECT version() AS version, current_setting('server_encoding') AS encoding,
  current_setting('synchronous_commit', true) AS sync, current_setting('transaction_read_only', true) = 'on' AS recovery,
  (SELECT max(version) FROM ${schema}.prompt_registry_schema) AS schema`,
    };
    const rows = await engine.read(() => all(statement), op, "check");
    seen = rows[0] as unknown as Seen;
  } catch (error) {
    failed("reachable", error);
    return checks;
  }
  checks.push({ name: "reachable", ok: true, detail: seen.version.split(",")[0] as string });
  checks.push({ name: "encoding", ok: /^utf-?8$/i.test(seen.encoding), detail: seen.encoding });
  const known = `version ${seen.schema}, and this program's is ${SCHEMA_VERSION}`;
  checks.push({ name: "schema", ok: Number(seen.schema) === SCHEMA_VERSION, detail: known });
  const safe = seen.sync !== "off";
  checks.push({ name: "synchronous_commit", ok: safe, detail: seen.sync ?? "not a setting of this server" });
  checks.push({ name: "role", ok: true, detail: seen.recovery ? "answers reads only" : "answers reads and writes" });
  if (!write) return checks;
  try {
    const statement = {
      name: "check_write",
      params: [],
      sql: `UPDATE ${schema}.search_state SET position = position`,
      none: true as const,
    };
    function* attempt(): Task<Decision<undefined>> {
      yield* all(statement);
      return { keep: false, value: undefined };
    }
    await engine.write(attempt, op, "check");
    checks.push({ name: "writable", ok: true, detail: "wrote in a transaction and took it back" });
  } catch (error) {
    failed("writable", error);
  }
  return checks;
}
