import { lstat, readdir, readFile, rm, rmdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { HEAD_FILE, HEADS_DIR, LATEST_FILE } from "../drivers/fs/layout.ts";
import { isRegistryError, RegistryError, show } from "../errors.ts";
import { isName, type PromptName } from "../names.ts";
import { isVersion, type Version } from "../semver.ts";
import { findObstacle, makeFolder, writeFault, writeWhole } from "../whole-file.ts";

/** @returns `undefined` when there is no such file */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await readFile(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw diskError(error, path);
  }
}

/** Puts a file in place whole or not at all, in a folder that may be new. */
export async function putText(path: string, text: string): Promise<void> {
  try {
    await makeFolder(dirname(path));
    await writeWhole(path, text);
  } catch (error) {
    throw diskError(error, path);
  }
}

function diskError(error: unknown, path: string): RegistryError {
  if (isRegistryError(error)) return error;
  const { message } = error as NodeJS.ErrnoException;
  return new RegistryError(writeFault(error) ?? "INVALID", `${show(path)}: ${message}`, { path, cause: error });
}

/** `support/triage/v1.2.0.md`: the layout of a folder storage, so that one can serve it. */
function materializedPath(name: PromptName, version: Version): string {
  return `${name}/v${version}.md`;
}

const FILE = /^v(.+)\.md$/;

function isMaterializedPath(file: string): boolean {
  const version = FILE.exec(basename(file))?.[1];
  return version !== undefined && isVersion(version) && isName(dirname(file));
}

/** Lists what was put into the folder, so that nothing else is ever removed from it. */
const MARKER_FILE = ".prompts-materialized.json";
const MARKER_FORMAT = "prompts-materialized";

/** @returns the files, relative to the folder; `undefined` where the folder is not one of ours */
async function readMarker(folder: string): Promise<Set<string> | undefined> {
  const path = join(folder, MARKER_FILE);
  const text = await readText(path);
  if (text === undefined) return undefined;
  const bad = (cause?: unknown) =>
    new RegistryError("INVALID", `${show(path)} is damaged; delete the folder and install again`, { path, cause });
  let json: { format?: unknown; version?: unknown; files?: unknown } | null;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw bad(error);
  }
  if (json?.format !== MARKER_FORMAT || json.version !== 1 || !Array.isArray(json.files)) throw bad();
  // It may come from anywhere: what is no path of a document could lie outside of the folder.
  if (!json.files.every((file) => typeof file === "string" && isMaterializedPath(file))) throw bad();
  return new Set(json.files as string[]);
}

async function writeMarker(folder: string, files: ReadonlySet<string>): Promise<void> {
  const json = { format: MARKER_FORMAT, version: 1, files: [...files].sort() };
  const text = `${JSON.stringify(json, undefined, 2)}\n`;
  const path = join(folder, MARKER_FILE);
  if ((await readText(path)) !== text) await putText(path, text);
}

const REGISTRY_FILES: ReadonlySet<string> = new Set([LATEST_FILE, HEAD_FILE, HEADS_DIR]);

/** The first thing in a folder that belongs to a registry, or could. */
async function findForeign(folder: string, below = ""): Promise<string | undefined> {
  const entries = await readdir(join(folder, below), { withFileTypes: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw diskError(error, join(folder, below));
  });
  for (const entry of entries) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (REGISTRY_FILES.has(entry.name) || (!entry.isDirectory() && isMaterializedPath(path))) return path;
    // Hidden folders are nobody's prompts.
    const found = entry.isDirectory() && !entry.name.startsWith(".") ? await findForeign(folder, path) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * @returns what an earlier run put into the folder
 * @throws RegistryError INVALID for no folder, and for one in which somebody else keeps prompts
 */
export async function requireOurs(folder: string): Promise<Set<string>> {
  await requireFolder(folder);
  const ours = await readMarker(folder);
  if (ours !== undefined) return ours;
  const foreign = await findForeign(folder);
  if (foreign === undefined) return new Set();
  // Another run may have begun since: it writes its list before anything else.
  const theirs = await readMarker(folder);
  if (theirs !== undefined) return theirs;
  throw new RegistryError(
    "INVALID",
    `${show(folder)} holds prompts that were not materialized there (${show(foreign)}); choose an empty folder`,
    { path: folder },
  );
}

/** Removes a document and the folders that it leaves empty. */
async function removeMaterialized(folder: string, file: string): Promise<void> {
  await rm(join(folder, file), { force: true });
  for (let below = dirname(file); below !== "."; below = dirname(below)) {
    try {
      await rmdir(join(folder, below));
    } catch {
      return;
    }
  }
}

async function requireFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found !== undefined && !found.isDirectory()) {
    throw new RegistryError("INVALID", `${show(folder)} is not a folder`, { path: folder });
  }
}

/** A link below the folder would let a file be written elsewhere. */
async function refuseLinks(folder: string, file: string): Promise<void> {
  const path = await findObstacle(folder, file);
  if (path === undefined) return;
  throw new RegistryError("INVALID", `${show(path)} is in the way: it is a link or a file`, { path });
}

/**
 * Makes the folder hold these texts and none of those that an earlier run put there; whatever else is in it is left alone.
 *
 * @throws RegistryError INVALID for a folder in which somebody else keeps prompts, and for a file that is in the way
 */
export async function materializeInto(
  folder: string,
  prompts: readonly { readonly name: PromptName; readonly version: Version; readonly text: string }[],
  dryRun: boolean,
): Promise<{ written: string[]; removed: string[] }> {
  const ours = await requireOurs(folder);
  const wanted = new Map(prompts.map((p) => [materializedPath(p.name, p.version), p.text]));
  const written = new Map<string, string>();
  const kept = new Set<string>();
  for (const [file, text] of wanted) {
    const path = join(folder, file);
    const there = await readFile(path).catch((error: unknown) => {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR") return undefined;
      throw diskError(error, path);
    });
    if (there?.equals(Buffer.from(text))) {
      // Also what is not on the list: a run beside this one wrote it, and the last list of the two must have it.
      kept.add(file);
      continue;
    }
    if (there !== undefined && !ours.has(file)) {
      throw new RegistryError("INVALID", `${show(path)} is in the way: it was not materialized there`, { path });
    }
    written.set(file, text);
  }
  const removed: string[] = [];
  for (const file of ours) {
    if (!wanted.has(file) && (await lstat(join(folder, file)).catch(() => undefined)) !== undefined) removed.push(file);
  }
  if (!dryRun) {
    for (const file of [...written.keys(), ...removed]) await refuseLinks(folder, file);
    // First, so that a crash leaves nothing that the next run would not know as its own.
    if (written.size > 0) await writeMarker(folder, new Set([...ours, ...kept, ...written.keys()]));
    for (const [file, text] of written) await putText(join(folder, file), text);
    for (const file of removed) await removeMaterialized(folder, file);
    await writeMarker(folder, new Set([...kept, ...written.keys()]));
  }
  return { written: [...written.keys()], removed };
}
