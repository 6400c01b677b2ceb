import type * as z from "zod";
import { MAX_STORED_BYTES } from "../../document.ts";
import { cut, RegistryError } from "../../errors.ts";
import { MAX_ISSUE, MAX_ISSUES } from "../protocol/bounded.ts";
import { type JsonLimits, parseJson } from "../protocol/json.ts";
import { StatusError } from "../protocol/problem.ts";
import type { RouteSpec } from "../protocol/routes.ts";
import { MAX_MAP_KEYS } from "../protocol/schemas.ts";

const SMALL = 64 * 1024;
/** As many asks as there may be, with the longest names. */
const READS = 2 ** 20;
/** A text of 1 MiB in which every character is escaped. */
const TEXT_IN_JSON = 8 * 2 ** 20;

/** What a route's body may be at most, in bytes. */
export function bodyLimit(route: RouteSpec, maxBodyBytes: number): number {
  if (route.body?.type === "text/markdown") return MAX_STORED_BYTES;
  if (route.id === "reads.post") return Math.min(READS, maxBodyBytes);
  if (route.resource === "each") return maxBodyBytes;
  return route.id === "versions.post" ? Math.min(TEXT_IN_JSON, maxBodyBytes) : SMALL;
}

const PLAIN: JsonLimits = { keys: 100 };
/** What the numbers below are for: a server that takes larger bodies takes more in them. */
const USUAL_BODY = 16 * 2 ** 20;

/** Only the heads in a commit have maps. The other numbers are what the most entries of history that fit in are made of. */
function limitsOf(route: RouteSpec, maxBodyBytes: number): JsonLimits {
  if (route.id !== "commits.post") return PLAIN;
  const times = Math.max(1, maxBodyBytes / USUAL_BODY);
  return {
    ...PLAIN,
    maps: new Set(["changes.head.next.labels", "changes.head.next.yanked"]),
    mapKeys: Math.floor(MAX_MAP_KEYS * times),
    allKeys: Math.floor(1_000_000 * times),
    parts: Math.floor(300_000 * times),
  };
}

/**
 * Reads and checks the body of a request. What is too long is refused as soon as that is known.
 *
 * @throws StatusError INVALID (400, 413, 415)
 */
export async function readBody(request: Request, route: RouteSpec, maxBodyBytes: number): Promise<unknown> {
  const { body } = route;
  if (body === undefined) {
    // Not to go to work before the whole request is there: of one that never is, its sender is told that nothing was done.
    if (request.body !== null) await readText(request, 0, noBody);
    return undefined;
  }
  const type = (request.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase();
  // A POST of plain text is what any web page may send without asking (Fetch, CORS-safelisted), and a PUT is not.
  const isText = body.type === "text/markdown" && type === "text/plain" && request.method === "PUT";
  if (!isText && type !== body.type) {
    throw new StatusError(415, "INVALID", `send the body as ${body.type}`, { field: "body" });
  }
  const coding = request.headers.get("content-encoding");
  if (coding !== null && coding.toLowerCase() !== "identity") {
    throw new StatusError(415, "INVALID", "send the body without a content coding", {
      field: "body",
      headers: { "Accept-Encoding": "identity" },
    });
  }
  const limit = bodyLimit(route, maxBodyBytes);
  const text = await readText(request, limit, () => tooLong(limit));
  return body.type === "application/json"
    ? checked(body.schema, parseJson(text, limitsOf(route, maxBodyBytes)), "body")
    : text;
}

const CLOSE = { headers: { Connection: "close" } } as const;

function tooLong(limit: number): StatusError {
  return new StatusError(413, "INVALID", `the body is longer than ${limit} bytes`, { field: "body", ...CLOSE });
}

function noBody(): StatusError {
  return new StatusError(400, "INVALID", "there is no body here; leave it out", { field: "body", ...CLOSE });
}

async function readText(request: Request, limit: number, tooLarge: () => StatusError): Promise<string> {
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = request.body?.getReader();
  try {
    for (let next = await reader?.read(); next !== undefined && !next.done; next = await reader?.read()) {
      length += next.value.byteLength;
      if (length > limit) {
        await reader?.cancel().catch(() => {});
        throw tooLarge();
      }
      chunks.push(next.value);
    }
  } catch (error) {
    if (error instanceof RegistryError) throw error;
    throw new StatusError(400, "INVALID", "the body did not arrive whole", { field: "body" });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new StatusError(400, "INVALID", "the body is not valid UTF-8", { field: "body" });
  }
}

const MAX_DETAIL = 1000;

/** @throws StatusError INVALID (400) naming the fields at fault */
export function checked<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues
    .slice(0, MAX_ISSUES)
    .map((issue) => cut(`${[what, ...issue.path.map(String)].join(".")}: ${issue.message}`, MAX_ISSUE));
  const detail = cut(`the ${what} is not as it must be: ${issues.join("; ")}`, MAX_DETAIL);
  throw new StatusError(400, "INVALID", detail, {
    field: issues[0]?.split(":", 1)[0] ?? what,
    issues,
  });
}

/** Bytes of a query that are no UTF-8 would be read as other ones. */
function requireUtf8(search: string): void {
  try {
    decodeURIComponent(search);
  } catch {
    throw new StatusError(400, "INVALID", "the query is not percent-encoded UTF-8", { field: "query" });
  }
}

/** Parameters of the query; each at most once, and none that the route does not know: a typing error would ask for more. */
export function readQuery(search: string, route: RouteSpec): Readonly<Record<string, unknown>> {
  const given: Record<string, string> = Object.create(null) as Record<string, string>;
  requireUtf8(search);
  for (const [key, value] of new URLSearchParams(search)) {
    if (key in given) throw new StatusError(400, "INVALID", "the query has a parameter twice", { field: "query" });
    if (value.includes("\0")) throw new StatusError(400, "INVALID", "the query has NUL", { field: "query" });
    given[key] = value;
  }
  if (route.query !== undefined) return checked(route.query, { ...given }, "query");
  if (Object.keys(given).length > 0) {
    throw new StatusError(400, "INVALID", `${route.method} ${route.path} takes no query`, { field: "query" });
  }
  return {};
}
