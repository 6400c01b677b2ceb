import type { PromptName } from "../names.ts";
import { compareNames } from "../names.ts";
import { merge } from "./flow.ts";
import { addCounts, manifestLine, type PromptManifest } from "./manifest.ts";
import { MAX_LISTED, type TransferProgress, type VerifyCounts } from "./report.ts";

/**
 * Compares two manifests, both in byte order of the names, without holding either.
 *
 * @example
 * const { ok, different } = await compareManifests(manifestOf(from), manifestOf(to));
 */
export async function compareManifests(
  source: AsyncIterable<PromptManifest>,
  target: AsyncIterable<PromptManifest>,
  onProgress?: (progress: TransferProgress) => void,
  total?: number,
): Promise<VerifyCounts> {
  const different: PromptName[] = [];
  const missing: PromptName[] = [];
  const found = { equal: 0, differentCount: 0, missingCount: 0, extra: 0 };
  const counts = { prompts: 0, documents: 0, tombstones: 0, damaged: 0, entries: 0 };
  for await (const [a, b] of merge(source, target, (x, y) => compareNames(x.name, y.name))) {
    if (a === undefined) {
      if (!isNothing(b)) found.extra++;
      continue;
    }
    addCounts(counts, a);
    if (a.damaged.length === 0 && b !== undefined && manifestLine(a) === manifestLine(b)) found.equal++;
    else if (b === undefined || (isNothing(b) && !isNothing(a))) {
      found.missingCount++;
      if (missing.length < MAX_LISTED) missing.push(a.name);
    } else {
      found.differentCount++;
      if (different.length < MAX_LISTED) different.push(a.name);
    }
    onProgress?.({ phase: "verify", done: counts.prompts, ...(total === undefined ? {} : { total }), name: a.name });
  }
  const { documents, tombstones, entries } = counts;
  const ok = found.differentCount + found.missingCount === 0;
  return { ok, ...found, different, missing, documents, tombstones, entries };
}

/** What `manifestOf` says of a name that is not there. */
function isNothing(manifest: PromptManifest): boolean {
  return manifest.versions.length + manifest.damaged.length + manifest.entries.length === 0;
}
