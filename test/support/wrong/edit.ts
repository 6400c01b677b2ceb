import { createHash } from "node:crypto";
import type { RequestInfo } from "../../../src/server/types.ts";

export type Serve = (request: Request, info: RequestInfo) => Promise<Response>;

/** A server that breaks one rule. */
export interface WrongServer {
  readonly title: string;
  /** The check that is about the rule. */
  readonly check: string;
  /** A fresh one for each run. */
  wrap(next: Serve): Serve;
}

export interface Edit {
  readonly status?: number;
  /** `undefined` takes a header away. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: string;
}

/** Another reply, which is in itself as it must be. */
export function edited(
  response: Response,
  text: string,
  { status = response.status, headers = {}, body = text }: Edit,
): Response {
  const all = new Headers(response.headers);
  if (body !== text) {
    all.set("content-length", String(Buffer.byteLength(body)));
    all.set("content-digest", `sha-256=:${createHash("sha256").update(body).digest("base64")}:`);
  }
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) all.delete(name);
    else all.set(name, value);
  }
  return new Response(body === "" ? null : body, { status, headers: all });
}

export type Change = (reply: {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly request: Request;
}) => Edit | undefined;

/** Changes replies; streams and coded bodies stay as they are. */
export const replies =
  (change: Change) =>
  (next: Serve): Serve =>
  async (request, info) => {
    const response = await next(request, info);
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
    if (isStream || response.headers.has("content-encoding")) {
      const edit = change({ status: response.status, headers: response.headers, text: "", request });
      const { headers = {} } = edit ?? {};
      const all = new Headers(response.headers);
      for (const [name, value] of Object.entries(headers))
        value === undefined ? all.delete(name) : all.set(name, value);
      return new Response(response.body, { status: response.status, headers: all });
    }
    const text = response.body === null ? "" : Buffer.from(await response.arrayBuffer()).toString();
    const edit = change({ status: response.status, headers: response.headers, text, request });
    return edited(response, text, edit ?? {});
  };

// biome-ignore lint/suspicious/noExplicitAny: a test's own JSON
export type Json = any;

/** Changes the JSON of successes of a path. */
export const json = (path: RegExp, change: (value: Json) => Json) =>
  replies(({ status, headers, text, request }) => {
    if (status >= 300 || !path.test(new URL(request.url).pathname)) return undefined;
    if (headers.get("content-type") !== "application/json") return undefined;
    return { body: `${JSON.stringify(change(JSON.parse(text)))}\n` };
  });

/** Changes requests on their way in. */
export const requests =
  (
    change: (
      request: Request,
      info: RequestInfo,
    ) => Promise<readonly [Request, RequestInfo]> | readonly [Request, RequestInfo],
  ) =>
  (next: Serve): Serve =>
  async (request, info) =>
    next(...(await change(request, info)));

export function withHeaders(request: Request, headers: Readonly<Record<string, string | undefined>>): Request {
  const all = new Headers(request.headers);
  for (const [name, value] of Object.entries(headers)) value === undefined ? all.delete(name) : all.set(name, value);
  const { method, url, signal, body } = request;
  return new Request(url, {
    method,
    headers: all,
    signal,
    ...(body === null ? {} : { body, duplex: "half" }),
  } as RequestInit);
}

export async function withText(request: Request, change: (text: string) => string): Promise<Request> {
  if (request.method === "GET" || request.method === "HEAD") return request;
  const text = Buffer.from(await request.arrayBuffer()).toString("utf8");
  const headers = new Headers(request.headers);
  headers.delete("content-length");
  const { method, url, signal } = request;
  return new Request(url, { method, headers, signal, body: change(text) });
}

export const bodies = (change: (value: Json) => Json) =>
  requests(async (request, info) => {
    if (request.headers.get("content-type") !== "application/json") return [request, info];
    const changed = await withText(request, (text) => {
      try {
        return JSON.stringify(change(JSON.parse(text)));
      } catch {
        return text;
      }
    });
    return [changed, info];
  });

export const targets = (change: (target: string) => string) =>
  requests((request, info) => [request, { ...info, target: change(info.target ?? "/") }]);

export const VERSION = /\/-\/versions\/[^/?]+$/;
export const isVersionPut = (request: Request) =>
  request.method === "PUT" && VERSION.test(new URL(request.url).pathname);
