import { join, relative, resolve, sep } from "node:path";
import type { CheckedConfig } from "../../config.ts";
import type { PublishPolicy } from "../../policy/types.ts";
import { type ValidateFinding, type ValidateReport, validateFolder } from "../../validate/index.ts";
import { annotation } from "../annotations.ts";
import { type Context, defineCommand } from "../command.ts";
import { configuredFor } from "../configured.ts";
import { FINDINGS } from "../exit.ts";
import { type Cell, count, printRows } from "../layout.ts";

export const command = defineCommand({
  usage: ["[PATH]"],
  details: [
    "Checks a folder of prompts as a pull request needs it: names, versions, digests, labels and front matter; the publish",
    "policy and the version numbers of what is new; and, with --base, that no published version was changed or removed.",
    "Reads files and Git objects, changes nothing, follows no link. PATH holds prompts/, or is the folder of the prompts;",
    "default: where the configuration says, else this folder. Exits with 1 when something blocks. See docs/github-review.md.",
  ],
  arguments: [{ name: "PATH", kind: "folder", optional: true }],
  options: {
    base: { type: "string", value: "REF", help: "the commit, branch or tag that the change is to be merged into" },
    format: {
      type: "string",
      choices: ["text", "github", "json"],
      help: "github: annotations of GitHub Actions (default there)",
    },
    strict: { type: "boolean", help: "warnings block, too" },
  },
  examples: [
    ["prompt-registry validate --base origin/main", "before a pull request, and in its check"],
    ["prompt-registry validate ./registry --json", "everything in a folder, for a program"],
  ],
  busy: "reading",
  async run(context, { values, positionals }) {
    const { terminal, signal, io } = context;
    const { folder, dir, policy } = await settingsOf(context, positionals[0]);
    const report = await validateFolder(folder, {
      ...{ signal, dir, policy },
      ...(values.base === undefined ? {} : { base: values.base }),
      watched: ["json", "yaml", "yml"].map((ending) => join(io.cwd, `prompt-registry.config.${ending}`)),
      onProgress: (files) => terminal.progress(`reading: ${count(files, "file")}`),
    });
    const ok = report.ok && (!values.strict || report.findings.every((f) => f.severity === "info"));
    const format = context.json ? "json" : (values.format ?? (io.env.GITHUB_ACTIONS === "true" ? "github" : "text"));
    if (format === "json") terminal.json({ ...report, ok });
    else if (format === "github") printAnnotations(context, folder, report);
    else printFindings(context, report);
    return ok ? undefined : FINDINGS;
  },
});

interface Settings {
  readonly folder: string;
  readonly dir: string;
  readonly policy: PublishPolicy;
}

async function settingsOf({ io, storage }: Context, path: string | undefined): Promise<Settings> {
  const { createPolicy } = await import("../../policy/index.ts");
  const config = await configuredFor({ io, storage });
  const file = config.storage?.backend === "file" ? config.storage : undefined;
  return {
    folder: resolve(io.cwd, path ?? file?.path ?? "."),
    dir: file?.dir ?? "prompts",
    policy: policyOf(config.policy ?? true, createPolicy),
  };
}

function policyOf(
  policy: NonNullable<CheckedConfig["policy"]>,
  create: typeof import("../../policy/index.ts").createPolicy,
): PublishPolicy {
  if (policy === false) return () => [];
  return create(policy === true ? {} : policy);
}

function printAnnotations({ io, terminal }: Context, folder: string, report: ValidateReport): void {
  // Annotations name files from the root of the repository, which is where a workflow starts.
  const from = io.env.GITHUB_WORKSPACE ?? io.cwd;
  for (const finding of report.findings) {
    const file = relative(from, join(folder, finding.path)).split(sep).join("/");
    terminal.out(`${annotation(finding, file)}\n`);
  }
  terminal.out(`${summary(report)}\n`);
}

const STYLES = { block: "red", warn: "yellow", info: "dim" } as const;

function printFindings({ terminal }: Context, report: ValidateReport): void {
  const where = ({ path, line, column }: ValidateFinding) =>
    line === 1 && column === 1 ? path : `${path}:${line}:${column}`;
  const rows = report.findings.map((f): Cell[] => [[STYLES[f.severity], f.severity], f.rule, where(f), f.message]);
  printRows(terminal, ["", "RULE", "WHERE", "WHAT"], rows);
  terminal.out(`${summary(report)}\n`);
}

function summary({ prompts, versions, fresh, base, findings }: ValidateReport): string {
  const number = (severity: ValidateFinding["severity"]) => findings.filter((f) => f.severity === severity).length;
  const against = base === undefined ? "" : ` (${fresh} new since ${base.slice(0, 12)})`;
  const blocks = number("block");
  const warns = number("warn");
  const parts = [
    ...(blocks > 0 ? [count(blocks, "problem")] : []),
    ...(warns > 0 ? [count(warns, "warning")] : []),
    ...(blocks + warns === 0 ? ["all is well"] : []),
  ];
  return `${count(prompts, "prompt")}, ${count(versions, "version")}${against}: ${parts.join(", ")}`;
}
