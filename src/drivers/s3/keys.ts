import { isName, type PromptName } from "../../names.ts";
import { isVersion, type Version } from "../../semver.ts";

/** Where everything of a registry lies below its prefix. Only this file knows keys. */
export interface Keys {
  /** `""`, or ends with a slash. */
  readonly root: string;
  document(name: PromptName, version: Version): string;
  /** Of the documents of one prompt, and of nothing else but prompts whose next segment starts with `v`. */
  readonly documents: string;
  versions(name: PromptName): { readonly prefix: string; readonly after: string; readonly last: string };
  /** @returns the version of a key that {@link versions} gave; `undefined` for what is no version */
  versionOf(name: PromptName, key: string): Version | undefined;
  /** Name and version of any document key. */
  documentOf(key: string): { readonly name: PromptName; readonly version: Version } | undefined;
  readonly heads: string;
  head(name: PromptName): string;
  headOf(key: string): PromptName | undefined;
  /** The head as plain HTTP consumers look for it: a projection. */
  latest(name: PromptName): string;
  archive(name: PromptName, file: string): string;
  readonly probe: string;
  probing(id: string): string;
  readonly probes: string;
}

// "!" sorts before every character of a name ("-" is the lowest), so keys stand in the order of their names.
const HEAD_END = "!.json";

/**
 * @param prefix as it was configured: with or without slashes around it
 * @example
 * layout("team/prompts").head(parseName("support/triage")); // "team/prompts/heads/support/triage!.json"
 */
export function layout(prefix: string): Keys {
  const trimmed = prefix.replace(/^\/+|\/+$/g, "");
  const root = trimmed === "" ? "" : `${trimmed}/`;
  const documents = `${root}prompts/`;
  const heads = `${root}heads/`;
  const versionOf = (name: PromptName, key: string) => {
    const start = `${documents}${name}/v`;
    if (!key.startsWith(start) || !key.endsWith(".md")) return undefined;
    const version = key.slice(start.length, -3);
    return isVersion(version) ? version : undefined;
  };
  return {
    root,
    documents,
    document: (name, version) => `${documents}${name}/v${version}.md`,
    versions(name) {
      const prefix = `${documents}${name}/v`;
      // A version starts with a digit: keys before "v0" and after "v9…" belong to other prompts.
      return { prefix, after: `${prefix}/`, last: `${prefix}:` };
    },
    versionOf,
    documentOf(key) {
      const slash = key.lastIndexOf("/v");
      if (!key.startsWith(documents) || slash < documents.length) return undefined;
      const name = key.slice(documents.length, slash);
      if (!isName(name)) return undefined;
      const version = versionOf(name, key);
      return version === undefined ? undefined : { name, version };
    },
    heads,
    head: (name) => `${heads}${name}${HEAD_END}`,
    headOf(key) {
      if (!key.startsWith(heads) || !key.endsWith(HEAD_END)) return undefined;
      const name = key.slice(heads.length, -HEAD_END.length);
      return isName(name) ? name : undefined;
    },
    latest: (name) => `${documents}${name}/latest.json`,
    archive: (name, file) => `${root}history/${name}!/${file}`,
    probe: `${root}.probe.json`,
    probing: (id) => `${root}.probe/${id}`,
    probes: `${root}.probe/`,
  };
}
