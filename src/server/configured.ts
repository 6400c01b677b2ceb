import { resolve } from "node:path";
import { type CheckedConfig, openRegistry } from "../config.ts";
import { RegistryError } from "../errors.ts";
import type { PromptRegistry } from "../registry.ts";
import { loadWebPage, type WebPage } from "../web/index.ts";
import { serverPlaces } from "./access/configured.ts";
import { createAccess, openTokens, type ServerAccess, type TokenStore } from "./access/index.ts";
import { openAudit } from "./audit/index.ts";
import { openAccess } from "./handler.ts";
import { type ServeOptions, serve } from "./node/serve.ts";
import type { RunningServer } from "./node/server.ts";
import { Metrics } from "./operations/metrics.ts";
import { counted } from "./operations/storage.ts";
import type { OpenTelemetry } from "./operations/tracing.ts";
import { POLL_BY_REQUESTS, REQUESTS } from "./operations/watch.ts";
import type { Access, AuditLog, PublishPolicy } from "./types.ts";

/** What a command line says beside the configuration. */
export interface Given {
  /** Locations; `none` for no audit log. */
  readonly tokens?: string | undefined;
  readonly audit?: string | undefined;
  /** Everybody may do everything. */
  readonly open?: boolean | undefined;
  readonly anonymous?: readonly string[] | undefined;
  /** Whether the web page is served. */
  readonly web?: boolean | undefined;
  readonly cwd: string;
  readonly version?: string;
  readonly log: (lines: string) => void;
}

export interface ConfiguredServer extends RunningServer {
  /** How many tokens there are; `undefined` where none are looked for. */
  readonly tokens: number | undefined;
  /** Why there is no web page, where nobody said that there shall be none. */
  readonly pageless: string | undefined;
}

/**
 * Opens everything that a configuration says and serves it; `stop` closes it all again.
 *
 * @throws RegistryError CONFIG; also where nobody could get in
 */
export async function serveConfigured(config: CheckedConfig, given: Given): Promise<ConfiguredServer> {
  const { server: settings = {} } = config;
  const closing: (() => Promise<unknown>)[] = [];
  const metrics = new Metrics(given.version === undefined ? {} : { version: given.version });
  closing.push(async () => metrics.close());
  const closeAll = async () => {
    // In the order in which they lean on each other; one that fails keeps no other from being closed.
    for (const close of closing.splice(0).reverse()) await close().catch(() => {});
  };
  try {
    const { page, pageless } = await webOf(given.web ?? settings.web);
    const { access, audit, tokens } = await guards(config, given, closing);
    const registry = await openStorage(config, given.cwd, metrics);
    closing.push(() => registry.close());
    const server = await serve(registry, {
      ...optionsOf(config, given.cwd),
      access,
      metrics,
      log: given.log,
      ...(audit === undefined ? {} : { audit }),
      ...(page === undefined ? {} : { web: page }),
      ...(given.version === undefined ? {} : { version: given.version }),
      ...(await policyOf(config)),
      ...(config.trace === true ? { tracing: await openTelemetry() } : {}),
    });
    return {
      ...server,
      ...{ tokens, pageless },
      async stop(drain = settings.drain) {
        const cut = await server.stop(drain);
        await closeAll();
        return cut;
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** Programs can be served without it, so where nobody asked for it by name, that it can't be read stops nothing. */
async function webOf(wanted: boolean | undefined) {
  const found: { page?: WebPage; pageless: string | undefined } = { pageless: undefined };
  if (wanted === false) return found;
  try {
    return { ...found, page: await loadWebPage() };
  } catch (error) {
    if (wanted === true) throw error;
    return { ...found, pageless: (error as Error).message };
  }
}

/** A folder is read without ever blocking on more than the disk, and every call of a storage is counted. */
async function openStorage(config: CheckedConfig, cwd: string, metrics: Metrics): Promise<PromptRegistry> {
  const { server: _, policy: __, storage = { backend: "file", path: "." }, ...rest } = config;
  const main = storage.backend === "file" ? { mode: "server" as const, ...storage } : storage;
  return openRegistry(
    { ...rest, storage: main },
    { cwd, env: {}, configFile: false, wrapStorage: (driver) => counted(driver, metrics.storageCall) },
  );
}

/** Whether a look at the feed of a storage, or of any that a part of the names is in, is a request to somebody else. */
function looksByRequests(storage: unknown): boolean {
  if (typeof storage !== "object" || storage === null) return false;
  const { backend } = storage as { readonly backend?: unknown };
  return REQUESTS.has(backend as string) || Object.values(storage).some(looksByRequests);
}

export function optionsOf(config: CheckedConfig, cwd: string): Omit<ServeOptions, "access"> {
  const { server: settings = {}, storage, route } = config;
  const { host, port, tls, limits, allowedHosts, trustedProxies, metrics, log } = settings;
  const poll = settings.poll ?? (looksByRequests([storage, route]) ? POLL_BY_REQUESTS : undefined);
  const given = {
    host,
    port,
    limits,
    allowedHosts,
    trustedProxies,
    poll,
    logLevel: log,
    metricsPort: metrics?.port,
    metricsHost: metrics?.host,
    tls: tls && { cert: resolve(cwd, tls.cert), key: resolve(cwd, tls.key) },
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

interface Guards {
  readonly access: Access;
  readonly audit: AuditLog | undefined;
  readonly tokens: number | undefined;
}

async function guards(config: CheckedConfig, given: Given, closing: (() => Promise<unknown>)[]): Promise<Guards> {
  const { server: settings = {} } = config;
  const places = await serverPlaces(config, given);
  const wantsAudit = given.open !== true || given.audit !== undefined || settings.audit !== undefined;
  let audit: AuditLog | undefined;
  if (wantsAudit && places.audit !== false) {
    audit = await openAudit(places.audit, { cwd: given.cwd });
    const opened = audit;
    closing.push(() => opened.close());
  }
  if (given.open === true) return { access: openAccess(), audit, tokens: undefined };
  const { oidc = [], protectedLabels = [], anonymous: configured = [] } = settings.access ?? {};
  const anonymous = given.anonymous ?? configured;
  const tokens = await openTokens(places.tokens, given.cwd);
  let access: ServerAccess;
  try {
    access = createAccess({ tokens, oidc, protectedLabels, anonymous });
  } catch (error) {
    await tokens.close();
    throw error;
  }
  closing.push(() => access.close());
  const count = await usable(tokens);
  const isMeant = given.tokens !== undefined || settings.tokens !== undefined;
  if (count === 0 && oidc.length === 0 && anonymous.length === 0 && !isMeant) {
    throw new RegistryError(
      "CONFIG",
      "nobody could use this server: make a token with `prompt-registry token create NAME --scope SCOPE`, let everybody read with --anonymous read, or let everybody on this machine do everything with --open",
      { field: "server.tokens" },
    );
  }
  return { access, audit, tokens: count };
}

async function usable(tokens: TokenStore): Promise<number> {
  const now = Date.now();
  const isOver = (at: string | undefined) => at !== undefined && Date.parse(at) <= now;
  return (await tokens.list()).filter((one) => one.revokedAt === undefined && !isOver(one.expiresAt)).length;
}

/** On unless it is switched off: what a server takes in is read by many. */
async function policyOf({ policy = true }: CheckedConfig): Promise<{ readonly policy?: PublishPolicy }> {
  if (policy === false) return {};
  const { createPolicy, guardOf } = await import("../policy/index.ts");
  const created = createPolicy(policy === true ? {} : policy);
  return {
    async policy(publication) {
      const overridden = new Set<string>();
      const guard = guardOf(created, {
        onOverride: (_, found) => {
          for (const { rule } of found) overridden.add(rule);
        },
      });
      await guard(publication);
      return { overridden: [...overridden] };
    },
  };
}

async function openTelemetry(): Promise<OpenTelemetry> {
  try {
    return (await import("@opentelemetry/api")) as unknown as OpenTelemetry;
  } catch (cause) {
    throw new RegistryError("CONFIG", "trace needs the package @opentelemetry/api: npm install @opentelemetry/api", {
      field: "trace",
      cause,
    });
  }
}
