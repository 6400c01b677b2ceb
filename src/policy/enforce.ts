import { checkNote } from "../document.ts";
import { RegistryError, show } from "../errors.ts";
import { type Allowance, POLICY_RULES, type PolicyFinding, type PolicyRule } from "./types.ts";

const MAX_REASON = 500;
const MAX_LISTED = 3;

export interface Enforced {
  /** Findings that do not keep it from being published: `warn` and `info`. */
  readonly warnings: readonly PolicyFinding[];
  /** What would have, but for the allowance: for an audit log. */
  readonly overridden: readonly PolicyFinding[];
}

/**
 * Ends a publication that a finding blocks, unless its rule is allowed.
 *
 * @param options `name` and `version` are for the message
 * @throws RegistryError INVALID, field `policy`; each finding, masked, is a line of `issues`
 * @example
 * const { overridden } = enforce(policy(publication), { allow: { rules: ["secret/jwt"], reason: "expired test token" } });
 */
export function enforce(
  findings: readonly PolicyFinding[],
  options: { readonly name?: string; readonly version?: string; readonly allow?: Allowance | undefined } = {},
): Enforced {
  const { name, version, allow } = options;
  const allowed = new Set<PolicyRule>(allow?.rules);
  const blocked = findings.filter((f) => f.severity === "block");
  const refused = blocked.filter((f) => !allowed.has(f.rule));
  if (refused.length === 0) {
    return { warnings: findings.filter((f) => f.severity !== "block"), overridden: blocked };
  }
  const issues = refused.map(findingLine);
  const what = name === undefined ? "this version" : version === undefined ? name : `${name}@${version}`;
  const more = issues.length > MAX_LISTED ? `; and ${issues.length - MAX_LISTED} more` : "";
  const [first] = refused;
  throw new RegistryError(
    "INVALID",
    `${what} is refused by the publish policy: ${issues.slice(0, MAX_LISTED).join("; ")}${more} (a rule can be allowed, with a reason)`,
    {
      field: "policy",
      ...(name === undefined ? {} : { name }),
      ...(version === undefined ? {} : { version }),
      ...(first === undefined || first.field !== undefined ? {} : { line: first.line, column: first.column }),
      issues,
    },
  );
}

/** A finding in one line: `secret/github at line 3, column 14: … (ghp_… (40 characters))`. */
export function findingLine({ rule, message, line, column, shown, field }: PolicyFinding): string {
  const where = field === undefined ? "" : `${field}, `;
  return `${rule} at ${where}line ${line}, column ${column}: ${message}${shown === "" ? "" : ` [${shown}]`}`;
}

/**
 * Checks an allowance.
 *
 * @throws RegistryError INVALID, field `allow`
 */
export function checkAllowance(allow: Allowance): Allowance {
  const bad = (problem: string) => new RegistryError("INVALID", `allow ${problem}`, { field: "allow" });
  if (typeof allow !== "object" || allow === null || !Array.isArray(allow.rules) || allow.rules.length === 0) {
    throw bad("must hold a list of rules and a reason");
  }
  for (const rule of allow.rules as readonly string[]) {
    if (!(POLICY_RULES as readonly string[]).includes(rule)) {
      throw bad(`names ${show(rule)}, which is no rule; there are ${POLICY_RULES.join(", ")}`);
    }
  }
  if (typeof allow.reason !== "string" || allow.reason.trim() === "") throw bad("needs a reason; say why");
  checkNote("allow.reason", allow.reason, MAX_REASON);
  return { rules: [...new Set(allow.rules)], reason: allow.reason.trim().replace(/\s+/g, " ") };
}

// At the very end of a message.
const OPEN = "[policy override: ";
const NOTE = /^\[policy override: ([a-z/, -]{1,600}): (.{1,500})\]$/s;

/** The message of a version that was published under an allowance, so that its history tells. */
export function withOverride(message: string | undefined, allow: Allowance | undefined): string | undefined {
  if (allow === undefined) return message;
  const note = `${OPEN}${allow.rules.join(", ")}: ${allow.reason}]`;
  return message === undefined || message === "" ? note : `${message} ${note}`;
}

/** What {@link withOverride} wrote, read back: how a server learns of the allowance of a document that was sealed elsewhere. */
export function readOverride(message: string | undefined): Allowance | undefined {
  const at = message?.lastIndexOf(OPEN) ?? -1;
  const match = at < 0 ? null : NOTE.exec((message as string).slice(at));
  if (match === null) return undefined;
  const rules = (match[1] as string).split(", ");
  if (!rules.every((rule) => (POLICY_RULES as readonly string[]).includes(rule))) return undefined;
  return { rules: rules as PolicyRule[], reason: match[2] as string };
}
