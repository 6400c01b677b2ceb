import type { HistoryEntry } from "../../driver.ts";
import { compareVersions, type Version } from "../../semver.ts";

export { badCursor, pageOf, pageOfVersions } from "../../history.ts";

/** `mergeHistory` of entries that were read off their documents before. */
export function mergeSorted(published: readonly HistoryEntry[], moved: readonly HistoryEntry[]): HistoryEntry[] {
  const first = [...published].sort((a, b) => compareVersions(a.to as Version, b.to as Version));
  return [...first, ...moved].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0)).reverse();
}
