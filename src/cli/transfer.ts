import { resolve } from "node:path";
import type { PromptRegistry } from "../registry.ts";
import type { TransferProgress, TransferReport, VerifyCounts } from "../transfer/index.ts";
import type { Context, OptionSpec } from "./command.ts";
import { configuredFor } from "./configured.ts";
import { FINDINGS } from "./exit.ts";
import { type Cell, count, printRows } from "./layout.ts";
import { requireSource } from "./source.ts";

/** Options of commands that bring prompts from one place to another. */
export const DRY_RUN = {
  type: "boolean",
  short: "n",
  help: "only say what would be done",
} as const satisfies OptionSpec;
export const PREFIX = {
  type: "string",
  value: "P",
  help: "only names that start with P",
} as const satisfies OptionSpec;
export const NAMES = {
  type: "string",
  multiple: true,
  value: "NAME",
  help: "only this prompt",
  complete: "name",
} as const satisfies OptionSpec;
export const NO_VERIFY = {
  type: "boolean",
  help: "do not read and compare both sides at the end",
} as const satisfies OptionSpec;

export interface TransferValues {
  readonly "dry-run"?: boolean;
  readonly prefix?: string;
  readonly name?: readonly string[];
  readonly "no-verify"?: boolean;
  readonly author?: string;
}

const DOING = { count: "counting", check: "checking", copy: "copying", verify: "comparing" } as const;

export function transferOptions(context: Context, values: TransferValues) {
  return {
    signal: context.signal,
    dryRun: values["dry-run"] === true,
    verify: values["no-verify"] !== true,
    ...(values.prefix === undefined ? {} : { prefix: values.prefix }),
    ...(values.name === undefined ? {} : { names: values.name }),
    ...(values.author === undefined ? {} : { author: values.author }),
    onProgress: ({ phase, done, total, name }: TransferProgress) =>
      context.terminal.progress(`${DOING[phase]}${name === undefined ? "" : ` ${name}`}`, done, total),
  };
}

/** Opens a storage that is named in an argument; the caller closes it. */
export async function openAt({ io }: Context, location: string, tokenOrigin?: string): Promise<PromptRegistry> {
  if (io.open !== undefined) return io.open(location);
  const { openRegistry } = await import("../config.ts");
  // A cache or fallback of the configuration must not stand between a copy and its storages.
  const token = tokenOrigin === undefined ? {} : { tokenOrigin };
  return openRegistry({ storage: location }, { cwd: io.cwd, env: io.env, configFile: false, ...token });
}

/** `PROMPT_REGISTRY_TOKEN` is for the server that is set up, else for the first of the two that is one; never for both. */
async function tokenOriginOf({ io, storage }: Context, locations: readonly string[]): Promise<string | undefined> {
  if (!locations.some((location) => /^https?:/i.test(location.trim()))) return undefined;
  const { originOf, parseLocation } = await import("../config.ts");
  // What is wrong with a configuration is no matter of a copy between two places that are named.
  const config = await configuredFor({ io, storage }).catch(() => ({}));
  const places = [("storage" in config ? config.storage : undefined) ?? [], locations.map(parseLocation)].flat();
  return places.map(originOf).find((origin) => origin !== undefined);
}

/**
 * Opens two storages for a piece of work, and closes what was opened.
 *
 * @param sources those of the two that must be there already
 */
export async function withBoth<T>(
  context: Context,
  [first, second]: readonly [string, string],
  sources: readonly string[],
  work: (first: PromptRegistry, second: PromptRegistry) => Promise<T>,
): Promise<T> {
  for (const source of sources) await requireSource(context, source);
  const origin = await tokenOriginOf(context, [first, second]);
  const a = await openAt(context, first, origin);
  try {
    const b = await openAt(context, second, origin);
    try {
      return await work(a, b);
    } finally {
      await b.close();
    }
  } finally {
    await a.close();
  }
}

export function pathAt({ io }: Context, path: string): string {
  return resolve(io.cwd, path);
}

/** @returns the exit code */
export function reportTransfer(context: Context, report: TransferReport): number | undefined {
  const { terminal } = context;
  if (context.json) terminal.json(report);
  else {
    const conflicts = report.conflicts.map((c): Cell[] => [
      ["yellow", "conflict"],
      c.kind,
      slot(c.name, c.version),
      c.detail,
    ]);
    const failures = report.failures.map((f): Cell[] => [
      ["red", "failed"],
      f.error.code,
      slot(f.name, f.version),
      f.error.message,
    ]);
    printRows(terminal, ["STATE", "KIND", "WHERE", "WHAT"], [...conflicts, ...failures]);
    for (const ref of report.sealed) terminal.note(`${ref} had no seal; it is stored with one`);
    terminal.out(`${summary(report)}\n`);
    if (report.verify !== undefined) terminal.out(`${verified(report.verify)}\n`);
  }
  return report.ok ? undefined : FINDINGS;
}

function slot(name: string, version: string | undefined): string {
  return version === undefined ? name : `${name}@${version}`;
}

function summary(report: TransferReport): string {
  const parts = [
    [report.added, "version", "added"],
    [report.removed, "version", "removed"],
    [report.restored, "version", "restored"],
    [report.heads, "head", "moved"],
    [report.conflictCount, "conflict", ""],
    [report.failureCount, "failure", ""],
  ] as const;
  const done = parts.filter(([n]) => n > 0).map(([n, what, how]) => `${count(n, what)} ${how}`.trimEnd());
  const what = done.length === 0 ? "nothing to do" : done.join(", ");
  return `${count(report.prompts, "prompt")}: ${report.dryRun && done.length > 0 ? "would be: " : ""}${what}`;
}

function verified(verify: VerifyCounts): string {
  const { equal, differentCount, missingCount, extra, documents, tombstones } = verify;
  const more = [
    ...(differentCount > 0 ? [`${differentCount} different`] : []),
    ...(missingCount > 0 ? [`${missingCount} missing`] : []),
    ...(extra > 0 ? [`${extra} only at the target`] : []),
  ];
  const size = `${count(documents, "version")}${tombstones > 0 ? `, ${tombstones} deleted` : ""}`;
  return `compared: ${[`${equal} equal`, ...more].join(", ")} (${size})`;
}
