import { join, resolve } from "node:path";
import type { StorageConfig } from "../../config-storages.ts";
import { RegistryError } from "../../errors.ts";
import { OWN_FOLDER } from "./journal.ts";
import type { TokenStore } from "./store.ts";

export interface FilePlace {
  readonly backend: "file";
  readonly path: string;
}
export interface SqlitePlace {
  readonly backend: "sqlite";
  readonly path: string;
  /** Milliseconds to wait while another process writes. Default 5000. */
  readonly busyTimeout?: number;
  readonly module?: "node:sqlite" | "libsql";
}
export type PostgresPlace = { readonly backend: "postgres" } & Pick<
  Extract<StorageConfig, { readonly backend: "postgres" }>,
  "url" | "host" | "port" | "database" | "user" | "password" | "ssl" | "schema" | "pool" | "applicationName"
>;
/** Where tokens, or the audit log, are kept. */
export type Place = FilePlace | SqlitePlace | PostgresPlace;

/**
 * Where they are kept when nothing was said: in the database of a SQL storage; else in a file in `.prompt-registry`, in the
 * folder of a `file:` storage or in the working directory.
 *
 * @param file what the file is called
 */
export function placeBeside(storage: StorageConfig, file: "tokens.jsonl" | "audit.jsonl"): Place {
  if (storage.backend === "sqlite" && storage.path !== ":memory:") {
    const { path, busyTimeout, module } = storage;
    return {
      backend: "sqlite",
      path,
      ...(busyTimeout === undefined ? {} : { busyTimeout }),
      ...(module === undefined ? {} : { module }),
    };
  }
  if (storage.backend === "postgres") {
    const { statementTimeout: _1, notify: _2, prepare: _3, feed: _4, pool: _5, ...place } = storage;
    return place;
  }
  return { backend: "file", path: join(storage.backend === "file" ? storage.path : ".", OWN_FOLDER, file) };
}

/** @param cwd where relative paths start */
export function absolute<P extends Place>(place: P, cwd: string): P {
  return "path" in place && place.path !== ":memory:" ? { ...place, path: resolve(cwd, place.path) } : place;
}

/**
 * Opens the store of tokens.
 *
 * @throws RegistryError CONFIG, FORBIDDEN, UNAVAILABLE
 * @example
 * const tokens = await openTokens({ backend: "file", path: "./tokens.jsonl" });
 */
export async function openTokens(place: Place, cwd: string = process.cwd()): Promise<TokenStore> {
  const found = absolute(place, cwd);
  if (found.backend === "file") return (await import("./file.ts")).fileTokens(found.path);
  if (found.backend === "sqlite" || found.backend === "postgres")
    return await (await import("./sql.ts")).sqlTokens(found);
  throw new RegistryError("CONFIG", "tokens are kept in file:, sqlite: or postgres:", { field: "tokens" });
}
