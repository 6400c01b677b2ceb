import type { ConnectionOptions } from "node:tls";
import type { PoolConfig } from "pg";
import { RegistryError, show } from "../../../errors.ts";

export interface PostgresOptions {
  /** `postgres://user:password@host:5432/database?sslmode=require`. What is given by itself below wins over it. */
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly database?: string;
  readonly user?: string;
  /** A function is asked for every new connection: for passwords that expire. */
  readonly password?: string | (() => string | Promise<string>);
  /** `true`: TLS, with the server's certificate checked. */
  readonly ssl?: boolean | ConnectionOptions;
  readonly pool?: {
    /** Connections at most. Default 10. */
    readonly max?: number;
    /** Milliseconds after which an unused one is closed. Default 30,000. */
    readonly idleTimeout?: number;
    /** Milliseconds to wait for one. Default 10,000. */
    readonly connectTimeout?: number;
  };
  /** Where the tables are. It is made when it is not there. Default `prompt_registry`. */
  readonly schema?: string;
  /** Milliseconds after which the server ends a statement. Default 30,000; 0 for none. */
  readonly statementTimeout?: number;
  /** How the server's own lists call this program. Default `prompt-registry`. */
  readonly applicationName?: string;
  /** Tell those who `listen` of every commit. All commits that tell wait for one lock of the server. Default `true`. */
  readonly notify?: boolean;
  /** Prepare statements on the server. Switch it off behind a pooler that does not know them. Default `true`. */
  readonly prepare?: boolean;
  /** `lock` for servers that show no transactions. Default: found out. */
  readonly feed?: "snapshot" | "lock";
}

export interface Resolved {
  readonly config: PoolConfig;
  readonly location: string;
  /** Quoted. */
  readonly schema: string;
  readonly rawSchema: string;
}

export function resolveOptions(options: PostgresOptions): Resolved {
  const bad = (field: string, problem: string) =>
    new RegistryError("CONFIG", `postgres: ${field} ${problem}`, { field });
  const url = options.url === undefined ? undefined : parseUrl(options.url);
  const rawSchema = options.schema ?? "prompt_registry";
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(rawSchema))
    throw bad("schema", `${show(rawSchema)} must be lower-case letters, digits and _`);
  for (const [field, value] of [
    ["statementTimeout", options.statementTimeout],
    ["port", options.port],
    ["pool.max", options.pool?.max],
    ["pool.idleTimeout", options.pool?.idleTimeout],
    ["pool.connectTimeout", options.pool?.connectTimeout],
  ] as const) {
    if (value !== undefined && (!Number.isInteger(value) || value < 0)) throw bad(field, "must be a whole number");
  }
  const statementTimeout = options.statementTimeout ?? 30_000;
  const given = <K extends keyof PoolConfig>(key: K, value: PoolConfig[K] | undefined) =>
    value === undefined ? {} : { [key]: value };
  const config: PoolConfig = {
    ...(options.url === undefined ? {} : { connectionString: options.url }),
    ...given("host", options.host),
    ...given("port", options.port),
    ...given("database", options.database),
    ...given("user", options.user),
    ...given("password", options.password),
    ...given("ssl", options.ssl),
    max: options.pool?.max ?? 10,
    idleTimeoutMillis: options.pool?.idleTimeout ?? 30_000,
    connectionTimeoutMillis: options.pool?.connectTimeout ?? 10_000,
    application_name: options.applicationName ?? "prompt-registry",
    keepAlive: true,
    ...(statementTimeout === 0
      ? {}
      : // The second is for a server that does not answer at all.
        { statement_timeout: statementTimeout, query_timeout: statementTimeout + 5_000 }),
  };
  const host = options.host ?? url?.hostname ?? process.env.PGHOST ?? "localhost";
  const port = options.port ?? url?.port ?? "";
  const database = options.database ?? url?.pathname.slice(1) ?? "";
  const location = `postgres://${host}${port === "" ? "" : `:${port}`}/${database}${rawSchema === "prompt_registry" ? "" : `?schema=${rawSchema}`}`;
  return { config, location, schema: `"${rawSchema}"`, rawSchema };
}

function parseUrl(url: string): URL {
  const bad = () =>
    new RegistryError("CONFIG", "postgres: url is no postgres://user@host:5432/database", { field: "url" });
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    // Not as a cause: its message holds the whole URL, and so the password.
    throw bad();
  }
  if (parsed.protocol !== "postgres:" && parsed.protocol !== "postgresql:") throw bad();
  return parsed;
}
