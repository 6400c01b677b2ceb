import {
  bodies,
  edited,
  isVersionPut,
  type Json,
  json,
  replies,
  requests,
  targets,
  VERSION,
  type WrongServer,
  withHeaders,
} from "./edit.ts";

export const WRONG_BASICS: readonly WrongServer[] = [
  { title: "no ETag", check: "documents.etag", wrap: replies(() => ({ headers: { etag: undefined } })) },
  {
    title: "one ETag for all codings",
    check: "documents.codings",
    wrap: replies(({ headers }) => {
      const tag = headers.get("etag");
      return tag === null ? undefined : { headers: { etag: tag.replace(/;(gzip|br)"/, '"') } };
    }),
  },
  {
    title: "Content-Digest of something else",
    check: "replies.content-digest",
    wrap: replies(() => ({ headers: { "content-digest": `sha-256=:${Buffer.alloc(32).toString("base64")}:` } })),
  },
  {
    title: "Repr-Digest of the coded bytes",
    check: "replies.repr-digest",
    wrap: replies(({ headers }) => {
      const digest = headers.get("content-digest");
      return headers.has("repr-digest") && digest !== null ? { headers: { "repr-digest": digest } } : undefined;
    }),
  },
  {
    title: "200 where a version was made",
    check: "versions.created",
    wrap: replies(({ status }) => (status === 201 ? { status: 200 } : undefined)),
  },
  {
    title: "no Location",
    check: "versions.created",
    wrap: replies(() => ({ headers: { location: undefined } })),
  },
  {
    title: "404 for what was removed",
    check: "removed.gone",
    wrap: replies(({ status, text }) =>
      status === 410 ? { status: 404, body: text.replace('"status":410', '"status":404') } : undefined,
    ),
  },
  {
    title: "the last of duplicate keys",
    check: "bodies.duplicate-keys",
    wrap: bodies((value) => value),
  },
  {
    title: "decodes encoded slashes",
    check: "targets.encoded-slash",
    wrap: targets((target) => target.replace(/%2f/gi, "/")),
  },
  {
    title: "decodes everything twice",
    check: "targets.encoded-slash",
    wrap: targets((target) => target.replace(/%252f/gi, "/")),
  },
  {
    title: "decodes letters",
    check: "targets.encoded",
    wrap: targets((target) =>
      target.replace(/%([67][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    ),
  },
  {
    title: "walks dot segments",
    check: "targets.dot-segments",
    wrap: targets((target) => new URL(target, "http://x").pathname + new URL(target, "http://x").search),
  },
  {
    title: "forgives a slash at the end",
    check: "targets.empty-segments",
    wrap: targets((target) => target.replace(/(.)\/$/, "$1")),
  },
  {
    title: "says yes to another text",
    check: "versions.immutable",
    wrap: replies(({ status, request }) =>
      status === 409 && isVersionPut(request) ? { status: 200, body: "{}" } : undefined,
    ),
  },
  {
    title: "several winners of a race",
    check: "versions.race",
    wrap: replies(({ status, request }) => (status === 409 && isVersionPut(request) ? { status: 201 } : undefined)),
  },
  {
    title: "the text of the last writer",
    check: "versions.immutable",
    wrap: (next) => {
      const last = new Map<string, string>();
      return async (request, info) => {
        const { pathname } = new URL(request.url);
        if (isVersionPut(request)) {
          const text = Buffer.from(await request.clone().arrayBuffer()).toString();
          const response = await next(request, info);
          if (response.status === 409) last.set(pathname, text);
          return response;
        }
        const response = await next(request, info);
        const text = last.get(pathname);
        return text === undefined || response.status !== 200 ? response : edited(response, "", { body: text });
      };
    },
  },
  {
    title: "latest by time",
    check: "latest.order",
    wrap: (next) => {
      const last = new Map<string, string>();
      return async (request, info) => {
        const { pathname, origin } = new URL(request.url);
        const response = await next(request, info);
        if (isVersionPut(request) && response.status === 201)
          last.set(pathname.replace(VERSION, "/-/latest"), pathname);
        const path = last.get(pathname);
        return path === undefined ? response : next(new Request(origin + path, request), { ...info, target: path });
      };
    },
  },
  {
    title: "lists in no order",
    check: "lists.order",
    wrap: json(/^\/v1\/prompts$/, (page) => ({ ...page, items: [...page.items].reverse() })),
  },
  {
    title: "lists as people sort",
    check: "lists.order",
    wrap: json(/^\/v1\/prompts$/, (page) => ({
      ...page,
      items: [...page.items].sort((a: Json, b: Json) => a.name.localeCompare(b.name)),
    })),
  },
  {
    title: "versions as letters sort",
    check: "versions.order",
    wrap: json(/\/-\/versions$/, (page) => ({
      ...page,
      items: [...page.items].sort((a: Json, b: Json) => (a.version < b.version ? 1 : -1)),
    })),
  },
  {
    title: "loses the cursor",
    check: "lists.pages",
    wrap: (next) =>
      replies(() => ({ headers: { link: undefined } }))(
        json(/^\/v1\/prompts$/, ({ cursor: _, ...page }) => page)(next),
      ),
  },
  {
    title: "no Link",
    check: "lists.pages",
    wrap: replies(() => ({ headers: { link: undefined } })),
  },
  {
    title: "errors in HTML",
    check: "paths.unknown",
    wrap: replies(({ status }) =>
      status >= 400 ? { headers: { "content-type": "text/html" }, body: "<h1>Not Found</h1>" } : undefined,
    ),
  },
  {
    title: "errors in HTML, seen by the whole run",
    check: "errors.codes",
    wrap: replies(({ status }) =>
      status >= 400 ? { headers: { "content-type": "text/html" }, body: "<h1>Not Found</h1>" } : undefined,
    ),
  },
  {
    title: "problems without a type",
    check: "versions.absent",
    wrap: replies(({ status, text }) =>
      status >= 400 ? { body: text.replace(/"type":"[^"]*"/, '"type":"about:blank"') } : undefined,
    ),
  },
  {
    title: "500 for what the caller did",
    check: "names.refused",
    wrap: replies(({ status, text }) =>
      status === 400 ? { status: 500, body: text.replace('"status":400', '"status":500') } : undefined,
    ),
  },
  {
    title: "ignores unknown query parameters",
    check: "query.unknown",
    wrap: targets((target) => target.replace(/[?&](?:x|prefx|at|version|since)=[^&]*/g, "")),
  },
  {
    title: "drops unknown fields",
    check: "bodies.unknown-fields",
    wrap: bodies((value) => (value?.expect === null ? { ...value, expect: undefined } : value)),
  },
  {
    title: "takes any body",
    check: "bodies.media-type",
    wrap: requests((request, info) => [
      isVersionPut(request)
        ? withHeaders(request, { "content-type": "text/markdown", "content-encoding": undefined })
        : request,
      info,
    ]),
  },
  {
    title: "ignores If-Match",
    check: "labels.compare-and-set",
    wrap: requests((request, info) => [
      request.headers.has("if-match") ? withHeaders(request, { "if-match": "*" }) : request,
      info,
    ]),
  },
];
