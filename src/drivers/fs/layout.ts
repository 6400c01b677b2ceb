/** The one place that knows how things are named on disk. */
import { isLabel, isName, type Label, type PromptName } from "../../names.ts";
import { isVersion, type Version } from "../../semver.ts";

export const LATEST_FILE = "latest.md";
/** The head as other tools and clones read it. */
export const HEAD_FILE = "latest.json";
/** Folder of the head generations, which are the truth about the head. */
export const HEADS_DIR = ".heads";
/** Its time tells readers with a remembered listing that prompts came or went somewhere below. */
export const CHANGED_FILE = ".changed";
export const TEMP_PREFIX = ".tmp-";
const CLAIM_PREFIX = ".claim-";
const REMOVED_PREFIX = ".removed-";

/** What is each clone's own, as lines of a `.gitignore`. */
export const OWN_PATTERNS: readonly string[] = [
  `${HEADS_DIR}/`,
  CHANGED_FILE,
  ...[TEMP_PREFIX, CLAIM_PREFIX, REMOVED_PREFIX].map((prefix) => `${prefix}*`),
];

export function versionFile(version: Version): string {
  return `v${version}.md`;
}

/** `1.0.0.md`, as it was written before versions had a `v` here. */
export function oldVersionFile(version: Version): string {
  return `${version}.md`;
}

/** The flat files of old, relative to the folder that holds the prompt's own folder. */
export function flatFiles(name: PromptName): readonly string[] {
  const stem = name.slice(name.lastIndexOf("/") + 1);
  return [`${stem}.md`, `${stem}.prompt`];
}

export function labelFile(label: Label): string {
  return `${label}.md`;
}

export function generationFile(generation: number): string {
  return `${String(generation).padStart(12, "0")}.json`;
}

export function generationOf(file: string): number | undefined {
  if (!/^\d{12}\.json$/.test(file)) return undefined;
  return Number(file.slice(0, 12));
}

export function tempFile(id: string): string {
  return TEMP_PREFIX + id;
}

export function isTemp(file: string): boolean {
  return file.startsWith(TEMP_PREFIX);
}

const ID_LENGTH = 36;

/** What is about to take the place of a version: a tombstone, or the document again. Whoever decides otherwise takes it away. */
export type Pending = "bury" | "unbury";

export function pendingFile(what: Pending, version: Version, id: string): string {
  return tempFile(`${what}-${version}-${id}`);
}

export function isPending(what: Pending, file: string, version: Version): boolean {
  const start = pendingFile(what, version, "");
  return file.startsWith(start) && file.length === start.length + ID_LENGTH;
}

/** The folder that stands for the right to fill a slot where there are no hard links. */
export function claimDir(file: string): string {
  return CLAIM_PREFIX + file;
}

export function claimedFile(dir: string): string | undefined {
  return dir.startsWith(CLAIM_PREFIX) ? dir.slice(CLAIM_PREFIX.length) : undefined;
}

/** Says that a slot may hold a tombstone that no head knows of; a hint, checked against the slot itself. */
export function removedMark(version: Version): string {
  return REMOVED_PREFIX + version;
}

/** Longer than any name of a version file: what is larger stands for no link. */
export const MAX_LINK_BYTES = 80;

/** The version that a link target or the text of a stand-in for a link names. */
export function linkTarget(text: string): Version | undefined {
  const match = /^v?([^\s/\\]{1,64})\.md$/.exec(text.trim());
  const version = match?.[1];
  return version !== undefined && isVersion(version) ? version : undefined;
}

/** What a name in a prompt's folder can stand for. `segment` says that it may also be part of another prompt's name. */
export type Entry =
  | { readonly kind: "version"; readonly version: Version }
  | { readonly kind: "oldVersion"; readonly version: Version }
  | { readonly kind: "latest" }
  | { readonly kind: "head" }
  | { readonly kind: "heads" }
  | { readonly kind: "temp" }
  | { readonly kind: "claim"; readonly file: string }
  | { readonly kind: "removedMark"; readonly version: Version }
  /** `production.md`: a label's link, or the flat file of a prompt below this folder. */
  | { readonly kind: "page"; readonly label?: Label; readonly segment?: string }
  /** A folder of prompts below, or (`x.prompt`) a flat file of one. */
  | { readonly kind: "folder"; readonly segment: string; readonly flat?: string }
  | { readonly kind: "hidden" }
  | { readonly kind: "foreign" };

const HIDDEN: Entry = { kind: "hidden" };
const FOREIGN: Entry = { kind: "foreign" };
const MAX_REMEMBERED = 20_000;
// The same few file names come back in every folder.
const remembered = new Map<string, Entry>();

export function entryOf(file: string): Entry {
  const known = remembered.get(file);
  if (known !== undefined) return known;
  const entry = classify(file);
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  remembered.set(file, entry);
  return entry;
}

function classify(file: string): Entry {
  if (file.startsWith(".")) return classifyHidden(file);
  if (file === LATEST_FILE) return { kind: "latest" };
  if (file === HEAD_FILE) return { kind: "head" };
  if (file.endsWith(".md")) {
    const stem = file.slice(0, -3);
    if (isVersion(stem)) return { kind: "oldVersion", version: stem };
    const version = stem.startsWith("v") ? stem.slice(1) : "";
    if (isVersion(version)) return { kind: "version", version };
    const label = isLabel(stem) ? { label: stem } : {};
    const segment = isName(stem) ? { segment: stem } : {};
    return "label" in label || "segment" in segment ? { kind: "page", ...label, ...segment } : FOREIGN;
  }
  if (file.includes("/") || !isName(file)) return FOREIGN;
  const stem = file.endsWith(".prompt") ? file.slice(0, -7) : "";
  return { kind: "folder", segment: file, ...(isName(stem) ? { flat: stem } : {}) };
}

function classifyHidden(file: string): Entry {
  if (file === HEADS_DIR) return { kind: "heads" };
  if (isTemp(file)) return { kind: "temp" };
  const claimed = claimedFile(file);
  if (claimed !== undefined) return { kind: "claim", file: claimed };
  const version = file.startsWith(REMOVED_PREFIX) ? file.slice(REMOVED_PREFIX.length) : "";
  if (isVersion(version)) return { kind: "removedMark", version };
  return HIDDEN;
}
