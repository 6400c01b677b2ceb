/** What people and other tools see: links and `latest.json`. None of it is ever read as the truth where a head is. */
import { randomUUID } from "node:crypto";
import { EMPTY_HEAD, type HeadState, type HistoryEntry } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import { encodeHead } from "../../head.ts";
import type { Label, PromptName } from "../../names.ts";
import { labelTarget } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import { discard, writeLoose, writeTemp } from "./create.ts";
import { errno, isErrno } from "./failure.ts";
import { MAX_HEAD_BYTES, readWhole } from "./files.ts";
import type { Folder } from "./folder.ts";
import { checkHeadSize, type LoadedHead, loadEntries, sameHead } from "./generations.ts";
import { highest } from "./highest.ts";
import { HEAD_FILE, HEADS_DIR, LATEST_FILE, labelFile, linkTarget, tempFile, versionFile } from "./layout.ts";
import { isInGit, ownTime } from "./replaced.ts";
import { scanOf } from "./scan.ts";
import { loadState, type PromptState, readProjection } from "./state.ts";
import { at, type Store } from "./store.ts";
import { call, type Task } from "./task.ts";

const MAX_ROUNDS = 20;
/** Entries that `latest.json` shows, and bytes of them; all of them are in the generations. */
const SHOWN_ENTRIES = 1000;
const SHOWN_BYTES = 2 ** 20;

/** Puts a link in place; there is no instant without one. */
export function* showLink(store: Store, folder: Folder, file: string, target: string): Task<void> {
  let temp = tempFile(randomUUID());
  if (store.symlinks !== false) {
    try {
      yield* call("symlink", target, `${folder.at}/${temp}`);
      store.symlinks = true;
    } catch (error) {
      if (store.symlinks === true || !isErrno(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL")) throw error;
      store.symlinks = false;
    }
  }
  // Synced, unlike a link: a stand-in that a power loss emptied would read as a prompt of its own.
  if (store.symlinks === false) temp = (yield* writeTemp(folder, target, false)).file;
  try {
    yield* call("rename", `${folder.at}/${temp}`, `${folder.at}/${file}`);
  } catch (error) {
    yield* discard(folder, { file: temp, boxed: false });
    throw error;
  }
}

/**
 * Shows what was just published, in few calls where no head can have a say: swap the link, look again, and repeat until
 * it shows the highest version. Whoever swaps last looks last, so all of several writers together end at the highest.
 *
 * @param fresh the folder was made for this
 * @returns the state, as far as it was looked at
 */
export function* showAdded(
  store: Store,
  root: string,
  name: PromptName,
  folder: Folder,
  versions: readonly Version[],
  fresh: boolean,
): Task<HeadState | undefined> {
  const ours = highest(versions);
  if (ours === undefined) return undefined;
  // Every head shows itself in this file. Where it was lost, or whoever wrote the first head did not come to it, the look
  // after the swap finds the generations; or, without a swap, a look for them.
  if ((yield* call("lstat", `${folder.at}/${HEAD_FILE}`)) === undefined) {
    const shown = fresh ? "none" : yield* quickTarget(folder);
    if (shown !== "none" && shown !== "other" && highest([shown, ours]) === shown) {
      if ((yield* call("lstat", `${folder.at}/${HEADS_DIR}`)) === undefined) return undefined;
    } else if (shown !== "other") {
      yield* showLink(store, folder, LATEST_FILE, versionFile(ours));
      const scan = scanOf(yield* call("readdir", folder.at));
      const latest = highest(scan.versions.keys());
      if (latest === ours && !scan.heads && !scan.headFile && scan.marks.length === 0) {
        return scan.links.length > 0 ? undefined : Object.freeze({ head: EMPTY_HEAD, revision: null, latest });
      }
    }
  }
  return (yield* show(store, root, name, folder, [])).state;
}

function* quickTarget(folder: Folder): Task<Version | "none" | "other"> {
  try {
    return linkTarget(yield* call("readlink", `${folder.at}/${LATEST_FILE}`)) ?? "none";
  } catch (error) {
    if (errno(error) === "ENOENT") return "none";
    // A stand-in for a link, or a file that is none of ours.
    return "other";
  }
}

/**
 * Brings `latest.md`, the links of these labels, and `latest.json` where there is a head, to what the state says; until
 * a look finds nothing to do.
 */
export function* show(
  store: Store,
  root: string,
  name: PromptName,
  folder: Folder,
  labels: readonly Label[],
): Task<PromptState> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const state = yield* loadState(store, root, name, folder.at);
    if (state === undefined) throw new Error(`${name} vanished`);
    let changed = yield* showPointer(store, root, folder, LATEST_FILE, state, state.state.latest);
    for (const label of labels) {
      const target = labelTarget(state.state.head, label);
      if (yield* showPointer(store, root, folder, labelFile(label), state, target)) changed = true;
    }
    if (yield* showHead(store, root, folder, state)) changed = true;
    if (!changed) return state;
  }
  throw new Error(`${name} changes all the time`);
}

/** @returns whether there was something to do */
function* showPointer(
  store: Store,
  root: string,
  folder: Folder,
  file: string,
  state: PromptState,
  target: Version | undefined,
): Task<boolean> {
  const shown = yield* readProjection(store, root, `${folder.path}/${file}`, `${folder.at}/${file}`);
  // Somebody's own file, perhaps a prompt in the layout of old.
  if (shown.kind === "other") throw new Error(`${file} is no link`);
  const wanted = target === undefined ? undefined : state.files.get(target);
  if (wanted === undefined || !wanted.startsWith(`${folder.path}/`)) {
    if (shown.kind === "none") return false;
    yield* call("unlink", `${folder.at}/${file}`);
    return true;
  }
  if ((shown.kind === "symlink" || shown.kind === "text") && shown.target === target) return false;
  yield* showLink(store, folder, file, wanted.slice(folder.path.length + 1));
  return true;
}

/** Brings `latest.json` up to date. A prompt that never had a head needs none. */
export function* showHead(store: Store, root: string, folder: Folder, state: PromptState): Task<boolean> {
  const { loaded, name, scan } = state;
  const { head, latest } = state.state;
  if (loaded.source === "none") return false;
  const shown = loaded.json?.record;
  if (shown !== undefined && shown.head.generation === head.generation && shown.latest === latest) return false;
  if (shown === undefined && (yield* isUnmerged(store, root, folder.path, state))) return false;
  let history: readonly HistoryEntry[];
  // Without generations this file is all that tells the history, so nothing of it is left out.
  if (shown !== undefined && loaded.source === "json") history = shown.history;
  else {
    const entries = yield* loadEntries(store, root, name, folder.path, scan, loaded);
    // Somebody's own, who is told of it before anything is written over it.
    if (contradiction(state, entries) !== undefined) return false;
    history = newest(entries);
  }
  // Where it counts itself it is no projection: what it says of versions that are not here stays, and a power loss must not
  // leave it empty.
  const counts = loaded.source === "json" ? shown : undefined;
  const text = encodeHead({ name, head: counts?.head ?? head, history, ...(latest === undefined ? {} : { latest }) });
  checkHeadSize(text, name, HEAD_FILE, "fs");
  const temp = counts === undefined ? yield* writeLoose(folder, text) : yield* writeTemp(folder, text, false);
  try {
    if (yield* isInGit(store, root)) yield* call("utimes", `${folder.at}/${temp.file}`, shownTime(loaded));
    yield* call("rename", `${folder.at}/${temp.file}`, `${folder.at}/${HEAD_FILE}`);
  } catch (error) {
    yield* discard(folder, temp);
    throw error;
  }
  return true;
}

/** What goes on as the head keeps the time that it was put there: who writes a generation meanwhile, does so after it. */
function shownTime({ source, json }: LoadedHead): number {
  return source === "json" && json !== undefined ? json.stamp.mtimeMs / 1000 : ownTime();
}

const MARKER = /^(?:<{7}|>{7}) /m;

/** Whether `latest.json`, which could not be read, has both sides of a merge: then one of them is told nowhere else. */
export function* isUnmerged(
  store: Store,
  root: string,
  path: string,
  { name, scan, loaded }: PromptState,
): Task<boolean> {
  if (!scan.headFile || loaded.json !== undefined) return false;
  try {
    const context = at(name, HEAD_FILE);
    const found = yield* readWhole(store, root, `${path}/${HEAD_FILE}`, context, { max: MAX_HEAD_BYTES });
    return found !== undefined && MARKER.test(found.text);
  } catch (error) {
    if (isRegistryError(error, "CORRUPT")) return false;
    throw error;
  }
}

/**
 * Why `latest.json` is none that the generations ever showed, where it does not count instead of them.
 *
 * @param entries of the generations
 */
export function contradiction({ name, loaded }: PromptState, entries: readonly HistoryEntry[]): string | undefined {
  const { json, source, head } = loaded;
  if (source !== "chain" || json === undefined) return undefined;
  const { head: shown, history } = json.record;
  if (shown.generation === head.generation) {
    if (sameHead(name, shown, head)) return undefined;
    return `it has the generation ${head.generation}, as ${HEADS_DIR} has, but says something else`;
  }
  const [last] = history.slice(-1);
  const key = JSON.stringify(last);
  if (last === undefined || entries.some((entry) => JSON.stringify(entry) === key)) return undefined;
  return `its history (generation ${shown.generation}) is not that of ${HEADS_DIR} (generation ${head.generation})`;
}

/** What `latest.json` shows of a history that the generations hold. */
export function newest(entries: readonly HistoryEntry[]): readonly HistoryEntry[] {
  let from = entries.length;
  for (let bytes = 0; from > 0 && entries.length - from < SHOWN_ENTRIES; from--) {
    bytes += Buffer.byteLength(JSON.stringify(entries[from - 1]));
    if (bytes > SHOWN_BYTES) break;
  }
  return entries.slice(from);
}
