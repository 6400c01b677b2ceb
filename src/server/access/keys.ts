import type { JWTVerifyGetKey } from "jose";
import { RegistryError, show } from "../../errors.ts";

type Jose = typeof import("jose");

export interface KeysOptions {
  readonly issuer: string;
  readonly jwksUri?: string | undefined;
  /** Milliseconds for one answer of the issuer. Default 5,000. */
  readonly timeout?: number | undefined;
  /** Milliseconds between two looks for a key that was not there. Default 30,000. */
  readonly cooldown?: number | undefined;
  /** Milliseconds that keys are used without asking. Default 600,000. */
  readonly maxAge?: number | undefined;
  /** Milliseconds after a failure in which the issuer is not asked again. Default 5,000. */
  readonly pause?: number | undefined;
}

const MAX_ANSWER = 1 << 20;

/** That the keys can't be had now: nothing is said about the token. */
class KeysFailure extends Error {
  override readonly name = "KeysFailure";
}

/**
 * The keys of an issuer, asked for when they are first needed, kept, and asked for again when a token names one that is not
 * there, at most once per cooldown.
 */
export function issuerKeys(jose: Jose, options: KeysOptions): JWTVerifyGetKey {
  const { issuer, timeout = 5000, pause = 5000 } = options;
  let set: Promise<JWTVerifyGetKey> | undefined;
  let failedAt = Number.NEGATIVE_INFINITY;

  async function open(): Promise<JWTVerifyGetKey> {
    const uri = options.jwksUri ?? (await discover(issuer, timeout));
    return jose.createRemoteJWKSet(new URL(uri), {
      timeoutDuration: timeout,
      cooldownDuration: options.cooldown ?? 30_000,
      cacheMaxAge: options.maxAge ?? 600_000,
      [jose.customFetch]: async (url, init) => {
        // The cooldown of the library begins with an answer; an issuer that has none would be asked by every request.
        const wait = failedAt + pause - performance.now();
        if (wait > 0) throw new KeysFailure("it failed a moment ago");
        return await ask(url, init);
      },
    });
  }

  return async (header, token) => {
    try {
      if (performance.now() < failedAt + pause && set === undefined) throw new KeysFailure("it failed a moment ago");
      set ??= open();
      return await (await set)(header, token);
    } catch (error) {
      const { JWKSNoMatchingKey, JWKSMultipleMatchingKeys, JOSENotSupported } = jose.errors;
      for (const known of [JWKSNoMatchingKey, JWKSMultipleMatchingKeys, JOSENotSupported])
        if (error instanceof known) throw error;
      if (performance.now() >= failedAt + pause) failedAt = performance.now();
      if (!(await isOpen(set))) set = undefined;
      throw new RegistryError("UNAVAILABLE", `the keys of the issuer ${show(issuer)} can't be had now; try again`, {
        retryAfter: pause,
        cause: error,
      });
    }
  };
}

async function isOpen(set: Promise<unknown> | undefined): Promise<boolean> {
  return (
    (await set?.then(
      () => true,
      () => false,
    )) ?? false
  );
}

/** @see https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig */
async function discover(issuer: string, timeout: number): Promise<string> {
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const response = await ask(url, { signal: AbortSignal.timeout(timeout), headers: { accept: "application/json" } });
  if (response.status !== 200) throw new KeysFailure(`discovery was answered with ${response.status}`);
  const found = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown } | null;
  if (found?.issuer !== issuer) throw new KeysFailure("discovery names another issuer");
  if (typeof found.jwks_uri !== "string" || !isSafeUrl(found.jwks_uri))
    throw new KeysFailure("discovery has no jwks_uri");
  return found.jwks_uri;
}

/** Redirects are not followed: whoever may send us elsewhere would choose the keys. */
async function ask(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...init, redirect: "manual" });
  const reader = response.body?.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (let step = await reader?.read(); step?.done === false; step = await reader?.read()) {
    size += step.value.length;
    if (size > MAX_ANSWER) {
      await reader?.cancel();
      throw new KeysFailure("the answer is too long");
    }
    chunks.push(step.value);
  }
  // A status of 0 or 204 takes no body.
  return new Response(response.status === 200 ? Buffer.concat(chunks) : null, {
    status: response.status >= 200 && response.status <= 599 ? response.status : 502,
  });
}

/** Keys come over TLS, or from this machine. */
export function isSafeUrl(text: string): boolean {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return false;
  }
  if (url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
}
