import type { Prompt } from "./prompt.ts";

/** Two versions side by side. */
export interface PromptDiff {
  readonly from: Prompt;
  readonly to: Prompt;
  /** The authors' texts are byte for byte the same. */
  readonly identical: boolean;
  /** Unified diff of the two texts with 3 lines of context; `""` when identical. */
  readonly unified: string;
  /** Variables that only the second one has. */
  readonly added: readonly string[];
  /** Variables that only the first one has. */
  readonly removed: readonly string[];
}

// Beyond these a diff says no more than "everything changed", and its cost grows with the square of the edits.
const MAX_EDITS = 5_000;
const MAX_MILLISECONDS = 500;

export async function diffPrompts(from: Prompt, to: Prompt): Promise<PromptDiff> {
  const identical = from.text === to.text;
  const added = to.variables.filter((v) => !from.variables.includes(v));
  const removed = from.variables.filter((v) => !to.variables.includes(v));
  if (identical) return { from, to, identical, unified: "", added, removed };
  const { createTwoFilesPatch } = await import("diff");
  const patch = createTwoFilesPatch(from.ref, to.ref, from.text, to.text, from.createdAt, to.createdAt, {
    context: 3,
    maxEditLength: MAX_EDITS,
    timeout: MAX_MILLISECONDS,
  });
  return { from, to, identical, unified: withoutRule(patch ?? wholesale(from, to)), added, removed };
}

function withoutRule(patch: string): string {
  return patch.replace(/^=+\n/, "");
}

function wholesale(from: Prompt, to: Prompt): string {
  const lines = (text: string, mark: string) => text.split("\n").map((line) => `${mark}${line}\n`);
  return [`--- ${from.ref}\n`, `+++ ${to.ref}\n`, ...lines(from.text, "-"), ...lines(to.text, "+")].join("");
}
