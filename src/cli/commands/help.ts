import { usageError } from "../args.ts";
import { defineCommand } from "../command.ts";
import { commandText, overviewText, printHelp } from "../help.ts";
import { nearest } from "../nearest.ts";
import { COMMANDS, visibleCommands } from "../table.ts";

export const command = defineCommand({
  usage: ["[COMMAND]"],
  arguments: [{ name: "COMMAND", kind: "command", optional: true }],
  options: {},
  examples: [["prompt-registry help push", "the options of push"]],
  async run({ terminal, json }, { positionals }) {
    const [name] = positionals;
    if (name === undefined) {
      printHelp(terminal, json, overviewText);
      return undefined;
    }
    const names = visibleCommands();
    const entry = names.includes(name) ? COMMANDS[name] : undefined;
    if (entry === undefined) {
      const near = nearest(name, names);
      throw usageError(`unknown command ${JSON.stringify(name)}${near === undefined ? "" : `; did you mean ${near}?`}`);
    }
    const { command } = await entry.load();
    printHelp(terminal, json, (paint) => commandText(name, command, paint));
    return undefined;
  },
});
