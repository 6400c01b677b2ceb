import { lstat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { RegistryError, show } from "../../errors.ts";
import { createWhole, findObstacle, makeFolder, writeFault, writeWhole } from "../../whole-file.ts";
import { usageError } from "../args.ts";
import { defineCommand } from "../command.ts";
import { FORMATS } from "../formats.ts";
import { reason } from "../input.ts";
import { count } from "../layout.ts";
import { NAMES, PREFIX, pathAt } from "../transfer.ts";

export const command = defineCommand({
  usage: ["DIR --format FORMAT"],
  details: [
    "Writes prompts as files of another system below DIR. What that system can't hold is told, line by line. Each file",
    "appears whole or not at all; links in DIR are never followed.",
  ],
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
    if (values["dry-run"] !== true) {
      const overwrite = values.overwrite === true;
      // Before the first is written, so that nothing is left half done.
      for (const { path } of files) await checkPlace(folder, path, overwrite);
      for (const { path, text } of files) await writeInto(folder, path, text, overwrite);
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

async function checkPlace(folder: string, path: string, overwrite: boolean): Promise<void> {
  const obstacle = await findObstacle(folder, path);
  if (obstacle !== undefined) throw cannot(path, folder, `${show(obstacle)} is in the way: it is a link or a file`);
  const found = await lstat(join(folder, path)).catch(() => undefined);
  if (found?.isDirectory()) throw cannot(path, folder, "it is a folder");
  if (found !== undefined && !overwrite) throw cannot(path, folder, THERE);
}

const THERE = "it is there already; --overwrite replaces it";

async function writeInto(folder: string, path: string, text: string, overwrite: boolean): Promise<void> {
  const target = join(folder, path);
  try {
    await makeFolder(dirname(target));
    await (overwrite ? writeWhole : createWhole)(target, text);
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === "EEXIST";
    throw cannot(path, folder, isThere ? THERE : reason(error), error);
  }
}

function cannot(path: string, folder: string, why: string, cause?: unknown): RegistryError {
  return new RegistryError(writeFault(cause) ?? "INVALID", `can't write ${show(path)}: ${why}`, {
    field: "file",
    path: join(folder, path),
    cause,
  });
}
