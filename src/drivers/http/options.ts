import { RegistryError } from "../../errors.ts";

export interface HttpOptions {
  /** Where the registry is: `https://registry.example`, or `http://127.0.0.1:7777` on this machine. A path is kept. */
  readonly url: string;
  /**
   * Sent to that origin and to no other. Default: `PROMPT_REGISTRY_TOKEN`, else what `login` stored for the origin, else
   * none.
   */
  readonly token?: string;
  /** Default: the global `fetch`, which keeps connections open. */
  readonly fetch?: (request: Request) => Promise<Response>;
  /** Where `PROMPT_REGISTRY_TOKEN` is looked for. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** A checked place; none of it is a secret. */
export interface Place {
  readonly origin: string;
  /** Origin and path, without a slash at its end. */
  readonly base: string;
  /** Only this machine can be meant: no need for TLS or for coding bodies. */
  readonly isLocal: boolean;
}

/** @throws RegistryError CONFIG */
export function placeOf(url: string): Place {
  const bad = (problem: string) =>
    new RegistryError("CONFIG", `the location of an HTTP registry ${problem}`, { field: "url" });
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw bad("is no URL; write https://registry.example");
  }
  if (parsed.protocol !== "https:" && parsed.protocol !== "http:") throw bad("must start with https://");
  if (parsed.username !== "" || parsed.password !== "") {
    throw bad("must not hold credentials; set PROMPT_REGISTRY_TOKEN or the option token");
  }
  if (parsed.search !== "" || parsed.hash !== "") throw bad("must not have a query or a fragment");
  return {
    origin: parsed.origin,
    base: `${parsed.origin}${parsed.pathname.replace(/\/+$/, "")}`,
    isLocal: isLoopback(parsed.hostname),
  };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/**
 * The token for a place, from the first that has one.
 *
 * @throws RegistryError CONFIG for one that can't be sent, or must not be: in plain text over a network
 */
export async function tokenFor(place: Place, options: HttpOptions): Promise<string | undefined> {
  const env = options.env ?? process.env;
  const token = options.token ?? (env.PROMPT_REGISTRY_TOKEN || undefined) ?? (await stored(place.origin));
  if (token === undefined) return undefined;
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new RegistryError("CONFIG", "the token is not visible ASCII, so it is none", { field: "token" });
  }
  if (!place.isLocal && place.origin.startsWith("http:")) {
    throw new RegistryError(
      "CONFIG",
      `a token must not be sent to ${place.origin} in plain text; use https://, or no token`,
      { field: "url" },
    );
  }
  return token;
}

async function stored(origin: string): Promise<string | undefined> {
  const { readCredential } = await import("../../credentials/index.ts");
  return readCredential(origin);
}
