/** Copies where links belong: what `cp -rL`, `scp -r` and archives make of a folder of links. */
import { isRegistryError } from "../../errors.ts";
import type { Label, PromptName } from "../../names.ts";
import { labelTarget } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import { readWhole, type WholeFile } from "./files.ts";
import { sealedAs } from "./flat.ts";
import type { Inspection } from "./repair.ts";
import type { PromptState } from "./state.ts";
import { at } from "./store.ts";
import { call, type Task } from "./task.ts";

export interface Copy {
  /** The version that it has every byte of. */
  readonly version?: Version;
  /** It bears the prompt's name, so it is no flat file of a prompt below. */
  readonly sealed: boolean;
}

/** What a file is a copy of. */
export function* copyOf(inspection: Inspection, state: PromptState, file: string): Task<Copy> {
  const text = (yield* textAt(inspection, `${inspection.folder.path}/${file}`))?.text;
  if (text === undefined) return { sealed: false };
  const seal = sealedAs(text);
  if (seal !== undefined) {
    const sealed = seal.name === inspection.name;
    const { version } = seal;
    const is = sealed && version !== undefined && (yield* isTextOf(inspection, state, version, text));
    return { sealed, ...(is ? { version } : {}) };
  }
  for (const version of state.files.keys()) {
    if (yield* isTextOf(inspection, state, version, text)) return { sealed: false, version };
  }
  return { sealed: false };
}

/** Whether a file has every byte of the version that the head has its label on, whatever else it could stand for. */
export function* isCopyOfLabel(
  inspection: Inspection,
  state: PromptState | undefined,
  label: Label | undefined,
  file: string,
): Task<boolean> {
  if (state === undefined || label === undefined) return false;
  const wanted = labelTarget(state.state.head, label);
  if (wanted === undefined) return false;
  const found = yield* textAt(inspection, `${inspection.folder.path}/${file}`);
  return found !== undefined && (yield* isTextOf(inspection, state, wanted, found.text));
}

function* isTextOf(inspection: Inspection, state: PromptState, version: Version, text: string): Task<boolean> {
  const path = state.files.get(version);
  if (path === undefined) return false;
  // Most have another length, and need not be read.
  const stats = yield* call("lstat", path);
  if (stats?.size !== Buffer.byteLength(text)) return false;
  return (yield* textAt(inspection, path))?.text === text;
}

/** What can't be read is no copy. */
function* textAt({ store, root, name }: Inspection, path: string): Task<WholeFile | undefined> {
  try {
    return yield* readWhole(store, root, path, at(name as PromptName));
  } catch (error) {
    if (isRegistryError(error, "CORRUPT")) return undefined;
    throw error;
  }
}
