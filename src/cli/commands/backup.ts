import { defineCommand } from "../command.ts";
import { FINDINGS } from "../exit.ts";
import { type Cell, count, printRows } from "../layout.ts";
import { requireSource } from "../source.ts";
import { PREFIX, pathAt, transferOptions } from "../transfer.ts";

export const command = defineCommand({
  usage: ["FILE"],
  details: [
    "Writes everything there is into one file: gzip of lines of JSON, with every text, label, deletion and history entry.",
    "FILE appears whole or not at all. Exits with 1 when a damaged version had to be left out, and with 3 when the storage is",
    "a folder or a SQLite file that is not there. An archive of nothing replaces no other one.",
  ],
  arguments: [{ name: "FILE", kind: "file" }],
  options: { prefix: PREFIX, overwrite: { type: "boolean", help: "replace a FILE that is there" } },
  examples: [
    ["prompt-registry backup prompts.ndjson.gz", "everything"],
    ["prompt-registry restore-archive prompts.ndjson.gz --storage file:../new", "and back"],
  ],
  busy: "writing",
  async run(context, { values, positionals }) {
    const { terminal } = context;
    const { backupFile } = await import("../../transfer/index.ts");
    await requireSource(context);
    const registry = await context.registry();
    const { signal, prefix, onProgress } = transferOptions(context, values);
    const report = await backupFile(registry.driver, pathAt(context, positionals[0] as string), {
      ...{ signal, onProgress, overwrite: values.overwrite === true, keepFull: true },
      ...(prefix === undefined ? {} : { prefix }),
    });
    if (context.json) terminal.json(report);
    else {
      const rows = report.failures.map((f): Cell[] => [
        ["red", "left out"],
        f.version === undefined ? f.name : `${f.name}@${f.version}`,
        f.error.message,
      ]);
      printRows(terminal, ["STATE", "WHERE", "WHY"], rows);
      const deleted = report.tombstones > 0 ? `, ${report.tombstones} deleted` : "";
      const size = `${count(report.compressedBytes, "byte")}`;
      terminal.out(
        `${count(report.prompts, "prompt")}, ${count(report.documents, "version")}${deleted}: ${size}, sha256 ${report.sha256}\n`,
      );
    }
    return report.ok ? undefined : FINDINGS;
  },
});
