import type { Label, PromptName } from "../names.ts";
import type { PromptDiff } from "../registry/diff.ts";
import type { Prompt } from "../registry/prompt.ts";
import { compareVersions, type Version } from "../semver.ts";
import { PREFIX } from "./proposing.ts";

export interface ProposalText {
  readonly title: string;
  readonly body: string;
}

/** GitHub takes 65,536 characters. */
const MAX_DIFF = 50_000;
const MAX_TITLE = 200;
// What a reviewer would not see, or see in another order.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu;

/** One for each prompt, unless a version is named: so to propose again, with another bump, updates the same one. */
export function publishBranch(name: PromptName, version: Version | undefined): string {
  return `${PREFIX}${name}/-/publish${version === undefined ? "" : `-${version}`}`;
}

export function labelBranch(name: PromptName, label: Label): string {
  return `${PREFIX}${name}/-/label-${label}`;
}

/** What a version changes, for its reviewer. */
export function publishText(
  { name, version, message, text, variables }: Prompt,
  diff: PromptDiff | undefined,
  labels: readonly string[],
): ProposalText {
  const from = diff?.from.version;
  const step = from === undefined ? "the first version" : `${stepOf(from, version)} after ${from}`;
  const parts = [
    `Publishes \`${name}\` **${version}**: ${step}.`,
    message === undefined ? "" : fenced(message, "text"),
    labels.length === 0 ? "" : `Moves ${labels.map((label) => `\`${label}\``).join(", ")} to ${version}.`,
    diff === undefined ? variablesLine("Variables", variables) : "",
    diff === undefined ? "" : variablesLine("New variables", diff.added),
    diff === undefined ? "" : variablesLine("Variables that are gone", diff.removed),
    diff === undefined ? fenced(text, "text") : diff.identical ? "The text is the same." : fenced(diff.unified, "diff"),
    FOOT,
  ];
  return { title: titleOf(`${name}: publish ${version}`), body: parts.filter((part) => part !== "").join("\n\n") };
}

/** What moving a label changes for those who read by it. */
export function labelText(
  name: PromptName,
  label: Label,
  message: string | undefined,
  to: Prompt | undefined,
  diff: PromptDiff | undefined,
  from: Version | undefined,
): ProposalText {
  const was = from === undefined ? "" : ` (now ${from})`;
  const what =
    to === undefined ? `Removes \`${label}\`${was}` : `Moves \`${label}\` of \`${name}\` to **${to.version}**${was}`;
  const parts = [
    `${what}.`,
    message === undefined ? "" : fenced(message, "text"),
    diff === undefined ? "" : variablesLine("New variables", diff.added),
    diff === undefined ? "" : variablesLine("Variables that are gone", diff.removed),
    diff === undefined || diff.identical ? "" : fenced(diff.unified, "diff"),
    FOOT,
  ];
  const title = to === undefined ? `${name}: remove ${label}` : `${name}: ${label} ${to.version}`;
  return { title: titleOf(title), body: parts.filter((part) => part !== "").join("\n\n") };
}

const FOOT =
  "Merging this changes what is served. Proposed by `prompt-registry`; the same command again updates it. Invisible characters are shown as escapes.";

function stepOf(from: Version, to: Version): string {
  if (compareVersions(to, from) < 0) return "a lower version, published";
  const [a, b] = [from, to].map((version) => version.split("-", 1)[0]?.split(".").map(Number) ?? []);
  const names = ["a **major** step", "a **minor** step", "a patch"];
  return names.find((_, i) => a?.[i] !== b?.[i]) ?? "a prerelease step";
}

function variablesLine(what: string, names: readonly string[]): string {
  return names.length === 0 ? "" : `${what}: ${names.map((name) => `\`${seen(name)}\``).join(", ")}.`;
}

function seen(text: string): string {
  return text.replace(UNSEEN, (c) => (c === "\n" || c === "\t" ? c : `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`));
}

/** A fence that nothing in the text ends; nothing in it is a link, a mention or HTML. */
function fenced(text: string, language: string): string {
  let shown = seen(text.replace(/\r\n/g, "\n"));
  if (shown.length > MAX_DIFF)
    shown = `${shown.slice(0, MAX_DIFF).replace(/[\ud800-\udbff]$/, "")}\n… (cut; the files tab has all of it)\n`;
  const longest = Math.max(2, ...[...shown.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${shown}${shown.endsWith("\n") ? "" : "\n"}${fence}`;
}

function titleOf(title: string): string {
  return title.length <= MAX_TITLE ? title : `${title.slice(0, MAX_TITLE - 1)}…`;
}
