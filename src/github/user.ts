import { RegistryError } from "../errors.ts";
import type { GithubHost } from "./host.ts";
import { ask, saying } from "./request.ts";

export interface GithubUser {
  readonly login: string;
  /** Of a classic token or an OAuth app; fine-grained tokens and GitHub Apps do not tell. */
  readonly scopes?: readonly string[];
  /** ISO 8601, where GitHub tells when the token ends. */
  readonly expiresAt?: string;
}

/**
 * Whose token this is, by `GET /user`.
 *
 * @throws RegistryError UNAUTHENTICATED, FORBIDDEN for a token that is nobody's (of an App, of a workflow), UNAVAILABLE
 */
export async function githubUser(
  { api, service }: GithubHost,
  token: string,
  options: { readonly fetch?: typeof globalThis.fetch; readonly signal?: AbortSignal } = {},
): Promise<GithubUser> {
  const operation = "asking who the token belongs to";
  const answer = await ask(`${api}/user`, {
    ...options,
    operation,
    headers: {
      accept: "application/vnd.github+json",
      "x-github-api-version": "2022-11-28",
      authorization: `Bearer ${token}`,
    },
  });
  const { status, headers, body } = answer;
  const context = { backend: "github", operation };
  if (status === 401) {
    throw new RegistryError("UNAUTHENTICATED", `${service} does not take this token${saying(answer)}`, context);
  }
  if (status === 403) {
    const problem = "the token belongs to nobody (an App's or a workflow's?), or is limited now";
    throw new RegistryError("FORBIDDEN", `${service}: ${problem}${saying(answer)}`, context);
  }
  if (status !== 200 || typeof body.login !== "string" || !/^[\w.[\]-]{1,100}$/.test(body.login)) {
    throw new RegistryError("UNAVAILABLE", `${service}: ${operation} got an answer that is none of GitHub's`, context);
  }
  const scopes = headers.get("x-oauth-scopes");
  const end = Date.parse(headers.get("github-authentication-token-expiration") ?? "");
  return {
    login: body.login,
    ...(scopes === null ? {} : { scopes: scopes.split(/[ ,]+/).filter((one) => one !== "") }),
    ...(Number.isFinite(end) ? { expiresAt: new Date(end).toISOString() } : {}),
  };
}
