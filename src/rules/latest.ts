import type { Head } from "../driver.ts";
import type { Label } from "../names.ts";
import { compareVersions, isPrerelease, type Version } from "../semver.ts";

/**
 * The version that an unpinned `latest` selects: the highest stable one, else the highest prerelease; yanked versions
 * never count. Undefined when nothing is left.
 *
 * @example
 * highestStable(["1.0.0", "2.0.0-beta.1"], {}); // "1.0.0"
 */
export function highestStable(versions: Iterable<Version>, yanked: Head["yanked"]): Version | undefined {
  let stable: Version | undefined;
  let pre: Version | undefined;
  for (const version of versions) {
    if (Object.hasOwn(yanked, version)) continue;
    if (isPrerelease(version)) {
      if (pre === undefined || compareVersions(version, pre) > 0) pre = version;
    } else if (stable === undefined || compareVersions(version, stable) > 0) stable = version;
  }
  return stable ?? pre;
}

/**
 * The version a label is on. Heads are plain records: a label named `constructor` must not find what objects inherit.
 *
 * @example
 * labelTarget({ labels: { production: "1.0.0" } }, "production"); // "1.0.0"
 */
export function labelTarget(head: Pick<Head, "labels">, label: Label): Version | undefined {
  return Object.hasOwn(head.labels, label) ? head.labels[label] : undefined;
}

/**
 * What `latest` selects: the pin while it is set, else {@link highestStable} of the live versions.
 *
 * @param live versions whose slot holds a document, not a tombstone; in any order
 * @example
 * resolveLatest(EMPTY_HEAD, ["1.0.0", "1.1.0", "2.0.0-rc.1"]); // "1.1.0"
 */
export function resolveLatest(head: Head, live: Iterable<Version>): Version | undefined {
  return head.pin ?? highestStable(live, head.yanked);
}

/** Descending SemVer precedence, the order of {@link StorageDriver.listVersions}; sorts in place. */
export function sortVersionsDescending<T extends { readonly version: Version }>(entries: T[]): T[] {
  return entries.sort((a, b) => compareVersions(b.version, a.version));
}
