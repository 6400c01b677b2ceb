import type { Finding, RepairPlan, RepairReport } from "../../driver.ts";
import type { PromptName } from "../../names.ts";
import type { Statements } from "./statements.ts";
import { all, type Decision, first, type Task } from "./task.ts";

const MAX_FINDINGS = 1000;

/**
 * A database keeps its own promises, so little can be wrong that is not damage: only what was changed by hand. What the
 * texts are is for `verify`, which reads them.
 */
export function* repair(statements: Statements, plan: RepairPlan): Task<Decision<RepairReport>> {
  const fix = plan.repair.includes("projection");
  const rows = yield* all(statements.wrongLive, { limit: MAX_FINDINGS });
  const findings: Finding[] = [];
  for (const row of rows) {
    const name = row.name as PromptName;
    if (plan.name !== undefined && plan.name !== name) continue;
    if (fix) {
      if (statements.lock !== undefined) yield* first(statements.lock, { name });
      yield* all(statements.setLive, { prompt: row.id });
    }
    const says = Number(row.live) === 1 ? "has" : "has no";
    findings.push({
      kind: "projection",
      name,
      detail: `is marked as a prompt that ${says} versions, and is not`,
      repaired: fix,
    });
  }
  return { keep: fix && findings.length > 0, value: { findings } };
}
