import type { HistoryEntry, Page, PageQuery, StoredDocument, VersionEntry, VersionQuery } from "../../driver.ts";
import { mergeHistory, pageOf, pageOfVersions } from "../../history.ts";
import type { PromptName } from "../../names.ts";
import { sortVersionsDescending } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import { readVersion } from "./documents.ts";
import { sameStamp } from "./files.ts";
import { promptPath } from "./folder.ts";
import { loadEntries } from "./generations.ts";
import { rootOf, sureOfRoot } from "./root.ts";
import { currentState, type PromptState } from "./state.ts";
import type { Store } from "./store.ts";
import { call, type Task } from "./task.ts";

/**
 * Versions whose slot holds a tombstone. A name does not tell, so those that the head or a mark speaks of are looked at,
 * and no others.
 */
export function* removedVersions(store: Store, root: string, state: PromptState): Task<ReadonlySet<Version>> {
  const removed = new Set<Version>(state.hidden);
  const { yanked } = state.state.head;
  for (const [version, path] of state.files) {
    if (yanked[version]?.removed !== true && !state.scan.marks.includes(version)) continue;
    if ((yield* readVersion(store, root, state.name, version, path))?.tombstone === true) removed.add(version);
  }
  return removed;
}

export function* listVersions(store: Store, name: PromptName, query: VersionQuery): Task<Page<VersionEntry>> {
  const root = yield* rootOf(store);
  // Whoever lists prompts and then the versions of each has just made this driver read every folder.
  const folder = store.folders.get(name);
  if (root !== undefined && folder !== undefined && !folder.doubtful && folder.versions.length > 0) {
    if (sameStamp(folder.stamp, yield* call("lstat", promptPath(root, name)))) {
      return pageOfVersions(sortVersionsDescending(folder.versions.map((version) => ({ version }))), query);
    }
  }
  const state = root === undefined ? undefined : yield* currentState(store, root, name);
  if (root === undefined || state === undefined) {
    if (root !== undefined) yield* sureOfRoot(store, root);
    return pageOfVersions([], query);
  }
  const removed = yield* removedVersions(store, root, state);
  const entries: VersionEntry[] = [];
  for (const version of state.files.keys()) {
    const gone = removed.has(version);
    if (gone && query.includeRemoved !== true) continue;
    const yanked = Object.hasOwn(state.state.head.yanked, version) ? state.state.head.yanked[version] : undefined;
    entries.push({ version, ...(yanked === undefined ? {} : { yanked }), ...(gone ? { removed: true as const } : {}) });
  }
  return pageOfVersions(sortVersionsDescending(entries), query);
}

export function* history(store: Store, name: PromptName, query: PageQuery): Task<Page<HistoryEntry>> {
  const root = yield* rootOf(store);
  const state = root === undefined ? undefined : yield* currentState(store, root, name);
  if (root === undefined || state === undefined) {
    if (root !== undefined) yield* sureOfRoot(store, root);
    return pageOf([], query);
  }
  const documents: StoredDocument[] = [];
  for (const [version, path] of state.files) {
    const stored = yield* readVersion(store, root, name, version, path);
    if (stored !== undefined) documents.push(stored.document);
  }
  const entries = yield* loadEntries(store, root, name, state.path, state.scan, state.loaded);
  return pageOf(mergeHistory(documents, entries), query);
}
