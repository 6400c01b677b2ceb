import type { Head } from "../../driver.ts";
import { isPrerelease, type Version, versionSortKey } from "../../semver.ts";

const MAX_REMEMBERED = 20_000;
const keys = new Map<Version, string>();

function keyOf(version: Version): string {
  const known = keys.get(version);
  if (known !== undefined) return known;
  const key = versionSortKey(version);
  if (keys.size >= MAX_REMEMBERED) keys.clear();
  keys.set(version, key);
  return key;
}

/**
 * What `highestStable` of `rules/latest.ts` gives, from remembered sort keys: here it is asked of every version of a
 * prompt whenever one is added, and to parse them all each time would take longer than to sync the new one.
 */
export function highest(versions: Iterable<Version>, yanked: Head["yanked"] = {}): Version | undefined {
  let stable: Version | undefined;
  let stableKey = "";
  let pre: Version | undefined;
  let preKey = "";
  for (const version of versions) {
    if (Object.hasOwn(yanked, version)) continue;
    const key = keyOf(version);
    if (isPrerelease(version)) {
      if (key > preKey) [pre, preKey] = [version, key];
    } else if (key > stableKey) [stable, stableKey] = [version, key];
  }
  return stable ?? pre;
}
