import type { Head, HeadState, ReadAnswer } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import type { Label, PromptName } from "../../names.ts";
import type { Version } from "../../semver.ts";
import { readVersion, type StoredVersion } from "./documents.ts";
import { errno, failure } from "./failure.ts";
import { filesIn, isSettled, readWhole, type Stamp, sameStamp, stampOf } from "./files.ts";
import { flatVersions } from "./flat.ts";
import { checkWay, promptPath, refused } from "./folder.ts";
import { type LoadedHead, loadHead, NO_HEAD } from "./generations.ts";
import { highest } from "./highest.ts";
import { generationFile, HEAD_FILE, HEADS_DIR, labelFile, linkTarget, MAX_LINK_BYTES, versionFile } from "./layout.ts";
import { NOTHING, type Scan, sameNames, scanOf } from "./scan.ts";
import { at, type Store } from "./store.ts";
import { call, pause, type Task } from "./task.ts";

export const MAX_ROUNDS = 50;

/** A prompt at one instant: versions and head belong together. */
export interface PromptState {
  readonly name: PromptName;
  readonly path: string;
  readonly scan: Scan;
  /** Paths of the versions; a tombstone is one too. */
  readonly files: ReadonlyMap<Version, string>;
  readonly loaded: LoadedHead;
  /** Versions found to be tombstones although the head does not say so. */
  readonly hidden: ReadonlySet<Version>;
  readonly state: HeadState;
  /** Of the folder, where it can be trusted to show any change. */
  readonly stamp: Stamp | undefined;
  readonly answers: Map<string, { readonly stored: StoredVersion | undefined; readonly answer: ReadAnswer }>;
}

interface Observed {
  readonly scan: Scan;
  readonly loaded: LoadedHead;
  readonly stamp: Stamp | undefined;
}

/** The prompt as it is; `undefined` when there is nothing of it. */
export function* currentState(store: Store, root: string, name: PromptName): Task<PromptState | undefined> {
  const known = store.states.get(name);
  if (known !== undefined) {
    if (known.path.startsWith(root) && (yield* stillHolds(known))) return known;
    store.states.delete(name);
  }
  return yield* loadState(store, root, name);
}

function* stillHolds(known: PromptState): Task<boolean> {
  const { path, loaded, scan, stamp } = known;
  // The head first: the folder is looked at after it and was the same all the time, so both held when the head did.
  if (scan.heads && (yield* call("lstat", nextGenerationPath(known))) !== undefined) return false;
  if (loaded.source === "json" && loaded.json !== undefined) {
    if (!sameStamp(loaded.json.stamp, yield* call("lstat", `${path}/${HEAD_FILE}`))) return false;
  }
  return stamp !== undefined && sameStamp(stamp, yield* call("lstat", path));
}

/** Generations have no gaps above what was seen together with the folder, so one look tells whether there is a new one. */
export function nextGenerationPath({ path, loaded }: PromptState): string {
  return `${path}/${HEADS_DIR}/${generationFile(loaded.generation + 1)}`;
}

/** @param dir the prompt's folder as calls are to name it, where it is open */
export function* loadState(store: Store, root: string, name: PromptName, dir?: string): Task<PromptState | undefined> {
  const path = promptPath(root, name);
  const { scan, loaded, stamp } = yield* observe(store, root, name, path, dir ?? path);
  const files = new Map<Version, string>();
  for (const [version, file] of scan.versions) files.set(version, `${path}/${file}`);
  if (files.size === 0) {
    for (const flat of yield* flatVersions(store, root, name, path)) {
      if (!files.has(flat.version)) files.set(flat.version, flat.path);
    }
  }
  if (files.size === 0 && loaded.source === "none") return undefined;
  const hidden = new Set<Version>();
  for (const version of scan.marks) {
    const file = files.get(version);
    if (file === undefined || Object.hasOwn(loaded.head.yanked, version)) continue;
    if ((yield* readVersion(store, root, name, version, file))?.tombstone === true) hidden.add(version);
  }
  let head = loaded.head;
  if (loaded.source === "none" && scan.links.length > 0) head = yield* headOfLinks(store, root, path, scan);
  const state = headState(loaded, head, scan, files, hidden);
  const cacheable = stamp !== undefined && !isPending(loaded, scan) && (files.size === 0 || scan.versions.size > 0);
  const fresh: PromptState = {
    name,
    path,
    scan,
    files,
    loaded,
    hidden,
    state,
    stamp: cacheable ? stamp : undefined,
    answers: new Map(),
  };
  if (cacheable) store.states.set(name, fresh, weightOf(fresh));
  return fresh;
}

/** About the bytes that it takes; of a head's text only what is kept, the history of a clone. */
function weightOf({ files, loaded }: PromptState): number {
  return 1000 + files.size * 150 + (loaded.source === "json" ? (loaded.json?.stamp.size ?? 0) : 0);
}

/** The same, knowing of more tombstones. */
export function withHidden(store: Store, known: PromptState, versions: Iterable<Version>): PromptState {
  const hidden = new Set([...known.hidden, ...versions]);
  const state = headState(known.loaded, known.state.head, known.scan, known.files, hidden);
  const next = { ...known, hidden, state, answers: new Map() };
  if (next.stamp !== undefined) store.states.set(known.name, next, weightOf(next));
  return next;
}

function headState(
  loaded: LoadedHead,
  head: Head,
  scan: Scan,
  files: ReadonlyMap<Version, string>,
  hidden: ReadonlySet<Version>,
): HeadState {
  const live = hidden.size === 0 ? files.keys() : [...files.keys()].filter((version) => !hidden.has(version));
  const latest = head.pin ?? highest(live, head.yanked);
  // A reservation that was not fulfilled yet is another state than the same generation afterwards: its documents appear
  // in between, and a guard or head that was planned before must not pass after.
  const pending = isPending(loaded, scan) ? "+" : "";
  const revision = loaded.revision === null ? null : loaded.revision + pending;
  return Object.freeze({ head, revision, ...(latest === undefined ? {} : { latest }) });
}

/** Whether the last generation announces documents that are yet to be linked; without its file, one never will be. */
export function isPending(loaded: LoadedHead, scan: Scan): boolean {
  return loaded.adds.some(
    ({ version, temp }) =>
      !scan.versions.has(version) && (scan.temps.includes(temp) || scan.claims.includes(versionFile(version))),
  );
}

/**
 * Names and head of one instant. One pass over a folder is no snapshot: it can miss a version that was there before one
 * that it shows. So either the folder did not change from before the pass until after it, or two passes on both sides
 * of reading the head saw the same names; as versions are never taken away, those were all there in between.
 */
function* observe(store: Store, root: string, name: PromptName, path: string, dir: string): Task<Observed> {
  const self = dir === path ? path : `${dir}/.`;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const now = Date.now();
    const before = yield* call("lstat", self);
    if (before === undefined) return { scan: NOTHING, loaded: NO_HEAD, stamp: undefined };
    if (before.isSymbolicLink()) throw refused(path, "is a symbolic link");
    if (!before.isDirectory()) return { scan: NOTHING, loaded: NO_HEAD, stamp: undefined };
    const place = `${before.dev}:${before.ino}`;
    if (store.known.get(path) !== place) {
      yield* checkWay(root, path);
      if (store.known.size > 200_000) store.known.clear();
      store.known.set(path, place);
    }
    const files = yield* filesIn(dir, at(name));
    if (files === undefined) continue;
    const scan = scanOf(files);
    const loaded = yield* loadHead(store, root, name, path, scan);
    if (isSettled(before, now)) {
      const stamp = stampOf(before);
      if (sameStamp(stamp, yield* call("lstat", self))) return { scan, loaded, stamp };
    } else {
      const again = yield* filesIn(dir, at(name));
      if (again !== undefined && sameNames(files, again)) return { scan: scanOf(again), loaded, stamp: undefined };
    }
    if (round > 2) yield* pause();
  }
  throw new RegistryError("UNAVAILABLE", `${name} changes faster than it can be read; try again`, at(name));
}

/** What a projection points at: a symbolic link, or a small file in its place. */
export type Projection =
  | { readonly kind: "none" | "other" }
  | { readonly kind: "symlink" | "text"; readonly target?: Version; readonly mtimeMs: number };

export function* readProjection(store: Store, root: string, path: string, dir?: string): Task<Projection> {
  const stats = yield* call("lstat", dir ?? path);
  if (stats === undefined) return { kind: "none" };
  const { mtimeMs } = stats;
  try {
    if (stats.isSymbolicLink()) {
      const target = linkTarget(yield* call("readlink", dir ?? path));
      return { kind: "symlink", mtimeMs, ...(target === undefined ? {} : { target }) };
    }
    if (!stats.isFile() || stats.size > MAX_LINK_BYTES) return { kind: "other" };
    const text = (yield* readWhole(store, root, path, { backend: "fs", path }))?.text;
    const target = text === undefined ? undefined : linkTarget(text);
    return target === undefined ? { kind: "other" } : { kind: "text", mtimeMs, target };
  } catch (error) {
    if (error instanceof RegistryError && error.code === "CORRUPT") return { kind: "other" };
    if (errno(error) === "ENOENT" || errno(error) === "EINVAL") return { kind: "none" };
    throw failure(error, `${path} can't be read`, { path });
  }
}

/** Without any head the links are all there is to know about labels. */
function* headOfLinks(store: Store, root: string, path: string, scan: Scan): Task<Head> {
  const labels: Record<Label, Version> = {};
  for (const label of scan.links) {
    const shown = yield* readProjection(store, root, `${path}/${labelFile(label)}`);
    if ((shown.kind === "symlink" || shown.kind === "text") && shown.target !== undefined) {
      if (scan.versions.has(shown.target)) labels[label] = shown.target;
    }
  }
  return Object.freeze({ ...NO_HEAD.head, labels: Object.freeze(labels) });
}
