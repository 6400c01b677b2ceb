/** A `latest.json` beside generations that it contradicts: nothing is decided between them by a write. */
import { RegistryError } from "../../errors.ts";
import { loadEntries } from "./generations.ts";
import { HEAD_FILE, HEADS_DIR } from "./layout.ts";
import { contradiction, isUnmerged } from "./projections.ts";
import type { PromptState } from "./state.ts";
import { at, type Store } from "./store.ts";
import type { Task } from "./task.ts";

const UNMERGED = "it has a merge conflict";

/** What `latest.json` holds that neither the generations know of, nor counts instead of them. */
export function* headFileProblem(
  store: Store,
  root: string,
  path: string,
  state: PromptState,
): Task<string | undefined> {
  const { name, scan, loaded } = state;
  if (loaded.source !== "chain" || !scan.headFile) return undefined;
  if (loaded.json === undefined) return (yield* isUnmerged(store, root, path, state)) ? UNMERGED : undefined;
  const { head } = loaded.json.record;
  // What is behind is left behind by whoever died, as a rule, and then all it tells is in the generations.
  const entries =
    head.generation === loaded.head.generation ? [] : yield* loadEntries(store, root, name, path, scan, loaded);
  return contradiction(state, entries);
}

/** @throws RegistryError CONFLICT rather than move a head over what somebody else said of it */
export function* checkHeadFile(store: Store, root: string, path: string, state: PromptState): Task<void> {
  const { name } = state;
  const problem = yield* headFileProblem(store, root, path, state);
  if (problem === undefined) return;
  const remedy =
    problem === UNMERGED
      ? `take the other side's (git checkout --theirs; in a rebase --ours) and make your move again on top of it`
      : `keep what it says by removing ${name}/${HEADS_DIR}, or what ${HEADS_DIR} says by: prompt-registry doctor --repair head`;
  throw new RegistryError("CONFLICT", `${name} can't be changed, as of its ${HEAD_FILE}: ${problem}; ${remedy}`, {
    ...at(name, HEAD_FILE),
  });
}
