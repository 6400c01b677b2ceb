import type { IncomingHttpHeaders } from "node:http";

/** What may be done with a repository. */
export type Permission = "read" | "write" | "admin";

export interface GitHubTokenOptions {
  /** Default: the owner of the first repository. */
  readonly login?: string;
  /** What it may do at most, whatever its user may. Default `admin`. */
  readonly permission?: Permission;
  /** Scopes of a classic token, told in `x-oauth-scopes`. Default: none, as of a fine-grained one. */
  readonly scopes?: readonly string[];
  /** Milliseconds since the epoch, by the server's clock. Default: never. */
  readonly expiresAt?: number;
  /** Full names (`owner/repo`) of the only repositories that it sees. Default: all. */
  readonly repositories?: readonly string[];
}

export interface GitHubRepositoryOptions {
  readonly owner?: string;
  readonly name: string;
  /** Default `true`: without a token it is not there (404). */
  readonly private?: boolean;
  /** Default `main`. */
  readonly defaultBranch?: string;
  /** Start with a commit that holds a README, as GitHub's own form does. Default `true`; else it is empty (409). */
  readonly init?: boolean;
}

/** A rule of a branch; `refs` are full names, or `~DEFAULT_BRANCH`, or `~ALL`. */
export interface GitHubRule {
  readonly type: "non_fast_forward" | "deletion" | "pull_request" | "creation" | "update";
  readonly refs?: readonly string[];
}

export interface GitHubLimits {
  /** Requests an hour and token; 304s are free. Default 5000. */
  readonly core?: number;
  /** Points an hour and token. Default 5000. */
  readonly graphql?: number;
  /** Writes within one minute and token, after which the secondary limit is met. Default: no limit. */
  readonly writesPerMinute?: number;
  /** Seconds of the `retry-after` header of a secondary limit. Default 60. */
  readonly retryAfter?: number;
}

/**
 * What goes wrong with a request.
 *
 * - `drop-before`: the connection breaks, nothing is done
 * - `drop-after`: it is done, and the connection breaks before the reply
 * - `reply`: nothing is done, this is answered
 * - `reply-after`: it is done, and this is answered
 * - `cut`: the body of the reply ends after `bytes`, and the connection breaks
 * - `corrupt`: one byte of the body of the reply is another one
 * - `delay`: it is done `ms` milliseconds later
 * - `stale`: refs are read as they were `ms` milliseconds ago, or first were; writes are not affected
 */
export type GitHubFault =
  | { readonly kind: "drop-before" }
  | { readonly kind: "drop-after" }
  | ({ readonly kind: "reply" } & GitHubFaultReply)
  | ({ readonly kind: "reply-after" } & GitHubFaultReply)
  | { readonly kind: "cut"; readonly bytes: number }
  | { readonly kind: "corrupt" }
  | { readonly kind: "delay"; readonly ms: number }
  | { readonly kind: "stale"; readonly ms: number };

export interface GitHubFaultReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** One request, as it came and as it was answered. Numbered from 0 since the start or the last `reset`. */
export interface GitHubRequest {
  readonly index: number;
  readonly method: string;
  /** Path and query as they were sent. */
  readonly url: string;
  /** The template of the official description: `/repos/{owner}/{repo}/git/refs/{ref}`, or `/graphql`, … */
  readonly route: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Changes something: everything but GET and HEAD, and of `/graphql` only mutations. */
  readonly write: boolean;
  /** Absent until it was answered, and for good where the connection was broken. */
  readonly status?: number;
  /** What it cost of the primary limit; 0 for a 304. */
  readonly cost: number;
}

/** A whole request and reply, for a check against the official description. */
export interface GitHubExchange {
  readonly method: string;
  readonly route: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  /** Parsed JSON, else `undefined`. */
  readonly requestBody: unknown;
  readonly status: number;
  readonly replyType: string;
  /** Parsed JSON, else `undefined`. */
  readonly replyBody: unknown;
}

export interface GitHubOptions {
  /** Of the first repository. Default `octo-org`. */
  readonly owner?: string;
  /** Default `prompts`. */
  readonly repo?: string;
  readonly repository?: Omit<GitHubRepositoryOptions, "name" | "owner">;
  /** Of the first token, which may do everything. Default: a random one. */
  readonly token?: string;
  readonly limits?: GitHubLimits;
  /** `false`: `/graphql` is not there, as on a server that only speaks REST. Default `true`. */
  readonly graphql?: boolean;
  /** Milliseconds by which reads of refs lag behind. Default 0. */
  readonly lag?: number;
  /** Where a recursive tree is cut. Default 100,000 entries and 7 MB, as at GitHub. */
  readonly treeLimit?: { readonly entries?: number; readonly bytes?: number };
  /** Bytes of `Blob.text` before it is cut. Default 512,000. */
  readonly textLimit?: number;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number;
  /** Called with every exchange; what it answers is collected in `problems`, which `close` throws. */
  readonly validate?: (exchange: GitHubExchange) => readonly string[];
}

export interface GitHubQuota {
  readonly limit: number;
  readonly remaining: number;
  readonly used: number;
  /** Seconds since the epoch. */
  readonly reset: number;
}

export interface GitHubRepositoryHandle {
  readonly owner: string;
  readonly repo: string;
  /** The bare repository itself: what real Git does here, the server sees. */
  readonly gitDir: string;
  /** For clone and push, with the first token in it. */
  readonly cloneUrl: string;
  readonly defaultBranch: string;
  /** Rules of its branches; see {@link GitHubRule}. */
  rule(rule: GitHubRule): void;
  /** What a user may do. */
  allow(login: string, permission: Permission): void;
}

/** The OAuth app of the server, and what a person does in the browser. */
export interface GitHubOAuthControls {
  readonly clientId: string;
  readonly clientSecret: string;
  /** Seconds between two polls of the device flow. Default 5; told to the client, and a faster one gets `slow_down`. */
  interval: number;
  /** Seconds until a device code runs out. Default 900. */
  expiresIn: number;
  /** Milliseconds until a token runs out; it then comes with a refresh token. Default: `undefined`, never. */
  tokenLifetime: number | undefined;
  /** What the web flow's page is answered. Default `approve`. */
  consent: "approve" | "deny";
  /** The person at the browser. Default: `octocat`. */
  login: string;
  /** Exact addresses that the web flow may lead back to. Default: all on the loopback interface. */
  redirectUris: readonly string[] | undefined;
  /** The codes that wait for an answer. */
  readonly userCodes: readonly string[];
  approve(userCode: string): void;
  deny(userCode: string): void;
  /** Lets a device code run out now. */
  expire(userCode: string): void;
}

export interface GitHubApp {
  readonly id: number;
  readonly installationId: number;
  /** RS256 private key, PEM (PKCS#8). */
  readonly privateKey: string;
}

export interface GitHubServer extends GitHubRepositoryHandle {
  /** Base of the REST API, and of all else: `http://127.0.0.1:PORT`. Also under `/api/v3`, as GitHub Enterprise. */
  readonly url: string;
  readonly graphqlUrl: string;
  /** Where `/login/device/code` and `/login/oauth/…` are. */
  readonly oauthUrl: string;
  readonly token: string;
  readonly requests: readonly GitHubRequest[];
  /** What `validate` found, and requests that no handler knew. */
  readonly problems: readonly string[];
  readonly oauth: GitHubOAuthControls;
  /** Milliseconds by which reads of refs lag behind from now on. */
  lag: number;
  /** From now on requests for which `when` answers true go wrong so; the first that fits counts. Answers how to end it. */
  fail(when: (request: GitHubRequest) => boolean, how: GitHubFault): () => void;
  /** The same, for all faults at once: replaces what was set before. */
  faultWhen(choose: (request: GitHubRequest) => GitHubFault | undefined): void;
  /** Forgets requests and faults; limits are full again. */
  reset(): void;
  quota(resource?: "core" | "graphql", token?: string): GitHubQuota;
  /** Sets what is left of a limit. */
  setRemaining(remaining: number, resource?: "core" | "graphql", token?: string): void;
  /** A new token, or this one. */
  addToken(options?: GitHubTokenOptions, token?: string): string;
  revokeToken(token: string): void;
  addRepository(options: GitHubRepositoryOptions): Promise<GitHubRepositoryHandle>;
  /** A GitHub App, installed where `repositories` says (default: everywhere). */
  addApp(options?: { readonly permission?: Permission; readonly repositories?: readonly string[] }): Promise<GitHubApp>;
  /** Runs Git's own check over every repository, and clones the first three; rejects with what was found. */
  checkRepositories(): Promise<void>;
  /** Idempotent. Rejects where there are `problems`. */
  close(): Promise<void>;
}
