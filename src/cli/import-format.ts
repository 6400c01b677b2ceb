import { constants } from "node:fs";
import { lstat, open, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { isRegistryError, RegistryError, show, throwIfAborted } from "../errors.ts";
import type { Allowance } from "../policy/types.ts";
import type { Bump } from "../semver.ts";
import {
  formatByName,
  type ImportedPrompt,
  type ImportOutcome,
  importPrompts,
  type PromptFormat,
} from "../transfer/index.ts";
import type { Context } from "./command.ts";
import { FINDINGS } from "./exit.ts";
import { reason } from "./input.ts";
import { type Cell, count, printRows } from "./layout.ts";
import { pathAt } from "./transfer.ts";

export interface FormatValues {
  readonly format: string;
  readonly prefix?: string;
  readonly bump?: string;
  readonly labels?: boolean;
  readonly "dry-run"?: boolean;
  readonly author?: string;
  readonly message?: string;
  readonly allow?: Allowance;
}

const MAX_BYTES = 256 * 2 ** 20;

/** Stores the prompts in a file, or in the files of a folder, of another system. @returns the exit code */
export async function importFormat(context: Context, values: FormatValues, path: string): Promise<number | undefined> {
  const { terminal, signal } = context;
  const format = formatByName(values.format);
  const prompts: ImportedPrompt[] = [];
  const lost: string[] = [];
  const outcomes: ImportOutcome[] = [];
  for (const file of await filesOf(pathAt(context, path), format)) {
    throwIfAborted(signal, "import");
    try {
      const read = format.import(await readWhole(file.path), {
        path: file.below,
        ...(values.prefix === undefined ? {} : { prefix: values.prefix }),
        ...(values.bump === undefined ? {} : { bump: values.bump as Bump }),
      });
      prompts.push(...read.prompts);
      lost.push(...read.lost);
    } catch (error) {
      if (!isRegistryError(error, "INVALID")) throw error;
      outcomes.push({ name: file.below, status: "failed", error });
    }
  }
  const dryRun = values["dry-run"] === true;
  if (!dryRun) {
    const { author, message } = values;
    outcomes.push(
      ...(await importPrompts(await context.registry(), prompts, {
        ...{ signal, labels: values.labels === true },
        ...(author === undefined ? {} : { author }),
        ...(message === undefined ? {} : { message }),
        ...(values.allow === undefined ? {} : { allow: values.allow }),
        onProgress: ({ done, total, name }) => terminal.progress(`importing ${name}`, done, total),
      })),
    );
  }
  report(context, dryRun ? prompts : [], outcomes, lost);
  return outcomes.some((o) => o.status === "failed") ? FINDINGS : undefined;
}

function report(
  { terminal, json }: Context,
  planned: readonly ImportedPrompt[],
  outcomes: readonly ImportOutcome[],
  lost: readonly string[],
): void {
  if (json) {
    terminal.json({
      planned: planned.map(({ name, version, bump, labels }) => ({ name, version, bump, labels })),
      outcomes,
      lost,
    });
    return;
  }
  for (const line of lost) terminal.warn(`lost: ${line}`);
  const rows = [
    ...planned.map((p): Cell[] => ["would store", p.version === undefined ? p.name : `${p.name}@${p.version}`, ""]),
    ...outcomes.map((o): Cell[] => [
      o.status === "failed" ? ["red", o.status] : o.status,
      o.version === undefined ? o.name : `${o.name}@${o.version}`,
      o.error?.message ?? "",
    ]),
  ];
  printRows(terminal, ["STATE", "PROMPT", "WHY"], rows);
  const created = outcomes.filter((o) => o.status === "created").length;
  terminal.note(`${count(rows.length, "version")}, ${created} created`);
}

interface Found {
  readonly path: string;
  /** Relative to the folder, with `/`. */
  readonly below: string;
}

/** Regular files only: links could lead out of the folder, or in circles. */
async function filesOf(path: string, format: PromptFormat): Promise<Found[]> {
  const stat = await lstat(path).catch((error: unknown) => {
    throw new RegistryError("INVALID", `can't read ${show(path)}: ${reason(error)}`, { field: "path", path });
  });
  if (!stat.isDirectory()) return [{ path, below: basename(path) }];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const found: Found[] = [];
  for (const entry of entries) {
    const full = join(entry.parentPath, entry.name);
    const below = full
      .slice(path.length)
      .replace(/^[/\\]/, "")
      .replaceAll("\\", "/");
    if (!entry.isFile() || below.split("/").some((part) => part.startsWith(".") || part === "node_modules")) continue;
    if (format.detect("", below)) found.push({ path: full, below });
    else if (below.endsWith(".json") && format.detect(await readWhole(full), below)) found.push({ path: full, below });
  }
  return found.sort((a, b) => (a.below < b.below ? -1 : 1));
}

async function readWhole(path: string): Promise<string> {
  const bad = (why: string) =>
    new RegistryError("INVALID", `can't read ${show(path)}: ${why}`, { field: "file", path });
  // To open a pipe without writer would wait for one.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw bad(reason(error));
  });
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw bad("it is not a regular file");
    if (stat.size > MAX_BYTES) throw bad(`it has more than ${MAX_BYTES} bytes`);
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await handle.readFile());
  } catch (error) {
    throw error instanceof RegistryError ? error : bad(error instanceof TypeError ? "it is not UTF-8" : reason(error));
  } finally {
    await handle.close();
  }
}
