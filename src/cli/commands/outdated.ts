import { defineCommand } from "../command.ts";
import { FINDINGS } from "../exit.ts";
import { type Cell, printRows } from "../layout.ts";

export const command = defineCommand({
  usage: [""],
  details: [
    "Prompts of prompts.json that `update` would move, that are behind latest, yanked or deprecated. Exits with 1 when there",
    "are any.",
  ],
  arguments: [],
  options: {},
  examples: [["prompt-registry outdated", "what is behind"]],
  busy: "looking",
  async run(context) {
    const { terminal, signal, io } = context;
    const { outdated } = await import("../../lockfile/index.ts");
    const rows = await outdated(await context.registry(), { cwd: io.cwd, signal });
    if (context.json) terminal.json(rows);
    else {
      const cells = rows.map((row): Cell[] => {
        const notes = [
          ...(row.yanked === undefined ? [] : [`yanked${row.yanked === "" ? "" : `: ${row.yanked}`}`]),
          ...(row.deprecated === undefined ? [] : [`deprecated: ${row.deprecated}`]),
        ];
        return [row.name, row.selector, row.locked ?? "", row.wanted ?? "", row.latest ?? "", notes.join("; ")];
      });
      printRows(terminal, ["NAME", "SELECTOR", "LOCKED", "WANTED", "LATEST", "NOTE"], cells);
    }
    return rows.length === 0 ? undefined : FINDINGS;
  },
});
