import { RegistryError } from "../../errors.ts";

export interface HttpOptions {
  /** Where the registry is: `https://registry.example`, or `http://127.0.0.1:7777` on this machine. A path is kept. */
  readonly url: string;
  /**
   * Sent to that origin and to no other. Default: `PROMPT_REGISTRY_TOKEN` where it is for that origin (see
   * `environmentToken`), else what `login` stored for the origin, else none.
   */
  readonly token?: string | undefined;
  /** Default: the global `fetch`, which keeps connections open. */
  readonly fetch?: ((request: Request) => Promise<Response>) | undefined;
  /**
   * Whether `PROMPT_REGISTRY_TOKEN` is for this place where `PROMPT_REGISTRY_TOKEN_ORIGIN` does not say which origin it is
   * for. Default `true`; who opens several places says `true` for one origin only.
   */
  readonly environmentToken?: boolean | undefined;
  /** Milliseconds for one exchange with the server. Default 60,000. */
  readonly deadline?: number | undefined;
  /** Where `PROMPT_REGISTRY_TOKEN` and `PROMPT_REGISTRY_TOKEN_ORIGIN` are looked for. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
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

export interface FoundToken {
  readonly token?: string;
  /** Why the token of the environment is not sent there; one line. */
  readonly withheld?: string;
}

/**
 * The token for a place, from the first that has one.
 *
 * @throws RegistryError CONFIG for one that can't be sent, or must not be: in plain text over a network
 */
export async function tokenFor(place: Place, options: HttpOptions): Promise<FoundToken> {
  const ofEnvironment = options.token === undefined ? environmentToken(place, options) : {};
  const token = options.token ?? ofEnvironment.token ?? (await stored(place.origin));
  if (token === undefined) return ofEnvironment;
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
  return { token };
}

/** One token is for one server: a second one, of a mirror or of the other side of a copy, has its own. */
function environmentToken(place: Place, options: HttpOptions): FoundToken {
  const { PROMPT_REGISTRY_TOKEN: token, PROMPT_REGISTRY_TOKEN_ORIGIN: named } = options.env ?? process.env;
  if (!token) return {};
  const isMeant = named ? tokenOrigin(named) === place.origin : (options.environmentToken ?? true);
  if (isMeant) return { token };
  const other = named ? tokenOrigin(named) : "the main storage";
  return {
    withheld: `PROMPT_REGISTRY_TOKEN is for ${other} and not sent to ${place.origin}; set the option token, log in there, or name it in PROMPT_REGISTRY_TOKEN_ORIGIN`,
  };
}

/** @throws RegistryError CONFIG */
export function tokenOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "https:" || url?.protocol === "http:") return url.origin;
  throw new RegistryError("CONFIG", "PROMPT_REGISTRY_TOKEN_ORIGIN is no origin; write https://registry.example", {
    field: "PROMPT_REGISTRY_TOKEN_ORIGIN",
  });
}

async function stored(origin: string): Promise<string | undefined> {
  const { readCredential } = await import("../../credentials/index.ts");
  return readCredential(origin);
}
