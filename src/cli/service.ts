import { RegistryError, show } from "../errors.ts";
import type { GithubHost } from "../github/host.ts";
import { usageError } from "./args.ts";
import type { Context } from "./command.ts";
import { configuredFor } from "./configured.ts";

/** What one logs in to: a GitHub, or a registry server by its origin. */
export type Service =
  | {
      readonly kind: "github";
      readonly host: GithubHost;
      readonly clientId: string | undefined;
      /** Id of the GitHub App that the configured storage works as. */
      readonly app?: string;
    }
  | { readonly kind: "server"; readonly origin: string };

export const SERVICE_HELP = "SERVICE is github, or the address of a registry server; default: the one of the storage.";

/**
 * @param named `github`, an address, or nothing for the service of the configured storage
 * @param given what `--host` said
 */
export async function serviceOf(context: Context, named: string | undefined, given?: string): Promise<Service> {
  const { hostOf } = await import("../github/host.ts");
  if (given !== undefined && named !== undefined && named !== "github") throw usageError("--host goes with github");
  if (named !== undefined && /^https?:\/\//i.test(named)) return { kind: "server", origin: originOf(named) };
  if (named !== undefined && named !== "github") {
    throw usageError(`SERVICE must be github or an address like https://registry.example, not ${show(named)}`);
  }
  if (given !== undefined) return { kind: "github", host: hostOf(given), clientId: undefined };
  const { io, storage } = context;
  // Who only names github need not have a configuration that is right.
  const config = await configuredFor({ io, storage }).catch((error) => {
    if (named === undefined) throw error;
    return undefined;
  });
  const place = config?.storage;
  if (place?.backend === "github") {
    const { hostOfApi } = await import("../github/host.ts");
    const host = place.baseUrl === undefined ? hostOf("github.com") : hostOfApi(place.baseUrl);
    const app = place.app === undefined ? {} : { app: String(place.app.id) };
    return { kind: "github", host, clientId: place.clientId, ...app };
  }
  if (named === undefined && place?.backend === "http") return { kind: "server", origin: originOf(place.url) };
  return { kind: "github", host: hostOf("github.com"), clientId: undefined };
}

function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== "" || url.password !== "") {
    throw new RegistryError("INVALID", "the address of the server is no URL, or has credentials in it", {
      field: "arguments",
    });
  }
  const isLocal = /^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})$/.test(url.hostname);
  if (url.protocol === "https:" || (url.protocol === "http:" && isLocal)) return url.origin;
  throw new RegistryError("CONFIG", `a token must not be sent to ${url.origin} in plain text; use https://`, {
    field: "url",
  });
}

export interface ServerPrincipal {
  readonly id: string;
  readonly name: string;
  readonly grants: readonly string[];
}

/**
 * Who a registry server takes a token for; `undefined` where the server can't be reached.
 *
 * @throws RegistryError UNAUTHENTICATED, UNSUPPORTED for what is no registry
 */
export async function principalOf(
  origin: string,
  token: string,
  signal: AbortSignal,
): Promise<ServerPrincipal | undefined> {
  const { ask } = await import("../github/request.ts");
  const operation = "asking who the token belongs to";
  const headers = { authorization: `Bearer ${token}` };
  const answer = await ask(`${origin}/v1`, { headers, signal, operation }).catch((error: unknown) => {
    if (error instanceof RegistryError && error.outcome === "temporary") return undefined;
    throw error;
  });
  if (answer === undefined) return undefined;
  if (answer.status === 401) {
    throw new RegistryError("UNAUTHENTICATED", `${origin} does not take this token`, { operation });
  }
  const { service, principal } = answer.body as {
    service?: unknown;
    principal?: { id?: unknown; name?: unknown; grants?: readonly { right?: unknown; prefix?: unknown }[] };
  };
  if (answer.status === 403) return { id: "", name: "a token that may not ask who it is", grants: [] };
  if (answer.status !== 200 || service !== "prompt-registry" || principal === undefined) {
    throw new RegistryError("UNSUPPORTED", `${origin} is no registry server (status ${answer.status})`, { operation });
  }
  const grants = (principal.grants ?? []).map(({ right, prefix }) =>
    prefix === undefined || prefix === "" ? String(right) : `${String(right)}:${String(prefix)}`,
  );
  return { id: String(principal.id), name: String(principal.name), grants };
}
