import type { IncomingHttpHeaders } from "node:http";
import type { Token, World } from "./world.ts";

/** One request on its way to a handler. */
export interface Call {
  readonly world: World;
  readonly method: string;
  readonly route: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly rawBody: Buffer;
  /** Parsed JSON object; `{}` where there was none. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly token: Token | undefined;
  /** Milliseconds by which refs are read late. */
  readonly lag: number;
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, or bytes with their media type. Absent: no body. */
  readonly json?: unknown;
  readonly bytes?: Uint8Array;
  readonly type?: string;
}

export interface Route {
  readonly method: string;
  /** As in the official description; the parameters `ref`, `path`, `branch` and `basehead` may hold slashes. */
  readonly template: string;
  readonly handle: (call: Call) => Promise<Reply>;
}

const DOCS = "https://docs.github.com/rest";

/** A refusal, in GitHub's own form. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly reply: Reply;

  constructor(status: number, message: string, options: ProblemOptions = {}) {
    super(message);
    const { errors, docs = DOCS, headers } = options;
    this.reply = {
      status,
      ...(headers === undefined ? {} : { headers }),
      json: {
        message,
        ...(errors === undefined ? {} : { errors }),
        documentation_url: docs,
        status: String(status),
      },
    };
  }
}

export interface ProblemOptions {
  readonly errors?: readonly unknown[];
  readonly docs?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const notFound = (): Problem => new Problem(404, "Not Found");
export const invalid = (message: string, errors?: readonly unknown[]): Problem =>
  new Problem(422, message, errors === undefined ? {} : { errors });

const MANY = new Set(["ref", "path", "branch", "basehead"]);

/** Finds the route of a request; literal segments win over parameters by the order of the table. */
export function router(routes: readonly Route[]) {
  const table = routes.map((route) => {
    const names: string[] = [];
    const pattern = route.template.replace(/\/\{(\w+)\}/g, (_, name: string) => {
      names.push(name);
      // `contents` itself is the root folder.
      return name === "path" ? "(?:/(.*))?" : MANY.has(name) ? "/(.+)" : "/([^/]+)";
    });
    return { route, names, pattern: new RegExp(`^${pattern}$`) };
  });
  return (method: string, path: string) => {
    for (const { route, names, pattern } of table) {
      if (route.method !== method) continue;
      const match = pattern.exec(path);
      if (match === null) continue;
      const values = names.map((name, i) => [name, decode(match[i + 1] ?? "")]);
      return { route, params: Object.fromEntries(values) as Record<string, string> };
    }
    return undefined;
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw notFound();
  }
}

export const json = (body: unknown, status = 200): Reply => ({ status, json: body });

/** A field of the body that has to be a string. */
export function text(call: Call, field: string): string {
  const value = call.body[field];
  if (typeof value === "string" && value !== "") return value;
  throw invalid(`Invalid request.\n\n"${field}" wasn't supplied.`);
}

export const wants = (call: Call, media: string): boolean =>
  new RegExp(`application/vnd\\.github\\.(v3\\.)?${media}(\\+json)?`).test(String(call.headers.accept ?? ""));

/** The page that `page` and `per_page` ask for, with GitHub's `link` header. */
export function paged(call: Call, total: number, reply: (from: number, to: number) => unknown[]): Reply {
  const size = Math.min(100, Math.max(1, Number(call.query.get("per_page") ?? 30) || 30));
  const page = Math.max(1, Number(call.query.get("page") ?? 1) || 1);
  const link = linkHeader(call, page, Math.ceil(total / size));
  return { status: 200, json: reply((page - 1) * size, page * size), ...(link === "" ? {} : { headers: { link } }) };
}

export function linkHeader(call: Call, page: number, last: number | undefined, more = false): string {
  const path = call.route.replace(/\{(\w+)\}/g, (_, name: string) => encodeURI(call.params[name] ?? ""));
  const url = (to: number) => {
    const query = new URLSearchParams(call.query);
    query.set("page", String(to));
    return `<${call.origin}${path}?${query}>`;
  };
  const parts: string[] = [];
  if (page > 1) parts.push(`${url(page - 1)}; rel="prev"`);
  if (more || (last !== undefined && page < last)) parts.push(`${url(page + 1)}; rel="next"`);
  if (last !== undefined && page < last) parts.push(`${url(last)}; rel="last"`);
  if (page > 1) parts.push(`${url(1)}; rel="first"`);
  return parts.join(", ");
}
