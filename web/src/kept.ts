import type { LineEnd } from "./line-ends.ts";

/**
 * What this tab keeps until it is closed. A browser may refuse to keep anything (private windows, a full quota): then it
 * lasts as long as the page, and who writes is told.
 */
const memory = new Map<string, string>();

export function keep(key: string, value: string | undefined): boolean {
  try {
    if (value === undefined) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
    memory.delete(key);
    return true;
  } catch {
    if (value === undefined) memory.delete(key);
    else memory.set(key, value);
    return false;
  }
}

export function kept(key: string): string | undefined {
  const own = memory.get(key);
  if (own !== undefined) return own;
  try {
    return sessionStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

/** What somebody was writing and has not published. */
export interface Draft {
  readonly text: string;
  /** The version that the text began as; absent for a new prompt. */
  readonly base?: string;
  /** What `latest` was then; `none` where there was none. */
  readonly expect: string;
  readonly lineEnd: LineEnd;
  readonly bump: "patch" | "minor" | "major" | "exact";
  readonly version: string;
  readonly message: string;
  readonly labels: readonly string[];
}

const draftKey = (name: string) => `draft:${name}`;

export function keepDraft(name: string, draft: Draft | undefined): boolean {
  return keep(draftKey(name), draft === undefined ? undefined : JSON.stringify(draft));
}

export function keptDraft(name: string): Draft | undefined {
  const text = kept(draftKey(name));
  if (text === undefined) return undefined;
  try {
    const draft = JSON.parse(text) as Draft;
    return typeof draft.text === "string" && Array.isArray(draft.labels) ? draft : undefined;
  } catch {
    return undefined;
  }
}

const TOKEN = "token";
export const keptToken = (): string | undefined => kept(TOKEN);
export const keepToken = (token: string | undefined): boolean => keep(TOKEN, token);
