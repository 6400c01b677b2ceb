import { hash } from "node:crypto";

const OWN = "Prompt-Registry-Proposal";

/** What GitHub tells of a commit. */
export interface ComparedCommit {
  readonly sha?: string;
  readonly parents?: readonly { readonly sha?: string }[];
  readonly commit?: { readonly message?: string; readonly tree?: { readonly sha?: string } };
}

export interface Comparison {
  readonly total_commits?: number;
  readonly commits?: readonly ComparedCommit[];
  readonly files?: readonly { readonly filename?: string; readonly sha?: string | null; readonly status?: string }[];
}

/** More and GitHub leaves some out. */
const MAX_FILES = 300;

/**
 * A message that is bound to the files it goes with: whoever amends the commit, or takes its message for one of their own,
 * keeps the line and does not match it any more.
 */
export function markOwn(message: string, tree: string): string {
  const text = message.trimEnd();
  return `${text}\n${OWN}: ${digest(text, tree)}\n`;
}

export function isOwn({ commit: { message = "", tree } = {} }: ComparedCommit): boolean {
  const text = message.trimEnd();
  const at = text.lastIndexOf("\n");
  return at > 0 && text.slice(at + 1) === `${OWN}: ${digest(text.slice(0, at), tree?.sha ?? "")}`;
}

/** Whether two comparisons tell the same changes: a merge of the base in between brought nothing of its own. */
export function sameFiles({ files: one = [] }: Comparison, { files: other = [] }: Comparison): boolean {
  if (one.length >= MAX_FILES || one.length !== other.length) return false;
  const lines = (files: typeof one) => files.map(({ filename, sha, status }) => `${status} ${sha} ${filename}`).sort();
  return lines(one).join("\n") === lines(other).join("\n");
}

function digest(text: string, tree: string): string {
  return hash("sha256", `${tree}\n${text}`);
}
