import { defineCommand } from "../command.ts";
import { type Cell, printRows } from "../layout.ts";
import { requireHead, versionsOf } from "../lookup.ts";

export const command = defineCommand({
  usage: ["NAME"],
  details: ["Highest first. `log` tells when and by whom each was stored."],
  arguments: [{ name: "NAME", kind: "name" }],
  options: { all: { type: "boolean", help: "also deleted versions" } },
  examples: [["prompt-registry versions support/triage", "every version, and what points at it"]],
  busy: "reading",
  async run(context, { values, positionals }) {
    const { terminal, signal } = context;
    const [name = ""] = positionals;
    const registry = await context.registry();
    const state = await requireHead(registry, name, signal);
    const entries = await versionsOf(registry, name, { includeRemoved: values.all === true, signal });
    const { head, latest } = state;
    const labelsOn = (version: string) =>
      Object.entries(head.labels)
        .filter(([, target]) => target === version)
        .map(([label]) => label)
        .sort();
    if (context.json) {
      const versions = entries.map(({ version, yanked, removed }) => ({
        version,
        latest: version === latest,
        labels: labelsOn(version),
        yanked: yanked ?? null,
        removed: removed ?? false,
      }));
      terminal.json({ name, latest: latest ?? null, pinned: head.pin ?? null, versions });
      return undefined;
    }
    const rows = entries.map(({ version, yanked, removed }): Cell[] => {
      const marks = [...(version === latest ? ["latest"] : []), ...labelsOn(version)];
      const notes = [];
      if (version === head.pin) notes.push("pinned");
      const why = yanked?.reason === undefined ? "" : `: ${yanked.reason}`;
      if (removed) notes.push(`deleted${why}`);
      else if (yanked !== undefined) notes.push(`yanked${why}`);
      return [
        ["cyan", version],
        ["green", marks.join(" ")],
        ["yellow", notes.join("; ")],
      ];
    });
    printRows(terminal, ["VERSION", "LABELS", "NOTE"], rows);
    if (rows.length === 0) terminal.note(`every version of ${name} was deleted; --all shows them`);
    if (head.deprecated !== undefined) terminal.warn(`${name} is deprecated: ${head.deprecated.message}`);
    return undefined;
  },
});
