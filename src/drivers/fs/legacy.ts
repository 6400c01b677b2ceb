import type { PromptName } from "../../names.ts";
import { createOnly, discard, NotCreated, writeTemp } from "./create.ts";
import { readWhole } from "./files.ts";
import { flatVersions } from "./flat.ts";
import { type Folder, syncFolder } from "./folder.ts";
import { versionFile } from "./layout.ts";
import { at, type Store } from "./store.ts";
import type { Task } from "./task.ts";

/**
 * Copies the flat file of old into the prompt's folder before the first version is written there: from then on only the
 * folder counts, and nothing that was readable may vanish by that. The flat file itself is left to `repair`.
 */
export function* adoptFlat(store: Store, root: string, name: PromptName, folder: Folder): Task<void> {
  let adopted = false;
  for (const flat of yield* flatVersions(store, root, name, folder.path)) {
    const found = yield* readWhole(store, root, flat.path, at(name));
    if (found === undefined) continue;
    const temp = yield* writeTemp(folder, found.text, store.hardLinks === false);
    try {
      yield* createOnly(store, folder, temp, versionFile(flat.version));
    } catch (error) {
      throw error instanceof NotCreated ? error.error : error;
    } finally {
      yield* discard(folder, temp);
    }
    adopted = true;
  }
  if (adopted) yield* syncFolder(folder);
}
