/** Parsing takes time that grows with the square of a text; in parts of this size it does not. Characters. */
const PART = 12 * 1024;

/**
 * Cuts a text where a block of Markdown surely ends: before a line that stands at the margin after an empty one, begins
 * with nothing that could go on with a list, a quotation or a table, and is not inside a fence.
 */
export function splitParts(text: string, size: number = PART): readonly string[] {
  const parts: string[] = [];
  let start = 0;
  let fence: string | undefined;
  let wasEmpty = false;
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf("\n", at);
    const next = end < 0 ? text.length : end + 1;
    const line = text.slice(at, next);
    if (fence === undefined && wasEmpty && at - start >= size && /^[^\s>*+\-0-9|:`~<]/.test(line)) {
      parts.push(text.slice(start, at));
      start = at;
    }
    const [, marks] = /^ {0,3}(`{3,}|~{3,})/.exec(line) ?? [];
    if (marks !== undefined) {
      if (fence === undefined) fence = marks;
      else if (marks.startsWith(fence) && line.trim() === marks) fence = undefined;
    }
    wasEmpty = line.trim() === "";
    at = next;
  }
  if (start < text.length) parts.push(text.slice(start));
  return parts;
}

const MOST_DEFINITIONS = 4096;

/** The lines that define references, to be put in front of parts that may refer to them. */
export function definitionsOf(text: string): string {
  const lines = text.match(/^ {0,3}\[[^\]\n]{1,200}\]:[ \t]*\S[^\n]*$/gm)?.join("\n") ?? "";
  return lines === "" || lines.length > MOST_DEFINITIONS ? "" : `${lines}\n\n`;
}

/** Longer than any prose, or nested deeper: parsing it would keep the browser busy for longer than anybody looks at it. */
export function isUnwieldy(part: string): boolean {
  if (part.length > 3 * PART) return true;
  return /^(?:[ \t]*(?:>|[-*+]|\d{1,9}[.)])){40}/m.test(part);
}
