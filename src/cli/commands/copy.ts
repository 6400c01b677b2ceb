import { AUTHOR, defineCommand } from "../command.ts";
import { DRY_RUN, NAMES, NO_VERIFY, PREFIX, reportTransfer, transferOptions, withBoth } from "../transfer.ts";

export const command = defineCommand({
  usage: ["FROM TO"],
  details: [
    "Copies every version byte for byte, with labels, pins, yanks, deleted versions, history and times. What the target has",
    "already stays; what disagrees is listed and left alone. Run it again after an interruption: it goes on. At the end both",
    "sides are read and compared. Exits with 1 when something is in conflict, damaged or different, and with 3 when FROM is a",
    "folder or a SQLite file that is not there.",
  ],
  arguments: [
    { name: "FROM", kind: "word" },
    { name: "TO", kind: "word" },
  ],
  options: {
    "dry-run": DRY_RUN,
    prefix: PREFIX,
    name: NAMES,
    since: { type: "string", value: "CURSOR", help: "only what changed since; --json prints the cursor of a run" },
    "no-verify": NO_VERIFY,
    author: AUTHOR,
  },
  examples: [
    ["prompt-registry copy file:. file:../backup --dry-run", "see what would be copied"],
    ["prompt-registry copy file:. file:../backup --prefix support/", "a part"],
  ],
  busy: "copying",
  async run(context, { values, positionals }) {
    const { copyStorage } = await import("../../transfer/index.ts");
    const [from = "", to = ""] = positionals;
    const since = values.since === undefined ? {} : { since: values.since };
    return withBoth(context, [from, to], [from], async (a, b) =>
      reportTransfer(context, await copyStorage(a.driver, b.driver, { ...transferOptions(context, values), ...since })),
    );
  },
});
