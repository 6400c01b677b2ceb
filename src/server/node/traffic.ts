import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type ErrorCode, RegistryError } from "../../errors.ts";
import { asciiJson } from "../ascii-json.ts";
import { digestHeader } from "../handler/coding.ts";
import { addressKey, Buckets } from "../operations/buckets.ts";
import type { Ended, Ledger } from "../operations/ledger.ts";
import type { CheckedLimits, ThrottledAccess } from "../operations/limits.ts";
import type { Log } from "../operations/log.ts";
import type { Metrics, Refused } from "../operations/metrics.ts";
import { reasonOf } from "../operations/reason.ts";
import { givenRequestId, requestIds } from "../operations/request-id.ts";
import { PROBLEM_TYPE, problemOf, StatusError, statusOf } from "../protocol/problem.ts";
import type { RequestEvent, RequestInfo } from "../types.ts";
import { hasBody, isSmallRest } from "./body.ts";
import { clientAddress, headRefusal, isLoopback, methodRefusal, targetRefusal } from "./check.ts";
import { exchange, type Site } from "./exchange.ts";
import { isGivenUp, noteBody } from "./given-up.ts";
import { endInOnePiece, pieceOf } from "./one-piece.ts";
import { PIECE, retrySeconds, sendBytes, unchangedHeaders, withHeaders } from "./reply.ts";

export interface TrafficOptions {
  readonly site: Omit<Site, "refuse">;
  readonly limits: CheckedLimits;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly ledger: Ledger;
  readonly isHost: (host: string | undefined) => boolean;
  readonly isProxy: ((address: string) => boolean) | undefined;
  /** Answers of the server itself, by path. */
  readonly own: ReadonlyMap<string, (request: IncomingMessage, response: ServerResponse, info: RequestInfo) => void>;
  readonly access: ThrottledAccess;
}

interface Info {
  readonly requestId: string;
  readonly address?: string;
  readonly target: string;
}

interface Arrival {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly info: Info;
  readonly started: number;
}

interface Prepared {
  readonly all: string[];
  readonly hasLength: boolean;
}

interface Pending {
  event: RequestEvent | undefined;
}

/** Only exact versions lie ready. */
const READY_ROUTE = "GET /v1/prompts/{name}/-/versions/{version}";

export interface Traffic {
  onRequest(request: IncomingMessage, response: ServerResponse): void;
  observe(event: RequestEvent): void;
  routeOf(requestId: string): string | undefined;
  refuse: Site["refuse"];
  readonly inFlight: number;
}

/** What happens to each request, from its headers to its line in the log. */
export function createTraffic(options: TrafficOptions): Traffic {
  const { limits, metrics, log, ledger, isHost, isProxy, own, access } = options;
  const { handler, secure } = options.site;
  const nextId = requestIds();
  const addresses = new Buckets(limits.addressRate);
  const pending = new Map<string, Pending>();
  // Connections on which something was sent that others may read in another way: nothing behind it is carried out.
  const poisoned = new WeakSet<Socket>();
  const ids = new WeakMap<ServerResponse, string>();
  const codes = new WeakMap<ServerResponse, ErrorCode>();
  const reasons = new WeakMap<ServerResponse, string>();
  let hasWarned = false;
  const prepared = new WeakMap<readonly string[], Prepared>();
  const secureFlat = secure.flat();
  const longestOwn = Math.max(...[...own.keys()].map((path) => path.length));

  const site: Site = { ...options.site, refuse };

  function observe(event: RequestEvent): void {
    const entry = pending.get(event.requestId);
    if (entry !== undefined) entry.event = event;
  }

  function tell(ended: Ended): void {
    const { principal } = ended;
    if (principal !== undefined) access.debit(principal, ended.at);
    ledger.add(ended);
  }

  function refuse(request: IncomingMessage, response: ServerResponse, why: Refused, error: RegistryError): void {
    metrics.refused(why);
    if (error.code === "INTERNAL") reasons.set(response, reasonOf(error));
    if (response.headersSent || response.destroyed) return void response.destroy();
    const status = statusOf(error);
    const id = ids.get(response);
    codes.set(response, error.code);
    const body = Buffer.from(asciiJson(problemOf(error, id)));
    const { retryAfter } = error.context;
    const goesOn = why !== "malformed" && !site.isDraining() && (request.complete || isSmallRest(request));
    response.writeHead(status, [
      ...(id === undefined ? [] : ["x-request-id", id]),
      ...["content-type", PROBLEM_TYPE, "content-length", String(body.length), "cache-control", "no-store"],
      ...["content-digest", digestHeader(body)],
      ...(retryAfter === undefined ? [] : ["retry-after", retrySeconds(retryAfter)]),
      ...(error instanceof StatusError ? Object.entries(error.headers).flat() : []),
      ...secureFlat,
      // What follows on this connection may be the rest of what was refused.
      ...(goesOn ? [] : ["connection", "close"]),
    ]);
    if (goesOn) request.resume();
    response.end(request.method === "HEAD" ? undefined : body);
  }

  /** Headers of an answer that lies ready, with ours; made once for each. */
  function headersOf(status: number, given: readonly string[]): Prepared {
    let headers = prepared.get(given);
    if (headers === undefined) {
      const all = status === 304 ? unchangedHeaders(given) : withHeaders(given, secure);
      const hasLength = all.some((name, i) => i % 2 === 0 && name.toLowerCase() === "content-length");
      headers = { all, hasLength };
      prepared.set(given, headers);
    }
    return headers;
  }

  function addressOf(request: IncomingMessage): string | undefined {
    const peer = request.socket.remoteAddress;
    if (!hasWarned && request.headers["x-forwarded-for"] !== undefined) warnOfProxy(peer);
    return isProxy === undefined ? peer : clientAddress(peer, request.headers["x-forwarded-for"], isProxy);
  }

  /** Callers of this machine have no limit by address; behind a proxy that would be all of them. */
  function warnOfProxy(peer: string | undefined): void {
    if (peer === undefined || !isLoopback(peer) || isProxy?.(peer) === true) return;
    hasWarned = true;
    log.event(
      "warn",
      "a proxy on this machine is not trusted, so all who come through it count as one and have no limit by address; name it in trustedProxies (--trust-proxy 127.0.0.1)",
    );
  }

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    if (poisoned.has(socket) || isGivenUp(socket)) {
      // Where the client is being told why, its connection ends after that.
      if (!socket.writableEnded || poisoned.has(socket)) response.destroy();
      return;
    }
    const given = request.headers["x-request-id"];
    const requestId = (given === undefined ? undefined : givenRequestId(given)) ?? nextId();
    const address = addressOf(request);
    const target = request.url as string;
    const info: Info = address === undefined ? { requestId, target } : { requestId, address, target };
    const arrival: Arrival = { request, response, info, started: performance.now() };
    const refusal = refusalOf(arrival);
    if (refusal !== undefined) turnAway(arrival, ...refusal);
    else if (target.length <= longestOwn && own.has(target)) answerSelf(arrival, target);
    else if (!answerReady(arrival)) work(arrival);
  }

  function refusalOf({ request, info }: Arrival): readonly [Refused, RegistryError] | undefined {
    const malformed = headRefusal(request.method as string, request.rawHeaders);
    if (malformed !== undefined) return ["malformed", malformed];
    const { address, target } = info;
    if (target === "/healthz" || target === "/readyz") return undefined;
    if (!isHost(request.headers.host)) {
      const detail = "this server is not called by that name; see allowedHosts";
      return ["host", new RegistryError("FORBIDDEN", detail, { field: "host" })];
    }
    if (address === undefined || isLoopback(address)) return undefined;
    const wait = addresses.take(addressKey(address));
    if (wait === 0) return undefined;
    const detail = "too many requests from this address; wait and try again";
    return ["address_rate", new RegistryError("RATE_LIMITED", detail, { retryAfter: Math.ceil(wait) })];
  }

  function answerSelf(arrival: Arrival, target: string): void {
    const { request, response, info } = arrival;
    response.once("close", () => finish(arrival, info, target, undefined));
    own.get(target)?.(request, response, info);
  }

  function answerReady({ request, response, info, started }: Arrival): boolean {
    const method = request.method as string;
    if (method !== "GET" && method !== "HEAD") return false;
    access.seen = undefined;
    const ready = handler.ready(method, info.target, request.headers, info);
    if (ready === undefined) return false;
    const { status, body } = ready;
    const { all, hasLength } = headersOf(status, ready.headers);
    const headers = request.headers["x-request-id"] === undefined ? all : [...all, "x-request-id", info.requestId];
    response.writeHead(status, site.isDraining() ? [...headers, "connection", "close"] : headers);
    if (body === undefined || method === "HEAD") response.end();
    else sendReady(response, body, hasLength);
    const at = performance.now();
    tell({
      requestId: info.requestId,
      address: info.address,
      at,
      method,
      route: READY_ROUTE,
      status,
      ms: at - started,
      principal: access.seen,
      code: undefined,
      name: undefined,
      reason: undefined,
      aborted: false,
    });
    return true;
  }

  function sendReady(response: ServerResponse, body: Uint8Array, hasLength: boolean): void {
    // Without a length Node frames the body itself.
    const piece = hasLength ? pieceOf(body) : undefined;
    if (piece !== undefined) endInOnePiece(response, piece);
    else if (body.length <= PIECE) response.end(body);
    // Over TLS only whole writes are seen to be taken.
    else void sendBytes(body, response, limits.writeTimeout);
  }

  function finish({ request, response, started }: Arrival, info: Info, route: string, event?: RequestEvent): void {
    const method = request.method as string;
    // 499 stands for a client that was gone before there was an answer.
    const status = response.headersSent ? response.statusCode : 499;
    const code = codes.get(response) ?? event?.code;
    const at = performance.now();
    const { principal, name } = event ?? {};
    const isOurs = status >= 500 || code === "INTERNAL" || code === "CONFIG" || code === "CORRUPT";
    const reason = reasons.get(response) ?? (isOurs && event?.error !== undefined ? reasonOf(event.error) : undefined);
    const { requestId, address } = info;
    const ms = at - started;
    const aborted = !response.writableFinished;
    tell({ requestId, address, at, method, route, status, ms, principal, code, name, reason, aborted });
  }

  function turnAway(arrival: Arrival, why: Refused, error: RegistryError): void {
    const { request, response, info } = arrival;
    ids.set(response, info.requestId);
    if (why === "malformed") poisoned.add(request.socket);
    response.once("close", () => finish(arrival, info, "refused"));
    refuse(request, response, why, error);
  }

  function work(arrival: Arrival): void {
    const { request, response } = arrival;
    const { target } = arrival.info;
    const odd = targetRefusal(target) ?? methodRefusal(request.method as string, target);
    if (odd !== undefined) {
      turnAway(arrival, "malformed", odd);
      return;
    }
    if (hasBody(request)) noteBody(request);
    // A caller who uses one id for two requests at once gets one of ours for the second.
    const requestId = pending.has(arrival.info.requestId) ? nextId() : arrival.info.requestId;
    const info = { ...arrival.info, requestId };
    const entry: Pending = { event: undefined };
    pending.set(requestId, entry);
    ids.set(response, requestId);
    response.once("close", () => {
      pending.delete(requestId);
      finish(arrival, info, entry.event?.route ?? "refused", entry.event);
    });
    void exchange(site, { request, response, info });
  }

  return {
    onRequest,
    observe,
    refuse,
    routeOf: (requestId) => pending.get(requestId)?.event?.route,
    get inFlight() {
      return pending.size;
    },
  };
}
