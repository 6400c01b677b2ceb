import { changeOptions } from "../change.ts";
import { AUTHOR, defineCommand, MESSAGE } from "../command.ts";
import { readInput } from "../input.ts";
import { reportPointer } from "../pointer.ts";

export const command = defineCommand({
  usage: ["NAME VERSION [FILE|-]"],
  details: ["FILE is a sealed copy, as `get --raw` prints it; its digest must be that of the deleted version."],
  arguments: [
    { name: "NAME", kind: "name" },
    { name: "VERSION", kind: "version" },
    { name: "FILE", kind: "file", optional: true },
  ],
  options: { message: MESSAGE, author: AUTHOR },
  examples: [["prompt-registry restore support/triage 1.0.0 backup/v1.0.0.md", "from a backup"]],
  busy: "restoring",
  async run(context, { values, positionals }) {
    const [name = "", version = "", file] = positionals;
    const text = await readInput(context, file);
    const registry = await context.registry();
    const result = await registry.restoreVersion({ name, version, text }, changeOptions(context, values));
    return reportPointer(context, result, `${result.version} restored`);
  },
});
