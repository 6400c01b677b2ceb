import type { Octokit } from "@octokit/core";
import { abortError, isRegistryError, RegistryError, throwIfAborted } from "../../errors.ts";
import { type GithubAuth, githubAuth, howToAuthenticate } from "../../github/auth.ts";
import { hostOfApi } from "../../github/host.ts";
import { collect } from "./bytes.ts";
import {
  broken,
  header,
  limitedFor,
  messageOf,
  type Reply,
  rateLimited,
  refusal,
  timedOut,
  type What,
} from "./failure.ts";
import type { GithubSettings } from "./options.ts";

export interface Send {
  readonly method: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
  /** Below the base URL, encoded; or a whole URL. */
  readonly path: string;
  readonly operation: string;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Whether the call may change the branch. */
  readonly mutates?: boolean;
  /** Statuses of 300 and more that are answers here. */
  readonly accept?: readonly number[];
  /** The body is bytes, not JSON, and at most so many of them. */
  readonly maxBytes?: number;
}

export interface Quota {
  readonly limit: number;
  readonly remaining: number;
  /** Milliseconds since the epoch. */
  readonly reset: number;
}

export interface GraphqlError {
  readonly type?: string;
  readonly message?: string;
  readonly path?: readonly (string | number)[];
}

export interface GraphqlReply {
  readonly data: Readonly<Record<string, unknown>>;
  readonly errors: readonly GraphqlError[];
}

/** Loaded when a repository is opened, and not before. */
async function loadOctokit(): Promise<typeof import("@octokit/core").Octokit> {
  try {
    return (await import("@octokit/core")).Octokit;
  } catch (cause) {
    throw new RegistryError("CONFIG", "GitHub storages need the package @octokit/core: npm install @octokit/core@7", {
      field: "storage",
      cause,
    });
  }
}

export async function createClient(settings: GithubSettings): Promise<Client> {
  const Kit = await loadOctokit();
  const { token, app, owner, repo, clientId, baseUrl, authStrategy, auth, fetch } = settings;
  const own =
    authStrategy === undefined ? githubAuth({ token, app, owner, repo, clientId, baseUrl, fetch }) : undefined;
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const octokit = new Kit({
    baseUrl,
    userAgent: "prompt-registry",
    log: quiet,
    ...(own === undefined
      ? { authStrategy: authStrategy as never, auth: auth as never }
      : { authStrategy: () => asStrategy(own) }),
    ...(fetch === undefined ? {} : { request: { fetch } }),
  });
  return new Client(octokit, settings, own);
}

/** So that calls by `native.octokit` have the same token as the driver's own. */
function asStrategy(auth: GithubAuth) {
  const hook: HookMethod = async (request, route, parameters) => {
    const endpoint = request.endpoint.merge(route as string, parameters as RequestParameters);
    const token = await auth.token();
    if (token !== undefined) endpoint.headers.authorization = `token ${token}`;
    return await request(endpoint as never);
  };
  return Object.assign(async () => ({ type: "token", token: await auth.token() }), { hook });
}

type Request = Octokit["request"];
type RequestParameters = Readonly<Record<string, unknown>>;
type HookMethod = (request: Request, route: string | object, parameters?: object) => Promise<unknown>;

/** Octokit with a deadline, honest errors, and a memory of the limits. It never tries anything twice. */
export class Client {
  readonly octokit: Octokit;
  readonly settings: GithubSettings;
  /** `undefined` where Octokit has a strategy of its own. */
  readonly auth: GithubAuth | undefined;
  /** What GitHub last said is left, by resource (`core`, `graphql`). */
  readonly quotas = new Map<string, Quota>();
  readonly repoPath: string;
  /** Calls made. */
  calls = 0;
  /** The server said that it has no GraphQL. */
  noGraphql = false;
  #blocked = new Map<string, number>();

  constructor(octokit: Octokit, settings: GithubSettings, auth?: GithubAuth) {
    this.octokit = octokit;
    this.settings = settings;
    this.auth = auth;
    this.repoPath = `/repos/${settings.owner}/${settings.repo}`;
  }

  /** @throws RegistryError */
  async send(send: Send): Promise<Reply> {
    const what: What = { operation: send.operation, location: this.settings.location, mutates: send.mutates === true };
    throwIfAborted(send.signal, send.operation);
    const resource = send.path.endsWith("/graphql") ? "graphql" : "core";
    // Asking on while limited is what gets a client banned.
    const left = this.#waitFor(resource);
    if (left > 0) throw rateLimited(left, what);
    // Asked for here, so that what is wrong with it is told as it is, and surely before anything was sent.
    if (this.auth !== undefined && (await this.auth.token()) === undefined && send.method !== "GET") {
      const problem = `${this.settings.location}: ${send.operation} needs a token; ${this.howToAuthenticate}`;
      throw new RegistryError("UNAUTHENTICATED", problem, { backend: "github", operation: send.operation });
    }
    throwIfAborted(send.signal, send.operation);
    const reply = await this.#exchange(send, what);
    if (reply.status === 401) this.auth?.refused();
    const wait = this.#learn(reply, resource);
    // Also where a status is an answer otherwise.
    if (wait !== undefined) throw rateLimited(wait, what);
    if (reply.status >= 300 && send.accept?.includes(reply.status) !== true) throw refusal(reply, what);
    if (reply.status < 300 && send.maxBytes === undefined && reply.status !== 204 && !isJson(reply.data)) {
      throw broken("got an answer that was cut or is none of GitHub's", what);
    }
    return reply;
  }

  /** For messages. */
  get howToAuthenticate(): string {
    return howToAuthenticate(hostOfApi(this.settings.baseUrl));
  }

  /** Milliseconds until this may be asked again. */
  #waitFor(resource: string): number {
    return Math.max(...["all", resource].map((key) => (this.#blocked.get(key) ?? 0) - Date.now()));
  }

  /** Whether reads can be made by GraphQL now: it has a limit of its own, and answers nobody without a token. */
  async hasGraphql(): Promise<boolean> {
    const { graphql } = this.settings;
    if (graphql === "off" || this.noGraphql) return false;
    if (graphql === "auto" && this.#waitFor("graphql") > 0) return false;
    return this.auth === undefined || (await this.auth.token()) !== undefined;
  }

  async #exchange(send: Send, what: What): Promise<Reply> {
    const controller = new AbortController();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      controller.abort();
    }, this.settings.timeout);
    const stop = () => controller.abort();
    send.signal?.addEventListener("abort", stop, { once: true });
    this.calls++;
    try {
      const { status, headers, data } = await this.octokit.request({
        method: send.method,
        url: send.path as "/",
        headers: { accept: "application/vnd.github+json", "x-github-api-version": "2022-11-28", ...send.headers },
        ...(send.body === undefined ? {} : { data: send.body }),
        request: {
          signal: controller.signal,
          ...(send.maxBytes === undefined ? {} : { parseSuccessResponseBody: false }),
        },
      });
      const body: unknown = send.maxBytes === undefined ? data : await collect(data, send.maxBytes, what);
      return { status: status as number, headers, data: body };
    } catch (error) {
      if (error instanceof RegistryError) throw error;
      const { response } = error as { response?: { status: number; headers: Reply["headers"]; data: unknown } };
      if (response !== undefined) return response;
      if (send.signal?.aborted) throw unknownWhen(what.mutates, abortError(send.signal, send.operation));
      if (late) throw timedOut(this.settings.timeout, what);
      throw broken("broke off on the way", what, error);
    } finally {
      clearTimeout(timer);
      send.signal?.removeEventListener("abort", stop);
    }
  }

  /** @returns the milliseconds to wait, where the reply is a refusal for asking too much */
  #learn(reply: Reply, resource: string): number | undefined {
    const [limit, remaining, reset] = ["limit", "remaining", "reset"].map((part) =>
      Number(header(reply, `x-ratelimit-${part}`) ?? Number.NaN),
    ) as [number, number, number];
    if (Number.isFinite(limit + remaining + reset)) {
      const name = header(reply, "x-ratelimit-resource") ?? resource;
      this.quotas.set(name, { limit, remaining, reset: reset * 1000 });
    }
    const wait = limitedFor(reply, Date.now());
    if (wait === undefined) return undefined;
    const isPrimary = remaining === 0 && header(reply, "retry-after") === undefined;
    this.#blocked.set(isPrimary ? resource : "all", Date.now() + wait);
    return wait;
  }

  /**
   * Errors arrive in a reply of 200, beside what could be answered.
   *
   * @throws RegistryError for replies that are not GraphQL's; UNSUPPORTED where there is no GraphQL
   */
  async graphql(
    query: string,
    variables: Readonly<Record<string, unknown>>,
    send: Omit<Send, "method" | "path" | "body">,
  ): Promise<GraphqlReply> {
    const path = graphqlUrl(this.settings.baseUrl);
    const what: What = { operation: send.operation, location: this.settings.location, mutates: send.mutates === true };
    const reply = await this.send({ ...send, method: "POST", path, body: { query, variables }, accept: [404, 405] });
    if (reply.status === 404 || reply.status === 405) {
      throw new RegistryError(
        "UNSUPPORTED",
        `${this.settings.location}: there is no GraphQL at ${path}; set graphql: off`,
        {
          backend: "github",
        },
      );
    }
    const { data, errors } = reply.data as { data?: unknown; errors?: unknown };
    const list = Array.isArray(errors) ? (errors as GraphqlError[]) : [];
    if (list.some(({ type }) => type === "RATE_LIMITED")) {
      const { reset } = this.quotas.get("graphql") ?? { reset: 0 };
      const told = Date.parse(header(reply, "date") ?? "");
      const wait = Math.max(reset - (Number.isNaN(told) ? Date.now() : told), 60_000);
      this.#blocked.set("graphql", Date.now() + wait);
      throw rateLimited(wait, what);
    }
    if (list.length === 0 && (typeof data !== "object" || data === null))
      throw broken("got an answer without data", what);
    return { data: (data ?? {}) as GraphqlReply["data"], errors: list };
  }

  /** For reads that can be made without GraphQL too; `undefined` where it is off, was not there, or takes no more for now. */
  async tryGraphql(
    query: string,
    variables: Readonly<Record<string, unknown>>,
    operation: string,
  ): Promise<GraphqlReply | undefined> {
    if (!(await this.hasGraphql())) return undefined;
    try {
      return await this.graphql(query, variables, { operation });
    } catch (error) {
      if (this.settings.graphql !== "auto" || !isRegistryError(error)) throw error;
      if (error.code === "UNSUPPORTED") this.noGraphql = true;
      else if (error.code !== "RATE_LIMITED") throw error;
      return undefined;
    }
  }
}

export function graphqlUrl(baseUrl: string): string {
  return /\/api\/v3$/.test(baseUrl) ? baseUrl.replace(/v3$/, "graphql") : `${baseUrl}/graphql`;
}

function isJson(data: unknown): boolean {
  return typeof data === "object" && data !== null && !(data instanceof ArrayBuffer);
}

function unknownWhen(mutates: boolean, error: RegistryError): RegistryError {
  if (!mutates) return error;
  return new RegistryError(error.code, `${error.message}; whether it happened is not known`, {
    ...error.context,
    outcome: "unknown",
    cause: error.cause,
  });
}

/** A path with its slashes kept. */
export function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

export { messageOf };
