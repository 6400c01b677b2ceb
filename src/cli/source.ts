import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { StorageConfig } from "../config.ts";
import { RegistryError, show } from "../errors.ts";
import type { Context } from "./command.ts";
import { configuredFor } from "./configured.ts";

/**
 * What is read from must be there. A storage makes what it does not find, so a slip in its name, or a disk that is not
 * mounted, would pass for a registry without prompts.
 *
 * @param named a location in an argument; default: the storage that is set up
 * @throws RegistryError NOT_FOUND for a folder or a SQLite file
 */
export async function requireSource({ io, storage }: Context, named?: string): Promise<void> {
  if (io.open !== undefined) return;
  const { parseLocation } = await import("../config.ts");
  const { storage: place, route = [] } =
    named === undefined ? await configuredFor({ io, storage }) : { storage: parseLocation(named) };
  // Where others have some of the names, or all of them, nothing need have come to the first.
  if (place === undefined || route.length > 0) return;
  const path = pathOf(place, io.cwd);
  if (path === undefined || (await isThere(path))) return;
  const what = place.backend === "file" ? "folder" : "file";
  throw new RegistryError(
    "NOT_FOUND",
    `there is no ${what} ${show(path)} to read prompts from; is the name right, and the disk mounted?`,
    { path },
  );
}

/** Where a local storage keeps everything; the folder around it may be there while the disk is not. */
function pathOf(place: StorageConfig, cwd: string): string | undefined {
  if (place.backend === "file") return join(resolve(cwd, place.path), place.dir ?? "prompts");
  return place.backend === "sqlite" && place.path !== ":memory:" ? resolve(cwd, place.path) : undefined;
}

/** What can't be looked at is for the storage to tell. */
async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== "ENOENT" && error.code !== "ENOTDIR",
  );
}
