/** Looks at a folder without trusting anything in it: links are read, never followed, and nothing is read without a bound. */
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { MAX_STORED_BYTES } from "../document.ts";
import { flatVersionOf } from "../drivers/fs/flat.ts";
import { entryOf, linkTarget } from "../drivers/fs/layout.ts";
import { isRegistryError, RegistryError, show, throwIfAborted } from "../errors.ts";
import { compareNames, type Label, type PromptName, parseName } from "../names.ts";
import type { Version } from "../semver.ts";
import { type ReadFile, readBlob, readText } from "./content.ts";
import type { BaseFile, Index } from "./git.ts";
import type { Say, ValidateOptions } from "./types.ts";

export interface VersionFile {
  readonly name: PromptName;
  readonly version: Version;
  /** Relative to the root, with `/`. */
  readonly path: string;
  /** One file for a whole prompt, beside where its folder would be. */
  readonly flat: boolean;
}

/** `latest.md`, or that of a label: a link, or a small file in its place. */
export interface Pointer {
  readonly label: Label | "latest";
  readonly path: string;
  /** `undefined`: it names no version beside it. */
  readonly target: Version | undefined;
  /** What it holds, for messages. */
  readonly text: string;
}

export interface PromptFiles {
  readonly name: PromptName;
  readonly path: string;
  readonly versions: Map<Version, VersionFile>;
  readonly pointers: Pointer[];
  /** Of its `latest.json`. */
  head?: string;
}

export interface Tree {
  /** Absolute. */
  readonly root: string;
  readonly prompts: ReadonlyMap<string, PromptFiles>;
  /** Files that Git has and the folder has not, as they are left out of a sparse checkout. */
  readonly skipped: Index["skipped"];
  read(path: string, max: number): Promise<ReadFile>;
}

const MAX_DEPTH = 32;
const MAX_LINK_BYTES = 80;
const PROMPT_FILE = /\.(?:md|markdown|prompt)$/i;
const ABOUT =
  /^(?:readme|license|licence|changelog|contributing|code_of_conduct|security|authors|notice|agents|claude)(?:\..*)?$/i;

export async function readTree(root: string, index: Index, say: Say, options: ValidateOptions): Promise<Tree> {
  const skipped = await notThere(root, index);
  const read = (path: string, max: number) => {
    const file = skipped.get(path);
    return file === undefined ? readText(root, path, max) : readBlob(index, file.oid, max);
  };
  const walk: Walk = { root, say, options, read, prompts: new Map(), files: 0 };
  await visit(walk, "", 0);
  for (const [path, file] of skipped) await visitSkipped(walk, path, file);
  return { root, prompts: walk.prompts, skipped, read };
}

/** One that is there all the same is judged as it is there. */
async function notThere(root: string, { skipped }: Index): Promise<Index["skipped"]> {
  const gone = new Map<string, BaseFile>();
  for (const [path, file] of skipped) {
    if ((await lstat(join(root, path)).catch(() => undefined)) === undefined) gone.set(path, file);
  }
  return gone;
}

interface Walk {
  readonly root: string;
  readonly say: Say;
  readonly options: ValidateOptions;
  readonly read: Tree["read"];
  readonly prompts: Map<string, PromptFiles>;
  files: number;
}

async function visit(walk: Walk, folder: string, depth: number): Promise<void> {
  const { root, say, options } = walk;
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch((error: unknown) => {
    if (folder === "") throw unreadable(root, error);
    say("layout", "block", folder, `this folder can't be read: ${(error as NodeJS.ErrnoException).code ?? "unknown"}`);
    return [];
  });
  if (folder !== "" && entries.some((e) => e.name === ".git")) {
    say(
      "layout",
      "block",
      folder,
      "this is another repository (a submodule); what it holds is no part of this registry",
    );
    return;
  }
  if (depth > MAX_DEPTH) {
    say("layout", "block", folder, `nested deeper than ${MAX_DEPTH} folders; a name has at most 8 segments`);
    return;
  }
  for (const entry of entries.sort((a, b) => compareNames(a.name, b.name))) {
    throwIfAborted(options.signal, "validate");
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    options.onProgress?.(++walk.files);
    if (entry.name.includes("\ufffd")) say("name", "block", path, "this name is not UTF-8");
    else if (entry.isSymbolicLink()) await visitLink(walk, folder, entry.name, path);
    else if (entry.name.startsWith(".")) visitHidden(walk, entry.name, path);
    else if (entry.isDirectory()) {
      if (entry.name !== "node_modules") await visit(walk, path, depth + 1);
    } else if (entry.isFile()) await visitFile(walk, folder, entry.name, path);
    else say("layout", "block", path, "this is no regular file; remove it");
  }
}

async function visitSkipped(walk: Walk, path: string, { mode }: BaseFile): Promise<void> {
  const parts = path.split("/");
  if (parts.some((part) => part.startsWith(".") || part === "node_modules")) return;
  const file = parts.pop() as string;
  if (mode === "120000") await visitLink(walk, parts.join("/"), file, path);
  else if (mode.startsWith("100")) await visitFile(walk, parts.join("/"), file, path);
}

function visitHidden({ say }: Walk, file: string, path: string): void {
  const { kind } = entryOf(file);
  if (kind !== "temp" && kind !== "claim") return;
  say("layout", "warn", path, "a write in progress, or what a crash left; it does not belong into a commit");
}

function unreadable(path: string, error: unknown): RegistryError {
  return new RegistryError("INVALID", `can't read the folder ${show(path)}: ${(error as NodeJS.ErrnoException).code}`, {
    field: "path",
    path,
  });
}

/** The files of the prompt that a folder is; `undefined`, and said, where its name is none. */
function promptOf({ say, prompts }: Walk, folder: string, path: string): PromptFiles | undefined {
  const known = prompts.get(folder);
  if (known !== undefined) return known;
  try {
    const name = parseName(folder);
    const files: PromptFiles = { name, path: folder, versions: new Map(), pointers: [] };
    prompts.set(folder, files);
    return files;
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    say("name", "block", path, folder === "" ? "a version must be in the folder of its prompt" : error.message);
    return undefined;
  }
}

async function visitLink(walk: Walk, folder: string, file: string, path: string): Promise<void> {
  const { root, say, read } = walk;
  const { text = "", elsewhere } = await readlink(join(root, path)).then(
    (text) => ({ text, elsewhere: undefined }),
    () => read(path, MAX_LINK_BYTES),
  );
  if (elsewhere === true) return;
  const entry = entryOf(file);
  const label = entry.kind === "latest" ? "latest" : entry.kind === "page" ? entry.label : undefined;
  if (label === undefined) {
    say("layout", "block", path, `a link (to ${show(text)}) that is no label's; a registry follows no links`);
    return;
  }
  promptOf(walk, folder, path)?.pointers.push({ label, path, target: linkTarget(text), text });
}

async function visitFile(walk: Walk, folder: string, file: string, path: string): Promise<void> {
  const { say } = walk;
  const entry = entryOf(file);
  switch (entry.kind) {
    case "version":
    case "oldVersion": {
      const prompt = promptOf(walk, folder, path);
      if (prompt === undefined) return;
      if (entry.kind === "oldVersion") {
        say(
          "layout",
          "warn",
          path,
          `versions are named v${entry.version}.md now; \`prompt-registry doctor --fix\` moves it`,
        );
        if (prompt.versions.has(entry.version)) return;
      }
      prompt.versions.set(entry.version, { name: prompt.name, version: entry.version, path, flat: false });
      return;
    }
    case "head": {
      const prompt = promptOf(walk, folder, path);
      if (prompt !== undefined) prompt.head = path;
      return;
    }
    case "latest":
    case "page":
      await visitPage(walk, folder, file, path, entry.kind === "latest" ? "latest" : entry.label);
      return;
    default:
      if (entry.kind === "folder" && entry.flat !== undefined) await visitFlat(walk, folder, entry.flat, path);
      else if (PROMPT_FILE.test(file) && !ABOUT.test(file)) {
        say("name", "block", path, `${show(file)} is not vX.Y.Z.md, nor the name of a label or prompt`);
      }
  }
}

async function visitPage(
  walk: Walk,
  folder: string,
  file: string,
  path: string,
  label: Label | "latest" | undefined,
): Promise<void> {
  const { say } = walk;
  if (label !== undefined) {
    const { text = "", elsewhere } = await walk.read(path, MAX_LINK_BYTES);
    if (elsewhere === true) return;
    const target = linkTarget(text);
    if (target !== undefined) {
      promptOf(walk, folder, path)?.pointers.push({ label, path, target, text: text.trim() });
      return;
    }
  }
  if (label === "latest") {
    say("layout", "warn", path, "a copy, and not a link to a version; `prompt-registry doctor --fix` puts it right");
    return;
  }
  const stem = file.slice(0, -3);
  if (/^v?\d+(?:\.\d+)*(?:-.*)?$/.test(stem)) {
    say("name", "block", path, `${show(file)} looks like a version and is none; write vX.Y.Z.md`);
    return;
  }
  await visitFlat(walk, folder, stem, path);
}

/** One file for a prompt, as people write them before they have a registry. */
async function visitFlat(walk: Walk, folder: string, stem: string, path: string): Promise<void> {
  const full = folder === "" ? stem : `${folder}/${stem}`;
  const { text } = await walk.read(path, MAX_STORED_BYTES);
  const version = text === undefined ? ("0.0.0" as Version) : flatVersionOf(text, full as PromptName);
  if (version === undefined) {
    const detail = "no prompt of its own: a link, or a copy of what a link showed, of another one";
    walk.say("layout", "warn", path, `${detail}; \`prompt-registry doctor --fix\` puts links right`);
    return;
  }
  const prompt = promptOf(walk, full, path);
  if (prompt === undefined) return;
  walk.say(
    "layout",
    "info",
    path,
    `a prompt in one file, read as version ${version}; \`prompt-registry import\` stores it`,
  );
  if (!prompt.versions.has(version)) {
    prompt.versions.set(version, { name: prompt.name, version, path, flat: true });
  }
}
