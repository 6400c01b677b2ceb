import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { RegistryError, show, throwIfAborted } from "../errors.ts";
import { compareNames, isName, parseName } from "../names.ts";
import { compareVersions, isVersionLike, parseVersion, type Version } from "../semver.ts";
import { reason } from "./input.ts";

/** A file of a folder that is imported, and what it would be stored as. */
export interface FoundFile {
  /** Relative to the folder, with `/`. */
  readonly file: string;
  readonly name?: string;
  /** Only for `vX.Y.Z.md`, a version of the folder it is in. */
  readonly version?: Version;
  /** Why it can't be stored. */
  readonly problem?: string;
  /** Why it is left alone. */
  readonly skipped?: string;
}

export interface FindOptions {
  readonly prefix?: string | undefined;
  /** Make valid names of invalid ones. */
  readonly slug?: boolean | undefined;
  readonly signal: AbortSignal;
  readonly onProgress?: (files: number) => void;
}

const ENDINGS = [".prompt.md", ".md", ".markdown", ".prompt"];
// Texts about a project, found in most folders of Markdown.
const ABOUT = /^(?:readme|license|licence|changelog|contributing|code_of_conduct|security|authors|notice)(?:\..*)?$/i;
const SKIPPED_FOLDERS: ReadonlySet<string> = new Set(["node_modules"]);

/** Every Markdown or `.prompt` file below `root`, in the order in which they are to be stored. */
export async function findFiles(root: string, options: FindOptions): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  await walk(root, "", found, options);
  return refuseTwins(found).sort(byNameAndVersion);
}

async function walk(root: string, below: string, found: FoundFile[], options: FindOptions): Promise<void> {
  throwIfAborted(options.signal, "import");
  const entries = await readdir(join(root, below), { withFileTypes: true }).catch((error: unknown) => {
    throw new RegistryError("INVALID", `can't read the folder ${show(below === "" ? root : below)}: ${reason(error)}`, {
      field: "folder",
      path: below === "" ? root : below,
    });
  });
  const names = new Set(entries.map((e) => e.name));
  for (const entry of entries.sort((a, b) => compareNames(a.name, b.name))) {
    const file = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory()) {
      if (!SKIPPED_FOLDERS.has(entry.name)) await walk(root, file, found, options);
      continue;
    }
    const ending = ENDINGS.find((e) => entry.name.toLowerCase().endsWith(e));
    if (ending === undefined) continue;
    options.onProgress?.(found.length + 1);
    // A registry's own folder has links for labels; what they point at is there, too. Following links out of the
    // folder, or in circles, is never wanted.
    if (entry.isSymbolicLink()) found.push({ file, skipped: "a link" });
    else if (!entry.isFile()) found.push({ file, skipped: "not a regular file" });
    else if (ABOUT.test(entry.name)) found.push({ file, skipped: "about the folder, not a prompt" });
    else if (await isTextLink(join(root, file), names)) found.push({ file, skipped: "a link" });
    else found.push(plan(file, ending, options));
  }
}

/** Where links are not allowed, a registry writes a file that holds the name of another one beside it. */
async function isTextLink(path: string, siblings: ReadonlySet<string>): Promise<boolean> {
  const stat = await lstat(path).catch(() => undefined);
  if (stat === undefined || stat.size > 100) return false;
  const text = (await readFile(path, "utf8").catch(() => "")).trim();
  return /^v\d[^/]*\.md$/.test(text) && siblings.has(text);
}

function plan(file: string, ending: string, { prefix, slug }: FindOptions): FoundFile {
  const segments = file.slice(0, file.length - ending.length).split("/");
  const last = segments.at(-1) as string;
  const before = prefix === undefined || prefix === "" ? [] : prefix.replace(/\/$/, "").split("/");
  let version: Version | undefined;
  if (isVersionLike(last)) {
    segments.pop();
    try {
      version = parseVersion(last);
    } catch (error) {
      return { file, problem: (error as Error).message };
    }
    if (before.length + segments.length === 0) {
      return { file, problem: "a version must be in the folder of its prompt (or give --prefix NAME)" };
    }
  }
  const wanted = [...before, ...segments].join("/");
  const name = slug && !isName(wanted) ? slugOf(wanted) : wanted;
  try {
    parseName(name);
  } catch (error) {
    const better = slugOf(wanted);
    const hint = isName(better) ? `; --slug makes it ${better}` : "";
    return { file, problem: `${(error as Error).message}${hint}` };
  }
  return version === undefined ? { file, name } : { file, name, version };
}

/** A valid name that looks like an invalid one; it may still be invalid. */
export function slugOf(name: string): string {
  return name
    .split("/")
    .map((segment) =>
      segment
        .normalize("NFKD")
        .replace(/\p{M}/gu, "")
        .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
        .toLowerCase()
        .replace(/[^a-z0-9._]+/g, "-")
        .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, ""),
    )
    .filter((segment) => segment !== "")
    .join("/");
}

/** Two files for one slot: the second is refused, since the order of their names says nothing about which is right. */
function refuseTwins(found: readonly FoundFile[]): FoundFile[] {
  const first = new Map<string, string>();
  return found.map((item) => {
    if (item.name === undefined) return item;
    const slot = `${item.name}@${item.version ?? ""}`;
    const other = first.get(slot);
    if (other === undefined) {
      first.set(slot, item.file);
      return item;
    }
    return { file: item.file, problem: `it has the same name as ${other}` };
  });
}

/** Versions of a prompt from low to high, then the file without a version, which goes on top of them. */
function byNameAndVersion(a: FoundFile, b: FoundFile): number {
  const names = compareNames(a.name ?? "", b.name ?? "");
  if (names !== 0) return names;
  if (a.version !== undefined && b.version !== undefined) return compareVersions(a.version, b.version);
  if (a.version === b.version) return compareNames(a.file, b.file);
  return a.version === undefined ? 1 : -1;
}
