import { hash } from "node:crypto";
import { openStored } from "../../document.ts";
import { EMPTY_HEAD, type Head, type HeadState, type HistoryEntry, type StoredDocument } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import { decodeHead, encodeHead, type HeadRecord } from "../../head.ts";
import type { Label, PromptName } from "../../names.ts";
import type { Version } from "../../semver.ts";
import { decodeGeneration, type Generation } from "../fs/generations.ts";
import { highest } from "../fs/highest.ts";
import { generationFile, generationOf, HEAD_FILE, HEADS_DIR, labelFile, linkTarget } from "../fs/layout.ts";
import type { Blobs, BlobText } from "./blobs.ts";
import type { PromptFiles } from "./snapshot.ts";

/** Longer than any name of a version file. */
const MAX_LINK = 80;

/** The head as it was found: the newer of `latest.json` and the last generation that a folder registry left. */
export interface LoadedHead {
  readonly source: "none" | "json" | "chain";
  /** As it was written, labels to versions that are not here included. */
  readonly raw: Head;
  readonly generation: number;
  readonly revision: string | null;
  readonly json?: HeadRecord;
}

/** A prompt at one commit. */
export interface PromptState {
  readonly prompt: PromptFiles;
  readonly loaded: LoadedHead;
  /** Object id of each version; a tombstone is one too. */
  readonly versions: ReadonlyMap<Version, string>;
  /** Versions found to be tombstones although the head does not say so. */
  readonly hidden: ReadonlySet<Version>;
  readonly state: HeadState;
}

export interface StoredVersion {
  readonly document: StoredDocument;
  readonly tombstone: boolean;
  readonly id: string;
}

const NO_HEAD: LoadedHead = Object.freeze({ source: "none", raw: EMPTY_HEAD, generation: 0, revision: null });

export function versionIds({ files, scan }: PromptFiles): Map<Version, string> {
  const ids = new Map<Version, string>();
  for (const [version, file] of scan.versions) {
    const id = files.get(file);
    if (id !== undefined) ids.set(version, id);
  }
  return ids;
}

/** Finding out that a text is no tombstone must not cost a digest: only a text that bears the mark is opened. */
export function isTombstone(document: StoredDocument): boolean {
  if (!document.text.includes("registry.removed: ")) return false;
  try {
    return openStored(document.text, document).kind === "tombstone";
  } catch {
    // Damaged: the reader, who verifies, is to say so.
    return false;
  }
}

export function textOf({ text }: BlobText, name: PromptName, what: string): string {
  if (text !== undefined) return text;
  throw new RegistryError("CORRUPT", `${name}: ${what} is not UTF-8; restore it from an earlier commit`, {
    backend: "github",
    name,
    path: `${name}/${what}`,
  });
}

/** Reads prompts of a snapshot. What was derived from a prompt's files is kept as long as these are. */
export class States {
  readonly blobs: Blobs;
  readonly #states = new WeakMap<PromptFiles, PromptState>();

  constructor(blobs: Blobs) {
    this.blobs = blobs;
  }

  known(prompt: PromptFiles): PromptState | undefined {
    return this.#states.get(prompt);
  }

  /** Object ids of all that is looked at to know the heads; for loading them together. */
  needs(prompt: PromptFiles): string[] {
    if (this.#states.has(prompt)) return [];
    const { files, scan } = prompt;
    const ids: (string | undefined)[] = [files.get(HEAD_FILE), files.get(topGeneration(prompt) ?? "")];
    if (!scan.headFile && !scan.heads) ids.push(...scan.links.map((label) => files.get(labelFile(label))));
    for (const version of scan.marks) ids.push(files.get(scan.versions.get(version) ?? ""));
    return ids.flatMap((id) => id ?? []);
  }

  async prefetch(prompts: Iterable<PromptFiles>, commit?: string): Promise<void> {
    const ids = [...prompts].flatMap((prompt) => this.needs(prompt));
    if (ids.length > 0) await this.blobs.load(ids, commit);
  }

  /** @throws RegistryError CORRUPT for a head that can't be read */
  async of(prompt: PromptFiles): Promise<PromptState> {
    const known = this.#states.get(prompt);
    if (known !== undefined) return known;
    await this.blobs.load(this.needs(prompt));
    const loaded = await this.#head(prompt);
    const versions = versionIds(prompt);
    const hidden = new Set<Version>();
    for (const version of prompt.scan.marks) {
      if (Object.hasOwn(loaded.raw.yanked, version)) continue;
      if ((await this.version(prompt, version))?.tombstone === true) hidden.add(version);
    }
    const head = loaded.source === "none" ? await this.#headOfLinks(prompt) : withoutMissing(loaded.raw, versions);
    const state = this.#derive({ prompt, loaded, versions, hidden, head });
    this.#states.set(prompt, state);
    return state;
  }

  /** The same, knowing of one more tombstone. */
  withHidden(state: PromptState, version: Version): PromptState {
    const hidden = new Set([...state.hidden, version]);
    const next = this.#derive({ ...state, hidden, head: state.state.head });
    this.#states.set(state.prompt, next);
    return next;
  }

  #derive({
    prompt,
    loaded,
    versions,
    hidden,
    head,
  }: Pick<PromptState, "prompt" | "loaded" | "versions" | "hidden"> & { readonly head: Head }): PromptState {
    const live = [...versions.keys()].filter((version) => !hidden.has(version));
    const latest = head.pin ?? highest(live, head.yanked);
    const state = Object.freeze({
      head,
      revision: loaded.revision,
      ...(latest === undefined ? {} : { latest }),
    });
    return { prompt, loaded, versions, hidden, state };
  }

  async version(prompt: PromptFiles, version: Version): Promise<StoredVersion | undefined> {
    const file = prompt.scan.versions.get(version);
    const id = file === undefined ? undefined : prompt.id(file);
    if (file === undefined || id === undefined) return undefined;
    return storedVersion(prompt.name, version, file, id, await this.blobs.one(id));
  }

  async #text(prompt: PromptFiles, file: string): Promise<string | undefined> {
    const id = prompt.id(file);
    return id === undefined ? undefined : textOf(await this.blobs.one(id), prompt.name, file);
  }

  async #head(prompt: PromptFiles): Promise<LoadedHead> {
    const { name, scan } = prompt;
    if (!scan.headFile && !scan.heads) return NO_HEAD;
    const top = topGeneration(prompt);
    const chain = top === undefined ? undefined : await this.#generation(prompt, top);
    let json: HeadRecord | undefined;
    try {
      const text = await this.#text(prompt, HEAD_FILE);
      if (text !== undefined) json = decodeHead(text, name, `${name}/${HEAD_FILE}`);
    } catch (error) {
      // The chain is the truth; a projection that was merged badly must not stop anybody.
      if (chain === undefined || !isRegistryError(error, "CORRUPT")) throw error;
    }
    const kept = json === undefined ? {} : { json };
    const above = chain?.record.head.generation ?? 0;
    if (json !== undefined && json.head.generation > above) return { ...headOf(name, "json", json.head), ...kept };
    return chain === undefined ? { ...NO_HEAD, ...kept } : { ...headOf(name, "chain", chain.record.head), ...kept };
  }

  async #generation(prompt: PromptFiles, file: string): Promise<Generation> {
    const text = (await this.#text(prompt, file)) ?? "";
    const number = generationOf(file.slice(HEADS_DIR.length + 1)) as number;
    return decodeGeneration(text, prompt.name, number, `${prompt.name}/${file}`);
  }

  /** Without any head the links are all there is to know about labels. */
  async #headOfLinks(prompt: PromptFiles): Promise<Head> {
    const labels: Record<Label, Version> = {};
    for (const label of prompt.scan.links) {
      const target = await this.link(prompt, labelFile(label));
      if (target !== undefined && prompt.scan.versions.has(target)) labels[label] = target;
    }
    return Object.freeze({ ...EMPTY_HEAD, labels: Object.freeze(labels) });
  }

  /** The version that a link, or the text that stands for one, names. */
  async link(prompt: PromptFiles, file: string): Promise<Version | undefined> {
    const id = prompt.id(file);
    const { text } = id === undefined ? { text: undefined } : await this.blobs.one(id);
    return text === undefined || text.length > MAX_LINK ? undefined : linkTarget(text);
  }

  /** Head entries, oldest first: those of a folder's chain in its order, then what `latest.json` alone tells. */
  async entries(state: PromptState): Promise<HistoryEntry[]> {
    const { prompt, loaded } = state;
    const entries: HistoryEntry[] = [];
    const seen = new Set<string>();
    const addNew = (list: readonly HistoryEntry[]) => {
      const fresh = list.filter((entry) => !seen.has(JSON.stringify(entry)));
      for (const entry of fresh) seen.add(JSON.stringify(entry));
      entries.push(...fresh);
    };
    const files = generations(prompt).map((number) => `${HEADS_DIR}/${generationFile(number)}`);
    await this.blobs.load(files.flatMap((file) => prompt.id(file) ?? []));
    for (const file of files) {
      const { record, base } = await this.#generation(prompt, file);
      if (base !== undefined) {
        // All there was before, as it was told where this was written; earlier files may be of another branch.
        entries.length = 0;
        seen.clear();
        addNew(base);
      }
      for (const entry of record.history) seen.add(JSON.stringify(entry));
      entries.push(...record.history);
    }
    const { json } = loaded;
    if (json === undefined || loaded.source === "chain") return entries;
    // With nothing but this file, what it tells twice happened twice.
    if (files.length === 0) return [...json.history];
    addNew(json.history);
    return entries;
  }
}

export function storedVersion(
  name: PromptName,
  version: Version,
  file: string,
  id: string,
  blob: BlobText,
): StoredVersion {
  const document = Object.freeze({ name, version, text: textOf(blob, name, file) });
  return { document, tombstone: isTombstone(document), id };
}

function headOf(name: PromptName, source: "json" | "chain", head: Head): LoadedHead {
  // The same generation can come back with other content (a forced push), so the number alone names nothing.
  const mark = hash("sha256", encodeHead({ name, head, history: [] })).slice(0, 12);
  return { source, raw: head, generation: head.generation, revision: `g${head.generation}.${mark}` };
}

function withoutMissing(head: Head, versions: ReadonlyMap<Version, string>): Head {
  const { pin, labels, ...rest } = head;
  const there = Object.entries(labels).filter(([, version]) => versions.has(version));
  return Object.freeze({
    ...rest,
    labels: Object.freeze(Object.fromEntries(there)),
    ...(pin === undefined || !versions.has(pin) ? {} : { pin }),
  });
}

/** Numbers of the generations that a folder registry left, ascending. */
export function generations({ files, scan }: PromptFiles): number[] {
  if (!scan.heads) return [];
  const found: number[] = [];
  for (const file of files.keys()) {
    if (!file.startsWith(`${HEADS_DIR}/`)) continue;
    const number = generationOf(file.slice(HEADS_DIR.length + 1));
    if (number !== undefined) found.push(number);
  }
  return found.sort((a, b) => a - b);
}

function topGeneration(prompt: PromptFiles): string | undefined {
  const top = generations(prompt).at(-1);
  return top === undefined ? undefined : `${HEADS_DIR}/${generationFile(top)}`;
}
