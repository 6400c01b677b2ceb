import { readFile } from "node:fs/promises";
import type { Cursor, StorageDriver } from "../../driver.ts";
import { writeWhole } from "../../whole-file.ts";
import { identityOf } from "../layer.ts";

/**
 * Where the place in the feed is kept up to which everything is in the mirror. What is kept also says between which
 * storages it holds.
 */
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

/**
 * A place that holds between these two storages only: what others kept, and a target that holds nothing, say that all is to
 * be compared.
 */
export function between(
  main: StorageDriver,
  target: StorageDriver,
  store: CursorStore,
  signal: AbortSignal,
): CursorStore {
  const [from, to] = [identityOf(main), identityOf(target)];
  return {
    async load() {
      const cursor = placeIn(await store.load(), from, to);
      if (cursor === undefined) return undefined;
      const { items } = await target.listPrompts({ limit: 1, includeRemoved: true }, { signal, fresh: true });
      return items.length === 0 ? undefined : cursor;
    },
    save: (cursor) => store.save(JSON.stringify({ from, to, cursor })),
  };
}

function placeIn(kept: string | undefined, from: unknown, to: unknown): Cursor | undefined {
  try {
    const place: unknown = JSON.parse(kept ?? "");
    if (typeof place !== "object" || place === null || !("cursor" in place)) return undefined;
    const { cursor, ...others } = place;
    const isOurs = JSON.stringify(others) === JSON.stringify({ from, to });
    return isOurs && typeof cursor === "string" ? cursor : undefined;
  } catch {
    // A cursor alone, as it was kept before.
    return undefined;
  }
}
