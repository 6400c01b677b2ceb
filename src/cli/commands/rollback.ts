import { usageError } from "../args.ts";
import { changeOptions, nameAndVersion } from "../change.ts";
import { AUTHOR, defineCommand, MESSAGE } from "../command.ts";
import { reportPointer } from "../pointer.ts";

export const command = defineCommand({
  usage: ["NAME [VERSION]", "NAME --unpin"],
  details: [
    "Without VERSION, to the version before the one that latest selects now. latest then stays there, whatever is pushed,",
    "until it is unpinned. Labels are not moved.",
  ],
  arguments: [
    { name: "NAME", kind: "name" },
    { name: "VERSION", kind: "version", optional: true },
  ],
  options: {
    unpin: { type: "boolean", help: "let latest follow the highest version again" },
    message: MESSAGE,
    author: AUTHOR,
  },
  examples: [
    ["prompt-registry rollback support/triage -m 'wrong tone'", "one version back"],
    ["prompt-registry rollback support/triage 1.0.0", "to a certain version"],
    ["prompt-registry rollback support/triage --unpin", "forward again"],
  ],
  busy: "rolling back",
  async run(context, { values, positionals }) {
    const { name, version } = nameAndVersion(positionals);
    const options = changeOptions(context, values);
    if (values.unpin) {
      if (version !== undefined) throw usageError("--unpin takes no VERSION");
      const registry = await context.registry();
      return reportPointer(context, await registry.unpin(name, options), "latest is not pinned");
    }
    const registry = await context.registry();
    const result = await registry.rollback(name, version === undefined ? options : { ...options, to: version });
    reportPointer(context, result, `latest -> ${result.version}, pinned`);
    context.terminal.hint(`\`prompt-registry unpin ${name}\` lets latest follow the highest version again`);
    return undefined;
  },
});
