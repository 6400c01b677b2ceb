import type { IncomingMessage, ServerResponse } from "node:http";
import { RegistryError, show } from "../../errors.ts";
import type { PromptRegistry } from "../../registry.ts";
import { Gate } from "../operations/gate.ts";
import { figuresOf, probe, ReadinessCheck } from "../operations/health.ts";
import { Ledger } from "../operations/ledger.ts";
import { checkLimits, type ServerLimits, throttled } from "../operations/limits.ts";
import { createLog, type LogLevel } from "../operations/log.ts";
import { Metrics } from "../operations/metrics.ts";
import { NewcomersFirst } from "../operations/newcomers.ts";
import { type OpenTelemetry, requestTracing } from "../operations/tracing.ts";
import { pollOf, watchChanges } from "../operations/watch.ts";
import type { Access, AuditLog, Handler, RequestEvent } from "../types.ts";
import { ByteBudget } from "./body.ts";
import { addressList, hostCheck, isLoopback, loopbackHosts } from "./check.ts";
import { createListener, startListening, stopAccepting, type TlsFiles } from "./listen.ts";
import { ownAnswers } from "./own.ts";
import { secureHeaders } from "./reply.ts";
import { createTraffic, type Traffic } from "./traffic.ts";

export interface ListenOptions {
  /** Who may do what; the server counts requests by principal with it. */
  readonly access: Access;
  /** Default `127.0.0.1`. Another address needs access that lets nobody unknown change anything. */
  readonly host?: string | undefined;
  /** Default 7420; 0 takes a free one. */
  readonly port?: number | undefined;
  /** Default: plain HTTP. */
  readonly tls?: TlsFiles | undefined;
  readonly limits?: ServerLimits | undefined;
  /** `Host` headers that are answered, with port: `registry.example`, `registry.example:8443`. Default: those of this machine on loopback, any elsewhere. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Addresses and networks of proxies whose `X-Forwarded-For` is believed. Default: none. */
  readonly trustedProxies?: readonly string[] | undefined;
  /** Also serves `/metrics` there, to everybody who gets there. Default: only at `/metrics` of the server, to `admin`. */
  readonly metricsPort?: number | undefined;
  /** Default `127.0.0.1`. */
  readonly metricsHost?: string | undefined;
  /** Takes lines of JSON. Default: none. */
  readonly log?: ((lines: string) => void) | undefined;
  /** Default `all`. */
  readonly logLevel?: LogLevel | undefined;
  /** Where denials of what the server itself answers are written. Default: nowhere. */
  readonly audit?: AuditLog | undefined;
  /** Its `storageCall` is for `counted`. Default: its own. */
  readonly metrics?: Metrics | undefined;
  /** `@opentelemetry/api`. Default: no spans. */
  readonly tracing?: OpenTelemetry | undefined;
  /**
   * Milliseconds between two looks at the change feed. Default 500; 2000 where the storage calls; with `serve`, 5000 where
   * each look is a request (S3, GitHub, HTTP).
   */
  readonly poll?: number | undefined;
}

export interface RunningServer {
  /** `http://127.0.0.1:7420`; no slash at the end. */
  readonly url: string;
  readonly port: number;
  /** Of `/metrics`, where it has a port of its own. */
  readonly metricsUrl: string | undefined;
  readonly metrics: Metrics;
  /** Reads the TLS files again; without TLS the log says that there are none. @throws RegistryError CONFIG; what is served goes on with the old ones */
  reloadTls(): void;
  /**
   * Stops: not ready any more, no new connections, what is under way is finished, event streams are ended.
   *
   * @param drain milliseconds that requests may still take. Default 10,000
   * @returns how many were cut off all the same
   */
  stop(drain?: number): Promise<number>;
}

/** So long a client that is used to this server may still send, before its idle connection is closed. */
const LINGER = 500;
const LOOK = 25;

/**
 * Serves a handler over HTTP.
 *
 * @param registry of the handler, to look at its health and to follow its changes; it is not closed
 * @param create makes the handler; what it is given wants to be told of every request
 * @throws RegistryError CONFIG
 */
export async function listen(
  registry: PromptRegistry,
  create: (given: { readonly access: Access; readonly observe: (event: RequestEvent) => void }) => Handler,
  options: ListenOptions,
): Promise<RunningServer> {
  const { host = "127.0.0.1", port = 7420, tls } = options;
  const limits = checkLimits(options.limits);
  await checkExposure(host, options.access);
  const access = throttled(options.access, limits.principalRate);
  const metrics = options.metrics ?? new Metrics();
  const log = createLog(options.log ?? (() => {}), options.log === undefined ? "off" : options.logLevel);
  const ledger = new Ledger(metrics, log);
  const readiness = new ReadinessCheck(registry, { maxAge: Math.max(2000, pollOf(registry) ?? 0) });
  const figures = figuresOf(registry);
  const gate = new Gate({ concurrency: limits.concurrency, queue: limits.queue, wait: limits.queueWait });
  const newcomers = new NewcomersFirst();
  const streams = new Set<AbortController>();
  let draining = false;
  let traffic: Traffic | undefined;
  let isHost = hostCheck(options.allowedHosts);
  let isHostAside = hostCheck(undefined);

  const handler = create({ access, observe: (event) => traffic?.observe(event) });
  const listener = createListener(limits, tls, onRequest, {
    broken: (status) => metrics.refused(status === 503 ? "overloaded" : status === 408 ? "timeout" : "malformed"),
  });
  const { server } = listener;
  server.on("connection", () => newcomers.connected());
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    response.writeContinue();
    onRequest(request, response);
  });
  const connections = () => new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count ?? 0)));
  const own = ownAnswers({
    access,
    readiness,
    audit: options.audit,
    secure: secureHeaders(tls !== undefined),
    isDraining: () => draining,
    isHostAside: (name) => isHostAside(name),
    metrics: async () =>
      metrics.text({
        inFlight: (traffic?.inFlight ?? 0) - streams.size,
        queued: gate.waiting,
        connections: await connections(),
        streams: streams.size,
        ready: (await readiness.look()).ok,
        health: await figures(),
      }),
  });
  const created = createTraffic({
    site: {
      handler,
      limits,
      gate,
      newcomers,
      bodies: new ByteBudget({
        most: limits.bodiesBytes,
        share: Math.max(limits.bodiesBytes / 4, limits.bodyBytes),
        awaited: limits.concurrency,
      }),
      replies: new ByteBudget({ most: limits.repliesBytes, share: limits.repliesBytes / 4 }),
      streams,
      secure: secureHeaders(tls !== undefined),
      tracing:
        options.tracing === undefined
          ? undefined
          : requestTracing(options.tracing, (requestId) => traffic?.routeOf(requestId)),
      isDraining: () => draining,
    },
    limits,
    metrics,
    log,
    ledger,
    isHost: (name) => isHost(name),
    isProxy:
      options.trustedProxies === undefined || options.trustedProxies.length === 0
        ? undefined
        : addressList("trustedProxies", options.trustedProxies),
    own: own.routes,
    access,
  });
  traffic = created;

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    created.onRequest(request, response);
  }

  let troubled = false;
  const watch = watchChanges(registry, {
    ...(options.poll === undefined ? {} : { poll: options.poll }),
    trouble(error) {
      if ((error !== undefined) === troubled) return;
      troubled = error !== undefined;
      if (troubled)
        log.event("warn", "the change feed can't be read; caches go by their age", { error: codeOf(error) });
      else log.event("info", "the change feed can be read again");
    },
  });
  let aside: Awaited<ReturnType<typeof serveAside>> | undefined;
  let actual: number;
  try {
    actual = await startListening(server, host, port);
    if (options.allowedHosts === undefined && isLoopback(host)) isHost = hostCheck(loopbackHosts(actual, host));
    if (options.metricsPort !== undefined) {
      const { metricsHost = "127.0.0.1", metricsPort } = options;
      aside = await serveAside(own.aside, metricsHost, metricsPort);
      // Nobody is asked for a token there, so no web page must get there by another name.
      if (isLoopback(metricsHost))
        isHostAside = hostCheck([...loopbackHosts(aside.port, metricsHost), ...(options.allowedHosts ?? [])]);
    }
  } catch (error) {
    await watch.stop();
    server.close();
    throw error;
  }
  const shown = host.includes(":") ? `[${host}]` : host;
  const url = `${tls === undefined ? "http" : "https"}://${shown}:${actual}`;
  log.event("info", "listening", { url });
  const probing = new AbortController();
  const probed = probe(registry, probing.signal).then((problem) => {
    if (problem !== undefined) log.event("warn", "the storage is not well; see `prompt-registry check`", { problem });
  });
  if (tls === undefined && !isLoopback(host))
    log.event("warn", "tokens travel unencrypted; use --tls-cert and --tls-key, or a proxy that ends TLS");
  let stopping: Promise<number> | undefined;

  async function stop(drain: number): Promise<number> {
    const deadline = performance.now() + drain;
    draining = true;
    readiness.drain();
    log.event("info", "draining", { inFlight: created.inFlight });
    const closed = stopAccepting(server);
    for (const stream of streams) stream.abort(new DOMException("the server stops", "AbortError"));
    const linger = performance.now() + Math.min(LINGER, drain / 4);
    while (performance.now() < deadline && ((await connections()) > 0 || created.inFlight > 0)) {
      if (performance.now() >= linger) server.closeIdleConnections();
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    }
    const cut = created.inFlight;
    server.closeAllConnections();
    await closed;
    // Ends what Node looks after beside its connections.
    server.close(() => {});
    probing.abort();
    await Promise.all([watch.stop(), probed]);
    await aside?.close();
    ledger.close();
    log.event(cut === 0 ? "info" : "warn", "stopped", { cut });
    log.close();
    metrics.close();
    return cut;
  }

  return {
    url,
    port: actual,
    metricsUrl: aside?.url,
    metrics,
    reloadTls: () => {
      listener.reload();
      log.event("info", options.tls === undefined ? "nothing to read again: no TLS" : "read the TLS files again");
    },
    stop: (drain = 10_000) => {
      stopping ??= stop(drain);
      return stopping;
    },
  };
}

function codeOf(error: unknown): string {
  return error instanceof RegistryError ? error.code : "INTERNAL";
}

/** Only figures, for a collector that has no token. */
async function serveAside(onRequest: Parameters<typeof createListener>[2], host: string, port: number) {
  const { server } = createListener(checkLimits({ connections: 100 }), undefined, onRequest, { broken: () => {} });
  const actual = await startListening(server, host, port);
  return {
    port: actual,
    url: `http://${host.includes(":") ? `[${host}]` : host}:${actual}/metrics`,
    async close() {
      const closed = stopAccepting(server);
      server.closeAllConnections();
      await closed;
    },
  };
}

/**
 * What is reached from elsewhere must know who asks.
 *
 * @throws RegistryError CONFIG
 */
async function checkExposure(host: string, access: Access): Promise<void> {
  if (isLoopback(host)) return;
  let grants: readonly { readonly right: string }[] = [];
  try {
    grants = (await access.authenticate({ authorization: undefined, address: undefined })).grants;
  } catch {
    // Nobody is let in without credentials, or that can't be told now and nobody is.
  }
  if (grants.every(({ right }) => right === "read")) return;
  throw new RegistryError(
    "CONFIG",
    `anybody who reaches ${show(host)} could change everything; configure tokens or OIDC, or listen on 127.0.0.1`,
    { field: "host" },
  );
}
