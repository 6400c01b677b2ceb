import type { ValidateFinding } from "../validate/types.ts";
import { clean } from "./terminal.ts";

const COMMANDS = { block: "error", warn: "warning", info: "notice" } as const;

/**
 * A finding as a workflow command of GitHub Actions, which shows it at its line of the pull request. Everything foreign is
 * escaped, so that no name and no text can start a command of its own.
 *
 * @param file path from the root of the repository
 * @see https://docs.github.com/actions/reference/workflow-commands-for-github-actions
 */
export function annotation(finding: ValidateFinding, file: string): string {
  const { severity, rule, line, column, message } = finding;
  const properties = [`file=${property(file)}`, `line=${line}`, `col=${column}`, `title=${property(rule)}`];
  return `::${COMMANDS[severity]} ${properties.join(",")}::${data(clean(message))}`;
}

// As https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts
function data(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function property(text: string): string {
  // The path must stay what it is, but for what acts on a terminal.
  const named = data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
  return clean(named);
}
