import { AUTHOR, defineCommand } from "../command.ts";
import { DRY_RUN, NO_VERIFY, PREFIX, pathAt, reportTransfer, transferOptions } from "../transfer.ts";

export const command = defineCommand({
  usage: ["FILE"],
  details: [
    "Brings back what `backup` wrote, into a storage that is empty or not: what is there stays, what disagrees is listed.",
    "The whole archive is checked before anything is written. Run it again after an interruption: it goes on. Exits with 1",
    "when something is in conflict, damaged or different.",
  ],
  arguments: [{ name: "FILE", kind: "file" }],
  options: { "dry-run": DRY_RUN, prefix: PREFIX, "no-verify": NO_VERIFY, author: AUTHOR },
  examples: [
    ["prompt-registry restore-archive prompts.ndjson.gz --dry-run", "check the archive, see what is missing here"],
  ],
  busy: "checking",
  async run(context, { values, positionals }) {
    const { restoreFile } = await import("../../transfer/index.ts");
    const registry = await context.registry();
    const file = pathAt(context, positionals[0] as string);
    return reportTransfer(context, await restoreFile(registry.driver, file, transferOptions(context, values)));
  },
});
