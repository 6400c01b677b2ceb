import { type Allowance, POLICY_RULES, type PolicyRule } from "../policy/types.ts";
import { usageError } from "./args.ts";
import type { OptionSpec } from "./command.ts";

/** Options of commands that publish. */
export const ALLOW = {
  type: "string",
  value: "RULE",
  multiple: true,
  choices: POLICY_RULES,
  help: "publish in spite of this policy rule; needs --reason",
} as const satisfies OptionSpec;
export const REASON = {
  type: "string",
  value: "TEXT",
  help: "why the rule is allowed; it goes into the log",
} as const satisfies OptionSpec;

export function allowanceOf(values: { readonly allow?: readonly string[]; readonly reason?: string }): {
  readonly allow?: Allowance;
} {
  const { allow, reason } = values;
  if (allow === undefined) {
    if (reason !== undefined) throw usageError("--reason is for --allow; for the version itself there is --message");
    return {};
  }
  if (reason === undefined || reason.trim() === "") throw usageError("--allow needs --reason: say why");
  return { allow: { rules: allow as readonly PolicyRule[], reason } };
}
