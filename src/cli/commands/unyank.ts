import { changeOptions, nameWithVersion } from "../change.ts";
import { AUTHOR, defineCommand, MESSAGE } from "../command.ts";
import { reportPointer } from "../pointer.ts";

export const command = defineCommand({
  usage: ["NAME VERSION"],
  arguments: [
    { name: "NAME", kind: "selector" },
    { name: "VERSION", kind: "version", optional: true },
  ],
  options: { message: MESSAGE, author: AUTHOR },
  examples: [["prompt-registry unyank support/triage 1.1.0", "back into latest and ranges"]],
  busy: "unyanking",
  async run(context, { values, positionals }) {
    const { name, version } = nameWithVersion(positionals);
    const registry = await context.registry();
    const result = await registry.unyank(name, version, changeOptions(context, values));
    return reportPointer(context, result, `${result.version} not yanked`);
  },
});
