import { hash } from "node:crypto";
import { type Digest, isDigest } from "../../document.ts";
import type { Head, HistoryEntry, Revision } from "../../driver.ts";
import { EMPTY_HEAD } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import { decodeHead, encodeHead, type HeadRecord, headFromJson, headToJson } from "../../head.ts";
import type { PromptName } from "../../names.ts";
import { isVersion, type Version } from "../../semver.ts";
import { MAX_HEAD_BYTES, namesIn, readWhole, type Stamp, stampOf } from "./files.ts";
import { generationFile, generationOf, HEAD_FILE, HEADS_DIR, isTemp } from "./layout.ts";
import { wasPutThere } from "./replaced.ts";
import type { Scan } from "./scan.ts";
import { at, type Store } from "./store.ts";
import type { Task } from "./task.ts";

/** A document that a generation announces before it is there. */
export interface Reservation {
  readonly version: Version;
  readonly digest: Digest;
  readonly temp: string;
}

/** One file of `.heads`. `record.history` holds the entries that came with it. */
export interface Generation {
  readonly record: HeadRecord;
  readonly commit: string;
  readonly adds: readonly Reservation[];
  /** All of the history before it, as a `latest.json` told it that came from elsewhere; what is in earlier files is not it. */
  readonly base?: readonly HistoryEntry[];
}

/** The head as found. */
export interface LoadedHead {
  readonly source: "none" | "json" | "chain";
  readonly head: Head;
  readonly revision: Revision | null;
  /** Highest generation here; the next head is written as the one after it. */
  readonly generation: number;
  readonly adds: readonly Reservation[];
  /** `latest.json`, where it could be read. Of its history only the last entry, where the head is that of the generations. */
  readonly json?: { readonly record: HeadRecord; readonly stamp: Stamp };
}

export const NO_HEAD: LoadedHead = Object.freeze({
  source: "none",
  head: EMPTY_HEAD,
  revision: null,
  generation: 0,
  adds: [],
});

export function encodeGeneration({ record, commit, adds, base }: Generation): string {
  const json = {
    ...headToJson(record),
    commit,
    ...(adds.length === 0 ? {} : { adds }),
    ...(base === undefined ? {} : { base }),
  };
  const text = JSON.stringify(json);
  return `${text.slice(0, -1)},"digest":"sha256:${hash("sha256", text)}"}\n`;
}

/**
 * Throws for a head that would be written and then never be read again.
 *
 * @param what the file, for messages
 * @throws RegistryError INVALID
 */
export function checkHeadSize(text: string, name: PromptName, what: string, backend: string): void {
  if (text.length * 3 <= MAX_HEAD_BYTES) return;
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_HEAD_BYTES) return;
  const problem = `would have ${bytes} bytes, and at most ${MAX_HEAD_BYTES} can be read back`;
  throw new RegistryError("INVALID", `${what} of ${name} ${problem}; change less at a time, with shorter messages`, {
    backend,
    name,
    field: "message",
  });
}

const DIGEST = /,"digest":"sha256:([0-9a-f]{64})"\}\n$/;

/** Whether the last field is the SHA-256 of the JSON without it: a flipped bit could move a label and still parse (I9). */
function isWhole(text: string): boolean {
  const match = DIGEST.exec(text.slice(-100));
  if (match === null) return false;
  return match[1] === hash("sha256", `${text.slice(0, text.length - match[0].length)}}`);
}

export function decodeGeneration(text: string, name: PromptName, number: number, where: string): Generation {
  const bad = (problem: string) => new RegistryError("CORRUPT", `${where} ${problem}`, { ...at(name), path: where });
  if (!isWhole(text)) throw bad("does not match its digest; restore it from a copy of this folder");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad("is not JSON");
  }
  const record = headFromJson(value, name, where);
  if (record.head.generation !== number) throw bad(`holds the generation ${record.head.generation}`);
  const { commit, adds = [], base } = value as Record<string, unknown>;
  if (typeof commit !== "string" || !Array.isArray(adds)) throw bad("is incomplete");
  const before = base === undefined ? undefined : headFromJson({ ...(value as object), history: base }, name, where);
  return {
    record,
    commit,
    adds: adds.map((add: unknown) => {
      const { version, digest, temp } = (typeof add === "object" && add !== null ? add : {}) as Record<string, unknown>;
      // The temporary name becomes a path, so nothing but our own pattern will do.
      const isOurs = typeof temp === "string" && isTemp(temp) && /^[.a-z0-9-]+$/.test(temp);
      if (typeof version !== "string" || !isVersion(version) || !isDigest(digest) || !isOurs) {
        throw bad("announces something that is no document");
      }
      return { version, digest, temp };
    }),
    ...(before === undefined ? {} : { base: before.history }),
  };
}

export function* readGeneration(
  store: Store,
  root: string,
  name: PromptName,
  path: string,
  number: number,
): Task<Generation & { readonly stamp: Stamp }> {
  const file = `${HEADS_DIR}/${generationFile(number)}`;
  const context = at(name, file);
  const found = yield* readWhole(store, root, `${path}/${file}`, context, { max: MAX_HEAD_BYTES });
  if (found !== undefined) {
    return { ...decodeGeneration(found.text, name, number, `${name}/${file}`), stamp: stampOf(found.stats) };
  }
  throw new RegistryError("CORRUPT", `${name}/${file} vanished; head generations must never be removed`, context);
}

/** Numbers of the generations here, ascending. */
export function* generationNumbers(name: PromptName, path: string): Task<number[]> {
  const files = (yield* namesIn(`${path}/${HEADS_DIR}`, at(name, HEADS_DIR))) ?? [];
  return files.flatMap((file) => generationOf(file) ?? []).sort((a, b) => a - b);
}

/** `latest.json`; `undefined` when it is not there. */
export function* readHeadFile(
  store: Store,
  root: string,
  name: PromptName,
  path: string,
): Task<{ readonly record: HeadRecord; readonly stamp: Stamp } | undefined> {
  const context = at(name, HEAD_FILE);
  const found = yield* readWhole(store, root, `${path}/${HEAD_FILE}`, context, { max: MAX_HEAD_BYTES });
  if (found === undefined) return undefined;
  return { record: decodeHead(found.text, name, `${name}/${HEAD_FILE}`), stamp: stampOf(found.stats) };
}

/**
 * The head: the last of the generations, or what `latest.json` says where that is newer: by its generation, as in a clone
 * that others' changes came into, or because Git put it there since, for a branch that says something else. Labels and pin of
 * a file that came from elsewhere are no authority over what is there, so those without a version are left out.
 */
export function* loadHead(store: Store, root: string, name: PromptName, path: string, scan: Scan): Task<LoadedHead> {
  if (!scan.heads && !scan.headFile) return NO_HEAD;
  const numbers = scan.heads ? yield* generationNumbers(name, path) : [];
  const top = numbers.at(-1);
  const chain = top === undefined ? undefined : yield* readGeneration(store, root, name, path, top);
  let json: LoadedHead["json"];
  try {
    if (scan.headFile) json = yield* readHeadFile(store, root, name, path);
  } catch (error) {
    // The chain is the truth; a projection that was cut or merged badly must not stop anybody.
    if (chain === undefined || !isRegistryError(error, "CORRUPT")) throw error;
  }
  const newer =
    json !== undefined &&
    (json.record.head.generation > (top ?? 0) ||
      (chain !== undefined &&
        !sameHead(name, json.record.head, chain.record.head) &&
        (yield* wasPutThere(store, root, json.stamp, chain.stamp))));
  if (json !== undefined && newer) {
    const { head } = json.record;
    const known = dropMissing(head, scan);
    // The same generation can come back with other content (a forced push), so the number alone names nothing.
    const mark = hash("sha256", encodeHead({ name, head, history: [] })).slice(0, 12);
    return {
      source: "json",
      head: known,
      revision: `g${head.generation}.${mark}`,
      generation: Math.max(head.generation, top ?? 0),
      adds: [],
      json,
    };
  }
  if (chain === undefined || top === undefined) return json === undefined ? NO_HEAD : { ...NO_HEAD, json };
  return {
    source: "chain",
    head: chain.record.head,
    revision: `g${top}`,
    generation: top,
    adds: chain.adds,
    // The rest of its history is in the generations, and need not be remembered.
    ...(json === undefined
      ? {}
      : { json: { ...json, record: { ...json.record, history: json.record.history.slice(-1) } } }),
  };
}

/** Whether two heads are the same to the letter, their generations too. */
export function sameHead(name: PromptName, a: Head, b: Head): boolean {
  if (a.generation !== b.generation) return false;
  return encodeHead({ name, head: a, history: [] }) === encodeHead({ name, head: b, history: [] });
}

function dropMissing(head: Head, scan: Scan): Head {
  const { pin, labels, ...rest } = head;
  const there = Object.entries(labels).filter(([, version]) => scan.versions.has(version));
  return Object.freeze({
    ...rest,
    labels: Object.freeze(Object.fromEntries(there)),
    ...(pin === undefined || !scan.versions.has(pin) ? {} : { pin }),
  });
}

/**
 * Head entries, oldest first: those of the generations in their order, or of the `latest.json` that counts in their stead. What
 * was cut from the beginning of that one is in the generations, and what only they have is another branch's.
 */
export function* loadEntries(
  store: Store,
  root: string,
  name: PromptName,
  path: string,
  scan: Scan,
  loaded: LoadedHead,
): Task<HistoryEntry[]> {
  let entries: HistoryEntry[] = [];
  const numbers = scan.heads ? yield* generationNumbers(name, path) : [];
  for (const number of numbers) {
    const { record, base } = yield* readGeneration(store, root, name, path, number);
    if (base !== undefined) entries = [...base];
    entries.push(...record.history);
  }
  if (loaded.source !== "json" || loaded.json === undefined) return entries;
  const { history } = loaded.json.record;
  const keys = entries.map((entry) => JSON.stringify(entry));
  const [first] = history;
  const common = first === undefined ? -1 : keys.indexOf(JSON.stringify(first));
  if (common >= 0) return [...entries.slice(0, common), ...history];
  if (loaded.json.record.head.generation <= (numbers.at(-1) ?? 0)) return [...history];
  // It goes on from generations of which nothing is left in it.
  const known = new Set(keys);
  return [...entries, ...history.filter((entry) => !known.has(JSON.stringify(entry)))];
}
