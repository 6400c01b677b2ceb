import { randomUUID } from "node:crypto";
import { isRegistryError, RegistryError } from "../errors.ts";
import type { PromptName } from "../names.ts";
import type { PromptRegistry } from "../registry.ts";
import { isGrantedSomewhere } from "./access/grants.ts";
import { denial, mayChangeSomething, require } from "./handler/authorize.ts";
import { readBody, readQuery } from "./handler/body.ts";
import { bulkRoutes } from "./handler/bulk-routes.ts";
import type { Call, DocumentResult, HandlerOptions, Note, Result, RouteHandler, Shared } from "./handler/context.ts";
import { diffRoute, Turns } from "./handler/diff.ts";
import { Watcher } from "./handler/feed.ts";
import { infoRoutes } from "./handler/info-routes.ts";
import { checkOrigin } from "./handler/origin.ts";
import { overdue } from "./handler/overdue.ts";
import { pageAnswers } from "./handler/page.ts";
import { readRoutes } from "./handler/read-routes.ts";
import { ReadyAnswers } from "./handler/ready.ts";
import { isDenial, Recorder } from "./handler/record.ts";
import { respond, respondProblem } from "./handler/respond.ts";
import { rollbackRoutes } from "./handler/rollback.ts";
import { findRoute } from "./handler/route.ts";
import { Streams } from "./handler/streams.ts";
import { writeRoutes } from "./handler/write-routes.ts";
import { checkParams, checkTarget } from "./protocol/path.ts";
import { checkRoutes, ROUTES, type RouteId, type RouteSpec } from "./protocol/routes.ts";
import type { Handler, Principal, RequestInfo } from "./types.ts";

export { openAccess } from "./handler/authorize.ts";
export type { HandlerOptions } from "./handler/context.ts";

const ROUTE_HANDLERS: Readonly<Record<RouteId, RouteHandler>> = {
  ...infoRoutes,
  ...readRoutes,
  ...writeRoutes,
  ...rollbackRoutes,
  ...bulkRoutes,
  "diff.get": diffRoute,
};

const DEFAULT_BODY = 16 * 2 ** 20;
const NOBODY: Principal = Object.freeze({ id: "nobody", name: "nobody", grants: Object.freeze([]) });

/** What is found out about a request on its way to the reply. */
interface Trip {
  readonly requestId: string;
  readonly request: Request;
  readonly info: RequestInfo;
  target: string;
  route?: RouteSpec;
  /** Where it asked for the web page. */
  page?: string;
  principal?: Principal;
  name?: PromptName;
  readonly note: Note;
  readonly parts: Note[];
  /** How far a mutation is. */
  progress: "not begun" | "begun" | "done";
}

interface Answer {
  readonly response: Response;
  readonly error?: RegistryError;
}

/**
 * The registry as a fetch-style handler of protocol v1: for the server of this package, and for any host that has
 * `Request` and `Response`. It answers every request, and never rejects.
 *
 * A host that knows the request target as it stood on the request line should give it (`info.target`), as a `Request` no
 * longer tells `/a/../b` from `/b`.
 *
 * @param options `access` decides who may do what; there is no default
 * @throws RegistryError CONFIG without `access`, or where a route declares no right
 * @example
 * const handler = createHandler(registry, { access: openAccess() });
 * const response = await handler(new Request("http://127.0.0.1/v1/prompts"));
 */
export function createHandler(registry: PromptRegistry, options: HandlerOptions): Handler & { close(): void } {
  const { access, audit, observe } = options;
  if (access === undefined) {
    throw new RegistryError("CONFIG", "the server needs access: who may do what; nothing is open by default", {
      field: "access",
    });
  }
  checkRoutes(ROUTES);
  const pageAnswer = options.web === undefined ? undefined : pageAnswers(options.web);
  const ready = new ReadyAnswers(options.readyBytes ?? 64 * 2 ** 20, access);
  const watcher = new Watcher(registry.driver, options.pollInterval ?? 250, (name) => ready.drop(name));
  const recorder = new Recorder(audit);
  const shared: Shared = {
    registry,
    driver: registry.driver,
    options,
    access,
    watcher,
    streams: new Streams(options.maxStreams ?? 1000),
    turns: new Turns(),
    now: options.now ?? (() => new Date()),
    maxBodyBytes: options.maxBodyBytes ?? DEFAULT_BODY,
    changed(name) {
      ready.drop(name);
      watcher.noteChange();
    },
  };

  async function serve(trip: Trip): Promise<Response> {
    const { request, info } = trip;
    checkTarget(trip.target);
    const question = trip.target.indexOf("?");
    const path = question < 0 ? trip.target : trip.target.slice(0, question);
    const ofPage = pageAnswer?.(request, path, trip.requestId);
    if (ofPage !== undefined) {
      trip.page = ofPage.route;
      return ofPage.response;
    }
    const { route, found } = findRoute(request.method, path);
    trip.route = route;
    checkOrigin(request, route);
    if (route.right !== "public") {
      const authorization = request.headers.get("authorization") ?? undefined;
      trip.principal = await access.authenticate({ authorization, address: info.address });
    }
    const principal = trip.principal ?? NOBODY;
    const params = checkParams(found);
    if (params.name !== undefined) trip.name = params.name;
    Object.assign(trip.note, noteOf(params));
    authorize(route, principal, params);
    // A mutation that could not be written down must not happen.
    if (route.mutates === true) await audit?.ready();
    const query = readQuery(question < 0 ? "" : trip.target.slice(question), route);
    const body = await readBody(request, route, shared.maxBodyBytes);
    const { requestId, note, parts } = trip;
    const call: Call = {
      shared,
      request,
      route,
      requestId,
      address: info.address,
      principal,
      params,
      query,
      body,
      note,
      parts,
    };
    const epoch = watcher.epoch;
    const isWatched = route.id === "versions.get" && watcher.isWatching();
    if (route.mutates === true) trip.progress = "begun";
    const result = await run(call);
    if (route.mutates === true) trip.progress = "done";
    if (route.mutates === true || note.outcome === "denied") await recorder.write(recorded(trip));
    const { response, kept } = await respond(request, result, requestId);
    if (kept !== undefined && isWatched && epoch === watcher.epoch && question < 0 && trip.name !== undefined) {
      const { tag, provenance } = result.document as DocumentResult;
      const entry = { target: trip.target, name: trip.name, tag, asked: kept.asked };
      if (provenance?.stale !== true) ready.put(entry, kept.body, kept.headers, provenance?.fetchedAt);
    }
    return response;
  }

  async function run(call: Call): Promise<Result> {
    const { route, params } = call;
    const isChange = route.mutates === true && params.name !== undefined;
    if (isChange) shared.changed(params.name as PromptName);
    try {
      return await ROUTE_HANDLERS[route.id as RouteId](call);
    } finally {
      if (isChange) shared.changed(params.name as PromptName);
    }
  }

  function authorize(
    { right, resource, mutates }: RouteSpec,
    principal: Principal,
    params: ReturnType<typeof checkParams>,
  ): void {
    if (right === "public" || right === "authenticated") return;
    if (resource === "each") {
      // Item by item; but who may do nothing of the kind at all has no business here.
      const isSomebody =
        mutates === true
          ? mayChangeSomething(access, principal)
          : access.allows(principal, right, {}) || isGrantedSomewhere(principal, right);
      if (!isSomebody) throw denial(access, principal, right, {});
      return;
    }
    const { name, label } = params;
    if (resource === "registry") require(access, principal, right, {});
    else if (name === undefined) throw new RegistryError("INTERNAL", "a route asks for a right on no prompt");
    else require(access, principal, right, resource === "label" && label !== undefined ? { name, label } : { name });
  }

  function recorded({ requestId, route, principal, info, note, parts, progress }: Trip) {
    const action = route?.id ?? "unmatched";
    return { requestId, action, principal, address: info.address, note, parts, done: progress === "done" };
  }

  async function fail(trip: Trip, thrown: unknown): Promise<RegistryError> {
    const error = isRegistryError(thrown)
      ? thrown
      : new RegistryError("INTERNAL", "an unexpected error", {
          outcome: trip.progress === "not begun" ? "final" : "unknown",
          cause: thrown,
        });
    if (trip.progress === "done" || (!isDenial(error) && trip.route?.mutates !== true)) return error;
    return recorder.fail(recorded(trip), error);
  }

  /** Brought to its end and written down, whether or not somebody still waits for it. */
  async function settle(trip: Trip): Promise<Answer> {
    try {
      return { response: await serve(trip) };
    } catch (thrown) {
      const error = await fail(trip, thrown);
      return { response: respondProblem(trip.request, error, trip.requestId), error };
    }
  }

  async function handle(request: Request, info: RequestInfo = {}): Promise<Response> {
    const requestId = info.requestId ?? randomUUID();
    const target = info.target ?? targetOf(request.url);
    const trip: Trip = { requestId, request, info, target, note: {}, parts: [], progress: "not begun" };
    const { response, error } = await overdue(settle(trip), request.signal, (why) => {
      const error = why(trip.progress === "not begun" ? "temporary" : "unknown");
      return { response: respondProblem(request, error, requestId), error };
    });
    const { route, page = "unmatched", principal, name } = trip;
    observe?.({
      requestId,
      route: route === undefined ? page : `${route.method} ${route.path}`,
      method: request.method,
      status: response.status,
      ...(principal === undefined ? {} : { principal }),
      ...(error === undefined ? {} : { code: error.code, error }),
      ...(name === undefined ? {} : { name }),
    });
    return response;
  }

  return Object.assign(handle, {
    ready(...ask: Parameters<Handler["ready"]>) {
      const answer = watcher.vouches() ? ready.get(...ask) : undefined;
      if (answer !== undefined) watcher.touch();
      return answer;
    },
    close() {
      watcher.stop();
      recorder.close();
      ready.drop(undefined);
    },
  });
}

function noteOf({ name, version, label }: ReturnType<typeof checkParams>): Note {
  return {
    ...(name === undefined ? {} : { prompt: name }),
    ...(version === undefined ? {} : { version }),
    ...(label === undefined ? {} : { label }),
  };
}

/** Path and query of a URL as it is written, without a second parser's opinion. */
function targetOf(url: string): string {
  const at = url.indexOf("/", url.indexOf("://") + 3);
  const target = at < 0 ? "/" : url.slice(at);
  const fragment = target.indexOf("#");
  return fragment < 0 ? target : target.slice(0, fragment);
}
