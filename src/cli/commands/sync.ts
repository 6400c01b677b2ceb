import { AUTHOR, defineCommand } from "../command.ts";
import { DRY_RUN, NAMES, NO_VERIFY, PREFIX, reportTransfer, transferOptions, withBoth } from "../transfer.ts";

export const command = defineCommand({
  usage: ["FIRST SECOND"],
  details: [
    "Makes both storages equal: each gets the versions that only the other has, and the newer labels, pins, yanks and",
    "deletions. What both changed to the same, such as a deletion, is joined; what else was changed on both sides is listed",
    "and left alone. Exits with 1 when there is such a conflict, and with 3 when one of the two is a folder or a SQLite file",
    "that is not there: `copy` makes a new one.",
  ],
  arguments: [
    { name: "FIRST", kind: "word" },
    { name: "SECOND", kind: "word" },
  ],
  options: { "dry-run": DRY_RUN, prefix: PREFIX, name: NAMES, "no-verify": NO_VERIFY, author: AUTHOR },
  examples: [["prompt-registry sync file:. file:../shared --dry-run", "see what would be done"]],
  busy: "comparing",
  async run(context, { values, positionals }) {
    const { syncStorages } = await import("../../transfer/index.ts");
    const [first = "", second = ""] = positionals;
    return withBoth(context, [first, second], [first, second], async (a, b) =>
      reportTransfer(context, await syncStorages(a.driver, b.driver, transferOptions(context, values))),
    );
  },
});
