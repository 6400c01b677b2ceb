import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import type { ConnectionOptions } from "node:tls";
import type { PoolConfig } from "pg";
import { defined } from "../../../defined.ts";
import { RegistryError, show } from "../../../errors.ts";

export interface PostgresOptions {
  /**
   * `postgres://user:password@host:5432/database?sslmode=verify-full`. What is given by itself below wins over it. Known in
   * the query: `schema`, `application_name`, `statement_timeout` (milliseconds), `connect_timeout` (seconds), `sslmode`
   * (all but `disable` and `no-verify` check the certificate), `sslrootcert`, `sslcert`, `sslkey`, `channel_binding`,
   * `options`, and `host`, `port`, `user`, `password`, `dbname`.
   */
  readonly url?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly database?: string | undefined;
  readonly user?: string | undefined;
  /** A function is asked for every new connection: for passwords that expire. */
  readonly password?: (string | (() => string | Promise<string>)) | undefined;
  /** `true`: TLS, with the server's certificate checked. */
  readonly ssl?: boolean | ConnectionOptions | undefined;
  readonly pool?:
    | {
        /** Connections at most. Default 10. */
        readonly max?: number | undefined;
        /** Milliseconds after which an unused one is closed. Default 30,000. */
        readonly idleTimeout?: number | undefined;
        /** Milliseconds to wait for one. Default 10,000. */
        readonly connectTimeout?: number | undefined;
      }
    | undefined;
  /** Where the tables are. It is made when it is not there. Default `prompt_registry`. */
  readonly schema?: string | undefined;
  /** Milliseconds after which the server ends a statement. Default 30,000; 0 for none. */
  readonly statementTimeout?: number | undefined;
  /** How the server's own lists call this program. Default `prompt-registry`. */
  readonly applicationName?: string | undefined;
  /** Tell those who `listen` of every commit. All commits that tell wait for one lock of the server. Default `true`. */
  readonly notify?: boolean | undefined;
  /** Prepare statements on the server. Switch it off behind a pooler that does not know them. Default `true`. */
  readonly prepare?: boolean | undefined;
  /** `lock` for servers that show no transactions. Default: found out. */
  readonly feed?: "snapshot" | "lock" | undefined;
}

export interface Resolved {
  readonly config: PoolConfig;
  readonly location: string;
  /** Quoted. */
  readonly schema: string;
  readonly rawSchema: string;
}

const MAX_TIMER = 2 ** 31 - 1;
/** Milliseconds after which a server that should have ended a statement itself is taken for dead. */
const GRACE = 5_000;

export function resolveOptions(options: PostgresOptions): Resolved {
  const bad = (field: string, problem: string) =>
    new RegistryError("CONFIG", `postgres: ${field} ${problem}`, { field });
  const url: FromUrl = options.url === undefined ? {} : parseUrl(options.url);
  const rawSchema = options.schema ?? url.schema ?? "prompt_registry";
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(rawSchema))
    throw bad("schema", `${show(rawSchema)} must be lower-case letters, digits and _`);
  for (const [field, value] of [
    ["statementTimeout", options.statementTimeout ?? url.statementTimeout],
    ["port", options.port ?? url.port],
    ["pool.max", options.pool?.max],
    ["pool.idleTimeout", options.pool?.idleTimeout],
    ["pool.connectTimeout", options.pool?.connectTimeout ?? url.connectTimeout],
  ] as const) {
    if (value !== undefined && (!Number.isInteger(value) || value < 0)) throw bad(field, "must be a whole number");
    // The server knows larger ones, and a timer of Node does not.
    if (value !== undefined && value > MAX_TIMER - GRACE) throw bad(field, `must be at most ${MAX_TIMER - GRACE}`);
  }
  const statementTimeout = options.statementTimeout ?? url.statementTimeout ?? 30_000;
  const given = <K extends keyof PoolConfig>(key: K, value: PoolConfig[K] | undefined) =>
    value === undefined ? {} : { [key]: value };
  const host = options.host ?? url.host;
  const port = options.port ?? url.port;
  const database = options.database ?? url.database;
  const user = options.user ?? url.user;
  const config: PoolConfig = {
    // No `connectionString`: pg lets it win over all the rest.
    ...given("host", host),
    ...given("port", port),
    ...given("database", database),
    ...given("user", user),
    ...given("password", options.password ?? url.password),
    ...given("ssl", options.ssl ?? (url.tls === undefined ? undefined : tlsOf(url.tls))),
    ...given("enableChannelBinding", url.channelBinding),
    ...given("options", url.options),
    max: options.pool?.max ?? 10,
    idleTimeoutMillis: options.pool?.idleTimeout ?? 30_000,
    connectionTimeoutMillis: options.pool?.connectTimeout ?? url.connectTimeout ?? 10_000,
    application_name: options.applicationName ?? url.applicationName ?? "prompt-registry",
    keepAlive: true,
    ...(statementTimeout === 0
      ? {}
      : // The second is for a server that does not answer at all.
        { statement_timeout: statementTimeout, query_timeout: statementTimeout + GRACE }),
  };
  const location = locationOf({
    host: host ?? (process.env.PGHOST || "localhost"),
    port: port === undefined ? process.env.PGPORT : String(port),
    // As pg finds them.
    database: database ?? (process.env.PGDATABASE || user || process.env.PGUSER || userName()),
    user,
    query: {
      ...(rawSchema === "prompt_registry" ? {} : { schema: rawSchema }),
      ...(options.ssl === undefined ? url.tls : { sslmode: modeOf(options.ssl) }),
    },
  });
  return { config, location, schema: `"${rawSchema}"`, rawSchema };
}

interface FromUrl {
  readonly host?: string;
  readonly port?: number;
  readonly database?: string;
  readonly user?: string;
  readonly password?: string;
  readonly schema?: string;
  readonly applicationName?: string;
  readonly statementTimeout?: number;
  readonly connectTimeout?: number;
  readonly channelBinding?: boolean;
  readonly options?: string;
  readonly tls?: Readonly<Record<string, string>>;
}

const SSL_MODES: ReadonlySet<string> = new Set([
  "disable",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
  "no-verify",
]);
const TLS_FILES = ["sslrootcert", "sslcert", "sslkey"] as const;
const QUERY_KEYS: ReadonlySet<string> = new Set([
  ...["schema", "application_name", "statement_timeout", "connect_timeout", "channel_binding", "options", "sslmode"],
  ...["ssl", ...TLS_FILES, "host", "port", "user", "password", "dbname"],
]);

/** Nothing of the URL is repeated in a message but the names of keys: a password may stand anywhere in it. */
function parseUrl(text: string): FromUrl {
  const bad = (problem: string) => new RegistryError("CONFIG", `postgres: url ${problem}`, { field: "url" });
  const form = "is no postgres://user@host:5432/database";
  if (!/^postgres(?:ql)?:\/\//.test(text)) throw bad(form);
  let url: URL;
  try {
    // The standard has no URL with a user and without a host; sockets do.
    url = new URL(text.replace("@/", "@nowhere.invalid/"));
  } catch {
    // Not as a cause: its message holds the whole URL, and so the password.
    throw bad(form);
  }
  if (url.hash !== "") throw bad("has a # that must be written %23");
  const decode = (part: string): string | undefined => {
    try {
      return part === "" ? undefined : decodeURIComponent(part.replace(/%(?![0-9a-f]{2})/gi, "%25"));
    } catch {
      throw bad("has % signs that stand for no UTF-8; a % itself is written %25");
    }
  };
  const query: Record<string, string> = {};
  for (const [key, value] of url.searchParams) {
    if (!QUERY_KEYS.has(key)) {
      const known = [...QUERY_KEYS].join(", ");
      throw bad(`has ${/^[a-z_]{1,40}$/i.test(key) ? show(key) : "a key"} in its query; known are ${known}`);
    }
    if (Object.hasOwn(query, key)) throw bad(`has ${key} twice in its query`);
    if (value === "") throw bad(`has an empty ${key} in its query`);
    query[key] = value;
  }
  const host = query.host ?? (url.hostname === "nowhere.invalid" ? undefined : decode(url.hostname));
  const number = (value: string | undefined, factor = 1) => (value === undefined ? undefined : Number(value) * factor);
  const { channel_binding: binding } = query;
  if (binding !== undefined && !["disable", "prefer", "require"].includes(binding))
    throw bad("has a channel_binding that is not disable, prefer or require");
  return defined({
    host: host?.replace(/^\[(.+)\]$/, "$1"),
    port: number(query.port ?? (url.port || undefined)),
    database: query.dbname ?? decode(url.pathname.slice(1)),
    user: query.user ?? decode(url.username),
    password: query.password ?? decode(url.password),
    schema: query.schema,
    applicationName: query.application_name,
    statementTimeout: number(query.statement_timeout),
    connectTimeout: number(query.connect_timeout, 1000),
    channelBinding: binding === undefined ? undefined : binding !== "disable",
    options: query.options,
    tls: tlsQuery(query, bad),
  });
}

/** What the query says about TLS, in the words of a query. */
function tlsQuery(
  query: Readonly<Record<string, string>>,
  bad: (problem: string) => RegistryError,
): Readonly<Record<string, string>> | undefined {
  const { ssl } = query;
  if (ssl !== undefined && !/^(?:true|false|1|0)$/.test(ssl)) throw bad("has an ssl that is not true or false");
  const files = TLS_FILES.filter((key) => query[key] !== undefined);
  const implied = ssl === "false" || ssl === "0" ? "disable" : "verify-full";
  const mode = query.sslmode ?? (ssl !== undefined || files.length > 0 ? implied : undefined);
  if (mode === undefined) return undefined;
  if (!SSL_MODES.has(mode)) throw bad(`has an sslmode that is not one of ${[...SSL_MODES].join(", ")}`);
  return { sslmode: mode, ...Object.fromEntries(files.map((key) => [key, query[key] as string])) };
}

function tlsOf(tls: Readonly<Record<string, string>>): boolean | ConnectionOptions {
  if (tls.sslmode === "disable") return false;
  const read = (key: (typeof TLS_FILES)[number]) => {
    const path = tls[key];
    if (path === undefined || (key === "sslrootcert" && path === "system")) return undefined;
    try {
      return readFileSync(path, "utf8");
    } catch (cause) {
      throw new RegistryError("CONFIG", `postgres: the ${key} ${show(path)} can't be read`, { field: "url", cause });
    }
  };
  return defined({
    rejectUnauthorized: tls.sslmode !== "no-verify",
    ca: read("sslrootcert"),
    cert: read("sslcert"),
    key: read("sslkey"),
  });
}

function modeOf(ssl: boolean | ConnectionOptions): string {
  if (ssl === false) return "disable";
  return ssl !== true && ssl.rejectUnauthorized === false ? "no-verify" : "verify-full";
}

function userName(): string {
  try {
    return (process.platform === "win32" ? process.env.USERNAME : process.env.USER) || userInfo().username;
  } catch {
    return "";
  }
}

/** A URL that opens the same registry, without a password. */
function locationOf(parts: {
  readonly host: string;
  readonly port: string | undefined;
  readonly database: string;
  readonly user: string | undefined;
  readonly query: Readonly<Record<string, string>>;
}): string {
  const { host, database, user } = parts;
  const socket = host.startsWith("/");
  const shown = socket ? "" : host.includes(":") ? `[${host}]` : encodeURIComponent(host);
  // There is no port after no host.
  const query = new URLSearchParams({
    ...(socket ? { host, ...(parts.port ? { port: parts.port } : {}) } : {}),
    ...parts.query,
  }).toString();
  const port = socket || !parts.port ? "" : `:${parts.port}`;
  const login = user === undefined ? "" : `${encodeURIComponent(user)}@`;
  return `postgres://${login}${shown}${port}/${encodeURIComponent(database)}${query === "" ? "" : `?${query}`}`;
}
