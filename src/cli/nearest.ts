/** Edits between two words: insert, remove, replace, or swap neighbours. */
export function distance(a: string, b: string): number {
  let older: number[] = [];
  let old = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min((old[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (old[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (older[j - 2] ?? 0) + 1);
      row.push(best);
    }
    older = old;
    old = row;
  }
  return old[b.length] ?? 0;
}

/** The candidate that was probably meant, or `undefined` when none is close. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const lower = word.toLowerCase();
  let best: string | undefined;
  // A third of the word may be wrong: "prodction", "supprt/triage"; not "get" for "log".
  let limit = Math.max(1, Math.floor(lower.length / 3)) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - lower.length) >= limit) continue;
    const edits = distance(lower, candidate.toLowerCase());
    if (edits >= limit) continue;
    best = candidate;
    limit = edits;
    if (edits === 0) break;
  }
  if (best !== undefined || lower.length < 3) return best;
  // What was typed may be the end of the name ("triage"), or its beginning.
  for (const candidate of candidates) {
    if (candidate.endsWith(`/${lower}`) || candidate.startsWith(lower)) return candidate;
  }
  return undefined;
}
