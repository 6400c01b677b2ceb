import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { checkStores } from "./check.ts";
import type { Reply } from "./http.ts";
import { Limits } from "./limits.ts";
import { OAuth } from "./oauth.ts";
import { type Answered, isWrite, Responder, requestId } from "./respond.ts";
import { addApp } from "./rest/apps.ts";
import type { GitHubFault, GitHubOptions, GitHubRepositoryHandle, GitHubRequest, GitHubServer } from "./types.ts";
import { type Repository, World } from "./world.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Chooser = (request: GitHubRequest) => GitHubFault | undefined;

/**
 * Starts a GitHub on a free port of 127.0.0.1: REST, GraphQL, OAuth and Git itself over real bare repositories in a
 * temporary folder, with switches for what goes wrong. Needs `git` 2.38 or newer in the PATH, and for GraphQL the
 * packages `graphql` and `@octokit/graphql-schema`.
 *
 * @example
 * const server = await startGitHub();
 * const response = await fetch(`${server.url}/repos/${server.owner}/${server.repo}`, {
 *   headers: { authorization: `Bearer ${server.token}` },
 * });
 * await server.close();
 */
export async function startGitHub(options: GitHubOptions = {}): Promise<GitHubServer> {
  const owner = options.owner ?? "octo-org";
  const world = new World(options);
  const limits = new Limits(options.limits ?? {}, world.now);
  const oauth = new OAuth(world);
  const responder = new Responder(world, limits, oauth);
  if (!/^octocat$/i.test(owner)) world.organizations.add(owner);
  const token = world.addToken({}, "octocat", options.token ?? `ghp_${randomBytes(18).toString("hex")}`);
  const first = await world.addRepository({ ...options.repository, owner, name: options.repo ?? "prompts" });

  const requests: GitHubRequest[] = [];
  const problems: string[] = [];
  let faults: Chooser[] = [];
  let lag = options.lag ?? 0;
  let origin = "";

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const method = request.method ?? "GET";
    const url = new URL(request.url ?? "/", origin);
    const { route, params, handle } = responder.route(method, url.pathname);
    const parsed = parse(request, body);
    const fields = (typeof parsed === "object" && parsed !== null ? parsed : {}) as Readonly<Record<string, unknown>>;
    const record: Mutable<GitHubRequest> = {
      index: requests.length,
      method,
      url: request.url ?? "/",
      route,
      headers: request.headers,
      body,
      write: isWrite({ method, route, body: fields }),
      cost: 0,
    };
    requests.push(record);
    if (route === "unknown") problems.push(`${method} ${url.pathname}: no such route`);
    const fault = faults.map((choose) => choose(record)).find((one) => one !== undefined);
    if (fault?.kind === "drop-before") return void response.destroy();
    if (fault?.kind === "delay") await new Promise((resolve) => setTimeout(resolve, fault.ms));
    if (fault?.kind === "reply") {
      record.status = fault.status;
      return send(response, { reply: faultReply(fault), cost: 0 }, undefined);
    }
    const call = {
      world,
      method,
      route,
      params,
      query: url.searchParams,
      headers: request.headers,
      rawBody: body,
      body: fields,
      lag: record.write ? 0 : fault?.kind === "stale" ? Math.max(lag, fault.ms) : lag,
      origin,
    };
    const answered = await responder.answer(call, handle);
    record.cost = answered.cost;
    if (options.validate !== undefined) check(record, params, url, parsed, answered.reply);
    if (fault?.kind === "drop-after") return void response.destroy();
    record.status = fault?.kind === "reply-after" ? fault.status : answered.reply.status;
    if (fault?.kind === "reply-after") return send(response, { reply: faultReply(fault), cost: 0 }, undefined);
    send(response, answered, fault, method === "HEAD");
  }

  function check(
    record: GitHubRequest,
    params: Readonly<Record<string, string>>,
    url: URL,
    parsed: unknown,
    reply: Reply,
  ) {
    const found = options.validate?.({
      method: record.method,
      route: record.route,
      params,
      query: Object.fromEntries(url.searchParams),
      requestBody: parsed,
      status: reply.status,
      replyType: reply.json === undefined ? (reply.type ?? "") : "application/json",
      // As it is sent: without what is undefined.
      replyBody: reply.json === undefined ? undefined : JSON.parse(JSON.stringify(reply.json)),
    });
    problems.push(...(found ?? []).map((problem) => `${record.method} ${record.url}: ${problem}`));
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      process.stderr.write(`prompt-registry/testing/github: ${(error as Error).stack ?? String(error)}\n`);
      response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve());
  });
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const handleOf = (repository: Repository): GitHubRepositoryHandle => ({
    owner: repository.owner,
    repo: repository.name,
    gitDir: repository.store.gitDir,
    cloneUrl: `${origin.replace("://", `://x-access-token:${token}@`)}/${repository.owner}/${repository.name}.git`,
    defaultBranch: repository.defaultBranch,
    rule: (rule) => world.addRule(repository, rule),
    allow: (login, permission) => void repository.people.set(login, permission),
  });

  let closing: Promise<void> | undefined;
  async function close(): Promise<void> {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await world.close();
    const known = [...new Set(problems)];
    if (known.length > 0) throw new Error(`${known.length} problems with GitHub's API:\n${known.join("\n")}`);
  }

  return {
    ...handleOf(first),
    url: origin,
    graphqlUrl: `${origin}/graphql`,
    oauthUrl: origin,
    token,
    requests,
    problems,
    oauth,
    get lag() {
      return lag;
    },
    set lag(ms) {
      lag = ms;
    },
    fail(when, how) {
      const choose: Chooser = (request) => (when(request) ? how : undefined);
      faults.push(choose);
      return () => {
        faults = faults.filter((one) => one !== choose);
      };
    },
    faultWhen(choose) {
      faults = [choose];
    },
    reset() {
      requests.length = 0;
      faults = [];
      limits.reset();
    },
    quota: (resource = "core", of = token) => limits.quota(resource, of),
    setRemaining: (remaining, resource = "core", of = token) => limits.setRemaining(remaining, resource, of),
    addToken: (more = {}, value) => world.addToken(more, "octocat", value),
    revokeToken: (value) => void world.tokens.delete(value),
    addRepository: async (more) => handleOf(await world.addRepository({ ...more, owner: more.owner ?? owner })),
    addApp: (more) => addApp(world, more),
    checkRepositories: () => checkStores([...world.repositories.values()].map(({ store }) => store)),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function parse(request: IncomingMessage, body: Buffer): unknown {
  if (body.length === 0 || /form|x-git|octet/.test(request.headers["content-type"] ?? "")) return undefined;
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}

const faultReply = (fault: Extract<GitHubFault, { status: number }>): Reply => {
  const { "content-type": type = "text/plain", ...headers } = fault.headers ?? {};
  return { status: fault.status, headers, bytes: Buffer.from(fault.body ?? ""), type };
};

function send(response: ServerResponse, { reply }: Answered, fault: GitHubFault | undefined, bodiless = false): void {
  const { json, bytes } = reply;
  const isEmpty = json === undefined && bytes === undefined;
  const body = json === undefined ? Buffer.from(bytes ?? []) : Buffer.from(JSON.stringify(json));
  response.writeHead(reply.status, {
    ...(isEmpty ? {} : { "content-type": reply.type ?? "application/json; charset=utf-8" }),
    ...(reply.status === 304 || reply.status === 204 ? {} : { "content-length": String(body.length) }),
    server: "github.com",
    "x-github-request-id": requestId(),
    "x-github-media-type": "github.v3; format=json",
    "x-github-api-version-selected": "2022-11-28",
    ...reply.headers,
  });
  if (bodiless) return void response.end();
  if (fault?.kind === "corrupt" && body.length > 0) {
    const at = Math.floor(body.length / 2);
    body[at] = (body[at] as number) ^ 1;
  }
  if (fault?.kind !== "cut") return void response.end(body);
  // What was sent has to arrive before the connection ends.
  response.write(body.subarray(0, fault.bytes), () => setTimeout(() => response.destroy(), 5));
}
