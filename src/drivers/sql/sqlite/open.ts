import { mkdirSync, statfsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";
import { RegistryError } from "../../../errors.ts";
import { networkOf } from "../../disk.ts";

/** A prepared statement, whichever module made it. */
export interface Prepared {
  get(args: readonly unknown[]): unknown;
  all(args: readonly unknown[]): unknown[];
  run(args: readonly unknown[]): Ran;
}

export interface Ran {
  /** Rows that were changed. */
  readonly changes: number | bigint;
  /** The number of the row that was inserted last. */
  readonly lastInsertRowid: number | bigint;
}

/** One connection, whichever module made it. */
export interface Connection {
  readonly module: "node:sqlite" | "libsql";
  /** `DatabaseSync` of `node:sqlite`, or `Database` of `libsql`. */
  readonly database: unknown;
  exec(sql: string): void;
  prepare(sql: string): Prepared;
  close(): void;
}

export interface OpenOptions {
  readonly path: string;
  readonly module?: "node:sqlite" | "libsql" | undefined;
  readonly readOnly: boolean;
}

interface NodeStatement {
  get(...args: unknown[]): unknown;
  all(...args: unknown[]): unknown[];
  run(...args: unknown[]): Ran;
}
interface LibsqlStatement {
  get(args: readonly unknown[]): unknown;
  all(args: readonly unknown[]): unknown[];
  run(args: readonly unknown[]): Ran;
}
interface Database<S> {
  exec(sql: string): unknown;
  prepare(sql: string): S;
  close(): unknown;
}
type NodeDatabase = new (
  path: string,
  options: { readonly readOnly: boolean; readonly timeout?: number },
) => Database<NodeStatement>;
type LibsqlDatabase = new (path: string) => Database<LibsqlStatement>;

export function openConnection({ path, module, readOnly }: OpenOptions): Connection {
  // Node 20 has no such module; asking this way is silent, and bundlers leave it alone.
  const builtin = (module === "libsql" ? undefined : process.getBuiltinModule?.("node:sqlite")) as
    | { DatabaseSync: NodeDatabase }
    | undefined;
  if (builtin !== undefined) return openNode(builtin.DatabaseSync, path, readOnly);
  if (module === "node:sqlite") {
    throw new RegistryError(
      "CONFIG",
      "this Node has no node:sqlite; use Node 24, or leave `module` out and install libsql",
      {
        field: "module",
      },
    );
  }
  return openLibsql(loadLibsql(), path, readOnly);
}

function openNode(DatabaseSync: NodeDatabase, path: string, readOnly: boolean): Connection {
  const database = new DatabaseSync(path, { readOnly, timeout: 0 });
  return {
    module: "node:sqlite",
    database,
    exec: (sql) => void database.exec(sql),
    prepare(sql) {
      const statement = database.prepare(sql);
      return {
        get: (args) => statement.get(...args),
        all: (args) => statement.all(...args),
        run: (args) => statement.run(...args),
      };
    },
    close: () => void database.close(),
  };
}

function openLibsql(Libsql: LibsqlDatabase, path: string, readOnly: boolean): Connection {
  const database = new Libsql(path);
  // libsql has no flag for it (https://github.com/tursodatabase/libsql-js/issues/33).
  if (readOnly) database.exec("PRAGMA query_only = ON");
  return {
    module: "libsql",
    database,
    exec: (sql) => void database.exec(sql),
    prepare(sql) {
      const statement = database.prepare(sql);
      return {
        get: (args) => statement.get(args),
        all: (args) => statement.all(args),
        run: (args) => statement.run(args),
      };
    },
    close() {
      // It keeps the files open until its statements are collected (https://github.com/tursodatabase/libsql-js/issues/228), and so
      // SQLite does not do what it does for a last connection: bring all that is in the log into the file.
      try {
        if (!readOnly) database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      } catch {
        // Somebody else is at it; whoever opens the file finds the log.
      }
      database.close();
    },
  };
}

function loadLibsql(): LibsqlDatabase {
  // A bundler that writes CommonJS leaves no address; then it is looked for from where the program lies.
  const here = (import.meta.url as string | undefined) ?? resolve(process.argv[1] ?? "index.js");
  try {
    return createRequire(here)("libsql") as LibsqlDatabase;
  } catch (cause) {
    throw new RegistryError("CONFIG", "SQLite needs Node 22.13 or later, or the package libsql: npm install libsql", {
      field: "storage",
      cause,
    });
  }
}

/** Makes the folder, and refuses one where locks and shared memory do not hold (https://sqlite.org/wal.html, §1). */
export function prepareFolder(path: string, readOnly: boolean): void {
  const folder = dirname(resolve(path));
  try {
    if (!readOnly) mkdirSync(folder, { recursive: true });
    const network = networkOf(statfsSync(folder));
    if (network === undefined || network.perhaps) return;
    throw new RegistryError(
      "CONFIG",
      `${path} lies on a network file system (${network.kind}), where SQLite loses data; use a local disk, or PostgreSQL`,
      { field: "path", path },
    );
  } catch (error) {
    if (error instanceof RegistryError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") {
      throw new RegistryError("FORBIDDEN", `the folder of ${path} can't be used: permission denied`, {
        path,
        cause: error,
      });
    }
    if (code === "EROFS") return;
    throw new RegistryError("CONFIG", `the folder of ${path} can't be used (${code})`, {
      field: "path",
      path,
      cause: error,
    });
  }
}
