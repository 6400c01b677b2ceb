import { randomUUID } from "node:crypto";
import { link, lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * Puts a file in place whole or not at all, also after a power cut. A link at its place is replaced, never followed.
 *
 * @param mode of the file; default: what the process gives to files
 */
export async function writeWhole(path: string, text: string, mode?: number): Promise<void> {
  await put(path, text, mode, rename);
}

/**
 * The same for a file that is not there yet.
 *
 * @throws EEXIST, where something has its name
 */
export async function createWhole(path: string, text: string, mode?: number): Promise<void> {
  await put(path, text, mode, moveNew);
}

type Place = (temp: string, path: string) => Promise<void>;

async function put(path: string, text: string, mode: number | undefined, place: Place): Promise<void> {
  // What a crash leaves in a registry's folder, its doctor takes for what it is.
  const temp = join(dirname(path), `.tmp-${randomUUID()}`);
  try {
    const file = await open(temp, "wx", mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await place(temp, path);
  } catch (error) {
    await rm(temp, { force: true }).catch(() => {});
    throw error;
  }
  await syncFolder(dirname(path));
}

const NO_LINKS: ReadonlySet<string | undefined> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);

/**
 * Gives a file that is whole a name that nothing has yet.
 *
 * @throws EEXIST
 */
export async function moveNew(temp: string, path: string): Promise<void> {
  try {
    await link(temp, path);
  } catch (error) {
    if (!NO_LINKS.has((error as NodeJS.ErrnoException).code)) throw error;
    // FAT and many network shares have no hard links. A rename alone would overwrite, so the name is claimed first; whoever
    // is killed in between leaves an empty file.
    await (await open(path, "wx")).close();
    try {
      await rename(temp, path);
    } catch (failure) {
      await rm(path, { force: true }).catch(() => {});
      throw failure;
    }
    return;
  }
  await rm(temp, { force: true });
}

export async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    await folder.sync().finally(() => folder.close());
  } catch {
    // Where folders can't be opened or synced (Windows), the rename is all there is.
  }
}

/** Makes a folder and those above it. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    // Node says so of a read-only file system, too; made one by one, they tell what is the matter.
    if (dirname(path) !== path) await makeFolder(dirname(path));
    await mkdir(path).catch((failure: NodeJS.ErrnoException) => {
      if (failure.code !== "EEXIST") throw failure;
    });
  }
}

/** Why a file could not be written, where that holds for every other file, too. */
export function writeFault(error: unknown): "NO_SPACE" | "READ_ONLY" | undefined {
  switch ((error as NodeJS.ErrnoException | undefined)?.code) {
    case "ENOSPC":
    case "EDQUOT":
      return "NO_SPACE";
    case "EROFS":
      return "READ_ONLY";
    default:
      return undefined;
  }
}

/**
 * What stands between a folder and a file below it, and is no folder itself: a link there would let the file be written
 * elsewhere.
 */
export async function findObstacle(folder: string, file: string): Promise<string | undefined> {
  for (let below = dirname(file); below !== "."; below = dirname(below)) {
    const found = await lstat(join(folder, below)).catch(() => undefined);
    if (found !== undefined && !found.isDirectory()) return join(folder, below);
  }
  return undefined;
}
