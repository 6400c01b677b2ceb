import type { Prompt } from "./prompt.ts";

/** Two versions side by side. */
export interface PromptDiff {
  readonly from: Prompt;
  readonly to: Prompt;
  /** The authors' texts are byte for byte the same. */
  readonly identical: boolean;
  /** Unified diff of the two texts with 3 lines of context; `""` when identical. */
  readonly unified: string;
  /** Set where too much differs to say which lines: `unified` replaces all from the first difference to the last. */
  readonly coarse?: true;
  /** Variables that only the second one has. */
  readonly added: readonly string[];
  /** Variables that only the first one has. */
  readonly removed: readonly string[];
}

/** What a diff may cost, all of it without a pause. */
export interface DiffBudget {
  /** Lines that differ. Beyond these a diff says no more than "everything changed", and its cost grows with their square. */
  readonly edits: number;
  readonly milliseconds: number;
  /** Lines that are compared, of both texts. Default: any number. */
  readonly lines?: number;
  /** Characters of the result, beyond which there is none. Default: any number. */
  readonly length?: number;
}

const GENEROUS: DiffBudget = { edits: 5_000, milliseconds: 500 };
const CONTEXT = 3;

export async function diffPrompts(from: Prompt, to: Prompt): Promise<PromptDiff> {
  const { unified = "", coarse } = await diffTexts(from, to, GENEROUS);
  return { ...compared(from, to), unified, ...(coarse ? { coarse } : {}) };
}

/** All of a diff but the diff. */
export function compared(from: Prompt, to: Prompt): Omit<PromptDiff, "unified"> {
  return {
    from,
    to,
    identical: from.text === to.text,
    added: without(to.variables, from.variables),
    removed: without(from.variables, to.variables),
  };
}

function without(all: readonly string[], those: readonly string[]): readonly string[] {
  const known = new Set(those);
  return all.filter((one) => !known.has(one));
}

/** @returns no `unified` where it would be longer than it may be */
export async function diffTexts(
  from: Prompt,
  to: Prompt,
  budget: DiffBudget,
): Promise<{ readonly unified?: string; readonly coarse: boolean }> {
  if (from.text === to.text) return { unified: "", coarse: false };
  const { edits, milliseconds, lines = Number.POSITIVE_INFINITY, length = Number.POSITIVE_INFINITY } = budget;
  const { FILE_HEADERS_ONLY, formatPatch, structuredPatch } = await import("diff");
  const patchOf = (hunks: Hunk[]) =>
    formatPatch(
      {
        ...{ oldFileName: from.ref, newFileName: to.ref },
        ...{ oldHeader: from.createdAt, newHeader: to.createdAt, hunks },
      },
      FILE_HEADERS_ONLY,
    );
  const start = firstDifference(from.text, to.text);
  const before = countLines(from.text, 0, start);
  // The end stays as it is: a diff of lines that are repeated there may well say that the last of them is the new one.
  const counts = [from, to].map(({ text }) => countLines(text, start, text.length)) as [number, number];
  if (counts[0] + counts[1] <= lines && Math.abs(counts[0] - counts[1]) <= edits) {
    const options = { context: CONTEXT, maxEditLength: edits, timeout: milliseconds };
    const [a, b] = [from.text.slice(start), to.text.slice(start)];
    const exact = structuredPatch(from.ref, to.ref, a, b, undefined, undefined, options);
    if (exact !== undefined) {
      const unified = patchOf(exact.hunks.map((hunk) => moved(hunk, before)));
      return unified.length > length ? { coarse: false } : { unified, coarse: false };
    }
  }
  const end = commonEnd(from.text, to.text, start);
  const parts = [from.text, to.text].map((text) => text.slice(start, text.length - end)) as [string, string];
  // Each line gets a mark.
  if (parts[0].length + parts[1].length + counts[0] + counts[1] > length) return { coarse: true };
  return { unified: patchOf([moved(wholesale(...parts), before)]), coarse: true };
}

interface Hunk {
  oldStart: number;
  oldLines: number;
  newStart: number;
  newLines: number;
  lines: string[];
}

function moved(hunk: Hunk, lines: number): Hunk {
  return { ...hunk, oldStart: hunk.oldStart + lines, newStart: hunk.newStart + lines };
}

function lineStart(text: string, at: number): number {
  return at <= 0 ? 0 : text.lastIndexOf("\n", at - 1) + 1;
}

/** Where the context of the first difference begins. */
function firstDifference(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let same = 0;
  while (same < most && a.charCodeAt(same) === b.charCodeAt(same)) same++;
  let start = lineStart(a, same);
  for (let i = 0; i < CONTEXT; i++) start = lineStart(a, start - 1);
  return start;
}

/** How many characters stand behind the context of the last difference. */
function commonEnd(a: string, b: string, start: number): number {
  const most = Math.min(a.length, b.length) - start;
  let same = 0;
  while (same < most && a.charCodeAt(a.length - 1 - same) === b.charCodeAt(b.length - 1 - same)) same++;
  // What follows the last difference on its line belongs to it.
  let end = a.length - same;
  for (let i = 0; i <= CONTEXT && end < a.length; i++) {
    const next = a.indexOf("\n", end);
    end = next < 0 ? a.length : next + 1;
  }
  return a.length - end;
}

function countLines(text: string, start: number, end: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", start); at >= 0 && at < end; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

/** One hunk that replaces all that differs. */
function wholesale(from: string, to: string): Hunk {
  const [a, b] = [linesOf(from), linesOf(to)];
  const most = Math.min(a.length, b.length);
  let head = 0;
  while (head < most && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < most - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const first = Math.max(0, head - CONTEXT);
  const last = Math.max(0, tail - CONTEXT);
  const marked: string[] = [];
  const mark = (sign: string, lines: readonly string[]) => {
    for (const line of lines) {
      if (line.endsWith("\n")) marked.push(`${sign}${line.slice(0, -1)}`);
      else marked.push(`${sign}${line}`, "\\ No newline at end of file");
    }
  };
  mark(" ", a.slice(first, head));
  mark("-", a.slice(head, a.length - tail));
  mark("+", b.slice(head, b.length - tail));
  mark(" ", a.slice(a.length - tail, a.length - last));
  return {
    ...{ oldStart: first + 1, oldLines: a.length - first - last },
    ...{ newStart: first + 1, newLines: b.length - first - last },
    lines: marked,
  };
}

/** With their ends; an end of the text makes no line of its own. */
function linesOf(text: string): string[] {
  return text === "" ? [] : text.split(/(?<=\n)/);
}
