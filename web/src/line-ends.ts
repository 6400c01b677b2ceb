/** A text field of a browser knows no line end but LF; what was written with others must not change by being looked at. */
export type LineEnd = "\n" | "\r\n" | "mixed";

export function lineEndOf(text: string): LineEnd {
  if (!text.includes("\r")) return "\n";
  return /(?<!\r)\n|\r(?!\n)/.test(text) ? "mixed" : "\r\n";
}

export const forField = (text: string): string => text.replace(/\r\n?/g, "\n");

/** What is published of what the field holds. Mixed ends can't be had back, and become LF. */
export function fromField(text: string, end: LineEnd): string {
  return end === "\r\n" ? text.replaceAll("\n", "\r\n") : text;
}
