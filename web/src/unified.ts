export interface DiffLine {
  readonly kind: "same" | "added" | "removed";
  /** Line numbers from 1; absent on the side that does not have the line. */
  readonly before?: number;
  readonly after?: number;
  readonly text: string;
  /** The text ends here without a line end. */
  readonly noNewline?: true;
}

export interface DiffHunk {
  readonly lines: readonly DiffLine[];
  readonly beforeStart: number;
  readonly afterStart: number;
}

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/;

/**
 * Reads a unified diff of one file. Lines are counted as the hunks announce them, so that a removed line of `--` and
 * three dashes is not taken for the header of a file.
 */
export function parseUnified(unified: string): readonly DiffHunk[] {
  const hunks: DiffHunk[] = [];
  const lines = unified.split("\n");
  for (let i = 0; i < lines.length; ) {
    const head = HUNK.exec(lines[i] ?? "");
    i++;
    if (head === null) continue;
    const count = (group: number) => (head[group] === undefined ? 1 : Number(head[group]));
    const hunk: { -readonly [K in keyof DiffLine]: DiffLine[K] }[] = [];
    let before = Number(head[1]);
    let after = Number(head[3]);
    const beforeEnd = before + count(2);
    const afterEnd = after + count(4);
    for (; i < lines.length; i++) {
      const line = lines[i] as string;
      const text = line.slice(1);
      const last = hunk.at(-1);
      if (line.startsWith("\\")) {
        if (last !== undefined) last.noNewline = true;
        continue;
      }
      if (before >= beforeEnd && after >= afterEnd) break;
      if (line.startsWith("-")) hunk.push({ kind: "removed", before: before++, text });
      else if (line.startsWith("+")) hunk.push({ kind: "added", after: after++, text });
      else hunk.push({ kind: "same", before: before++, after: after++, text });
    }
    hunks.push({ lines: hunk, beforeStart: Number(head[1]), afterStart: Number(head[3]) });
  }
  return hunks;
}

/** For each removed line the added one that took its place: equally long runs beside each other, line by line. */
export function pairedLines(lines: readonly DiffLine[]): ReadonlyMap<DiffLine, DiffLine> {
  const pairs = new Map<DiffLine, DiffLine>();
  for (let i = 0; i < lines.length; ) {
    const removed = runOf(lines, i, "removed");
    const added = runOf(lines, i + removed.length, "added");
    if (removed.length > 0 && removed.length === added.length) {
      for (const [k, line] of removed.entries()) {
        const other = added[k] as DiffLine;
        pairs.set(line, other);
        pairs.set(other, line);
      }
    }
    i += Math.max(1, removed.length + added.length);
  }
  return pairs;
}

function runOf(lines: readonly DiffLine[], from: number, kind: DiffLine["kind"]): readonly DiffLine[] {
  let end = from;
  while (lines[end]?.kind === kind) end++;
  return lines.slice(from, end);
}

export interface Piece {
  readonly text: string;
  readonly changed: boolean;
}

const MAX_WORDS = 400;

/**
 * The words of `line` that `other` does not have there, by the longest common subsequence; all of it as one piece where
 * that would cost too much, or where hardly anything is common and marks would be noise.
 */
export function changedWords(line: string, other: string): readonly Piece[] {
  const a = line.match(/\s+|[\p{L}\p{N}_]+|[^\s]/gu) ?? [];
  const b = other.match(/\s+|[\p{L}\p{N}_]+|[^\s]/gu) ?? [];
  const whole = [{ text: line, changed: false }];
  if (a.length > MAX_WORDS || b.length > MAX_WORDS || a.length === 0) return whole;
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        a[i] === b[j]
          ? (lengths[(i + 1) * width + j + 1] as number) + 1
          : Math.max(lengths[(i + 1) * width + j] as number, lengths[i * width + j + 1] as number);
    }
  }
  const pieces: { text: string; changed: boolean }[] = [];
  let kept = 0;
  const add = (text: string, changed: boolean) => {
    const last = pieces.at(-1);
    if (last?.changed === changed) last.text += text;
    else pieces.push({ text, changed });
    if (!changed) kept += text.trim().length;
  };
  for (let i = 0, j = 0; i < a.length; ) {
    const word = a[i] as string;
    const skipping = lengths[i * width + j + 1] ?? 0;
    if (j < b.length && word === b[j]) {
      add(word, false);
      i++;
      j++;
    } else if (j < b.length && skipping > (lengths[(i + 1) * width + j] as number)) j++;
    else {
      add(word, true);
      i++;
    }
  }
  return kept * 4 < line.trim().length ? whole : pieces;
}
