import type { HistoryEntry } from "../../driver.ts";
import type { PromptName } from "../../names.ts";
import { createOnly, discard, helpCreate, NotCreated, pathOfTemp, writeTemp } from "./create.ts";
import { errno } from "./failure.ts";
import { closeFolder, type Folder, openFolder, refused, syncFolder } from "./folder.ts";
import { checkHeadSize, encodeGeneration, type Generation, loadEntries } from "./generations.ts";
import { generationFile, HEADS_DIR, versionFile } from "./layout.ts";
import { timeAfter } from "./replaced.ts";
import { isPending, loadState, type PromptState } from "./state.ts";
import type { Store } from "./store.ts";
import { call, type Task } from "./task.ts";

/**
 * Links the next generation. Only one writer can make a name, so this is the compare-and-set.
 *
 * @param state what the new head was made from
 * @param text what {@link generationText} made of it, where that was asked before
 * @throws NotCreated when it surely was not written; after anything else it may have been
 */
export function* appendGeneration(
  store: Store,
  root: string,
  folder: Folder,
  state: PromptState | undefined,
  generation: Omit<Generation, "base">,
  text?: string,
): Task<"created" | "exists"> {
  const path = `${folder.path}/${HEADS_DIR}`;
  let heads: Folder | undefined;
  try {
    const written = text ?? (yield* generationText(store, root, folder, state, generation));
    if (state?.loaded.source !== "chain") {
      yield* makeHeads(folder);
      // Also when somebody else made it: they may not have come to this.
      yield* syncFolder(folder);
    }
    heads = yield* openFolder(store, root, path, `${folder.at}/${HEADS_DIR}`);
    if (heads === undefined) throw refused(path, "vanished");
    const temp = yield* writeTemp(heads, written, store.hardLinks === false);
    try {
      const time = yield* timeAfter(store, root, state?.loaded.json?.stamp);
      if (time !== undefined) yield* call("utimes", `${heads.at}/${pathOfTemp(temp)}`, time);
      const status = yield* createOnly(store, heads, temp, generationFile(generation.record.head.generation));
      if (status === "exists") return status;
    } catch (error) {
      throw error instanceof NotCreated ? error : new MayBeCreated(error);
    } finally {
      yield* discard(heads, temp);
    }
    try {
      yield* syncFolder(heads);
    } catch (error) {
      throw new MayBeCreated(error);
    }
    return "created";
  } catch (error) {
    if (error instanceof MayBeCreated) throw error.error;
    throw error instanceof NotCreated ? error : new NotCreated(error);
  } finally {
    if (heads !== undefined) yield* closeFolder(heads);
  }
}

/**
 * What {@link appendGeneration} writes.
 *
 * @throws RegistryError INVALID for more than is read back: ask before anything of the change can be seen
 */
export function* generationText(
  store: Store,
  root: string,
  folder: Folder,
  state: PromptState | undefined,
  generation: Omit<Generation, "base">,
): Task<string> {
  const base = yield* baseOf(store, root, folder, state);
  const text = encodeGeneration({ ...generation, ...(base === undefined ? {} : { base }) });
  checkHeadSize(text, generation.record.name, "the head", "fs");
  return text;
}

class MayBeCreated {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

function* makeHeads(folder: Folder): Task<void> {
  try {
    yield* call("mkdir", `${folder.at}/${HEADS_DIR}`);
  } catch (error) {
    if (errno(error) !== "EEXIST") throw error;
  }
}

/** What a clone's `latest.json` knows of the past goes into the first generation that is written on top of it. */
function* baseOf(
  store: Store,
  root: string,
  folder: Folder,
  state: PromptState | undefined,
): Task<readonly HistoryEntry[] | undefined> {
  if (state?.loaded.source !== "json") return undefined;
  return yield* loadEntries(store, root, state.name, folder.path, state.scan, state.loaded);
}

/**
 * The state to judge a guard or an expected head by. A generation that announces documents is completed first, whoever
 * wrote it: so a writer that died in between holds up nobody, and what was decided before is not undone after.
 */
export function* settledState(
  store: Store,
  root: string,
  name: PromptName,
  folder: Folder,
): Task<PromptState | undefined> {
  const state = yield* loadState(store, root, name, folder.at);
  if (state === undefined || !isPending(state.loaded, state.scan)) return state;
  for (const { version, temp } of state.loaded.adds) {
    if (!state.scan.versions.has(version)) yield* helpCreate(folder, temp, versionFile(version));
  }
  yield* syncFolder(folder);
  return yield* loadState(store, root, name, folder.at);
}
