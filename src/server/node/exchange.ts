import type { IncomingMessage, ServerResponse } from "node:http";
import { RegistryError } from "../../errors.ts";
import type { Gate } from "../operations/gate.ts";
import type { CheckedLimits } from "../operations/limits.ts";
import type { Refused } from "../operations/metrics.ts";
import type { RequestTracing } from "../operations/tracing.ts";
import type { Handler, RequestInfo } from "../types.ts";
import { announced, type Body, type BodyBudget, bodyOf, hasBody, tooLarge } from "./body.ts";
import { flatHeaders, sendStream } from "./reply.ts";

/** What all requests of one server share. */
export interface Site {
  readonly handler: Handler;
  readonly limits: CheckedLimits;
  readonly gate: Gate;
  readonly bodies: BodyBudget;
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
  /** `http://host` or `https://host`. */
  readonly origin: string;
}

function overloaded(detail = "the server has more to do than it can; wait and try again"): RegistryError {
  return new RegistryError("UNAVAILABLE", detail, { retryAfter: 1000 });
}

/** Answers a request that does not lie ready. Never throws. */
export async function exchange(site: Site, one: Exchange): Promise<void> {
  const { request, response } = one;
  const entered = site.gate.enter();
  const admitted = typeof entered === "boolean" ? entered : await entered;
  if (!admitted) return site.refuse(request, response, "overloaded", overloaded());
  let inside = true;
  const leave = () => {
    if (inside) site.gate.leave();
    inside = false;
  };
  try {
    // Who waited and gave up needs no answer.
    if (!response.destroyed) await answer(site, one, leave);
  } finally {
    leave();
  }
}

async function answer(site: Site, one: Exchange, leave: () => void): Promise<void> {
  const { request, response, info } = one;
  const { limits } = site;
  const limit = isDocument(request) ? limits.documentBytes : limits.bodyBytes;
  if ((announced(request) ?? 0) > limit) return site.refuse(request, response, "too_large", tooLarge(limit));
  const controller = new AbortController();
  const onClose = () => {
    if (!response.writableFinished) controller.abort(new DOMException("the client went away", "AbortError"));
  };
  response.once("close", onClose);
  const timer = setTimeout(() => {
    controller.abort(new DOMException("the answer took too long", "TimeoutError"));
  }, limits.answerTimeout);
  const body = hasBody(request) ? bodyOf(request, limit, site.bodies) : undefined;
  let streaming = false;
  try {
    const fetchRequest = toRequest(one, body, controller.signal);
    const call = () => site.handler(fetchRequest, info);
    const reply = await (site.tracing === undefined ? call() : site.tracing.run(request, info, call));
    clearTimeout(timer);
    const refused = body?.refused();
    if (refused !== undefined && reply.status >= 400) {
      await reply.body?.cancel();
      return site.refuse(request, response, refused, refused === "too_large" ? tooLarge(limit) : overloaded());
    }
    if (response.destroyed) {
      await reply.body?.cancel();
      return;
    }
    streaming = reply.headers.get("content-type")?.startsWith("text/event-stream") === true && reply.body !== null;
    if (streaming) return await stream(site, one, reply, controller, leave);
    await send(site, one, reply);
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
    clearTimeout(timer);
    response.off("close", onClose);
    body?.release();
  }
}

/** Authored or sealed text; everything else is JSON around it. */
function isDocument({ headers, method }: IncomingMessage): boolean {
  return method === "PUT" && headers["content-type"]?.startsWith("text/") === true;
}

function toRequest({ request, origin }: Exchange, body: Body | undefined, signal: AbortSignal): Request {
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
  return new Request(origin + request.url, init);
}

async function send(site: Site, { request, response, info }: Exchange, reply: Response): Promise<void> {
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
  if (reply.headers.has("content-length")) {
    const bytes = new Uint8Array(await reply.arrayBuffer());
    if (response.destroyed) return;
    response.writeHead(reply.status, headers);
    response.end(bytes);
    return;
  }
  response.writeHead(reply.status, headers);
  await sendStream(reply.body, response, site.limits.writeTimeout);
}

async function stream(
  site: Site,
  one: Exchange,
  reply: Response,
  controller: AbortController,
  leave: () => void,
): Promise<void> {
  const { request, response, info } = one;
  if (request.method !== "HEAD" && site.streams.size >= site.limits.streams) {
    await reply.body?.cancel();
    return site.refuse(request, response, "streams", overloaded("too many open streams; try again"));
  }
  // It stays open for hours, and must not keep others out.
  leave();
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
