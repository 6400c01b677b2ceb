/** Whether a change of a head goes on from the base's, and whether a committed `.heads/` says what `latest.json` says. */
import type { Head, HistoryEntry } from "../driver.ts";
import { MAX_HEAD_BYTES } from "../drivers/fs/files.ts";
import { decodeGeneration, sameHead } from "../drivers/fs/generations.ts";
import { generationOf, HEAD_FILE, HEADS_DIR } from "../drivers/fs/layout.ts";
import { newest } from "../drivers/fs/projections.ts";
import { isRegistryError } from "../errors.ts";
import { decodeHead, type HeadRecord } from "../head.ts";
import type { Label, PromptName } from "../names.ts";
import { locator } from "../policy/position.ts";
import type { Version } from "../semver.ts";
import { type Base, blobId, type Index } from "./git.ts";
import type { PromptFiles, Tree } from "./tree.ts";
import type { Say } from "./types.ts";

export const CONFLICT_MARKER = /^(?:<{7}|>{7}) /m;
/** Neither side of a merge is the answer: the base's was reviewed, and what is to come on top of it is yet to be. */
export const MOVE_AGAIN =
  "take the base's (git checkout BASE -- this file), then make your move again: prompt-registry label, yank, ...";

interface HeadFile {
  readonly bytes: Buffer;
  readonly record: HeadRecord;
  at(key: string): { readonly line: number; readonly column: number };
}

/**
 * What the base's head tells must be told on: who moved what there was reviewed. And a head that changed without a higher
 * generation is a conflict to every folder that knows the other one.
 */
export async function judgeHeadChange(
  base: Base,
  prompt: PromptFiles,
  path: string,
  now: HeadFile,
  say: Say,
): Promise<void> {
  const before = base.files.get(path);
  if (before?.mode.startsWith("100") !== true || blobId(now.bytes, before.oid) === before.oid) return;
  // The work left it alone: what the base got since comes with the merge.
  if (blobId(now.bytes, before.oid) === (await base.forked()).get(path)?.oid) return;
  let then: HeadRecord;
  try {
    const bytes = await base.read(before.oid);
    if (bytes.length > MAX_HEAD_BYTES) return;
    then = decodeHead(bytes.toString("utf8"), prompt.name, path);
  } catch (error) {
    if (isRegistryError(error) && error.code !== "ABORTED") return;
    throw error;
  }
  const missing = firstMissing(then.history, now.record.history);
  if (missing !== undefined) {
    const { action, label, to, from, by, at } = missing;
    const what = [action, label, to ?? from].filter((part) => part !== undefined).join(" ");
    const whose = `${what}${by === undefined ? "" : ` by ${by}`} at ${at}`;
    const message = `the base's history is not in its own: it lacks "${whose}", and may undo it; ${MOVE_AGAIN}`;
    say("head", "block", path, message, now.at("history"));
    return;
  }
  const { generation } = now.record.head;
  if (generation <= then.head.generation && !sameRecord(then, now.record)) {
    const message = `it changed, and its generation (${generation}) is not above that of the base (${then.head.generation}); use \`prompt-registry label\` and the like, or raise it`;
    say("head", "block", path, message, now.at("generation"));
  }
  judgeMoves(then, now, path, say);
}

/**
 * The first entry of the base that is not told on, in its order. A history can be cut at its beginning, as far as a folder
 * that keeps all of it in `.heads/` does that.
 */
function firstMissing(base: readonly HistoryEntry[], now: readonly HistoryEntry[]): HistoryEntry | undefined {
  const keys = now.map((entry) => JSON.stringify(entry));
  const lost = (from: number) => {
    let at = 0;
    for (let i = from; i < base.length; i++) {
      const found = keys.indexOf(JSON.stringify(base[i]), at);
      if (found < 0) return base[i];
      at = found + 1;
    }
    return undefined;
  };
  const missing = lost(0);
  if (missing === undefined || now.length === 0) return missing;
  const start = base.findIndex((entry) => JSON.stringify(entry) === keys[0]);
  const cut = start < 0 ? base.length : start;
  const full = newest([...base.slice(0, cut), ...now]).length <= now.length;
  return full ? lost(cut) : missing;
}

/** `latest` is a hint: a new version changes it, and makes no generation. */
function sameRecord(a: HeadRecord, b: HeadRecord): boolean {
  const plain = ({ head, history }: HeadRecord) => JSON.stringify([head, history]);
  return plain(a) === plain(b);
}

/** What moved has an entry of its move: where two histories were put together by hand, the pointers are of one of them. */
function judgeMoves(then: HeadRecord, now: HeadFile, path: string, say: Say): void {
  const old = new Set(then.history.map((entry) => JSON.stringify(entry)));
  const fresh = now.record.history.filter((entry) => !old.has(JSON.stringify(entry)));
  const [was, is] = [then.head, now.record.head];
  const unsaid = (what: string, key: string) =>
    say("head", "warn", path, `${what}, and no new entry of its history says so; ${MOVE_AGAIN}`, now.at(key));
  for (const label of keysOf<Label>(was.labels, is.labels)) {
    const [from, to] = [own(was.labels, label), own(is.labels, label)];
    if (from === to || fresh.some((entry) => entry.label === label && (to === undefined || entry.to === to))) continue;
    unsaid(`${label} goes from ${from ?? "nothing"} to ${to ?? "nothing"}`, label);
  }
  for (const version of keysOf<Version>(was.yanked, is.yanked)) {
    const withdrawn = own(is.yanked, version) !== undefined;
    if ((own(was.yanked, version) !== undefined) === withdrawn) continue;
    if (fresh.some((entry) => entry.to === version || entry.from === version)) continue;
    unsaid(withdrawn ? `${version} is yanked` : `${version} is yanked no more`, "yanked");
  }
}

function keysOf<K extends string>(a: object, b: object): K[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].sort() as K[];
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** A `latest.json` that the base has and the work has taken away: labels, pins and yanks went with it. */
export async function judgeLostHeads(base: Base, tree: Tree, say: Say): Promise<void> {
  for (const { head, path, versions } of tree.prompts.values()) {
    const file = `${path}/${HEAD_FILE}`;
    if (head !== undefined || versions.size === 0 || !base.files.has(file)) continue;
    if (!(await base.forked()).has(file)) continue;
    say(
      "head",
      "block",
      file,
      "it was removed, and with it labels, pins and yanks; bring it back: git checkout BASE -- this file",
    );
  }
}

export function isCommittedHead(path: string): boolean {
  return path.includes(`/${HEADS_DIR}/`);
}

/** Whoever has `.heads/` goes by it: what is committed of it must be sound, and say what the reviewer sees. */
export async function judgeCommitted(
  tree: Tree,
  index: Index,
  heads: ReadonlyMap<string, HeadRecord | undefined>,
  say: Say,
): Promise<void> {
  const byFolder = new Map<string, string[]>();
  for (const path of [...index.heads].sort()) {
    const folder = path.slice(0, path.lastIndexOf("/"));
    const files = byFolder.get(folder) ?? [];
    byFolder.set(folder, files);
    files.push(path);
  }
  let told = false;
  for (const prompt of tree.prompts.values()) {
    const folder = `${prompt.path}/${HEADS_DIR}`;
    const files = byFolder.get(folder) ?? [];
    let top: { readonly path: string; readonly head: Head } | undefined;
    for (const path of files) {
      const number = generationOf(path.slice(folder.length + 1));
      const head = number === undefined ? undefined : await judgeGeneration(tree, prompt.name, path, number, say);
      if (head === "gone") continue;
      if (!told) {
        told = true;
        say(
          "layout",
          "warn",
          folder,
          `${HEADS_DIR}/ is each clone's own, and latest.json is what is reviewed: ${UNTRACK}`,
        );
      }
      if (head !== undefined) top = { path, head };
    }
    const record = heads.get(prompt.path);
    if (top !== undefined && record !== undefined) judgeTop(prompt.name, top, record.head, say);
  }
}

const UNTRACK = `git rm -r --cached the .heads folders, and write ".heads/" into .gitignore`;

function judgeTop(
  name: PromptName,
  { path, head }: { readonly path: string; readonly head: Head },
  shown: Head,
  say: Say,
): void {
  const who = "and every clone is served by it";
  if (head.generation > shown.generation) {
    const message = `its generation is above that of ${HEAD_FILE} (${shown.generation}), ${who}; ${UNTRACK}`;
    say("head", "block", path, message);
  } else if (head.generation === shown.generation && !sameHead(name, head, shown)) {
    say("head", "block", path, `it says something else than ${HEAD_FILE} of this generation, ${who}; ${UNTRACK}`);
  }
}

async function judgeGeneration(
  tree: Tree,
  name: PromptName,
  path: string,
  number: number,
  say: Say,
): Promise<Head | "gone" | undefined> {
  const { text, problem, gone, elsewhere } = await tree.read(path, MAX_HEAD_BYTES);
  if (gone === true || elsewhere === true) return "gone";
  if (text === undefined) {
    say("head", "block", path, `${problem ?? "it can't be read"}, and the prompt can't be served with it; ${UNTRACK}`);
    return undefined;
  }
  const marker = CONFLICT_MARKER.exec(text);
  if (marker !== null) {
    const message = `it has a merge conflict, and the prompt can't be served with it; ${UNTRACK}`;
    say("head", "block", path, message, locator(text)(marker.index));
    return undefined;
  }
  try {
    return decodeGeneration(text, name, number, "it").record.head;
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    say("head", "block", path, `${error.message}; or, as latest.json is what counts in Git, ${UNTRACK}`);
    return undefined;
  }
}
