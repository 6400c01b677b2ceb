import type { ReadAnswer, ReadAsk } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import { labelTarget } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import { documentKey, readVersion, type StoredVersion } from "./documents.ts";
import { sameStamp } from "./files.ts";
import { promptPath } from "./folder.ts";
import { versionFile } from "./layout.ts";
import { rootOf, sureOfRoot } from "./root.ts";
import { currentState, loadState, MAX_ROUNDS, nextGenerationPath, type PromptState, withHidden } from "./state.ts";
import { at, type Store } from "./store.ts";
import { pause, type Task } from "./task.ts";

const ABSENT: ReadAnswer = Object.freeze({ status: "absent" });

/** The answer to an ask. The same object as before while nothing has changed. */
export function* answer(store: Store, ask: ReadAsk): Task<ReadAnswer> {
  const root = yield* rootOf(store);
  if (root === undefined) return ABSENT;
  const { name, selector, known } = ask;
  let fresh: ReadAnswer;
  if (selector.kind === "version") fresh = yield* exact(store, root, name, selector.version);
  else if (selector.kind === "head") fresh = yield* headAnswer(store, root, name);
  else fresh = yield* pointed(store, root, ask);
  if (fresh === ABSENT) yield* sureOfRoot(store, root);
  else store.inhabited = true;
  if (known !== undefined && "revision" in fresh && fresh.revision === known)
    return { status: "unchanged", revision: known };
  return fresh;
}

function* exact(store: Store, root: string, name: PromptName, version: Version): Task<ReadAnswer> {
  const path = `${promptPath(root, name)}/${versionFile(version)}`;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const stored = yield* readVersion(store, root, name, version, path);
    if (stored !== undefined) return stored.answer;
    const state = yield* currentState(store, root, name);
    if (state === undefined) return ABSENT;
    const file = state.files.get(version);
    if (file === undefined) return absent(state, version);
    const elsewhere = yield* readVersion(store, root, name, version, file);
    if (elsewhere !== undefined) return elsewhere.answer;
    store.states.delete(name);
    if (round > 2) yield* pause();
  }
  throw unsteady(name);
}

function* headAnswer(store: Store, root: string, name: PromptName): Task<ReadAnswer> {
  const state = yield* currentState(store, root, name);
  if (state === undefined) return ABSENT;
  return remembered(state, "head", undefined, () => {
    const { head, revision, latest } = state.state;
    // Without a head the labels are what the links say, and have no revision of their own.
    const rest = revision ?? Object.entries(head.labels).sort().join(";");
    return {
      status: "head",
      head: state.state,
      // With its time: counts come back where the folder is replaced by another one.
      revision: `${rest}/${head.updatedAt ?? ""}/${latest ?? ""}/${state.files.size}/${state.hidden.size}`,
    };
  });
}

function* pointed(store: Store, root: string, ask: ReadAsk): Task<ReadAnswer> {
  const { name, selector } = ask;
  let state = yield* currentState(store, root, name);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    if (state === undefined) return ABSENT;
    const { head, latest } = state.state;
    const target = selector.kind === "label" ? labelTarget(head, selector.label) : latest;
    const file = target === undefined ? undefined : state.files.get(target);
    const key = selector.kind === "label" ? `@${selector.label}` : "latest";
    if (target === undefined) return absent(state, key);
    // A version that is not listed may have a link or folder in its place, and then it is damaged rather than absent.
    const stored = yield* readVersion(store, root, name, target, file ?? `${state.path}/${versionFile(target)}`);
    if (stored === undefined && file === undefined) return absent(state, key);
    if (stored !== undefined && !stored.tombstone) return pointedAnswer(state, key, stored);
    if (stored === undefined) {
      store.states.delete(name);
      if (round > 2) yield* pause();
      state = yield* loadState(store, root, name);
      continue;
    }
    // Pointers are moved before a version is removed, so either the head has changed since, or it was lost.
    const again: PromptState | undefined = yield* loadState(store, root, name);
    if (again === undefined || again.state.revision !== state.state.revision) {
      state = again;
      continue;
    }
    if (selector.kind === "latest" && head.pin === undefined)
      state = withHidden(store, again, [...state.hidden, target]);
    else return pointedAnswer(again, key, stored);
    round--;
  }
  throw unsteady(name);
}

function pointedAnswer(state: PromptState, key: string, stored: StoredVersion): ReadAnswer {
  return remembered(state, key, stored, () => ({
    status: stored.tombstone ? "removed" : "found",
    document: stored.document,
    head: state.state,
    revision: `${state.state.revision ?? ""}/${stored.document.version}/${stored.revision}`,
  }));
}

function absent(state: PromptState, key: string): ReadAnswer {
  return remembered(state, `!${key}`, undefined, () => ({ status: "absent", head: state.state }));
}

function remembered(
  state: PromptState,
  key: string,
  stored: StoredVersion | undefined,
  make: () => ReadAnswer,
): ReadAnswer {
  const known = state.answers.get(key);
  if (known !== undefined && known.stored === stored) return known.answer;
  const answer = Object.freeze(make());
  if (state.answers.size >= 100) state.answers.clear();
  state.answers.set(key, { stored, answer });
  return answer;
}

function unsteady(name: PromptName): RegistryError {
  return new RegistryError("UNAVAILABLE", `${name} changes faster than it can be read; try again`, at(name));
}

/**
 * The remembered answer if one look at each of the files it stands on proves it: what {@link answer} would come to, in
 * a straight line, as this is what most reads are.
 */
export function quickAnswer(store: Store, { name, selector }: ReadAsk): ReadAnswer | undefined {
  const { lstat } = store.io.sync;
  if (selector.kind === "version") {
    const known = store.documents.get(documentKey(name, selector.version));
    return known !== undefined && sameStamp(known.stamp, lstat(known.path)) ? known.answer : undefined;
  }
  if (selector.kind === "head") return undefined;
  const state = store.states.get(name);
  if (state?.stamp === undefined || state.loaded.source === "json") return undefined;
  const known = state.answers.get(selector.kind === "latest" ? "latest" : `@${selector.label}`);
  if (known?.stored === undefined) return undefined;
  if (state.scan.heads && lstat(nextGenerationPath(state)) !== undefined) return undefined;
  if (!sameStamp(state.stamp, lstat(state.path))) return undefined;
  return sameStamp(known.stored.stamp, lstat(known.stored.path)) ? known.answer : undefined;
}
