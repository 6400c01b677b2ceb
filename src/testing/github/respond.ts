import { createHash, randomBytes } from "node:crypto";
import { gitBackend } from "./backend.ts";
import { executeGraphQL } from "./graphql/execute.ts";
import { type Call, json, notFound, Problem, type Reply, type Route, router } from "./http.ts";
import { type Limits, primaryLimit, type Resource } from "./limits.ts";
import type { OAuth } from "./oauth.ts";
import { appRoutes } from "./rest/apps.ts";
import { commitRoutes } from "./rest/commits.ts";
import { contentRoutes } from "./rest/contents.ts";
import { objectRoutes } from "./rest/objects.ts";
import { pullRoutes } from "./rest/pulls.ts";
import { refRoutes } from "./rest/refs.ts";
import { repositoryRoutes } from "./rest/repos.ts";
import type { Repository, Token, World } from "./world.ts";

export interface Answered {
  readonly reply: Reply;
  readonly cost: number;
}

const GRAPHQL = "/graphql";
const GIT = "/{owner}/{repo}.git";

/** Finds out what a request asks for, and answers it. */
export class Responder {
  readonly #world: World;
  readonly #limits: Limits;
  readonly #find: ReturnType<typeof router>;

  constructor(world: World, limits: Limits, oauth: OAuth) {
    this.#world = world;
    this.#limits = limits;
    const rateLimit: Route = { method: "GET", template: "/rate_limit", handle: async (call) => this.#rateLimit(call) };
    const all = [
      ...refRoutes,
      ...objectRoutes,
      ...contentRoutes,
      ...repositoryRoutes,
      ...commitRoutes,
      ...pullRoutes,
      ...appRoutes,
      ...oauth.routes,
      rateLimit,
    ];
    this.#find = router(all);
  }

  /** The route of a request and its parameters, before anything is done. */
  route(
    method: string,
    path: string,
  ): { route: string; params: Readonly<Record<string, string>>; handle?: Route["handle"] } {
    // GitHub Enterprise has the same below another folder.
    const bare =
      path.replace(/^\/api\/(v3|graphql)/, (_, which: string) => (which === "graphql" ? GRAPHQL : "")) || "/";
    if (bare === GRAPHQL) return { route: GRAPHQL, params: {} };
    const git = /^\/([^/]+)\/([^/]+)\.git(\/.*)$/.exec(bare);
    if (git !== null) return { route: GIT, params: { owner: git[1] ?? "", repo: git[2] ?? "", rest: git[3] ?? "" } };
    const found = this.#find(method === "HEAD" ? "GET" : method, bare);
    if (found === undefined) return { route: "unknown", params: {} };
    return { route: found.route.template, params: found.params, handle: found.route.handle };
  }

  async answer(call: Omit<Call, "token">, handle: Route["handle"] | undefined): Promise<Answered> {
    const isApi =
      call.route.startsWith("/repos/") || ["/user", "/rate_limit"].includes(call.route) || call.route === GRAPHQL;
    try {
      if (call.route === GIT) return { reply: await this.#git(call), cost: 0 };
      const isPlain = !isApi && !call.route.startsWith("/user") && !call.route.startsWith("/orgs");
      const isApp = call.route.endsWith("/installation");
      const token = isPlain || isApp ? undefined : this.#authenticate(call);
      const full: Call = { ...call, token };
      if (isPlain || isApp) return { reply: await this.#handle(full, handle), cost: 0 };
      return await this.#limited(full, handle);
    } catch (error) {
      return { reply: problemReply(error), cost: 0 };
    }
  }

  #authenticate(call: Omit<Call, "token">): Token | undefined {
    const header = call.headers.authorization;
    if (header === undefined) return undefined;
    const token = this.#world.tokens.get(tokenOf(header));
    if (token === undefined || token.expiresAt <= this.#world.now()) throw new Problem(401, "Bad credentials");
    return token;
  }

  async #limited(call: Call, handle: Route["handle"] | undefined): Promise<Answered> {
    const resource: Resource = call.route === GRAPHQL ? "graphql" : "core";
    const key = call.token?.value ?? "";
    const free = call.route === "/rate_limit";
    const identity = call.token === undefined ? {} : scopesHeader(call.token);
    const withHeaders = (reply: Reply): Reply => ({
      ...reply,
      headers: { ...this.#limits.headers(resource, key), ...identity, ...reply.headers },
    });
    if (!free && this.#limits.isSpent(resource, key)) {
      const spent = primaryLimit(this.#world.userId(call.token?.login ?? "ghost"));
      // GraphQL tells even this with status 200.
      const errors = [{ type: "RATE_LIMITED", message: spent.message }];
      return { reply: withHeaders(resource === "graphql" ? json({ errors }) : spent.reply), cost: 0 };
    }
    let reply: Reply;
    try {
      if (isWrite(call)) this.#limits.countWrite(key);
      reply = await this.#handle(call, handle);
    } catch (error) {
      reply = problemReply(error);
    }
    if (call.method === "GET" && reply.status === 200) reply = conditional(call, reply);
    const cost = free || reply.status === 304 ? 0 : 1;
    this.#limits.spend(cost, resource, key);
    return { reply: withHeaders(reply), cost };
  }

  async #handle(call: Call, handle: Route["handle"] | undefined): Promise<Reply> {
    if (call.route === GRAPHQL) {
      if (this.#world.options.graphql === false || call.method !== "POST") throw notFound();
      return executeGraphQL(call, this.#limits);
    }
    if (handle === undefined) throw notFound();
    const repository = this.#repository(call);
    if (!isWrite(call) || repository === undefined) return handle(call);
    return repository.store.exclusive(() => handle(call));
  }

  #repository(call: Pick<Call, "params">): Repository | undefined {
    return this.#world.find(call.params.owner ?? "", call.params.repo ?? "");
  }

  async #git(call: Omit<Call, "token">): Promise<Reply> {
    const path = call.params.rest ?? "";
    const repository = this.#repository(call);
    const token = this.#world.tokens.get(tokenOf(call.headers.authorization ?? ""));
    const permission = repository && this.#world.permission(token, repository);
    const push = path === "/git-receive-pack" || call.query.get("service") === "git-receive-pack";
    if (token === undefined && (permission === undefined || push)) {
      return { status: 401, headers: { "www-authenticate": 'Basic realm="GitHub"' } };
    }
    if (repository === undefined || permission === undefined) return { status: 404 };
    if (push && permission === "read") return { status: 403 };
    const { method, headers, rawBody: body } = call;
    const run = () =>
      gitBackend(repository, {
        method,
        path,
        query: call.query.toString(),
        headers,
        body,
        login: token?.login ?? "anonymous",
      });
    return path === "/git-receive-pack" ? repository.store.exclusive(run) : run();
  }

  #rateLimit(call: Call): Reply {
    const key = call.token?.value ?? "";
    const core = this.#limits.quota("core", key);
    const graphql = this.#limits.quota("graphql", key);
    const search = { limit: 30, remaining: 30, used: 0, reset: core.reset };
    return json({ resources: { core, search, graphql }, rate: core });
  }
}

export const isWrite = (call: Pick<Call, "method" | "route" | "body">): boolean =>
  call.route === GRAPHQL
    ? /(^|[}\s])mutation\b/.test(String(call.body.query ?? ""))
    : call.method !== "GET" && call.method !== "HEAD";

/** Of `token X`, `Bearer X`, or the password of Basic. */
function tokenOf(header: string): string {
  const [, scheme = "", value = ""] = /^(\S+) +(\S+)$/.exec(header) ?? [];
  if (scheme.toLowerCase() !== "basic") return value;
  return Buffer.from(value, "base64")
    .toString("utf8")
    .replace(/^[^:]*:/, "");
}

const scopesHeader = (token: Token): Readonly<Record<string, string>> =>
  token.scopes.length > 0 || token.value.startsWith("gho_") ? { "x-oauth-scopes": token.scopes.join(", ") } : {};

function problemReply(error: unknown): Reply {
  if (error instanceof Problem) return error.reply;
  process.stderr.write(`prompt-registry/testing/github: ${(error as Error).stack ?? String(error)}\n`);
  return new Problem(500, "Server Error").reply;
}

/** The ETag differs from token to token, so that a renewed token starts anew. */
function conditional(call: Call, reply: Reply): Reply {
  const hash = createHash("sha256")
    .update(call.token?.value ?? "")
    .update(String(call.headers.accept ?? ""));
  const etag = `W/"${hash.update(reply.bytes ?? JSON.stringify(reply.json)).digest("hex")}"`;
  const cache = call.token === undefined ? "public, max-age=60, s-maxage=60" : "private, max-age=60, s-maxage=60";
  const headers = {
    ...reply.headers,
    etag,
    "cache-control": cache,
    vary: "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, Accept, X-Requested-With",
  };
  const given = String(call.headers["if-none-match"] ?? "").split(/, */);
  return given.includes(etag) || given.includes(etag.slice(2)) ? { status: 304, headers } : { ...reply, headers };
}

export function requestId(): string {
  const hex = randomBytes(16).toString("hex").toUpperCase();
  return [hex.slice(0, 4), hex.slice(4, 10), hex.slice(10, 16), hex.slice(16, 24), hex.slice(24)].join(":");
}
