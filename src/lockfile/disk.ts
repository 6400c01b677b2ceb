import { randomBytes } from "node:crypto";
import { lstat, mkdir, open, readdir, readFile, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isRegistryError, RegistryError, show } from "../errors.ts";
import { isName, type PromptName } from "../names.ts";
import { isVersion, type Version } from "../semver.ts";

/** @returns `undefined` when there is no such file */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await readFile(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw diskError(error, path);
  }
}

/** Puts a file in place whole, or not at all. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const temp = join(dirname(path), `.tmp-${randomBytes(6).toString("hex")}`);
  try {
    await mkdir(dirname(path), { recursive: true });
    const handle = await open(temp, "wx");
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temp, path);
  } catch (error) {
    await rm(temp, { force: true }).catch(() => {});
    throw diskError(error, path);
  }
}

function diskError(error: unknown, path: string): RegistryError {
  if (isRegistryError(error)) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const kind = code === "ENOSPC" || code === "EDQUOT" ? "NO_SPACE" : code === "EROFS" ? "READ_ONLY" : "INVALID";
  return new RegistryError(kind, `${show(path)}: ${message}`, { path, cause: error });
}

interface MaterializedFile {
  readonly name: PromptName;
  readonly version: Version;
  /** Relative to the folder, with `/`. */
  readonly file: string;
}

/** `support/triage/v1.2.0.md`: the layout of a folder storage, so that one can serve it. */
function materializedPath(name: PromptName, version: Version): string {
  return `${name}/v${version}.md`;
}

const FILE = /^v(.+)\.md$/;

/** The documents in a materialized folder; links are not followed, and what is something else is left alone. */
async function listMaterialized(folder: string): Promise<MaterializedFile[]> {
  const found: MaterializedFile[] = [];
  async function walk(below: string): Promise<void> {
    const entries = await readdir(join(folder, below), { withFileTypes: true }).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw diskError(error, join(folder, below));
    });
    for (const entry of entries) {
      const path = below === "" ? entry.name : `${below}/${entry.name}`;
      const version = FILE.exec(entry.name)?.[1];
      if (entry.isDirectory()) await walk(path);
      else if (entry.isFile() && version !== undefined && isVersion(version) && isName(below)) {
        found.push({ name: below, version, file: path });
      }
    }
  }
  await walk("");
  return found;
}

/** Removes a document and the folders that it leaves empty. */
async function removeMaterialized(folder: string, { file }: MaterializedFile): Promise<void> {
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
  for (let below = dirname(file); below !== "."; below = dirname(below)) {
    const found = await lstat(join(folder, below)).catch(() => undefined);
    if (found === undefined || found.isDirectory()) continue;
    throw new RegistryError("INVALID", `${show(join(folder, below))} is in the way: it is a link or a file`, {
      path: join(folder, below),
    });
  }
}

/** Makes the folder hold these texts and no others; files that are no documents are left alone. */
export async function materializeInto(
  folder: string,
  prompts: readonly { readonly name: PromptName; readonly version: Version; readonly text: string }[],
  dryRun: boolean,
): Promise<{ written: string[]; removed: string[] }> {
  await requireFolder(folder);
  const wanted = new Map(prompts.map((p) => [materializedPath(p.name, p.version), p.text]));
  const removed: string[] = [];
  for (const found of await listMaterialized(folder)) {
    if (wanted.has(found.file)) continue;
    removed.push(found.file);
    if (!dryRun) await removeMaterialized(folder, found);
  }
  const written: string[] = [];
  for (const [file, text] of wanted) {
    const path = join(folder, file);
    const there = await readFile(path).catch((error: unknown) => {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR") return undefined;
      throw diskError(error, path);
    });
    if (there?.equals(Buffer.from(text))) continue;
    written.push(file);
    if (dryRun) continue;
    await refuseLinks(folder, file);
    await writeWhole(path, text);
  }
  return { written, removed };
}
