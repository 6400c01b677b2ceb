import { resolve } from "node:path";
import { isRegistryError } from "../../errors.ts";
import { parseName } from "../../names.ts";
import type { Bump } from "../../semver.ts";
import { ALLOW, allowanceOf, REASON } from "../allow.ts";
import { changeOptions } from "../change.ts";
import { AUTHOR, type Context, defineCommand, MESSAGE } from "../command.ts";
import { FINDINGS } from "../exit.ts";
import { findFiles } from "../files.ts";
import { FORMATS } from "../formats.ts";
import { type FileResult, importFiles } from "../importer.ts";
import { type Cell, count, printRows } from "../layout.ts";

export const command = defineCommand({
  usage: ["DIR", "PATH --format FORMAT"],
  details: [
    "Stores every .md, .markdown, .prompt and .prompt.md file below DIR under its path: DIR/support/triage.md becomes",
    "support/triage. A file vX.Y.Z.md is that version of the prompt its folder names. Any other file is the next version, if",
    "its text is not that of the highest one already; so to repeat an import changes nothing, and ends one that was",
    "interrupted. Dotfiles, links, README.md, LICENSE.md and the like are left alone. Exits with 1 when files were left out.",
    "With --format, PATH is a file of another system, or a folder of such files; see docs/transfer.md.",
  ],
  arguments: [{ name: "DIR", kind: "folder" }],
  options: {
    prefix: { type: "string", value: "P", help: "put P/ before every name" },
    bump: { type: "string", choices: ["major", "minor", "patch"], help: "which number to raise (default: patch)" },
    slug: { type: "boolean", help: "turn names that are not valid into such that are: My Prompt -> my-prompt" },
    format: { type: "string", choices: FORMATS, value: "FORMAT", help: FORMATS.join(", ") },
    labels: { type: "boolean", help: "with --format: also move the labels that the other system has" },
    "dry-run": { type: "boolean", short: "n", help: "only say what would be done" },
    message: MESSAGE,
    author: AUTHOR,
    allow: ALLOW,
    reason: REASON,
  },
  examples: [
    ["prompt-registry import ./prompts --dry-run", "see what would be stored"],
    ["prompt-registry import ./prompts --prefix support --bump minor", "store it below support/"],
  ],
  busy: "looking for files",
  async run(context, { values, positionals }) {
    const { signal, terminal } = context;
    const allowance = allowanceOf(values);
    if (values.format !== undefined) {
      const { importFormat } = await import("../import-format.ts");
      const { allow: _, ...others } = values;
      return importFormat(context, { ...others, ...allowance, format: values.format }, positionals[0] as string);
    }
    const folder = resolve(context.io.cwd, positionals[0] as string);
    if (values.prefix !== undefined) parseName(values.prefix.replace(/\/$/, ""));
    const files = await findFiles(folder, {
      prefix: values.prefix,
      slug: values.slug,
      signal,
      onProgress: (found) => terminal.progress(`looking for files: ${found}`),
    });
    const registry = await context.registry();
    const { results, error } = await importFiles(context, registry, files, {
      ...changeOptions(context, values),
      folder,
      bump: (values.bump ?? "patch") as Bump,
      dryRun: values["dry-run"] === true,
      ...allowance,
    });
    const interrupted = signal.aborted && (error === signal.reason || isRegistryError(error, "ABORTED"));
    report(context, results, { dryRun: values["dry-run"] === true, interrupted });
    if (error !== undefined) throw error;
    return results.some((r) => r.status === "failed") ? FINDINGS : undefined;
  },
});

function report(
  { terminal, json }: Context,
  results: readonly FileResult[],
  { dryRun, interrupted }: { readonly dryRun: boolean; readonly interrupted: boolean },
): void {
  const number = (status: FileResult["status"]) => results.filter((r) => r.status === status).length;
  const counts = {
    created: number("created"),
    unchanged: number("unchanged"),
    failed: number("failed"),
    skipped: number("skipped"),
    notTried: number("not-tried"),
  };
  if (json) {
    const files = results.map(({ error, ...rest }) => (error === undefined ? rest : { ...rest, error }));
    terminal.json({ dryRun, interrupted, ...counts, files });
    return;
  }
  // What did not change is said by its number: a second import of a thousand files has nothing to tell.
  const told = results.filter((r) => r.status !== "unchanged" && r.status !== "not-tried");
  printRows(
    terminal,
    ["STATUS", "FILE", "PROMPT", "WHY"],
    told.map((r) => row(r, dryRun)),
  );
  const parts = [
    `${counts.created} ${dryRun ? "would be created" : "created"}`,
    `${counts.unchanged} unchanged`,
    ...(counts.failed > 0 ? [`${counts.failed} failed`] : []),
    ...(counts.skipped > 0 ? [`${counts.skipped} skipped`] : []),
    ...(counts.notTried > 0 ? [`${counts.notTried} not tried; the same command goes on`] : []),
  ];
  terminal.out(`${count(results.length, "file")}: ${parts.join(", ")}\n`);
}

function row({ status, file, name, version, reason }: FileResult, dryRun: boolean): Cell[] {
  const style = status === "created" ? "green" : status === "failed" ? "red" : "dim";
  const slot = name === undefined ? "" : `${name}${version === undefined ? "" : `@${version}`}`;
  return [[style, dryRun && status === "created" ? "new" : status], file, ["cyan", slot], reason ?? ""];
}
