import type { InstallOptions, InstallReport } from "../lockfile/index.ts";
import type { Context, OptionSpec } from "./command.ts";
import { type Cell, count, printRows } from "./layout.ts";

export const MATERIALIZE = {
  type: "string",
  value: "DIR",
  help: "where the texts go (default: prompts/.materialized)",
  complete: "folder",
} as const satisfies OptionSpec;
export const NO_MATERIALIZE = { type: "boolean", help: "write the lockfile only" } as const satisfies OptionSpec;

export interface InstallValues {
  readonly "dry-run"?: boolean;
  readonly materialize?: string;
  readonly "no-materialize"?: boolean;
}

export function installOptions(context: Context, values: InstallValues): InstallOptions {
  const where = values["no-materialize"] === true ? (false as const) : values.materialize;
  return {
    cwd: context.io.cwd,
    signal: context.signal,
    dryRun: values["dry-run"] === true,
    ...(where === undefined ? {} : { materialize: where }),
  };
}

export function reportInstall(context: Context, report: InstallReport): undefined {
  const { terminal } = context;
  if (context.json) {
    const { lock, ...rest } = report;
    terminal.json({ ...rest, prompts: Object.fromEntries(lock.prompts) });
    return;
  }
  const rows = report.changes.map(({ name, from, to }): Cell[] => [
    name,
    from ?? "",
    to === undefined ? ["red", "removed"] : ["green", to],
  ]);
  printRows(terminal, ["NAME", "FROM", "TO"], rows);
  const { written, removed, dryRun } = report;
  const files = `${count(written.length, "file")}${dryRun ? " would be" : ""} written, ${removed.length} removed`;
  terminal.note(`${count(report.lock.prompts.size, "prompt")} locked, ${report.changes.length} changed; ${files}`);
}
