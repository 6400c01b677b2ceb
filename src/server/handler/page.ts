import type { WebFile, WebPage } from "../../web/page.ts";
import { StatusError } from "../protocol/problem.ts";
import { type Coding, codingFor, digestHeader, etagOf, matches } from "./coding.ts";

/**
 * The page runs the scripts that it came with and asks the server that it came from; no text in the registry, whatever the
 * page makes of it, can run, load, send or frame anything.
 */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const FEATURES = [
  ...[
    "accelerometer",
    "autoplay",
    "camera",
    "clipboard-read",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
  ],
  ...["gyroscope", "magnetometer", "microphone", "midi", "payment", "picture-in-picture"],
  ...["publickey-credentials-get", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking"],
];

/** On a 304 as well: a browser takes these for those of what it has. */
const SECURITY = {
  "Content-Security-Policy": PAGE_POLICY,
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": FEATURES.map((feature) => `${feature}=()`).join(", "),
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

const LASTING = "public, max-age=31536000, immutable";
const ALLOW = "GET, HEAD";

export interface PageAnswer {
  readonly response: Response;
  /** As routes are called in logs and metrics. */
  readonly route: string;
}

/**
 * Answers for the web page. It is no part of the protocol, and needs no credentials: there is nothing in it that is not in
 * the package.
 *
 * @returns for a path that is none of the page's: `undefined`
 * @throws StatusError INVALID (405) for what does not read
 */
export function pageAnswers(
  page: WebPage,
): (request: Request, path: string, requestId: string) => PageAnswer | undefined {
  const files = new Map(Object.entries(page.files).map(([path, file]) => [path, prepared(file)]));
  return (request, path, requestId) => {
    const file = files.get(path);
    if (file === undefined) return undefined;
    const { method, headers } = request;
    if (method !== "GET" && method !== "HEAD") {
      throw new StatusError(405, "INVALID", `this path takes ${ALLOW}`, { field: "method", headers: { Allow: ALLOW } });
    }
    const route = `GET ${path === "/" ? path : "/web/{file}"}`;
    const form = file.forms[codingFor(headers.get("accept-encoding"))];
    const common = { ...form.unchanged, "X-Request-Id": requestId };
    if (matches(headers.get("if-none-match"), file.tag))
      return { route, response: new Response(null, { status: 304, headers: common }) };
    const body = method === "HEAD" ? null : (form.body as Uint8Array<ArrayBuffer>);
    return { route, response: new Response(body, { headers: { ...common, ...form.entity } }) };
  };
}

interface Form {
  readonly body: Uint8Array;
  readonly unchanged: Readonly<Record<string, string>>;
  readonly entity: Readonly<Record<string, string>>;
}

interface Prepared {
  readonly tag: string;
  readonly forms: Readonly<Record<Coding, Form>>;
}

function prepared(file: WebFile): Prepared {
  const tag = `sha256:${file.digest}`;
  const formOf = (wanted: Coding): Form => {
    const coded = wanted === "identity" ? undefined : file.coded[wanted];
    const body = coded ?? file.bytes;
    return {
      body,
      unchanged: {
        "Cache-Control": file.lasting ? LASTING : "no-cache",
        ETag: etagOf(tag, coded === undefined ? "identity" : wanted),
        Vary: "Accept-Encoding",
        ...SECURITY,
      },
      entity: {
        "Content-Type": file.type,
        "Content-Length": String(body.length),
        "Content-Digest": digestHeader(body),
        ...(coded === undefined ? {} : { "Content-Encoding": wanted, "Repr-Digest": digestHeader(file.bytes) }),
      },
    };
  };
  return { tag, forms: { identity: formOf("identity"), gzip: formOf("gzip"), br: formOf("br") } };
}
