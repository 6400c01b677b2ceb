import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * Puts a file in place whole or not at all, also after a power cut.
 *
 * @param mode of the file; default: what the process gives to files
 */
export async function writeWhole(path: string, text: string, mode?: number): Promise<void> {
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
    await rename(temp, path);
  } catch (error) {
    await rm(temp, { force: true }).catch(() => {});
    throw error;
  }
  try {
    const folder = await open(dirname(path), "r");
    await folder.sync().finally(() => folder.close());
  } catch {
    // Where folders can't be opened or synced (Windows), the rename is all there is.
  }
}
