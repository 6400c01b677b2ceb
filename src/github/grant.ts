import { RegistryError, show } from "../errors.ts";
import { type Answer, type AskOptions, ask, saying } from "./request.ts";

/** What an authorization server gave for a code, a device or a refresh token. */
export interface GithubGrant {
  readonly token: string;
  /** As told; a GitHub App's tokens have none. */
  readonly scopes: readonly string[];
  /** Milliseconds since the epoch; absent for a token that does not end. */
  readonly expiresAt?: number;
  /** Good for one use. */
  readonly refreshToken?: string;
  readonly refreshExpiresAt?: number;
}

/** A refusal in the words of RFC 6749 and 8628, and GitHub's own. */
export interface GrantRefusal {
  readonly error: string;
  readonly interval: number | undefined;
  readonly said: string;
}

const TOKEN = /^[\x21-\x7e]{1,2000}$/;

/**
 * Asks for a token. GitHub refuses with status 200 where RFC 6749 says 400; both are taken.
 *
 * @throws RegistryError UNAVAILABLE for what is no answer of an authorization server
 */
export async function askGrant(
  url: string,
  form: Readonly<Record<string, string>>,
  options: AskOptions & { readonly now?: (() => number) | undefined },
): Promise<GithubGrant | GrantRefusal> {
  const answer = await ask(url, { ...options, method: "POST", form });
  const { body, status } = answer;
  if (typeof body.error === "string") {
    const interval = Number(body.interval);
    return { error: body.error, said: saying(answer), interval: Number.isFinite(interval) ? interval : undefined };
  }
  const { access_token: token, token_type: type, scope } = body;
  const isBearer = type === undefined || (typeof type === "string" && type.toLowerCase() === "bearer");
  if (status >= 300 || typeof token !== "string" || !TOKEN.test(token) || !isBearer)
    throw noAnswer(url, answer, options);
  const now = (options.now ?? Date.now)();
  const { refresh_token: refresh } = body;
  const until = (seconds: unknown) => (Number(seconds) > 0 ? now + Number(seconds) * 1000 : undefined);
  const [end, refreshEnd] = [until(body.expires_in), until(body.refresh_token_expires_in)];
  return {
    token,
    scopes: typeof scope === "string" ? scope.split(/[ ,]+/).filter((one) => one !== "") : [],
    ...(end === undefined ? {} : { expiresAt: end }),
    ...(typeof refresh === "string" && TOKEN.test(refresh) ? { refreshToken: refresh } : {}),
    ...(refreshEnd === undefined ? {} : { refreshExpiresAt: refreshEnd }),
  };
}

export function noAnswer(url: string, { status }: Answer, { operation }: AskOptions): RegistryError {
  return new RegistryError(
    "UNAVAILABLE",
    `${new URL(url).origin}: ${operation} got an answer of status ${status} that is none of an OAuth server's`,
    { operation, backend: "github" },
  );
}

export function isRefusal(found: GithubGrant | GrantRefusal): found is GrantRefusal {
  return "error" in found;
}

/** What is wrong with the set-up, and not with the person. */
export function misconfigured(refusal: GrantRefusal, where: string): RegistryError {
  const hint =
    refusal.error === "device_flow_disabled"
      ? "enable the device flow in the settings of the app"
      : "check the client id, and that the app belongs to this GitHub";
  return new RegistryError("CONFIG", `${where} refused the login (${show(refusal.error)})${refusal.said}; ${hint}`, {
    field: "clientId",
    backend: "github",
  });
}
