import type { IncomingMessage, ServerResponse } from "node:http";
import { RegistryError } from "../../errors.ts";
import { findRoute } from "../handler/route.ts";
import { type Gate, GatePlace } from "../operations/gate.ts";
import type { CheckedLimits } from "../operations/limits.ts";
import type { Refused } from "../operations/metrics.ts";
import type { NewcomersFirst } from "../operations/newcomers.ts";
import type { RequestTracing } from "../operations/tracing.ts";
import type { Handler, RequestInfo } from "../types.ts";
import { announced, type Body, type ByteBudget, bodyOf, hasBody, tooLarge } from "./body.ts";
import { deadlineOf } from "./deadline.ts";
import { flatHeaders, PIECE, sendBytes, sendStream } from "./reply.ts";

/** What all requests of one server share. */
export interface Site {
  readonly handler: Handler;
  readonly limits: CheckedLimits;
  readonly gate: Gate;
  readonly newcomers: NewcomersFirst;
  readonly bodies: ByteBudget;
  readonly replies: ByteBudget;
  readonly streams: Set<AbortController>;
  readonly secure: readonly (readonly [string, string])[];
  readonly tracing: RequestTracing | undefined;
  isDraining(): boolean;
  refuse(request: IncomingMessage, response: ServerResponse, why: Refused, error: RegistryError): void;
}

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly info: RequestInfo & { readonly requestId: string };
}

function overloaded(detail = "the server has more to do than it can; wait and try again"): RegistryError {
  return new RegistryError("UNAVAILABLE", detail, { retryAfter: 1000 });
}

/** Answers a request that does not lie ready. Never throws. */
export async function exchange(site: Site, one: Exchange): Promise<void> {
  const place = new GatePlace(site.gate);
  if (!(await place.enter())) return site.refuse(one.request, one.response, "overloaded", overloaded());
  try {
    const newcomers = site.newcomers.wait();
    if (newcomers !== undefined) await newcomers;
    // Who waited and gave up needs no answer.
    if (!one.response.destroyed) await answer(site, one, place);
  } finally {
    place.end();
  }
}

async function answer(site: Site, one: Exchange, place: GatePlace): Promise<void> {
  const { request, response, info } = one;
  const { limits } = site;
  const limit = isDocument(request) ? limits.documentBytes : limits.bodyBytes;
  if ((announced(request) ?? 0) > limit) return site.refuse(request, response, "too_large", tooLarge(limit));
  const controller = new AbortController();
  const onClose = () => {
    if (!response.writableFinished) controller.abort(new DOMException("the client went away", "AbortError"));
  };
  response.once("close", onClose);
  const deadline = deadlineOf(limits.answerTimeout, controller);
  const body = hasBody(request)
    ? bodyOf(request, {
        ...{ limit, budget: site.bodies, caller: callerOf(one) },
        // Who is slow to send keeps nobody else from being worked for; Node's limits end what never comes.
        waiting() {
          deadline.stop();
          place.step();
        },
        async arrived() {
          const isIn = await place.enter(true);
          if (isIn) deadline.start();
          return isIn;
        },
      })
    : undefined;
  try {
    const fetchRequest = toRequest(one, body, controller.signal);
    const call = () => site.handler(fetchRequest, info);
    const working = site.tracing === undefined ? call() : site.tracing.run(request, info, call);
    const reply = await Promise.race([working, deadline.over]);
    deadline.stop();
    if (reply === undefined) {
      working.then((late) => late.body?.cancel()).catch(() => {});
      return site.refuse(request, response, "timeout", tookTooLong(request));
    }
    const refused = body?.refused();
    if (refused !== undefined && reply.status >= 400) {
      await reply.body?.cancel();
      return site.refuse(request, response, refused, refused === "too_large" ? tooLarge(limit) : overloaded());
    }
    if (response.destroyed) {
      await reply.body?.cancel();
      return;
    }
    const streaming = reply.headers.get("content-type")?.startsWith("text/event-stream") === true;
    if (streaming && reply.body !== null) return await stream(site, one, reply, controller, place);
    await send(site, one, reply, place);
  } catch (error) {
    if (response.headersSent) response.destroy();
    else {
      const detail = "the handler failed";
      site.refuse(
        request,
        response,
        "failed",
        new RegistryError("INTERNAL", detail, { outcome: "unknown", cause: error }),
      );
    }
  } finally {
    deadline.stop();
    response.off("close", onClose);
    body?.release();
  }
}

/** Its work goes on, and what it does is written into the audit log. */
function tookTooLong(request: IncomingMessage): RegistryError {
  const outcome = isChange(request) ? "unknown" : "temporary";
  return new RegistryError("TIMEOUT", "the answer took too long; try again later", { outcome });
}

function isChange({ method = "", url = "" }: IncomingMessage): boolean {
  try {
    return findRoute(method, url.split("?", 1)[0] as string).route.mutates === true;
  } catch {
    // A host of other routes may change what it likes.
    return method !== "GET" && method !== "HEAD";
  }
}

/** Who is let in by the same credentials, or comes from the same address without any, is one caller. */
function callerOf({ request, info }: Exchange): string {
  return request.headers.authorization ?? info.address ?? "";
}

/** Authored or sealed text; everything else is JSON around it. */
function isDocument({ headers, method }: IncomingMessage): boolean {
  return method === "PUT" && headers["content-type"]?.startsWith("text/") === true;
}

function toRequest({ request }: Exchange, body: Body | undefined, signal: AbortSignal): Request {
  const headers = new Headers();
  const { rawHeaders } = request;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    headers.append(rawHeaders[i] as string, rawHeaders[i + 1] as string);
  }
  const method = request.method as string;
  const init = {
    method,
    headers,
    signal,
    ...(body === undefined ? {} : { body: body.stream, duplex: "half" as const }),
  };
  // What is called `Host` is no business of a URL parser, which takes less than there are names.
  return new Request(`http://localhost${request.url}`, init);
}

async function send(site: Site, one: Exchange, reply: Response, place: GatePlace): Promise<void> {
  const { request, response, info } = one;
  const headers = flatHeaders(reply.headers, site.secure);
  if (!reply.headers.has("x-request-id")) headers.push("x-request-id", info.requestId);
  // The rest of a body that nobody wanted is not waited for.
  if (site.isDraining() || (hasBody(request) && !request.complete)) headers.push("connection", "close");
  if (reply.body === null || request.method === "HEAD") {
    await reply.body?.cancel();
    const bodiless = reply.status === 204 || reply.status === 304 || request.method === "HEAD";
    if (!bodiless && !reply.headers.has("content-length")) headers.push("content-length", "0");
    response.writeHead(reply.status, headers);
    response.end();
    return;
  }
  if (!reply.headers.has("content-length")) {
    response.writeHead(reply.status, headers);
    return await sendStream(reply.body, response, site.limits.writeTimeout, site.limits.answerTimeout);
  }
  const bytes = new Uint8Array(await reply.arrayBuffer());
  if (response.destroyed) return;
  if (bytes.length > PIECE) return await sendLarge(site, one, [reply.status, headers, bytes], place);
  response.writeHead(reply.status, headers);
  response.end(bytes);
}

/** It lies in memory until the client has taken it, so it is counted; and it keeps nobody else waiting. */
async function sendLarge(
  site: Site,
  one: Exchange,
  [status, headers, bytes]: readonly [number, string[], Uint8Array],
  place: GatePlace,
): Promise<void> {
  const { request, response } = one;
  const held = site.replies.open(callerOf(one));
  try {
    // What became of a change is told in any case.
    if (!held.take(bytes.length) && !isChange(request))
      return site.refuse(request, response, "replies", overloaded("too many answers wait to be read; read them"));
    place.leave();
    response.writeHead(status, headers);
    await sendBytes(bytes, response, site.limits.writeTimeout);
  } finally {
    held.close();
  }
}

async function stream(
  site: Site,
  one: Exchange,
  reply: Response,
  controller: AbortController,
  place: GatePlace,
): Promise<void> {
  const { request, response, info } = one;
  if (request.method !== "HEAD" && site.streams.size >= site.limits.streams) {
    await reply.body?.cancel();
    return site.refuse(request, response, "streams", overloaded("too many open streams; try again"));
  }
  // It stays open for hours, and must not keep others out.
  place.leave();
  site.streams.add(controller);
  try {
    const headers = flatHeaders(reply.headers, site.secure);
    if (!reply.headers.has("x-request-id")) headers.push("x-request-id", info.requestId);
    response.writeHead(reply.status, headers);
    if (request.method === "HEAD") {
      await reply.body?.cancel();
      response.end();
      return;
    }
    response.flushHeaders();
    const { body } = reply;
    const ended = new Promise<void>((resolve) => {
      controller.signal.addEventListener(
        "abort",
        () => {
          // A stream that is ended by us ends as it should, and its reader comes back elsewhere.
          if (!response.destroyed) response.end();
          resolve();
        },
        { once: true },
      );
    });
    if (body !== null)
      await Promise.race([sendStream(body, response, site.limits.writeTimeout).catch(() => {}), ended]);
  } finally {
    site.streams.delete(controller);
  }
}
