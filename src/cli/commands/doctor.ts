import type { FindingKind } from "../../driver.ts";
import { SAFE } from "../../registry/inspect.ts";
import { AUTHOR, defineCommand } from "../command.ts";
import { FINDINGS } from "../exit.ts";
import { count } from "../layout.ts";
import { printFindings } from "./verify.ts";

const KINDS = [
  "temp",
  "projection",
  "moved-link",
  "unsealed",
  "legacy",
  "head",
] as const satisfies readonly FindingKind[];

export const command = defineCommand({
  usage: ["[NAME]"],
  details: [
    `Only looks, unless told to repair. --fix repairs what is safe: ${SAFE.join(", ")}. A label link that was moved by hand`,
    "(moved-link), a file put there by hand (unsealed), or one in a layout of old (legacy), which may be somebody's notes, is",
    "adopted, sealed or moved only when its kind is named. A removal that stopped halfway (foreign) is finished by deleting",
    "again. Damaged bytes are never repaired: restore them from a copy. Exits with 1 when something is left.",
  ],
  arguments: [{ name: "NAME", kind: "name", optional: true }],
  options: {
    fix: { type: "boolean", help: "repair what is safe to repair" },
    repair: { type: "string", multiple: true, choices: KINDS, value: "KIND", help: `repair this: ${KINDS.join(", ")}` },
    author: AUTHOR,
  },
  examples: [
    ["prompt-registry doctor", "look only"],
    ["prompt-registry doctor --fix", "look, and repair what is safe"],
    ["prompt-registry doctor --repair unsealed support/triage", "seal files that were put there by hand"],
  ],
  busy: "looking",
  async run(context, { values, positionals }) {
    const { terminal, signal } = context;
    const named = (values.repair ?? []) as readonly FindingKind[];
    const fix = values.fix ? [...new Set([...SAFE, ...named])] : named;
    const registry = await context.registry();
    const report = await registry.doctor({
      fix,
      signal,
      ...(positionals[0] === undefined ? {} : { name: positionals[0] }),
      ...(values.author === undefined ? {} : { author: values.author }),
    });
    if (context.json) terminal.json(report);
    else {
      printFindings(context, report.findings);
      for (const warning of report.warnings) terminal.warn(warning);
      const open = report.findings.filter((f) => !f.repaired).length;
      const repaired = report.findings.length - open;
      const parts = [...(repaired > 0 ? [`${repaired} repaired`] : []), ...(open > 0 ? [count(open, "problem")] : [])];
      terminal.out(`${parts.length === 0 ? "all is well" : parts.join(", ")}\n`);
      if (!values.fix && report.findings.some((f) => !f.repaired && SAFE.includes(f.kind))) {
        terminal.hint("`prompt-registry doctor --fix` repairs what is safe to repair");
      }
      if (report.findings.some((f) => !f.repaired && f.kind === "legacy")) {
        terminal.hint(
          "`prompt-registry doctor --repair legacy` moves files of an old layout; move what is no prompt elsewhere",
        );
      }
    }
    return report.ok ? undefined : FINDINGS;
  },
});
