import { AUTHOR, defineCommand } from "../command.ts";
import { FINDINGS } from "../exit.ts";
import { count } from "../layout.ts";
import { DRY_RUN, NO_VERIFY } from "../transfer.ts";
import { printFindings } from "./verify.ts";

export const command = defineCommand({
  usage: ["[NAME]"],
  details: [
    "Moves files of old layouts (name/1.0.0.md, name.md, name.prompt, a latest.md that is a copy) to where they belong, and",
    "reads everything at the end. To move to another storage as well, `copy` afterwards. Exits with 1 when something of an",
    "old layout is left, or damaged.",
  ],
  arguments: [{ name: "NAME", kind: "name", optional: true }],
  options: {
    "dry-run": DRY_RUN,
    seal: { type: "boolean", help: "also seal files that were put there by hand" },
    "no-verify": NO_VERIFY,
    author: AUTHOR,
  },
  examples: [["prompt-registry migrate --dry-run", "see what would be moved"]],
  busy: "migrating",
  async run(context, { values, positionals }) {
    const { terminal, signal } = context;
    const { migrateStorage } = await import("../../transfer/index.ts");
    const registry = await context.registry();
    const report = await migrateStorage(registry.driver, {
      ...{
        signal,
        dryRun: values["dry-run"] === true,
        seal: values.seal === true,
        verify: values["no-verify"] !== true,
      },
      ...(positionals[0] === undefined ? {} : { name: positionals[0] }),
      ...(values.author === undefined ? {} : { author: values.author }),
    });
    if (context.json) terminal.json(report);
    else {
      printFindings(context, report.findings);
      const { verify } = report;
      const read =
        verify === undefined
          ? ""
          : ` (${count(verify.prompts, "prompt")}, ${count(verify.documents, "version")}, ${verify.damaged} damaged)`;
      terminal.out(`${report.migrated} migrated, ${report.left} ${report.dryRun ? "to migrate" : "left"}${read}\n`);
    }
    return report.ok || report.dryRun ? undefined : FINDINGS;
  },
});
