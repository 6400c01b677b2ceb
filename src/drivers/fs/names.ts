/** The folders of prompts as a sorted tree that is looked at no further than somebody asks. */
import { constants } from "node:fs";
import { isName, type PromptName } from "../../names.ts";
import type { Version } from "../../semver.ts";
import { errno } from "./failure.ts";
import { filesIn, isSettled, namesIn, type Stamp, sameStamp, stampOf } from "./files.ts";
import { isFlat } from "./flat.ts";
import { CHANGED_FILE, entryOf } from "./layout.ts";
import { placeOf, Replaced, sureOfRoot } from "./root.ts";
import { scanOf } from "./scan.ts";
import type { Store } from "./store.ts";
import { call, release, type Task } from "./task.ts";

/** A folder as it was last seen. */
export interface FolderInfo {
  readonly stamp: Stamp;
  /** Segments that may be folders below, sorted. */
  readonly children: readonly string[];
  /** Segments that have a flat file of old here. */
  readonly flats: ReadonlySet<string>;
  readonly versions: readonly Version[];
  /** Some versions may be removed or yanked: the names alone don't tell. */
  readonly doubtful: boolean;
  /** There is a head, so there is a prompt even without versions. */
  readonly headed: boolean;
  /** When it was last compared with the disk, and what the registry's change file said then. */
  checkedAt: number;
  epoch: number;
  /** What {@link checkedAt} found of a doubtful one. */
  live?: boolean;
}

export interface Walk {
  readonly store: Store;
  readonly root: string;
  readonly now: number;
  /** Equal for two walks between which no writer added or removed a prompt. */
  readonly epoch: number;
  /** How many names the root holds. */
  top: number;
  /** Something that was there a moment ago was not there any more. */
  doubt: boolean;
}

// Up to this many folders every one is looked at for every page, which is then exact also for changes by hand.
const EXACT_FOLDERS = 200;
// In larger trees a folder without subfolders is not looked at again for so long, unless a writer left word.
const FRESH_MS = 50;
const MAX_FOLDERS = 500_000;

interface Epoch {
  readonly stamp: Stamp | undefined;
  readonly number: number;
}

const epochs = new WeakMap<Store, Epoch>();

/** Tells readers with a remembered listing, in whatever process, that prompts came or went. */
export function* touchChanged(root: string, changed: boolean): Task<void> {
  if (!changed) return;
  const path = `${root}/${CHANGED_FILE}`;
  try {
    yield* call("utimes", path, Date.now() / 1000);
  } catch (error) {
    if (errno(error) !== "ENOENT") throw error;
    const flags = constants.O_WRONLY | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
    yield* release(yield* call("open", path, flags, 0o666));
  }
}

export function* startWalk(store: Store, root: string): Task<Walk> {
  const now = Date.now();
  const stats = yield* call("lstat", `${root}/${CHANGED_FILE}`);
  const known = epochs.get(store);
  const same = known !== undefined && (known.stamp === undefined ? stats === undefined : sameStamp(known.stamp, stats));
  // Touched just now, it could be touched again and look the same.
  const settled = stats === undefined || isSettled(stats, now);
  if (known !== undefined && same && settled) return { store, root, now, epoch: known.number, top: 0, doubt: false };
  const number = (known?.number ?? 0) + 1;
  epochs.set(store, { stamp: stats === undefined || !settled ? undefined : stampOf(stats), number });
  return { store, root, now, epoch: number, top: 0, doubt: false };
}

/** What is remembered of a folder, if it need not be compared with the disk. */
export function rememberedFolder({ store, now, epoch, top }: Walk, name: string): FolderInfo | undefined {
  const known = store.folders.get(name);
  if (known === undefined || known.epoch !== epoch || store.folders.size + top <= EXACT_FOLDERS) return undefined;
  return known.children.length === 0 && now - known.checkedAt < FRESH_MS && now >= known.checkedAt ? known : undefined;
}

/** @param name `""` for the root */
export function* lookIntoFolder(walk: Walk, name: string): Task<FolderInfo | undefined> {
  const { store, root, now, epoch } = walk;
  const known = store.folders.get(name);
  if (known === undefined && name !== "" && !isName(name)) return undefined;
  const path = name === "" ? root : `${root}/${name}`;
  const stats = yield* call("lstat", path);
  if (stats?.isDirectory() !== true) {
    store.folders.delete(name);
    return undefined;
  }
  if (known !== undefined && sameStamp(known.stamp, stats)) {
    known.checkedAt = now;
    known.epoch = epoch;
    delete known.live;
    return known;
  }
  // The root holds no versions, and may hold very many names.
  const files = yield* (name === "" ? namesIn : filesIn)(path, { backend: "fs", path });
  if (files === undefined) return undefined;
  const info = yield* infoOf(walk, name, files, stampOf(stats));
  if (isSettled(stats, now)) {
    if (store.folders.size >= MAX_FOLDERS) store.folders.clear();
    store.folders.set(name, info);
  } else store.folders.delete(name);
  return info;
}

function* infoOf({ store, root, now, epoch }: Walk, name: string, files: string[], stamp: Stamp): Task<FolderInfo> {
  const children: string[] = [];
  const own: string[] = [];
  const pages: string[] = [];
  for (const file of files) {
    // A hundred thousand plain names need no closer look before somebody comes to them.
    if (file.endsWith(".md") || file.endsWith(".json") || file.charCodeAt(0) === 0x2e) own.push(file);
    else children.push(file);
    if (file.endsWith(".prompt")) pages.push(file);
  }
  const scan = scanOf(own);
  if (scan.pages) pages.push(...own);
  const flats = pages.length === 0 ? NO_FLATS : yield* flatsIn(store, root, name, pages);
  return {
    stamp,
    children: children.sort(),
    flats,
    versions: [...scan.versions.keys()],
    doubtful: scan.heads || scan.headFile || scan.marks.length > 0,
    headed: scan.heads || scan.headFile,
    checkedAt: now,
    epoch,
  };
}

const NO_FLATS: ReadonlySet<string> = new Set();

/** Segments of flat files; what shows a label is none. */
function* flatsIn(store: Store, root: string, above: string, files: readonly string[]): Task<ReadonlySet<string>> {
  const flats = new Set<string>();
  for (const file of files) {
    const entry = entryOf(file);
    const segment = entry.kind === "page" ? entry.segment : entry.kind === "folder" ? entry.flat : undefined;
    if (segment === undefined) continue;
    const name = above === "" ? segment : `${above}/${segment}`;
    const path = above === "" ? `${root}/${file}` : `${root}/${above}/${file}`;
    if (isName(name) && (yield* isFlat(store, root, name, path))) flats.add(segment);
  }
  return flats;
}

/** A name that may be a prompt; `folder` is `undefined` where only a flat file of old speaks for it. */
export interface Candidate {
  readonly name: PromptName;
  readonly folder: FolderInfo | undefined;
  readonly flat: boolean;
}

/** Gives `false` to stop; at once, where there is nothing to be waited for. */
export type Visit = (candidate: Candidate) => boolean | Task<boolean>;

/**
 * Visits names after `after` that start with `prefix`, in UTF-8 byte order, until `visit` gives `false`.
 *
 * A folder stands for two keys: the prompt `a`, and the names below, which start with `a/`. In between come the names
 * that go on with a byte below `/`, such as `a-b` and `a.b`; so what is below `a` waits until those have been visited.
 */
export function* walkNames(walk: Walk, after: string, prefix: string, visit: Visit): Task<void> {
  const top = yield* lookIntoFolder(walk, "");
  const { store, root } = walk;
  if (top === undefined || placeOf(top.stamp) !== store.place) {
    yield* sureOfRoot(store, root);
    // It is back, and may be gone again: once more.
    throw new Replaced(store);
  }
  walk.top = top.children.length;
  if (walk.top > 0 || top.flats.size > 0) store.inhabited = true;
  yield* walkFolder(walk, "", top, after < prefix ? "" : after, prefix, visit);
  // A folder that went while it was walked through ends in fewer names, and so does one whose disk went.
  if (walk.doubt) yield* sureOfRoot(store, root);
}

interface Below {
  readonly name: string;
  readonly info: FolderInfo;
}

function* walkFolder(
  walk: Walk,
  above: string,
  info: FolderInfo,
  after: string,
  prefix: string,
  visit: Visit,
): Task<boolean> {
  const waiting: Below[] = [];
  const segments = info.flats.size === 0 ? info.children : [...new Set([...info.children, ...info.flats])].sort();
  const from = after < prefix ? prefix : after;
  for (const i of indexes(segments, from.startsWith(above) ? from.slice(above.length) : from < above ? "" : "\uffff")) {
    const segment = segments[i] as string;
    const name = above + segment;
    while (waiting.length > 0) {
      const below = waiting.at(-1) as Below;
      if (`${below.name}/` >= name) break;
      waiting.pop();
      if (!(yield* walkFolder(walk, `${below.name}/`, below.info, after, prefix, visit))) return false;
    }
    const inside = name.startsWith(prefix);
    if (!inside && name > prefix) break;
    if (!inside && !prefix.startsWith(`${name}/`)) continue;
    const folder = rememberedFolder(walk, name) ?? (yield* lookIntoFolder(walk, name));
    if (folder === undefined) walk.doubt = true;
    const flat = info.flats.has(segment);
    if (inside && name > after && (folder !== undefined || (flat && isName(name)))) {
      const more = visit({ name: name as PromptName, folder, flat });
      if (!(typeof more === "boolean" ? more : yield* more)) return false;
    }
    if (folder !== undefined && (folder.children.length > 0 || folder.flats.size > 0))
      waiting.push({ name, info: folder });
  }
  for (let below = waiting.pop(); below !== undefined; below = waiting.pop()) {
    if (!(yield* walkFolder(walk, `${below.name}/`, below.info, after, prefix, visit))) return false;
  }
  return true;
}

/** Of the segments that are not before `from`, or under which there may be names that are not. */
function* indexes(segments: readonly string[], from: string): Generator<number> {
  for (let length = 1; length <= from.length; length++) {
    // `a` is before `a-b` and `a/b`, and yet `a/c` is not; it is before `ab`, and so is all below it.
    const next = from.charCodeAt(length);
    if (length < from.length && next > 0x2f) continue;
    const start = from.slice(0, length);
    const i = firstNotBefore(segments, start);
    if (segments[i] === start && start !== from) yield i;
  }
  for (let i = firstNotBefore(segments, from); i < segments.length; i++) yield i;
}

function firstNotBefore(segments: readonly string[], from: string): number {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((segments[middle] as string) < from) low = middle + 1;
    else high = middle;
  }
  return low;
}
