import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { RegistryError, show } from "../errors.ts";
import { askGrant, type GithubGrant, isRefusal, misconfigured } from "./grant.ts";
import { hostOf, isSafe } from "./host.ts";

export interface GithubWebFlowOptions {
  readonly clientId: string;
  readonly clientSecret: string;
  /** Where GitHub sends people back to: exactly this, and set so in the app's settings. */
  readonly redirectUri: string;
  /** Default `github.com`. */
  readonly host?: string;
  /** For OAuth apps; a GitHub App has the permissions of its settings. */
  readonly scopes?: readonly string[];
  /** Milliseconds that a person may take. Default ten minutes. */
  readonly lifetime?: number;
  /** Where logins that were started are kept. Default: the memory of this process, at most 10,000. */
  readonly pending?: PendingLogins;
  readonly fetch?: typeof globalThis.fetch;
  readonly now?: () => number;
  /** For other servers than GitHub. */
  readonly endpoints?: { readonly authorize: string; readonly token: string };
}

/** Logins that were started, for servers of several processes. */
export interface PendingLogins {
  put(key: string, login: PendingLogin): Promise<void>;
  /** Gives it and forgets it, in one step: of two that ask, one gets it. */
  take(key: string): Promise<PendingLogin | undefined>;
}

export interface PendingLogin {
  /** SHA-256 of the session, base64url. */
  readonly session: string;
  readonly verifier: string;
  readonly expiresAt: number;
}

export interface GithubWebFlow {
  /**
   * @param session what only this browser has: the id of its session, from a cookie that is HttpOnly, Secure, SameSite=Lax
   * @returns where to send the browser
   */
  start(session: string): Promise<{ readonly url: string; readonly state: string }>;
  /**
   * @param callbackUrl the whole address that the browser came back with
   * @throws RegistryError FORBIDDEN when the person said no, UNAUTHENTICATED for everything that is not the answer to a
   * login that this session started and has not finished, CONFIG for a secret or an address GitHub does not know
   */
  finish(session: string, callbackUrl: string): Promise<GithubGrant>;
}

const MAX_PENDING = 10_000;
const sha256 = (text: string) => createHash("sha256").update(text).digest();

/**
 * The web flow for servers: authorization code, PKCE with S256, a state that is good once and for one session
 * (https://www.rfc-editor.org/rfc/rfc9700).
 *
 * @throws RegistryError CONFIG for a redirect address that is neither https nor on the loopback interface
 * @example
 * const flow = createGitHubWebFlow({ clientId, clientSecret, redirectUri: "https://prompts.example/login/done" });
 * const { url } = await flow.start(sessionId); // redirect there
 * const { token } = await flow.finish(sessionId, requestUrl);
 */
export function createGitHubWebFlow(options: GithubWebFlowOptions): GithubWebFlow {
  const { clientId, clientSecret, redirectUri, scopes = [], lifetime = 600_000, fetch, now = Date.now } = options;
  const web = hostOf(options.host ?? "github.com").web;
  const { authorize, token } = options.endpoints ?? {
    authorize: `${web}/login/oauth/authorize`,
    token: `${web}/login/oauth/access_token`,
  };
  const pending = options.pending ?? inMemory(now);
  const back = checkRedirect(redirectUri);
  for (const [field, value] of Object.entries({ clientId, clientSecret })) {
    if (value === "") throw new RegistryError("CONFIG", `github: ${field} is empty`, { field, backend: "github" });
  }

  async function start(session: string) {
    checkSession(session);
    const state = randomBytes(32).toString("base64url");
    const verifier = randomBytes(48).toString("base64url");
    await pending.put(keyOf(state), {
      session: sha256(session).toString("base64url"),
      verifier,
      expiresAt: now() + lifetime,
    });
    const url = new URL(authorize);
    const query = {
      response_type: "code",
      client_id: clientId,
      redirect_uri: redirectUri,
      state,
      code_challenge: sha256(verifier).toString("base64url"),
      code_challenge_method: "S256",
      ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
    };
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
    return { url: url.href, state };
  }

  async function finish(session: string, callbackUrl: string): Promise<GithubGrant> {
    checkSession(session);
    const came = URL.canParse(callbackUrl) ? new URL(callbackUrl) : undefined;
    if (came === undefined || came.origin !== back.origin || came.pathname !== back.pathname) {
      throw refused("the answer came to another address than the login named");
    }
    const one = (key: string) => {
      const values = came.searchParams.getAll(key);
      if (values.length > 1) throw refused(`the answer has more than one ${key}`);
      return values[0];
    };
    const [state, code, error] = [one("state"), one("code"), one("error")];
    // Taken before anything else: whatever comes of it, it is not good twice.
    const login = state === undefined || state === "" ? undefined : await pending.take(keyOf(state));
    if (login === undefined) throw refused("no such login was started, or it was finished already");
    if (!isSame(login.session, session)) throw refused("the login was started in another session");
    if (login.expiresAt <= now()) throw refused("the login took too long");
    if (error === "access_denied") {
      throw new RegistryError("FORBIDDEN", `${web}: the login was denied by the person at the browser`, {
        operation: "login",
        backend: "github",
      });
    }
    if (error !== undefined) throw misconfigured({ error, said: "", interval: undefined }, web);
    if (code === undefined || code === "") throw refused("the answer has no code");
    const form = {
      grant_type: "authorization_code",
      client_id: clientId,
      client_secret: clientSecret,
      code,
      redirect_uri: redirectUri,
      code_verifier: login.verifier,
    };
    const found = await askGrant(token, form, { fetch, now, operation: "exchanging the code" });
    if (!isRefusal(found)) return found;
    if (found.error === "bad_verification_code" || found.error === "invalid_grant") {
      throw refused(`the code was not taken${found.said}`);
    }
    throw misconfigured(found, web);
  }

  return { start, finish };
}

const keyOf = (state: string) => sha256(state).toString("base64url");

function isSame(stored: string, session: string): boolean {
  const [a, b] = [Buffer.from(stored, "base64url"), sha256(session)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function checkSession(session: string): void {
  if (typeof session === "string" && session.length >= 16) return;
  throw new RegistryError("INVALID", "a session is what only one browser has: at least 16 characters", {
    field: "session",
  });
}

function checkRedirect(redirectUri: string): URL {
  const url = URL.canParse(redirectUri) ? new URL(redirectUri) : undefined;
  if (url !== undefined && isSafe(url) && url.hash === "" && url.search === "") return url;
  throw new RegistryError(
    "CONFIG",
    `github: redirectUri ${show(redirectUri)} must be https, without query and fragment`,
    {
      field: "redirectUri",
      backend: "github",
    },
  );
}

function refused(problem: string): RegistryError {
  return new RegistryError("UNAUTHENTICATED", `${problem}; start the login again`, {
    operation: "login",
    backend: "github",
  });
}

function inMemory(now: () => number): PendingLogins {
  const logins = new Map<string, PendingLogin>();
  return {
    async put(key, login) {
      for (const [old, { expiresAt }] of logins) {
        // In the order they came: the first that is neither over nor too many ends it.
        if (expiresAt > now() && logins.size < MAX_PENDING) break;
        logins.delete(old);
      }
      logins.set(key, login);
    },
    async take(key) {
      const login = logins.get(key);
      logins.delete(key);
      return login;
    },
  };
}
