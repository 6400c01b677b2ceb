import { defineCommand } from "../command.ts";
import { installOptions, MATERIALIZE, NO_MATERIALIZE, reportInstall } from "../install.ts";
import { DRY_RUN } from "../transfer.ts";

export const command = defineCommand({
  usage: ["[NAME]"],
  details: ["Locks what prompts.json selects now, of one prompt or of all; see `outdated`."],
  arguments: [{ name: "NAME", kind: "name", optional: true }],
  options: { materialize: MATERIALIZE, "no-materialize": NO_MATERIALIZE, "dry-run": DRY_RUN },
  examples: [
    ["prompt-registry update --dry-run", "see what would move"],
    ["prompt-registry update support/triage", "move one"],
  ],
  busy: "resolving",
  async run(context, { values, positionals }) {
    const { update } = await import("../../lockfile/index.ts");
    const registry = await context.registry();
    return reportInstall(context, await update(registry, positionals, installOptions(context, values)));
  },
});
