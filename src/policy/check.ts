import { MAX_TEXT_BYTES } from "../document.ts";
import { isRegistryError, RegistryError, show } from "../errors.ts";
import { isVersion } from "../semver.ts";
import { bumpProblem } from "./bump.ts";
import { findInvisible, type Spot } from "./invisible.ts";
import { locator } from "./position.ts";
import { findSecrets } from "./secrets.ts";
import { authorText, readParts } from "./text.ts";
import {
  DEFAULT_SEVERITIES,
  POLICY_RULES,
  type PolicyFinding,
  type PolicyOptions,
  type PolicyRule,
  type Publication,
  type PublishPolicy,
  type Severity,
} from "./types.ts";

/** Of one rule in one text; what is more is counted. */
const MAX_FINDINGS = 20;

/** Options with every default filled in. */
interface Settings {
  readonly severities: Readonly<Record<PolicyRule, Severity | "off">>;
  readonly required: readonly string[];
  readonly maxBytes: number;
}

/**
 * Looks at a publication: invisible characters, secrets, required front matter, size, and whether the version keeps what
 * it promises. No I/O, linear in the text, and the text is never changed.
 *
 * @returns by position; empty where there is nothing to say
 * @throws RegistryError CONFIG for options that are none
 * @example
 * checkPublication({ name: "support/triage", version: "1.0.0", text: "Use the key ghp_…" });
 * // [{ rule: "secret/github", severity: "block", line: 1, column: 13, shown: "ghp_… (40 characters)", message: … }]
 */
export function checkPublication(publication: Publication, options: PolicyOptions = {}): readonly PolicyFinding[] {
  return check(publication, settle(options));
}

/**
 * The same with options that are checked once: what a registry and a server take as their `policy`.
 *
 * @throws RegistryError CONFIG
 * @example
 * const registry = new PromptRegistry(driver, { policy: createPolicy({ required: ["description"] }) });
 */
export function createPolicy(options: PolicyOptions = {}): (publication: Publication) => readonly PolicyFinding[] {
  const settings = settle(options);
  return ((publication) => check(publication, settings)) satisfies PublishPolicy;
}

function settle(options: PolicyOptions): Settings {
  const bad = (field: string, problem: string) => new RegistryError("CONFIG", `policy.${field} ${problem}`, { field });
  const { rules = {}, required = [], maxBytes = MAX_TEXT_BYTES } = options;
  for (const [rule, severity] of Object.entries(rules)) {
    if (!(POLICY_RULES as readonly string[]).includes(rule)) {
      throw bad("rules", `has no rule ${show(rule)}; there are ${POLICY_RULES.join(", ")}`);
    }
    if (!["block", "warn", "info", "off", undefined].includes(severity)) {
      throw bad("rules", `has ${rule}: ${show(severity)}; write block, warn, info or off`);
    }
  }
  if (!Array.isArray(required) || required.some((key) => typeof key !== "string" || key === "")) {
    throw bad("required", "must be a list of front matter keys");
  }
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) throw bad("maxBytes", "must be a whole number of bytes");
  const own = Object.fromEntries(Object.entries(rules).filter(([, severity]) => severity !== undefined));
  return { severities: { ...DEFAULT_SEVERITIES, ...own }, required, maxBytes };
}

function check(publication: Publication, settings: Settings): readonly PolicyFinding[] {
  const { text, author, message } = publication;
  const findings = [
    ...placed(text, [...findInvisible(text), ...findSecrets(text)], settings),
    ...checkSize(text, settings),
    ...checkFrontMatter(text, settings),
    ...checkBump(publication, settings),
  ].sort((a, b) => a.line - b.line || a.column - b.column);
  for (const [field, note] of [["author", author] as const, ["message", message] as const]) {
    if (note === undefined) continue;
    for (const finding of placed(note, [...findInvisible(note), ...findSecrets(note)], settings)) {
      findings.push({ ...finding, field });
    }
  }
  return findings;
}

function placed(text: string, spots: readonly Spot[], { severities }: Settings): PolicyFinding[] {
  const locate = locator(text);
  const seen = new Map<PolicyRule, PolicyFinding[]>();
  const more = new Map<PolicyRule, number>();
  for (const { rule, at, message, shown } of spots) {
    const severity = severities[rule];
    if (severity === "off") continue;
    const findings = seen.get(rule) ?? [];
    seen.set(rule, findings);
    if (findings.length < MAX_FINDINGS) findings.push({ rule, severity, message, ...locate(at), shown });
    else more.set(rule, (more.get(rule) ?? 0) + 1);
  }
  return [...seen].flatMap(([rule, findings]) => {
    const left = more.get(rule);
    const last = findings.at(-1);
    if (left === undefined || last === undefined) return findings;
    return [...findings.slice(0, -1), { ...last, message: `${last.message} (and ${left} more after it)` }];
  });
}

function finding(rule: PolicyRule, settings: Settings, message: string, at?: { line: number; column: number }) {
  const severity = settings.severities[rule];
  if (severity === "off") return [];
  return [{ rule, severity, message, line: at?.line ?? 1, column: at?.column ?? 1, shown: "" }];
}

function checkSize(text: string, settings: Settings): PolicyFinding[] {
  if (text.length * 3 <= settings.maxBytes) return [];
  const bytes = Buffer.byteLength(authorText(text));
  if (bytes <= settings.maxBytes) return [];
  return finding("size", settings, `the text has ${bytes} bytes; at most ${settings.maxBytes} are allowed here`);
}

function checkFrontMatter(text: string, settings: Settings): PolicyFinding[] {
  if (settings.required.length === 0 || settings.severities["front-matter"] === "off") return [];
  try {
    const { metadata } = readParts(text);
    return settings.required
      .filter((key) => !isGiven(metadata, key))
      .flatMap((key) => finding("front-matter", settings, `the front matter has no ${show(key, 64)}; add it`));
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    const { line = 1, column = 1 } = error.context;
    return finding("front-matter", settings, error.message, { line, column });
  }
}

/** A key as it is written, or one inside another: `input.schema`. Nothing, and an empty text, are not given. */
function isGiven(metadata: object, key: string): boolean {
  const own = (of: unknown, name: string): unknown =>
    typeof of === "object" && of !== null && Object.hasOwn(of, name)
      ? (of as Record<string, unknown>)[name]
      : undefined;
  const value = own(metadata, key) ?? key.split(".").reduce(own, metadata as unknown);
  return value !== undefined && value !== null && value !== "";
}

function checkBump({ version, text, previous }: Publication, settings: Settings): PolicyFinding[] {
  if (previous === undefined || settings.severities.bump === "off") return [];
  if (!isVersion(version) || !isVersion(previous.version)) return [];
  const problem = bumpProblem(version, text, { version: previous.version, text: previous.text });
  return problem === undefined ? [] : finding("bump", settings, problem.message);
}
