import { readFile } from "node:fs/promises";
import type { Cursor } from "../../driver.ts";
import { writeWhole } from "../../whole-file.ts";

/** Where the place in the feed is kept up to which everything is in the mirror. */
export interface CursorStore {
  load(): Promise<Cursor | undefined>;
  save(cursor: Cursor): Promise<void>;
}

/**
 * Keeps the cursor of a mirror in a file, so that a restart copies only what changed since.
 *
 * @example
 * mirror(target, { cursor: cursorFile("./mirror.cursor") });
 */
export function cursorFile(path: string): CursorStore {
  return {
    load: async () => {
      try {
        return await readFile(path, "utf8");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    },
    save: (cursor) => writeWhole(path, cursor),
  };
}
