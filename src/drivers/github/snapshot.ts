import { isName, type PromptName } from "../../names.ts";
import { HEADS_DIR } from "../fs/layout.ts";
import { type Scan, scanOf } from "../fs/scan.ts";

/** What the tree holds of one prompt. Never changed: a change makes another one, so what was derived from it stays true. */
export class PromptFiles {
  readonly name: PromptName;
  /** Object id by file; head generations as `.heads/000000000001.json`. */
  readonly files: ReadonlyMap<string, string>;
  #scan: Scan | undefined;

  constructor(name: PromptName, files: ReadonlyMap<string, string>) {
    this.name = name;
    this.files = files;
  }

  get scan(): Scan {
    this.#scan ??= scanOf([...new Set([...this.files.keys()].map((file) => file.split("/", 1)[0] as string))]);
    return this.#scan;
  }

  /** Whether anything of it makes a prompt; links alone do not. */
  get isPrompt(): boolean {
    const { versions, headFile, heads } = this.scan;
    return versions.size > 0 || headFile || heads;
  }

  id(file: string): string | undefined {
    return this.files.get(file);
  }

  with(edits: ReadonlyMap<string, string | undefined>): PromptFiles {
    const files = new Map(this.files);
    for (const [file, id] of edits) {
      if (id === undefined) files.delete(file);
      else files.set(file, id);
    }
    return new PromptFiles(this.name, files);
  }
}

/** The branch at one commit. */
export class Snapshot {
  readonly commit: string;
  /** Object id of the root tree, where it is known. */
  readonly tree: string | undefined;
  /** Whether every prompt is in `prompts`; else only those that were asked for, `undefined` where there was nothing. */
  readonly complete: boolean;
  readonly prompts: ReadonlyMap<PromptName, PromptFiles | undefined>;
  #names: readonly PromptName[] | undefined;

  constructor(
    commit: string,
    tree: string | undefined,
    complete: boolean,
    prompts: ReadonlyMap<PromptName, PromptFiles | undefined>,
  ) {
    this.commit = commit;
    this.tree = tree;
    this.complete = complete;
    this.prompts = prompts;
  }

  knows(name: PromptName): boolean {
    return this.complete || this.prompts.has(name);
  }

  prompt(name: PromptName): PromptFiles | undefined {
    return this.prompts.get(name);
  }

  /** Sorted by bytes. */
  get names(): readonly PromptName[] {
    this.#names ??= [...this.prompts].flatMap(([name, files]) => (files === undefined ? [] : [name])).sort();
    return this.#names;
  }

  /** The same commit, knowing more. */
  plus(
    prompts: ReadonlyMap<PromptName, PromptFiles | undefined>,
    complete = this.complete,
    tree = this.tree,
  ): Snapshot {
    return new Snapshot(this.commit, tree, complete, complete ? prompts : new Map([...this.prompts, ...prompts]));
  }

  /** The state after a commit that changed these paths. */
  after(commit: string, tree: string | undefined, root: string, edits: Iterable<PathEdit>): Snapshot {
    const byName = new Map<PromptName, Map<string, string | undefined>>();
    for (const { path, id } of edits) {
      const place = placeOf(path, root);
      if (place === undefined) continue;
      const files = byName.get(place.name) ?? new Map<string, string | undefined>();
      byName.set(place.name, files.set(place.file, id));
    }
    const prompts = new Map(this.prompts);
    for (const [name, files] of byName) {
      if (!this.knows(name)) continue;
      const next = (this.prompts.get(name) ?? new PromptFiles(name, new Map())).with(files);
      if (next.files.size > 0) prompts.set(name, next);
      else if (this.complete) prompts.delete(name);
      else prompts.set(name, undefined);
    }
    return new Snapshot(commit, tree, this.complete, prompts);
  }
}

/** What a commit did to a path; without `id` it is gone. */
export interface PathEdit {
  readonly path: string;
  readonly id: string | undefined;
}

const MAX_REMEMBERED = 100_000;
const names = new Map<string, boolean>();

function isKnownName(dir: string): dir is PromptName {
  let known = names.get(dir);
  if (known === undefined) {
    known = isName(dir);
    if (names.size >= MAX_REMEMBERED) names.clear();
    names.set(dir, known);
  }
  return known;
}

/** Whose file this is; `undefined` for what belongs to no prompt. */
export function placeOf(path: string, root: string): { readonly name: PromptName; readonly file: string } | undefined {
  if (!path.startsWith(root)) return undefined;
  const slash = path.lastIndexOf("/");
  if (slash < root.length) return undefined;
  let dir = path.slice(root.length, slash);
  let file = path.slice(slash + 1);
  if (dir.endsWith(`/${HEADS_DIR}`)) {
    dir = dir.slice(0, -HEADS_DIR.length - 1);
    file = `${HEADS_DIR}/${file}`;
  }
  return isKnownName(dir) ? { name: dir, file } : undefined;
}

export interface TreeEntry {
  readonly path: string;
  readonly mode: string;
  readonly type: string;
  readonly sha: string;
}

/** Prompts of a recursive tree. A version that is a symbolic link is none: following it could serve another one's text. */
export function promptsOf(entries: Iterable<TreeEntry>, root: string): Map<PromptName, PromptFiles> {
  const found = new Map<PromptName, Map<string, string>>();
  for (const { path, mode, type, sha } of entries) {
    if (type !== "blob") continue;
    const place = placeOf(path, root);
    if (place === undefined || (mode === "120000" && /^v?\d/.test(place.file))) continue;
    const files = found.get(place.name) ?? new Map<string, string>();
    found.set(place.name, files.set(place.file, sha));
  }
  return new Map([...found].map(([name, files]) => [name, new PromptFiles(name, files)]));
}
