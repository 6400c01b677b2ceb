import type { PromptEntry } from "../../driver.ts";
import { usageError } from "../args.ts";
import { defineCommand } from "../command.ts";
import { type Cell, count, printRows } from "../layout.ts";

const PAGE = 1000;

export const command = defineCommand({
  usage: ["[PREFIX]"],
  details: ["Without --limit, all of them; by name."],
  arguments: [{ name: "PREFIX", kind: "name", optional: true }],
  options: {
    text: {
      type: "string",
      value: "WORDS",
      help: "only prompts with this in their name or latest text, where the storage can search",
    },
    limit: { type: "string", value: "N", help: "at most N prompts" },
    all: { type: "boolean", help: "also prompts of which every version was deleted" },
  },
  examples: [
    ["prompt-registry list", "everything"],
    ["prompt-registry list support/", "everything below support/"],
    ["prompt-registry list --json | jq -r '.prompts[].name'", "names, for a script"],
  ],
  busy: "listing",
  async run(context, { values, positionals }) {
    const limit = wholeNumber("--limit", values.limit);
    const registry = await context.registry();
    const listing = registry.listPrompts({
      include: "heads",
      limit: Math.min(PAGE, limit ?? PAGE),
      signal: context.signal,
      ...(positionals[0] === undefined ? {} : { prefix: positionals[0] }),
      ...(values.text === undefined ? {} : { text: values.text }),
      ...(values.all ? { includeRemoved: true } : {}),
    });
    const entries: PromptEntry[] = [];
    let more = false;
    for await (const entry of listing) {
      more = entries.length === limit;
      if (more) break;
      entries.push(entry);
      if (entries.length % PAGE === 0) context.terminal.progress(`listing: ${entries.length}`);
    }
    if (context.json) {
      context.terminal.json({ prompts: entries.map(toJson), more });
      return undefined;
    }
    printRows(context.terminal, ["NAME", "LATEST", "LABELS", "NOTE"], entries.map(row));
    if (more) context.terminal.note(`only the first ${count(entries.length, "prompt")}; there are more`);
    else if (entries.length === 0) context.terminal.note("nothing found");
    return undefined;
  },
});

/** The value of an option that is a number, at least 1. */
export function wholeNumber(option: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(value)) return Number(value);
  throw usageError(`${option} must be a whole number, at least 1`);
}

function toJson({ name, head, removed }: PromptEntry) {
  return {
    name,
    latest: head?.latest ?? null,
    labels: head?.head.labels ?? {},
    pinned: head?.head.pin ?? null,
    deprecated: head?.head.deprecated ?? null,
    removed: removed ?? false,
  };
}

function row({ name, head, removed }: PromptEntry): Cell[] {
  const labels = Object.entries(head?.head.labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const notes = [];
  if (removed) notes.push("deleted");
  if (head?.head.pin !== undefined) notes.push("pinned");
  if (head?.head.deprecated !== undefined) notes.push(`deprecated: ${head.head.deprecated.message}`);
  return [
    ["cyan", name],
    head?.latest ?? "-",
    ["green", labels.map(([label, version]) => `${label}=${version}`).join(" ")],
    ["yellow", notes.join("; ")],
  ];
}
