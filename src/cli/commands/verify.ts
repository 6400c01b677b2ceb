import type { Finding } from "../../driver.ts";
import { type Context, defineCommand } from "../command.ts";
import { FINDINGS } from "../exit.ts";
import { type Cell, count, printRows } from "../layout.ts";

export const command = defineCommand({
  usage: ["[NAME]"],
  details: [
    "Of one prompt, or of all: every digest, seal and pointer. Changes nothing. Exits with 1 when it found a problem.",
  ],
  arguments: [{ name: "NAME", kind: "name", optional: true }],
  options: {},
  examples: [
    ["prompt-registry verify", "the whole registry"],
    ["prompt-registry verify support/triage --json", "one prompt, for a program"],
  ],
  busy: "verifying",
  async run(context, { positionals }) {
    const { terminal, signal } = context;
    const registry = await context.registry();
    const report = await registry.verify(positionals[0], {
      signal,
      onProgress: ({ prompts, documents, name }) =>
        terminal.progress(`verifying: ${count(prompts, "prompt")}, ${count(documents, "version")}; ${name}`),
    });
    if (context.json) terminal.json(report);
    else {
      printFindings(context, report.problems);
      for (const warning of report.warnings) terminal.warn(warning);
      const { prompts, documents, tombstones, unsealed, problems } = report;
      const more = [
        ...(tombstones > 0 ? [`${tombstones} deleted`] : []),
        ...(unsealed > 0 ? [`${unsealed} not sealed`] : []),
      ];
      const what = [count(prompts, "prompt"), count(documents, "version"), ...more].join(", ");
      terminal.out(`${what}: ${problems.length === 0 ? "all is well" : count(problems.length, "problem")}\n`);
    }
    return report.ok ? undefined : FINDINGS;
  },
});

export function printFindings({ terminal }: Context, findings: readonly Finding[]): void {
  const rows = findings.map((f): Cell[] => {
    const slot = f.name === undefined ? "" : `${f.name}${f.version === undefined ? "" : `@${f.version}`}`;
    const state: Cell = f.repaired ? ["green", "repaired"] : ["red", "open"];
    return [state, f.kind, slot || (f.path ?? ""), f.detail];
  });
  printRows(terminal, ["STATE", "KIND", "WHERE", "WHAT"], rows);
}
