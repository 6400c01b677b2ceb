import type {
  HistoryEntry,
  ListQuery,
  Page,
  PageQuery,
  PromptEntry,
  StoredDocument,
  VersionEntry,
  VersionQuery,
} from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import { badCursor, mergeHistory, pageOf, pageOfVersions } from "../../history.ts";
import { isName } from "../../names.ts";
import { sortVersionsDescending } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import { firstAfter } from "../keyset.ts";
import type { PromptFiles, Snapshot } from "./snapshot.ts";
import type { PromptState, States } from "./state.ts";

/** Versions whose slot holds a tombstone. Those that the head or a mark speaks of are looked at, and no others. */
export async function removedVersions(states: States, state: PromptState): Promise<ReadonlySet<Version>> {
  const removed = new Set<Version>(state.hidden);
  const { yanked } = state.state.head;
  const { marks } = state.prompt.scan;
  const asked = [...state.versions].filter(([version]) => yanked[version]?.removed === true || marks.includes(version));
  await states.blobs.load(asked.map(([, id]) => id));
  for (const [version] of asked) {
    if ((await states.version(state.prompt, version))?.tombstone === true) removed.add(version);
  }
  return removed;
}

/** Whether a version of it was not removed; `undefined` where it has neither a version nor a head. */
async function isLive(states: States, prompt: PromptFiles): Promise<boolean | undefined> {
  const { versions, headFile, heads, marks } = prompt.scan;
  if (versions.size === 0 && !headFile && !heads) return undefined;
  if (!headFile && !heads && marks.length === 0) return true;
  let state: PromptState;
  try {
    state = await states.of(prompt);
  } catch (error) {
    // One head that can't be read must not hide the prompt; who asks for it is told.
    if (isRegistryError(error, "CORRUPT")) return true;
    throw error;
  }
  if (versions.size === 0) return state.state.revision === null ? undefined : false;
  const { yanked } = state.state.head;
  for (const version of versions.keys()) {
    if (yanked[version]?.removed !== true && !marks.includes(version)) return true;
  }
  return (await removedVersions(states, state)).size < versions.size;
}

export async function listPrompts(states: States, snapshot: Snapshot, query: ListQuery): Promise<Page<PromptEntry>> {
  const { cursor, prefix = "", limit } = query;
  if (cursor !== undefined && !isName(cursor)) throw badCursor(cursor);
  const wanted = candidates(snapshot, prefix, cursor);
  const items: PromptEntry[] = [];
  for (let at = 0; at < wanted.length; ) {
    // Looked at together: what is needed of them is a query or two.
    const part = wanted.slice(at, at + limit - items.length + 1);
    at += part.length;
    await states.prefetch(
      part.filter((prompt) => query.include === "heads" || prompt.scan.headFile),
      snapshot.commit,
    );
    for (const prompt of part) {
      const live = await isLive(states, prompt);
      if (live === undefined || (!live && query.includeRemoved !== true)) continue;
      if (items.length === limit) return { items, cursor: (items.at(-1) as PromptEntry).name };
      const head = query.include === "heads" ? { head: (await states.of(prompt)).state } : {};
      items.push({ name: prompt.name, ...head, ...(live ? {} : { removed: true as const }) });
    }
  }
  return { items };
}

function candidates({ names, prompts }: Snapshot, prefix: string, cursor: string | undefined): PromptFiles[] {
  const found: PromptFiles[] = [];
  for (const name of names.slice(firstAfter(names, prefix, cursor))) {
    if (!name.startsWith(prefix)) break;
    const prompt = prompts.get(name);
    if (prompt !== undefined) found.push(prompt);
  }
  return found;
}

export async function listVersions(
  states: States,
  prompt: PromptFiles | undefined,
  query: VersionQuery,
): Promise<Page<VersionEntry>> {
  if (prompt === undefined) return pageOfVersions([], query);
  const state = await states.of(prompt);
  const removed = await removedVersions(states, state);
  const { yanked: marks } = state.state.head;
  const entries: VersionEntry[] = [];
  for (const version of state.versions.keys()) {
    const gone = removed.has(version);
    if (gone && query.includeRemoved !== true) continue;
    const yanked = Object.hasOwn(marks, version) ? marks[version] : undefined;
    entries.push({ version, ...(yanked === undefined ? {} : { yanked }), ...(gone ? { removed: true as const } : {}) });
  }
  return pageOfVersions(sortVersionsDescending(entries), query);
}

export async function history(
  states: States,
  prompt: PromptFiles | undefined,
  query: PageQuery,
  commit: string,
): Promise<Page<HistoryEntry>> {
  if (prompt === undefined) return pageOf([], query);
  await states.blobs.load([...states.needs(prompt), ...idsOfVersions(prompt)], commit);
  const state = await states.of(prompt);
  const documents: StoredDocument[] = [];
  for (const version of state.versions.keys()) {
    try {
      const stored = await states.version(prompt, version);
      if (stored !== undefined) documents.push(stored.document);
    } catch (error) {
      // Damaged bytes are for `verify` to tell, not for a log.
      if (!isRegistryError(error, "CORRUPT")) throw error;
    }
  }
  return pageOf(mergeHistory(documents, await states.entries(state)), query);
}

function idsOfVersions(prompt: PromptFiles): string[] {
  return [...prompt.scan.versions.values()].flatMap((file) => prompt.id(file) ?? []);
}
