import type { RegistryError } from "../../errors.ts";
import { asciiJson } from "../ascii-json.ts";
import { PROBLEM_TYPE, problemOf, StatusError, statusOf } from "../protocol/problem.ts";
import { type Coding, codingFor, digestHeader, encode, etagOf, matches } from "./coding.ts";
import type { DocumentResult, Result } from "./context.ts";
import { DOCUMENT_MAX_AGE } from "./ready.ts";

const COMMON = { "X-Content-Type-Options": "nosniff" };
/** Who may read what is different for each caller, so no cache that several share may keep it, whatever it makes of `Vary`. */
const NO_CACHE = "private, no-cache";
const EXACT = `private, max-age=${DOCUMENT_MAX_AGE}, immutable`;
const VARY = "Accept-Encoding, Authorization";

export interface Answered {
  readonly response: Response;
  /** Of a whole document: what may be kept for the next who asks. */
  readonly kept?: { readonly asked: Coding; readonly body: Buffer; readonly headers: Readonly<Record<string, string>> };
}

export async function respond(request: Request, result: Result, requestId: string): Promise<Answered> {
  const { document, stream } = result;
  if (stream !== undefined) {
    const headers = { ...COMMON, "X-Request-Id": requestId, ...result.headers };
    if (request.method === "HEAD") {
      await stream.cancel();
      return { response: new Response(null, { status: result.status, headers }) };
    }
    return { response: new Response(stream, { status: result.status, headers }) };
  }
  if (document !== undefined) return respondDocument(request, result, document, requestId);
  if (result.status === 304) {
    const headers = { ...COMMON, "Cache-Control": NO_CACHE, Vary: VARY, ...result.headers, "X-Request-Id": requestId };
    return { response: new Response(null, { status: 304, headers }) };
  }
  const body = Buffer.from(`${JSON.stringify(result.json)}\n`);
  const coded = await encode(body, codingFor(request.headers.get("accept-encoding")));
  const headers = {
    ...COMMON,
    "Content-Type": "application/json",
    "Cache-Control": NO_CACHE,
    ...entityHeaders(body, coded),
    ...result.headers,
    "X-Request-Id": requestId,
  };
  return { response: finish(request, result.status, headers, coded.body) };
}

async function respondDocument(
  request: Request,
  result: Result,
  document: DocumentResult,
  requestId: string,
): Promise<Answered> {
  const asked = codingFor(request.headers.get("accept-encoding"));
  const body = Buffer.from(document.text);
  const coded = await encode(body, asked);
  const headers: Record<string, string> = {
    ...COMMON,
    "Content-Type": "text/markdown; charset=utf-8",
    ETag: etagOf(document.tag, coded.coding),
    "Cache-Control": document.cache === "exact" ? EXACT : NO_CACHE,
    ...result.headers,
    ...entityHeaders(body, coded),
  };
  if (matches(request.headers.get("if-none-match"), document.tag)) {
    const {
      "Content-Length": _,
      "Content-Encoding": __,
      "Content-Digest": ___,
      "Repr-Digest": ____,
      ...rest
    } = headers;
    return { response: new Response(null, { status: 304, headers: { ...rest, "X-Request-Id": requestId } }) };
  }
  const response = finish(request, result.status, { ...headers, "X-Request-Id": requestId }, coded.body);
  return { response, kept: { asked, body: coded.body, headers } };
}

function entityHeaders(
  body: Buffer,
  coded: { readonly body: Buffer; readonly coding: Coding },
): Record<string, string> {
  const headers: Record<string, string> = {
    Vary: VARY,
    "Content-Length": String(coded.body.length),
    "Content-Digest": digestHeader(coded.body),
  };
  if (coded.coding === "identity") return headers;
  return { ...headers, "Content-Encoding": coded.coding, "Repr-Digest": digestHeader(body) };
}

function finish(request: Request, status: number, headers: Record<string, string>, body: Buffer): Response {
  return new Response(request.method === "HEAD" ? null : (body as Uint8Array<ArrayBuffer>), { status, headers });
}

/** The reply that tells of an error. */
export function respondProblem(request: Request, error: RegistryError, requestId: string): Response {
  const body = Buffer.from(`${asciiJson(problemOf(error, requestId))}\n`);
  const { retryAfter } = error.context;
  const headers: Record<string, string> = {
    ...COMMON,
    "Content-Type": PROBLEM_TYPE,
    "Content-Length": String(body.length),
    "Content-Digest": digestHeader(body),
    "Cache-Control": "no-store",
    "X-Request-Id": requestId,
    ...(error.code === "UNAUTHENTICATED" ? { "WWW-Authenticate": 'Bearer realm="prompt-registry"' } : {}),
    ...(retryAfter === undefined ? {} : { "Retry-After": String(Math.max(1, Math.ceil(retryAfter / 1000))) }),
    ...(error instanceof StatusError ? error.headers : {}),
  };
  return finish(request, statusOf(error), headers, body);
}
