import { usageError } from "../args.ts";
import { AUTHOR, defineCommand } from "../command.ts";
import { reportPointer } from "../pointer.ts";

export const command = defineCommand({
  usage: ["NAME MESSAGE", "NAME --undo"],
  details: ["The whole prompt; it stays readable, and whoever reads it is told MESSAGE."],
  arguments: [
    { name: "NAME", kind: "name" },
    { name: "MESSAGE", kind: "word", optional: true },
  ],
  options: { undo: { type: "boolean", help: "lift the deprecation" }, author: AUTHOR },
  examples: [
    ["prompt-registry deprecate support/triage 'use support/route instead'", "deprecate a prompt"],
    ["prompt-registry deprecate support/triage --undo", "lift it"],
  ],
  busy: "changing the prompt",
  async run(context, { values, positionals }) {
    const [name = "", message] = positionals;
    if (values.undo ? message !== undefined : message === undefined) {
      throw usageError(values.undo ? "--undo takes no MESSAGE" : "missing MESSAGE: what to use instead (or --undo)");
    }
    const options = { signal: context.signal, ...(values.author === undefined ? {} : { author: values.author }) };
    const registry = await context.registry();
    const result = await registry.deprecate(name, message ?? null, options);
    return reportPointer(context, result, values.undo ? "is not deprecated" : "deprecated");
  },
});
