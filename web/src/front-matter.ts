/**
 * Where the front matter of a text ends, by the rules of the registry: the first line is `---` and nothing else but
 * spaces, and so is the one that closes it. A text that opens a block and never closes it is shown whole.
 */
export function splitFrontMatter(text: string): { readonly frontMatter: string | undefined; readonly body: string } {
  const start = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  const none = { frontMatter: undefined, body: text };
  const opens = /---[ \t]*(\r?\n)/y;
  opens.lastIndex = start;
  const opened = opens.exec(text);
  if (opened === null) return none;
  const blockStart = opens.lastIndex;
  const closes = /\n---[ \t]*(?:\r?\n|$)/g;
  // On the line end of the first line, so that a block may be empty.
  closes.lastIndex = blockStart - 1;
  const closed = closes.exec(text);
  if (closed === null) return none;
  return { frontMatter: text.slice(blockStart, closed.index + 1), body: text.slice(closes.lastIndex) };
}
