/** What deserves to be seen in a text: its variables, and characters that show nothing of themselves. */
export type Mark =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "variable"; readonly text: string; readonly name: string }
  | { readonly kind: "invisible"; readonly text: string; readonly shown: string };

// As the registry reads them: words of Handlebars and of prototypes are no variables.
const INERT = new Set("else this true false null undefined __proto__ constructor prototype".split(" "));
const PLACEHOLDER = /\{\{[ \t]*([A-Za-z_][A-Za-z0-9_-]*)[ \t]*\}\}/y;
// A run of braces is passed over whole: `{{{x}}}` is no `{` and a variable.
const FOUND = /\{{2,}|[\p{DI}\p{Cf}\p{Co}\u2028\u2029]|[^\P{Cc}\t\n\r]/gu;
const EMOJI = /\p{Extended_Pictographic}|\p{Emoji_Component}/u;
// Scripts whose letters are joined and held apart by characters that show nothing.
const JOINED = /[\p{sc=Arabic}\p{sc=Devanagari}\p{sc=Bengali}\p{sc=Tamil}\p{sc=Telugu}\p{sc=Kannada}\p{sc=Malayalam}]/u;

export function marksOf(text: string): readonly Mark[] {
  const marks: Mark[] = [];
  let last = 0;
  const add = (mark: Mark, at: number) => {
    if (at > last) marks.push({ kind: "text", text: text.slice(last, at) });
    marks.push(mark);
    last = at + mark.text.length;
  };
  for (const { 0: found, index } of text.matchAll(FOUND)) {
    if (found.startsWith("{")) {
      const variable = found === "{{" ? variableAt(text, index) : undefined;
      if (variable !== undefined) add(variable, index);
    } else if (!isHarmless(found, text, index)) {
      add({ kind: "invisible", text: found, shown: codePoint(found) }, index);
    }
  }
  if (last < text.length) marks.push({ kind: "text", text: text.slice(last) });
  return marks;
}

function variableAt(text: string, at: number): (Mark & { readonly kind: "variable" }) | undefined {
  PLACEHOLDER.lastIndex = at;
  const match = PLACEHOLDER.exec(text);
  const name = match?.[1];
  if (match === null || name === undefined || INERT.has(name)) return undefined;
  return { kind: "variable", text: match[0], name };
}

/** A joiner or a selector where an emoji or a script needs it, and a byte order mark where it belongs. */
function isHarmless(found: string, text: string, at: number): boolean {
  if (found === "\ufeff") return at === 0;
  const before = text.slice(Math.max(0, at - 2), at);
  if (found === "\ufe0f") return EMOJI.test(before);
  if (found !== "\u200d" && found !== "\u200c") return false;
  const after = text.slice(at + 1, at + 3);
  return EMOJI.test(found === "\u200d" ? after : "") || (JOINED.test(before) && JOINED.test(after));
}

function codePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

export function variablesOf(body: string): readonly string[] {
  return [...new Set(marksOf(body).flatMap((mark) => (mark.kind === "variable" ? [mark.name] : [])))];
}
