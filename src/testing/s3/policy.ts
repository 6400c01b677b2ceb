/** A policy document of IAM, as far as the fake evaluates one: identity policies, without principals. */
export interface Policy {
  readonly Version?: string;
  readonly Id?: string;
  readonly Statement: readonly PolicyStatement[];
}

export interface PolicyStatement {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

/** What a request is to be allowed: the action, the thing it acts on, and the keys that conditions can ask for. */
export interface Demand {
  readonly action: string;
  readonly resource: string;
  readonly context: Readonly<Record<string, string | undefined>>;
}

const OPERATORS: Readonly<Record<string, (value: string, pattern: string) => boolean>> = {
  StringEquals: (value, pattern) => value === pattern,
  StringNotEquals: (value, pattern) => value !== pattern,
  StringLike: (value, pattern) => wildcard(pattern).test(value),
  StringNotLike: (value, pattern) => !wildcard(pattern).test(value),
  Bool: (value, pattern) => value === pattern.toLowerCase(),
};

/**
 * What is known of a policy before it decides anything.
 *
 * @throws TypeError where the policy uses what the fake does not evaluate: it would decide wrongly in silence
 */
export function checkPolicy(policy: Policy): void {
  const known = new Set(["Sid", "Effect", "Action", "Resource", "Condition"]);
  for (const statement of policy.Statement) {
    const foreign = Object.keys(statement).find((key) => !known.has(key));
    if (foreign !== undefined) throw new TypeError(`policy: ${foreign} is not evaluated by the fake`);
    if (statement.Effect !== "Allow" && statement.Effect !== "Deny") throw new TypeError("policy: Effect is wrong");
    if (listOf(statement.Action).length === 0 || listOf(statement.Resource).length === 0) {
      throw new TypeError("policy: a statement needs actions and resources");
    }
    for (const operator of Object.keys(statement.Condition ?? {})) {
      const base = operator.replace(/IfExists$/, "");
      if (OPERATORS[base] === undefined && operator !== "Null") {
        throw new TypeError(`policy: ${operator} is not evaluated by the fake`);
      }
    }
  }
}

/** By the rules of IAM: a Deny that matches wins, then an Allow that matches; else it is denied. */
export function allows(policies: readonly Policy[], demand: Demand): boolean {
  const matching = policies.flatMap((policy) => policy.Statement.filter((statement) => matches(statement, demand)));
  return matching.every(({ Effect }) => Effect === "Allow") && matching.length > 0;
}

function matches(statement: PolicyStatement, { action, resource, context }: Demand): boolean {
  const acts = listOf(statement.Action).some((pattern) => wildcard(pattern, "i").test(action));
  if (!acts || !listOf(statement.Resource).some((pattern) => wildcard(pattern).test(resource))) return false;
  return Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
    Object.entries(keys).every(([key, values]) => holds(operator, context[key.toLowerCase()], listOf(values))),
  );
}

function holds(operator: string, value: string | undefined, patterns: readonly string[]): boolean {
  if (operator === "Null") return patterns.includes(String(value === undefined));
  const base = operator.replace(/IfExists$/, "");
  const negated = base.includes("Not");
  // A key that the request does not have meets a negated condition, and no other.
  if (value === undefined) return negated || base !== operator;
  const compare = OPERATORS[base];
  if (compare === undefined) return false;
  return negated
    ? patterns.every((pattern) => compare(value, pattern))
    : patterns.some((pattern) => compare(value, pattern));
}

function wildcard(pattern: string, flags = ""): RegExp {
  const source = pattern
    .replace(/[\\^$.|+()[\]{}]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`, `s${flags}`);
}

function listOf(value: string | readonly string[]): readonly string[] {
  return typeof value === "string" ? [value] : value;
}
