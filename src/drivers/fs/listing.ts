import type { HeadState, ListQuery, Page, PromptEntry } from "../../driver.ts";
import { EMPTY_HEAD } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import { badCursor } from "../../history.ts";
import { isName, type PromptName } from "../../names.ts";
import { removedVersions } from "./log.ts";
import { type Candidate, startWalk, type Walk, walkNames } from "./names.ts";
import { rootOf } from "./root.ts";
import { currentState } from "./state.ts";
import type { Store } from "./store.ts";
import type { Task } from "./task.ts";

export function* listPrompts(store: Store, query: ListQuery): Task<Page<PromptEntry>> {
  if (query.cursor !== undefined && !isName(query.cursor)) throw badCursor(query.cursor);
  const root = yield* rootOf(store);
  if (root === undefined) return { items: [] };
  const walk = yield* startWalk(store, root);
  const items: PromptEntry[] = [];
  let more = false;
  const take = (entry: PromptEntry | undefined): boolean => {
    if (entry === undefined) return true;
    more = items.length === query.limit;
    if (!more) items.push(entry);
    return !more;
  };
  yield* walkNames(walk, query.cursor ?? "", query.prefix ?? "", (candidate) => {
    const { folder, name } = candidate;
    const plain = folder !== undefined && folder.versions.length > 0 && !folder.doubtful && query.include === undefined;
    return plain ? take({ name }) : takeSlowly(walk, candidate, query, take);
  });
  const last = items.at(-1);
  return more && last !== undefined ? { items, cursor: last.name } : { items };
}

function* takeSlowly(
  walk: Walk,
  candidate: Candidate,
  query: ListQuery,
  take: (entry: PromptEntry | undefined) => boolean,
): Task<boolean> {
  return take(yield* entryFor(walk, candidate, query));
}

function* entryFor(walk: Walk, candidate: Candidate, query: ListQuery): Task<PromptEntry | undefined> {
  const { name } = candidate;
  const live = yield* isLive(walk, candidate);
  if (live === undefined || (!live && query.includeRemoved !== true)) return undefined;
  const removed = live ? {} : { removed: true as const };
  if (query.include !== "heads") return { name, ...removed };
  const state = yield* currentState(walk.store, walk.root, name);
  if (state === undefined) walk.doubt = true;
  const head: HeadState = state?.state ?? { head: EMPTY_HEAD, revision: null };
  return { name, head, ...removed };
}

/** Whether a prompt has a version that was not removed; `undefined` when it is no prompt. */
export function* isLive(walk: Walk, { name, folder, flat }: Candidate): Task<boolean | undefined> {
  if (folder === undefined || (folder.versions.length === 0 && flat)) return flat ? true : undefined;
  if (folder.versions.length === 0 && !folder.headed) return undefined;
  if (!folder.doubtful) return true;
  if (folder.live !== undefined) return folder.live;
  try {
    const live = yield* looksLive(walk, name);
    if (live !== undefined) folder.live = live;
    return live;
  } catch (error) {
    // One head that can't be read must not hide all other prompts; who asks for this one is told.
    if (isRegistryError(error, "CORRUPT")) return true;
    throw error;
  }
}

function* looksLive(walk: Walk, name: PromptName): Task<boolean | undefined> {
  const { store, root } = walk;
  const state = yield* currentState(store, root, name);
  if (state === undefined) {
    walk.doubt = true;
    return undefined;
  }
  const { yanked } = state.state.head;
  const { marks } = state.scan;
  for (const version of state.files.keys()) {
    if (yanked[version]?.removed !== true && !marks.includes(version)) return true;
  }
  const removed = yield* removedVersions(store, root, state);
  if (removed.size < state.files.size) return true;
  // What is there for a head to come, and no head, is no prompt yet.
  return state.files.size === 0 && state.state.revision === null ? undefined : false;
}
