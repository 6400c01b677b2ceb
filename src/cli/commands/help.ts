import { usageError } from "../args.ts";
import { defineCommand } from "../command.ts";
import { commandText, overviewText } from "../help.ts";
import { nearest } from "../nearest.ts";
import { COMMANDS, visibleCommands } from "../table.ts";

export const command = defineCommand({
  usage: ["[COMMAND]"],
  arguments: [{ name: "COMMAND", kind: "command", optional: true }],
  options: {},
  examples: [["prompt-registry help push", "the options of push"]],
  async run({ terminal }, { positionals }) {
    const [name] = positionals;
    if (name === undefined) {
      terminal.out(overviewText(terminal.paint));
      return undefined;
    }
    const names = visibleCommands();
    const entry = names.includes(name) ? COMMANDS[name] : undefined;
    if (entry === undefined) {
      const near = nearest(name, names);
      throw usageError(`unknown command ${JSON.stringify(name)}${near === undefined ? "" : `; did you mean ${near}?`}`);
    }
    terminal.out(commandText(name, (await entry.load()).command, terminal.paint));
    return undefined;
  },
});
