import { RegistryError } from "../../errors.ts";
import { formatSelector, parseRef } from "../../names.ts";
import { usageError } from "../args.ts";
import { defineCommand } from "../command.ts";

export const command = defineCommand({
  usage: ["SELECTOR"],
  details: ["Prints the version alone. With --at, what the label (or latest, without one) selected at that time."],
  arguments: [{ name: "SELECTOR", kind: "selector" }],
  options: { at: { type: "string", value: "TIME", help: "an instant such as 2026-11-24T14:03:00Z" } },
  examples: [
    ["prompt-registry resolve support/triage@production", "what is in production"],
    ["prompt-registry resolve 'support/triage@^1.2'", "what a range selects"],
    ["prompt-registry resolve support/triage@production --at 2026-11-24T14:03:00Z", "what was in production then"],
  ],
  busy: "reading",
  async run(context, { values, positionals }) {
    const { terminal, signal } = context;
    const selector = positionals[0] as string;
    const { name, selector: wanted } = parseRef(selector);
    const registry = await context.registry();
    if (values.at === undefined) {
      const { version } = await registry.getPrompt(selector, { signal });
      if (context.json) terminal.json({ name, selector: formatSelector(wanted), version });
      else terminal.out(`${version}\n`);
      return undefined;
    }
    if (wanted.kind === "version" || wanted.kind === "range") {
      throw usageError("--at is for labels and latest; a version is the same at any time");
    }
    const label = formatSelector(wanted);
    const version = await registry.resolveAt(name, label, values.at, { signal });
    if (version === undefined) {
      throw new RegistryError("NOT_FOUND", `${name}@${label} selected nothing at ${values.at}`, { name });
    }
    const at = new Date(values.at).toISOString();
    if (context.json) terminal.json({ name, selector: label, at, version });
    else terminal.out(`${version}\n`);
    return undefined;
  },
});
