import type { HistoryEntry } from "../../driver.ts";
import { defineCommand } from "../command.ts";
import { type Cell, printRows, shortTime } from "../layout.ts";
import { requireHead } from "../lookup.ts";
import { wholeNumber } from "./list.ts";

export const command = defineCommand({
  usage: ["NAME"],
  details: ["Newest first."],
  arguments: [{ name: "NAME", kind: "name" }],
  options: { limit: { type: "string", short: "n", value: "N", help: "at most N entries" } },
  examples: [
    ["prompt-registry log support/triage", "everything that ever happened to it"],
    ["prompt-registry log support/triage -n 5 --json", "the last five changes, for a program"],
  ],
  busy: "reading",
  async run(context, { values, positionals }) {
    const limit = wholeNumber("--limit", values.limit) ?? Number.POSITIVE_INFINITY;
    const [name = ""] = positionals;
    const registry = await context.registry();
    const entries: HistoryEntry[] = [];
    for await (const entry of registry.history(name, { limit: Math.min(limit, 1000), signal: context.signal })) {
      entries.push(entry);
      if (entries.length >= limit) break;
    }
    // An empty answer does not tell whether the prompt is there.
    if (entries.length === 0) await requireHead(registry, name, context.signal);
    if (context.json) context.terminal.json({ name, entries });
    else printRows(context.terminal, ["WHEN", "WHO", "WHAT", "WHY"], entries.map(row));
    return undefined;
  },
});

function row(entry: HistoryEntry): Cell[] {
  return [["dim", shortTime(entry.at)], entry.by ?? "-", ["cyan", describe(entry)], entry.message ?? ""];
}

function describe({ action, label, from, to }: HistoryEntry): string {
  switch (action) {
    case "label":
      return `label ${label} ${from === undefined ? "" : `${from} `}-> ${to}`;
    case "unlabel":
      return `remove label ${label} (was ${from})`;
    case "rollback":
      return `rollback ${from === undefined ? "" : `${from} `}-> ${to}`;
    case "unpin":
      return `unpin (was ${from})`;
    case "remove":
      return `delete ${from ?? to ?? ""}`;
    case "deprecate":
    case "undeprecate":
      return action;
    default:
      return `${action} ${to ?? from ?? ""}`;
  }
}
