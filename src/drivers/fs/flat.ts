/** The flat layout of old: one file a prompt, `prompts/name.md` or `name.prompt`, beside the prompt's folder. */
import { isRegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import { isVersion, type Version } from "../../semver.ts";
import { readWhole } from "./files.ts";
import { flatFiles, linkTarget, MAX_LINK_BYTES } from "./layout.ts";
import { at, type Store } from "./store.ts";
import { call, type Task } from "./task.ts";

export interface FlatVersion {
  readonly version: Version;
  readonly path: string;
}

/** What a sealed text says it is: the first of each line, unproven. */
export function sealedAs(text: string): { readonly name: string; readonly version?: Version } | undefined {
  const front = frontOf(text);
  const name = lineOf(front, "registry.name");
  const version = lineOf(front, "registry.version") ?? "";
  return name === undefined ? undefined : { name, ...(isVersion(version) ? { version } : {}) };
}

/**
 * The version that a flat file holds; `undefined` for what is none: the stand-in for a link, which is a label of the prompt
 * above, and the sealed document of another prompt, which is what a copy that follows links makes of such a label.
 *
 * @param name the prompt that the file would speak for
 */
export function flatVersionOf(text: string, name?: PromptName): Version | undefined {
  if (text.length <= MAX_LINK_BYTES && linkTarget(text) !== undefined) return undefined;
  if (name !== undefined) {
    const sealed = sealedAs(text);
    if (sealed !== undefined && sealed.name !== name) return undefined;
    if (sealed?.version !== undefined) return sealed.version;
  }
  const said = /^version:[ \t]*["']?v?([0-9A-Za-z.-]{1,64})["']?[ \t]*(?:#.*)?$/m.exec(frontOf(text))?.[1];
  return said !== undefined && isVersion(said) ? said : ("0.0.0" as Version);
}

function frontOf(text: string): string {
  return (/^\ufeff?---[ \t]*\r?\n([\s\S]*?)\r?\n---/.exec(text)?.[1] ?? "").replaceAll("\r", "");
}

function lineOf(front: string, key: "registry.name" | "registry.version"): string | undefined {
  const line = `\n${front}\n`;
  const start = line.indexOf(`\n${key}: `);
  if (start < 0) return undefined;
  const from = start + key.length + 3;
  return line.slice(from, line.indexOf("\n", from)).trim();
}

/** They count while the prompt's folder has no version. */
export function* flatVersions(store: Store, root: string, name: PromptName, path: string): Task<FlatVersion[]> {
  const parent = path.slice(0, path.lastIndexOf("/"));
  const found: FlatVersion[] = [];
  for (const file of flatFiles(name)) {
    const flat = `${parent}/${file}`;
    const version = yield* flatVersionIn(store, root, name, flat);
    if (version !== undefined) found.push({ version, path: flat });
  }
  return found;
}

function* flatVersionIn(store: Store, root: string, name: PromptName, path: string): Task<Version | undefined> {
  const stats = yield* call("lstat", path);
  if (stats?.isFile() !== true) return undefined;
  const text = (yield* readWhole(store, root, path, at(name)))?.text;
  return text === undefined ? undefined : flatVersionOf(text, name);
}

/** Whether a file speaks for the prompt. One that can't be read does: whoever asks for it is told. */
export function* isFlat(store: Store, root: string, name: PromptName, path: string): Task<boolean> {
  try {
    return (yield* flatVersionIn(store, root, name, path)) !== undefined;
  } catch (error) {
    if (isRegistryError(error)) return true;
    throw error;
  }
}
