import { RegistryError } from "../../errors.ts";
import type { PromptDiff } from "../../registry/diff.ts";
import type { PromptRegistry } from "../../registry.ts";
import { compareVersions } from "../../semver.ts";
import { usageError } from "../args.ts";
import { type Context, defineCommand } from "../command.ts";
import { FINDINGS } from "../exit.ts";
import { count } from "../layout.ts";
import { versionsOf } from "../lookup.ts";
import { clean, type Paint } from "../terminal.ts";

interface Part {
  readonly kind: "same" | "added" | "removed";
  readonly text: string;
}

export const command = defineCommand({
  usage: ["A B", "NAME"],
  details: [
    "A and B are selectors; B may be @VERSION or @LABEL of the same prompt. NAME alone compares its latest version with the",
    "one before. The unified diff can be applied by `patch`.",
  ],
  arguments: [
    { name: "A", kind: "selector" },
    { name: "B", kind: "selector", optional: true },
  ],
  options: {
    words: { type: "boolean", help: "by word: [-removed-] {+added+}, or in colour" },
    stat: { type: "boolean", help: "only how much changed" },
    "exit-code": { type: "boolean", help: "exit with 1 when there is a difference" },
  },
  examples: [
    ["prompt-registry diff support/triage", "what the latest version changed"],
    ["prompt-registry diff support/triage@production @latest --words", "what would go live, word by word"],
    ["prompt-registry diff support/triage@1.0.0 @2.0.0 --exit-code > /dev/null", "whether two versions differ"],
  ],
  busy: "comparing",
  async run(context, { values, positionals }) {
    const { terminal, signal } = context;
    if (values.words && values.stat) throw usageError("--words and --stat exclude each other");
    const registry = await context.registry();
    const [a = "", b] = positionals;
    const [from, to] = b === undefined ? await lastStep(registry, a, signal) : [a, b];
    const diff = await registry.diff(from, to, { signal });
    const stat = lineStat(diff.unified);
    if (context.json) {
      const words = values.words ? { words: await wordParts(diff) } : {};
      terminal.json({ ...summary(diff), stat, unified: diff.unified, ...words });
    } else if (values.stat) terminal.out(statText(diff, stat));
    else if (values.words) terminal.out(wordText(context, diff, await wordParts(diff)));
    else terminal.out(terminal.interactive ? paintUnified(diff.unified, terminal.paint) : diff.unified);
    if (diff.identical && !context.json) terminal.note(`${diff.from.ref} and ${diff.to.ref} have the same text`);
    return values["exit-code"] && !diff.identical ? FINDINGS : undefined;
  },
});

/** The latest version and the one before it. */
async function lastStep(registry: PromptRegistry, name: string, signal: AbortSignal): Promise<[string, string]> {
  const latest = await registry.getPrompt(name, { signal });
  if (name.includes("@")) throw usageError("missing B; for one version alone there is nothing to compare with");
  const entries = await versionsOf(registry, name, { signal });
  const lower = entries.filter((e) => e.yanked === undefined && compareVersions(e.version, latest.version) < 0);
  const before = lower[0] ?? entries.find((e) => compareVersions(e.version, latest.version) < 0);
  if (before !== undefined) return [`${name}@${before.version}`, latest.ref];
  throw new RegistryError("NOT_FOUND", `${latest.ref} is the first version of ${name}: there is none before it`, {
    name: latest.name,
  });
}

function summary(diff: PromptDiff) {
  const side = ({ name, version, digest }: PromptDiff["from"]) => ({ name, version, digest });
  const { identical, added, removed } = diff;
  return { from: side(diff.from), to: side(diff.to), identical, variables: { added, removed } };
}

function lineStat(unified: string): { added: number; removed: number } {
  const lines = unified.split("\n").slice(2);
  const starting = (mark: string) => lines.filter((line) => line.startsWith(mark)).length;
  return { added: starting("+"), removed: starting("-") };
}

function statText(diff: PromptDiff, stat: { added: number; removed: number }): string {
  const variables = [...diff.removed.map((v) => `-{{${v}}}`), ...diff.added.map((v) => `+{{${v}}}`)];
  const lines = `${count(stat.added, "line")} added, ${count(stat.removed, "line")} removed`;
  const more = variables.length === 0 ? "" : `; variables ${variables.join(" ")}`;
  return `${diff.from.ref} -> ${diff.to.ref}: ${lines}${more}\n`;
}

async function wordParts({ from, to }: PromptDiff): Promise<Part[]> {
  const { diffWordsWithSpace } = await import("diff");
  const changes = diffWordsWithSpace(from.text, to.text, { maxEditLength: 20_000 });
  if (changes === undefined) {
    return [
      { kind: "removed", text: from.text },
      { kind: "added", text: to.text },
    ];
  }
  return changes.map(({ added, removed, value }) => ({
    kind: added ? "added" : removed ? "removed" : "same",
    text: value,
  }));
}

function wordText({ terminal }: Context, diff: PromptDiff, parts: readonly Part[]): string {
  if (diff.identical) return "";
  const { paint, interactive } = terminal;
  const colored = paint("red", "x") !== "x";
  const shown = (text: string) => (interactive ? clean(text, true) : text);
  const body = parts.map(({ kind, text }) => {
    if (kind === "same") return shown(text);
    if (!colored) return kind === "added" ? `{+${shown(text)}+}` : `[-${shown(text)}-]`;
    // Painted line by line, so that a pager which looks at single lines shows them right.
    return text
      .split("\n")
      .map((line) => paint(kind === "added" ? "green" : "red", shown(line)))
      .join("\n");
  });
  const text = `${paint("bold", `${diff.from.ref} -> ${diff.to.ref}`)}\n${body.join("")}`;
  return text.endsWith("\n") ? text : `${text}\n`;
}

export function paintUnified(unified: string, paint: Paint): string {
  return unified
    .split("\n")
    .map((line, i) => {
      const text = clean(line, true);
      if (i < 2) return paint("bold", text);
      if (line.startsWith("@@")) return paint("cyan", text);
      if (line.startsWith("+")) return paint("green", text);
      return line.startsWith("-") ? paint("red", text) : text;
    })
    .join("\n");
}
