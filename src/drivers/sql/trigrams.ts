/** Above this a text is not put into the index but always looked at: it would be larger than an index entry may be. */
const MAX_TRIGRAMS = 20_000;
/** As many of a query's trigrams as make it rare; the text itself is looked at in the end. */
const MAX_QUERY = 32;

export function folded(text: string): string {
  return text.toLowerCase();
}

function pieces(text: string): Set<string> {
  const characters = [...text];
  const found = new Set<string>();
  for (let i = 2; i < characters.length; i++) {
    found.add(`${characters[i - 2]}${characters[i - 1]}${characters[i]}`);
  }
  return found;
}

/** The trigrams of what is looked for; empty when it is shorter than one. */
export function wantedTrigrams(wanted: string): readonly string[] {
  const all = [...pieces(wanted)];
  if (all.length <= MAX_QUERY) return all;
  const step = all.length / MAX_QUERY;
  return Array.from({ length: MAX_QUERY }, (_, i) => all[Math.floor(i * step)] as string);
}

/** As FTS5 is asked: every one of them. */
export function toFts(trigrams: readonly string[]): string {
  return trigrams.map((t) => `"${t.replaceAll('"', '""')}"`).join(" AND ");
}

const quoted = (t: string) => `'${t.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;

/** A `tsvector` without positions; `null` where it would not fit. */
export function toTsvector(text: string): string | null {
  const found = pieces(text);
  return found.size > MAX_TRIGRAMS ? null : [...found].map(quoted).join(" ");
}

export function toTsquery(trigrams: readonly string[]): string {
  return trigrams.map(quoted).join(" & ");
}
