import type { Health } from "../../driver.ts";
import { defineCommand } from "../command.ts";
import { FINDINGS } from "../exit.ts";
import { type Cell, printRows } from "../layout.ts";

export const command = defineCommand({
  usage: [""],
  details: ["Tries out what the storage claims to do. Exits with 1 when something does not work."],
  arguments: [],
  options: {},
  examples: [["prompt-registry check --storage file:./registry", "before the first push"]],
  busy: "checking",
  async run(context) {
    const { terminal } = context;
    const registry = await context.registry();
    const health = await registry.check({ signal: context.signal });
    if (context.json) terminal.json(health);
    else {
      printRows(terminal, ["", "CHECK", "DETAIL"], rowsOf(health, ""));
      terminal.out(`${health.kind} ${health.location}: ${health.ok ? "works" : "does not work"}\n`);
    }
    return health.ok ? undefined : FINDINGS;
  },
});

function rowsOf(health: Health, before: string): Cell[][] {
  const own = health.checks.map(({ name, ok, detail }): Cell[] => [
    ok ? ["green", "ok"] : ["red", "FAILED"],
    `${before}${name}`,
    detail,
  ]);
  return [...own, ...(health.inner ?? []).flatMap((h) => rowsOf(h, `${before}${h.kind}: `))];
}
