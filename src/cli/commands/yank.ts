import { changeOptions, nameWithVersion } from "../change.ts";
import { AUTHOR, defineCommand, MESSAGE } from "../command.ts";
import { reportPointer } from "../pointer.ts";

export const command = defineCommand({
  usage: ["NAME VERSION"],
  details: ["It stays readable by its exact version and by labels; whoever reads it is warned."],
  arguments: [
    { name: "NAME", kind: "selector" },
    { name: "VERSION", kind: "version", optional: true },
  ],
  options: { message: MESSAGE, author: AUTHOR },
  examples: [
    ["prompt-registry yank support/triage 1.1.0 -m 'leaks the system prompt'", "nobody new gets this version"],
  ],
  busy: "yanking",
  async run(context, { values, positionals }) {
    const { name, version } = nameWithVersion(positionals);
    const registry = await context.registry();
    const result = await registry.yank(name, version, changeOptions(context, values));
    return reportPointer(context, result, `${result.version} yanked`);
  },
});
