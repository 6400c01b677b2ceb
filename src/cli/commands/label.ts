import { formatSelector, parseRef, parseSelector } from "../../names.ts";
import { usageError } from "../args.ts";
import { changeOptions } from "../change.ts";
import { AUTHOR, type Context, defineCommand, MESSAGE } from "../command.ts";
import { printRows } from "../layout.ts";
import { requireHead } from "../lookup.ts";
import { reportPointer } from "../pointer.ts";

export const command = defineCommand({
  usage: ["NAME", "NAME LABEL VERSION", "NAME LABEL --remove"],
  details: [
    "NAME alone lists its labels. VERSION may be a version, a range, latest or another label; the label is put on the",
    "version that it selects now.",
  ],
  arguments: [
    { name: "NAME", kind: "name" },
    { name: "LABEL", kind: "label", optional: true },
    { name: "VERSION", kind: "version", optional: true },
  ],
  options: {
    remove: { type: "boolean", help: "remove the label" },
    propose: { type: "boolean", help: "open a pull request (github: only), or update the one that there is" },
    expect: { type: "string", value: "V", help: "only if the label is on V now (none: if it is not set)" },
    message: MESSAGE,
    author: AUTHOR,
  },
  examples: [
    ["prompt-registry label support/triage production 1.2.0", "promote a version"],
    ["prompt-registry label support/triage production staging --expect 1.1.0", "promote staging, if nobody else did"],
    ["prompt-registry label support/triage experiment --remove", "remove a label"],
  ],
  busy: "moving the label",
  async run(context, { values, positionals }) {
    const [first = "", label, second] = positionals;
    const { name, selector } = parseRef(first);
    const at = first.includes("@") ? formatSelector(selector) : undefined;
    if (at !== undefined && second !== undefined) throw usageError("give the version once");
    const version = second ?? at;
    if (label === undefined) {
      if (values.remove || values.propose) throw usageError("missing LABEL");
      return listLabels(context, name);
    }
    const expect = values.expect === undefined ? {} : { expect: values.expect === "none" ? null : values.expect };
    const options = { ...changeOptions(context, values), ...expect };
    if (values.remove) {
      if (version !== undefined) throw usageError("--remove takes no VERSION; --expect says where the label must be");
      if (values.propose) return await (await proposals()).proposeLabel(context, name, label, undefined, options);
      const registry = await context.registry();
      const result = await registry.removeLabel(name, label, options);
      return reportPointer(context, result, result.status === "changed" ? `${label} removed` : `${label} was not set`);
    }
    if (version === undefined) throw usageError("missing VERSION (or --remove)");
    parseSelector(version);
    if (values.propose) return await (await proposals()).proposeLabel(context, name, label, version, options);
    const registry = await context.registry();
    const result = await registry.setLabel(name, label, version, options);
    return reportPointer(context, result, `${label} -> ${result.version}`);
  },
});

const proposals = () => import("../propose.ts");

async function listLabels(context: Context, name: string): Promise<undefined> {
  const { head } = await requireHead(await context.registry(), name, context.signal);
  const labels = Object.entries(head.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  if (context.json) context.terminal.json({ name, labels: Object.fromEntries(labels) });
  else
    printRows(
      context.terminal,
      ["LABEL", "VERSION"],
      labels.map(([label, version]) => [["green", label], version]),
    );
  if (labels.length === 0) context.terminal.note(`${name} has no labels`);
  return undefined;
}
