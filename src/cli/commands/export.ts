import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { RegistryError, show } from "../../errors.ts";
import { usageError } from "../args.ts";
import { defineCommand } from "../command.ts";
import { FORMATS } from "../formats.ts";
import { reason } from "../input.ts";
import { count } from "../layout.ts";
import { NAMES, PREFIX, pathAt } from "../transfer.ts";

export const command = defineCommand({
  usage: ["DIR --format FORMAT"],
  details: ["Writes prompts as files of another system below DIR. What that system can't hold is told, line by line."],
  arguments: [{ name: "DIR", kind: "folder" }],
  options: {
    format: { type: "string", choices: FORMATS, value: "FORMAT", help: FORMATS.join(", ") },
    "all-versions": { type: "boolean", help: "every version, where the format has versions; default: the latest" },
    prefix: PREFIX,
    name: NAMES,
    overwrite: { type: "boolean", help: "replace files that are there" },
    "dry-run": { type: "boolean", short: "n", help: "only say what would be written, and what would be lost" },
  },
  examples: [
    ["prompt-registry export out --format langfuse --all-versions", "one JSON file with everything"],
    ["prompt-registry export out --format dotprompt --prefix support/ --dry-run", "see what would be written"],
  ],
  busy: "exporting",
  async run(context, { values, positionals }) {
    const { terminal, signal } = context;
    const { exportPrompts, formatByName } = await import("../../transfer/index.ts");
    if (values.format === undefined) throw usageError(`missing --format: ${FORMATS.join(", ")}`);
    const format = formatByName(values.format);
    const registry = await context.registry();
    const { files, lost } = await exportPrompts(registry, format, {
      ...{ signal, versions: values["all-versions"] === true ? "all" : "latest" },
      ...(values.prefix === undefined ? {} : { prefix: values.prefix }),
      ...(values.name === undefined ? {} : { names: values.name }),
    });
    const folder = pathAt(context, positionals[0] as string);
    for (const { path, text } of values["dry-run"] === true ? [] : files) {
      const target = join(folder, path);
      try {
        await mkdir(dirname(target), { recursive: true });
        await writeFile(target, text, { flag: values.overwrite === true ? "w" : "wx" });
      } catch (error) {
        const there = (error as NodeJS.ErrnoException).code === "EEXIST";
        const why = there ? "it is there already; --overwrite replaces it" : reason(error);
        throw new RegistryError("INVALID", `can't write ${show(path)}: ${why}`, { field: "file", path: target });
      }
    }
    if (context.json) terminal.json({ files: files.map((f) => f.path), lost });
    else {
      for (const line of lost) terminal.warn(`lost: ${line}`);
      for (const { path } of files) terminal.out(`${path}\n`);
      terminal.note(`${count(files.length, "file")}${values["dry-run"] === true ? " would be" : ""} written`);
    }
    return undefined;
  },
});
