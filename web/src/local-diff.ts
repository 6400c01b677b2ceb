import { structuredPatch } from "diff";

const LONGEST = 400_000;
const CONTEXT = 3;

/**
 * As the server's unified diff, of a text that it does not have yet. Only what lies between the first and the last
 * difference is compared, so that a word in a long text costs a word. `undefined` where it would take too long.
 */
export function localDiff(before: string, after: string): string | undefined {
  if (before === after) return "";
  const start = commonStart(before, after);
  const end = commonEnd(before, after, start);
  const [a, b] = [before, after].map((text) => text.slice(start, text.length - end)) as [string, string];
  if (a.length + b.length > LONGEST) return undefined;
  const options = { context: CONTEXT, maxEditLength: 1500, timeout: 250 };
  const patch = structuredPatch("before", "after", a, b, undefined, undefined, options);
  const skipped = countLines(before.slice(0, start));
  return patch?.hunks
    .flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => [
      `@@ -${oldStart + skipped},${oldLines} +${newStart + skipped},${newLines} @@`,
      ...lines,
    ])
    .join("\n");
}

/** Up to some whole lines before the first difference. */
function commonStart(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let same = 0;
  while (same < most && a.charCodeAt(same) === b.charCodeAt(same)) same++;
  let start = lineStart(a, same);
  for (let i = 0; i < CONTEXT; i++) start = lineStart(a, start - 1);
  return start;
}

/** As many characters at the end as are the same and make whole lines, but for some lines of context. */
function commonEnd(a: string, b: string, start: number): number {
  const most = Math.min(a.length, b.length) - start;
  let same = 0;
  while (same < most && a.charCodeAt(a.length - 1 - same) === b.charCodeAt(b.length - 1 - same)) same++;
  let from = a.length - same;
  for (let i = 0; i <= CONTEXT; i++) {
    const next = a.indexOf("\n", from);
    if (next < 0) return 0;
    from = next + 1;
  }
  return a.length - from;
}

function lineStart(text: string, at: number): number {
  return at <= 0 ? 0 : text.lastIndexOf("\n", at - 1) + 1;
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
