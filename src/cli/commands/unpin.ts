import { changeOptions } from "../change.ts";
import { AUTHOR, defineCommand, MESSAGE } from "../command.ts";
import { reportPointer } from "../pointer.ts";

export const command = defineCommand({
  usage: ["NAME"],
  arguments: [{ name: "NAME", kind: "name" }],
  options: { message: MESSAGE, author: AUTHOR },
  examples: [["prompt-registry unpin support/triage", "after a rollback, when the next version is good"]],
  busy: "unpinning",
  async run(context, { values, positionals }) {
    const registry = await context.registry();
    const result = await registry.unpin(positionals[0] as string, changeOptions(context, values));
    return reportPointer(context, result, "latest is not pinned");
  },
});
