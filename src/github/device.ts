import { setTimeout as wait } from "node:timers/promises";
import { abortError, isRegistryError, RegistryError } from "../errors.ts";
import { askGrant, type GithubGrant, isRefusal, misconfigured, noAnswer } from "./grant.ts";
import { ask, saying } from "./request.ts";

export interface DeviceLoginOptions {
  /** Where people log in: `https://github.com`. */
  readonly web: string;
  readonly clientId: string;
  /** For OAuth apps; a GitHub App has the permissions of its settings. Default: none. */
  readonly scope?: string;
  /** Tells the person what to do. */
  readonly onCode: (code: DeviceCode) => void;
  readonly signal?: AbortSignal;
  readonly fetch?: typeof globalThis.fetch;
  readonly now?: () => number;
  /** Waits so many milliseconds. */
  readonly sleep?: (ms: number, signal: AbortSignal | undefined) => Promise<unknown>;
  /** For other servers than GitHub. */
  readonly endpoints?: { readonly device: string; readonly token: string; readonly verification: string };
}

export interface DeviceCode {
  readonly userCode: string;
  /** The official page, and no other. */
  readonly url: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

const GRANT = "urn:ietf:params:oauth:grant-type:device_code";
/** RFC 8628, section 3.5: used where the server tells none, and added by every `slow_down`. */
const INTERVAL_S = 5;
const MAX_INTERVAL_S = 120;

/**
 * The device flow (https://www.rfc-editor.org/rfc/rfc8628): a person enters a code on a page, this program asks until that
 * happened. A lost answer is asked for again until the code has run out.
 *
 * @throws RegistryError FORBIDDEN when the person said no, TIMEOUT when the code ran out, ABORTED, CONFIG for a client id that
 * the server does not know, UNAUTHENTICATED when the server names another page than its own
 * @example
 * const { token } = await loginByDevice({ web: "https://github.com", clientId, onCode: ({ url, userCode }) => show(url, userCode) });
 */
export async function loginByDevice(options: DeviceLoginOptions): Promise<GithubGrant> {
  const { web, clientId, scope, onCode, signal, fetch, now = Date.now, sleep = pause } = options;
  const endpoints = options.endpoints ?? {
    device: `${web}/login/device/code`,
    token: `${web}/login/oauth/access_token`,
    verification: `${web}/login/device`,
  };
  const asked = { fetch, signal, operation: "asking for a device code" };
  const answer = await ask(endpoints.device, {
    ...asked,
    method: "POST",
    form: { client_id: clientId, ...(scope === undefined ? {} : { scope }) },
  });
  const { device_code: deviceCode, user_code: userCode, verification_uri: page } = answer.body;
  if (typeof answer.body.error === "string" || answer.status === 404) {
    throw misconfigured({ error: String(answer.body.error ?? 404), said: saying(answer), interval: undefined }, web);
  }
  if (typeof deviceCode !== "string" || typeof userCode !== "string" || !/^[A-Z0-9-]{4,20}$/i.test(userCode)) {
    throw noAnswer(endpoints.device, answer, asked);
  }
  if (page !== endpoints.verification) {
    // Whoever enters the code elsewhere gives it away.
    throw new RegistryError(
      "UNAUTHENTICATED",
      `${web} named another page to log in at than ${endpoints.verification}; the login was given up`,
      { operation: "login", backend: "github" },
    );
  }
  const lifetime = Number(answer.body.expires_in);
  const expiresAt = now() + (lifetime > 0 ? lifetime : 900) * 1000;
  onCode({ userCode, url: endpoints.verification, expiresAt });
  const told = Number(answer.body.interval);
  let interval = Math.max(1, told > 0 ? told : INTERVAL_S);
  for (;;) {
    if (signal?.aborted) throw abortError(signal, "login");
    if (now() + interval * 1000 >= expiresAt) {
      await sleep(Math.max(0, expiresAt - now()), signal);
      if (signal?.aborted) throw abortError(signal, "login");
      throw expired(web);
    }
    await sleep(interval * 1000, signal);
    if (signal?.aborted) throw abortError(signal, "login");
    const form = { client_id: clientId, device_code: deviceCode, grant_type: GRANT };
    const found = await askGrant(endpoints.token, form, {
      fetch,
      signal,
      now,
      operation: "asking for the token",
    }).catch((error: unknown) => {
      if (isRegistryError(error) && (error.code === "UNAVAILABLE" || error.code === "TIMEOUT")) return undefined;
      throw error;
    });
    if (found === undefined) {
      interval = Math.min(MAX_INTERVAL_S, interval * 2);
      continue;
    }
    if (!isRefusal(found)) return found;
    switch (found.error) {
      case "authorization_pending":
        break;
      case "slow_down":
        interval = Math.max(interval + INTERVAL_S, found.interval ?? 0);
        break;
      case "access_denied":
        throw new RegistryError("FORBIDDEN", `${web}: the login was denied by the person at the browser`, {
          operation: "login",
          backend: "github",
        });
      case "expired_token":
        throw expired(web);
      default:
        throw misconfigured(found, web);
    }
  }
}

function expired(web: string): RegistryError {
  return new RegistryError("TIMEOUT", `${web}: the code ran out before it was entered; log in again`, {
    operation: "login",
    backend: "github",
  });
}

/** Ends early when aborted; who waits looks at the signal. */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await wait(ms, undefined, signal === undefined ? {} : { signal }).catch(() => {});
}
