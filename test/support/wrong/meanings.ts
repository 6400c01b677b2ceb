import {
  bodies,
  edited,
  isVersionPut,
  type Json,
  json,
  replies,
  requests,
  targets,
  type WrongServer,
  withHeaders,
  withText,
} from "./edit.ts";

export const WRONG_MEANINGS: readonly WrongServer[] = [
  {
    title: "a PUT without a precondition",
    check: "versions.precondition",
    wrap: requests((request, info) => [
      isVersionPut(request) && !request.headers.has("if-none-match")
        ? withHeaders(request, { "if-none-match": "*" })
        : request,
      info,
    ]),
  },
  {
    title: "preconditions with the coding",
    check: "labels.coded-etag",
    wrap: requests((request, info) => {
      const tag = request.headers.get("if-match");
      return [tag?.includes(";br") ? withHeaders(request, { "if-match": '"sha256:other"' }) : request, info];
    }),
  },
  {
    title: "never 304",
    check: "documents.not-modified",
    wrap: requests((request, info) => [
      request.method === "GET" ? withHeaders(request, { "if-none-match": undefined }) : request,
      info,
    ]),
  },
  {
    title: "HEAD without headers",
    check: "documents.head",
    wrap: replies(({ request }) => (request.method === "HEAD" ? { headers: { etag: undefined } } : undefined)),
  },
  {
    title: "labels that are immutable",
    check: "documents.cache-moving",
    wrap: replies(({ headers }) =>
      headers.has("etag") ? { headers: { "cache-control": "max-age=86400, immutable" } } : undefined,
    ),
  },
  {
    title: "exact versions for a year",
    check: "documents.cache-exact",
    wrap: replies(({ headers }) =>
      headers.has("etag") ? { headers: { "cache-control": "max-age=31536000, immutable" } } : undefined,
    ),
  },
  {
    title: "trims texts",
    check: "documents.texts",
    wrap: requests(async (request, info) => [
      isVersionPut(request) ? await withText(request, (text) => text.trimEnd()) : request,
      info,
    ]),
  },
  {
    title: "mends line ends",
    check: "documents.texts",
    wrap: requests(async (request, info) => [
      isVersionPut(request) ? await withText(request, (text) => text.replaceAll("\r\n", "\n")) : request,
      info,
    ]),
  },
  {
    title: "ignores Idempotency-Key",
    check: "rollback.idempotency-key",
    wrap: requests((request, info) => [withHeaders(request, { "idempotency-key": undefined }), info]),
  },
  {
    title: "ignores Last-Event-ID",
    check: "feed.resume",
    wrap: requests((request, info) => [withHeaders(request, { "last-event-id": undefined }), info]),
  },
  {
    title: "loses the first change of a page",
    check: "feed.pages",
    wrap: json(/^\/v1\/changes$/, (page) => ({ ...page, items: page.items.slice(1) })),
  },
  {
    title: "no event stream",
    check: "feed.events",
    wrap: requests((request, info) => [withHeaders(request, { accept: "application/json" }), info]),
  },
  {
    title: "answers in another order",
    check: "reads.aligned",
    wrap: json(/^\/v1\/reads$/, ({ answers }) => ({ answers: [...answers].reverse() })),
  },
  {
    title: "forgets what is known",
    check: "reads.known",
    wrap: bodies((value) =>
      value?.asks === undefined ? value : { ...value, asks: value.asks.map(({ known: _, ...ask }: Json) => ask) },
    ),
  },
  {
    title: "answers fewer and fewer asks",
    check: "reads.partial",
    wrap: json(/^\/v1\/reads$/, () => ({ answers: [] })),
  },
  {
    title: "atomic that is not",
    check: "commits.atomic",
    wrap: bodies((value) => ({ ...value, atomic: undefined })),
  },
  {
    title: "outcomes without what stands there",
    check: "commits.exists",
    wrap: json(/^\/v1\/commits$/, ({ outcomes }) => ({
      outcomes: outcomes.map((one: Json) => (one.status === "exists" ? { status: "conflict", added: false } : one)),
    })),
  },
  {
    title: "resolves the past as now",
    check: "resolve.at",
    wrap: targets((target) => target.replace(/&at=[^&]*/, "")),
  },
  {
    title: "the sealed text for form=text",
    check: "documents.forms",
    wrap: targets((target) => target.replace("?form=text", "")),
  },
  {
    title: "tells of the token in errors",
    check: "errors.secrets",
    wrap: replies(({ status, text, request }) =>
      status >= 400
        ? {
            body: text.replace('"detail":"', `"detail":"${request.headers.get("authorization")?.replaceAll('"', "")} `),
          }
        : undefined,
    ),
  },
  {
    title: "a stack trace in errors",
    check: "errors.secrets",
    wrap: replies(({ status, text }) =>
      status >= 400 ? { body: text.replace('"detail":"', '"detail":"at serve (/srv/server.js:12:3) ') } : undefined,
    ),
  },
  {
    title: "401 without WWW-Authenticate",
    check: "access.nobody",
    wrap: replies(() => ({ headers: { "www-authenticate": undefined } })),
  },
  {
    title: "takes wrong credentials for the right ones",
    check: "access.wrong-token",
    wrap: requests((request, info) => [
      request.headers.get("authorization")?.startsWith("Basic")
        ? withHeaders(request, { authorization: "Bearer full" })
        : request,
      info,
    ]),
  },
  {
    title: "403 for what is there",
    check: "access.hidden",
    wrap: (next) => async (request, info) => {
      const response = await next(request.clone(), info);
      if (response.status !== 404 || request.headers.get("authorization") !== "Bearer limited") return response;
      const { pathname, origin } = new URL(request.url);
      const target = pathname.replace(/\/-\/.*$/, "");
      const asked = new Request(origin + target, { headers: { authorization: "Bearer full" } });
      if ((await next(asked, { ...info, target })).status !== 200) return response;
      return edited(response, "", {
        status: 403,
        body: (await response.text()).replace('"status":404', '"status":403'),
      });
    },
  },
  {
    title: "lists what may not be read",
    check: "access.lists",
    wrap: requests((request, info) => [
      new URL(request.url).pathname === "/v1/prompts"
        ? withHeaders(request, { authorization: "Bearer full" })
        : request,
      info,
    ]),
  },
  {
    title: "an OpenAPI document without a route",
    check: "openapi.routes",
    wrap: json(/^\/openapi\.json$/, ({ paths: { "/v1/reads": _, ...paths }, ...rest }) => ({ ...rest, paths })),
  },
  {
    title: "an OpenAPI document with references to nothing",
    check: "openapi.document",
    wrap: json(/^\/openapi\.json$/, ({ components: _, ...rest }) => rest),
  },
  {
    title: "replies of another shape",
    check: "routes.head.get",
    wrap: json(/\/-\/head$/, ({ head: _, ...rest }) => rest),
  },
  {
    title: "no request id",
    check: "replies.request-id",
    wrap: replies(() => ({ headers: { "x-request-id": undefined } })),
  },
  {
    title: "405 without Allow",
    check: "methods.unknown",
    wrap: replies(() => ({ headers: { allow: undefined } })),
  },
  {
    title: "another protocol version",
    check: "discovery.document",
    wrap: json(/prompt-registry\.json$/, (value) => ({ ...value, protocols: [{ version: 2, path: "/v2" }] })),
  },
];
