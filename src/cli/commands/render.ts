import { RegistryError, show } from "../../errors.ts";
import type { TemplateValue } from "../../template.ts";
import { usageError } from "../args.ts";
import { type Context, defineCommand } from "../command.ts";
import { readInput } from "../input.ts";
import { remark } from "./get.ts";

export const command = defineCommand({
  usage: ["SELECTOR"],
  details: [
    "Puts values in the place of the {{variables}} of the text below the front matter. Every variable needs a value, and",
    "every value a variable. Nothing is evaluated.",
  ],
  arguments: [{ name: "SELECTOR", kind: "selector" }],
  options: {
    var: { type: "string", value: "NAME=VALUE", multiple: true, help: "the value of a variable" },
    values: {
      type: "string",
      value: "FILE",
      complete: "file",
      help: "a JSON object of values (- for stdin); --var goes before it",
    },
  },
  examples: [
    ["prompt-registry render support/reply --var customer=Ada --var language=French", "values on the command line"],
    ["prompt-registry render support/reply@production --values ticket.json", "values from a file"],
  ],
  busy: "reading",
  async run(context, { values, positionals }) {
    const given = values.values === undefined ? {} : await valuesFrom(context, values.values);
    const all = Object.assign(Object.create(null), given, Object.fromEntries((values.var ?? []).map(pair)));
    const registry = await context.registry();
    const prompt = await registry.getPrompt(positionals[0] as string, { signal: context.signal });
    remark(context, prompt);
    const text = prompt.render(all);
    if (context.json) context.terminal.json({ name: prompt.name, version: prompt.version, text });
    else context.terminal.text(text);
    return undefined;
  },
});

function pair(word: string): [string, string] {
  const at = word.indexOf("=");
  if (at < 1) throw usageError(`--var ${show(word)} must be NAME=VALUE`);
  return [word.slice(0, at), word.slice(at + 1)];
}

async function valuesFrom(context: Context, file: string): Promise<Record<string, TemplateValue>> {
  const bad = (why: string) =>
    new RegistryError("INVALID", `the values in ${show(file)} ${why}`, { field: "values", path: file });
  let value: unknown;
  try {
    value = JSON.parse(await readInput(context, file));
  } catch (error) {
    if (error instanceof RegistryError) throw error;
    throw bad(`are no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw bad('must be an object such as {"customer": "Ada"}');
  }
  return value as Record<string, TemplateValue>;
}
