import { RegistryError, show } from "../../errors.ts";
import { type Label, parseLabel } from "../../names.ts";
import type { Access, AccessRequest, Principal } from "../types.ts";
import { networks } from "./cidr.ts";
import { isGranted, parseScopes } from "./grants.ts";
import { type OidcIssuer, type OidcOptions, oidcVerifier } from "./oidc.ts";
import { ANONYMOUS, tokenPrincipal } from "./principal.ts";
import type { TokenStore } from "./store.ts";
import { missingThrottle, spareThrottle, Throttle, type ThrottleOptions } from "./throttle.ts";
import { isToken, tokenId } from "./token.ts";

export interface AccessOptions {
  /** API tokens. Without: none is taken. */
  readonly tokens?: TokenStore | undefined;
  /** Issuers whose signed bearer tokens are taken. */
  readonly oidc?: readonly OidcIssuer[] | undefined;
  /** What callers without credentials may do: `["read"]`, `["read:public"]`. Default: nothing. */
  readonly anonymous?: readonly string[] | undefined;
  /** Labels that only a `promote` scope that names them, or `admin`, may move. Default: none. */
  readonly protectedLabels?: readonly string[] | undefined;
  /** Of wrong credentials, by address. `false`: none. */
  readonly throttle?: ThrottleOptions | false | undefined;
  /**
   * Milliseconds for which an answer is used without asking again, at most 1,000, the default: how long another process
   * may not know of a revocation.
   */
  readonly recheck?: number | undefined;
  /** How many callers are remembered. Default 10,000. */
  readonly maxRemembered?: number | undefined;
  /** Of the issuers' keys, and for tests. */
  readonly oidcOptions?: OidcOptions | undefined;
  /** The wall clock, in milliseconds. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/** Who may do what on a server. */
export interface ServerAccess extends Access {
  remembered(request: AccessRequest): Principal | undefined;
  /** Waits for what is under way, and closes the store of tokens. */
  close(): Promise<void>;
}

/** Somebody who was told by credentials. */
interface Known {
  readonly principal: Principal;
  readonly expiresAt: number;
  readonly isFrom: ((address: string | undefined) => boolean) | undefined;
  /** By the clock of `performance`. */
  readonly until: number;
  readonly revision: number;
}

const MAX_RECHECK = 1000;
const TOUCH = 60_000;
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]{1,16384}=*)$/i;

/**
 * Tells who asks, and what they may do. Nobody may do anything unless an option here says so: without any, every request
 * is UNAUTHENTICATED, from this machine too.
 *
 * @throws RegistryError CONFIG, INVALID for scopes and labels
 * @example
 * const access = createAccess({ tokens: fileTokens("./tokens.jsonl"), anonymous: ["read"], protectedLabels: ["production"] });
 */
export function createAccess(options: AccessOptions): ServerAccess {
  const { tokens, oidc = [], maxRemembered = 10_000 } = options;
  const now = options.now ?? Date.now;
  const recheck = Math.min(options.recheck ?? MAX_RECHECK, MAX_RECHECK);
  const labels: ReadonlySet<Label> = new Set((options.protectedLabels ?? []).map(parseLabel));
  const anonymous = anonymousPrincipal(options.anonymous ?? []);
  const verify =
    oidc.length === 0
      ? undefined
      : oidcVerifier(oidc, { ...options.oidcOptions, now: options.oidcOptions?.now ?? now });
  const throttle =
    options.throttle === false ? undefined : new Throttle(options.throttle ?? {}, () => performance.now());
  const spare = options.throttle === false ? undefined : spareThrottle(options.throttle, () => performance.now());
  const missing = options.throttle === false ? undefined : missingThrottle(options.throttle, () => performance.now());
  /** Those who were let in lately, the last one last. */
  const known = new Map<string, Known>();
  // Most ask again and again, and to compare what was sent is a tenth of what it takes to look it up.
  let last: { readonly authorization: string; readonly entry: Known } | undefined;
  const asking = new Map<string, { readonly revision: number; readonly answer: Promise<Known | undefined> }>();
  const touched = new Map<string, number>();
  const touching = new Set<Promise<void>>();

  function isCurrent(entry: Known): boolean {
    if (performance.now() >= entry.until || entry.revision !== (tokens?.revision ?? 0)) return false;
    return entry.expiresAt === Number.POSITIVE_INFINITY || now() < entry.expiresAt;
  }

  function remembered({ authorization, address }: AccessRequest): Principal | undefined {
    if (authorization === undefined) return anonymous;
    const entry = last?.authorization === authorization ? last.entry : known.get(authorization);
    if (entry === undefined || !isCurrent(entry)) return undefined;
    if (last?.entry !== entry) last = { authorization, entry };
    return entry.isFrom === undefined || entry.isFrom(address) ? entry.principal : undefined;
  }

  async function authenticate(request: AccessRequest): Promise<Principal> {
    const early = remembered(request);
    if (early !== undefined) return early;
    const { authorization, address } = request;
    if (authorization === undefined) {
      const wait = missing?.wait(address) ?? 0;
      if (wait > 0) throw limited("too many requests without credentials came from this address; send some", wait);
      missing?.failed(address);
      throw unauthenticated("no credentials were sent; send Authorization: Bearer TOKEN");
    }
    const wait = waitOf(authorization, address);
    if (wait > 0) throw limited("too many wrong credentials came from this address; wait, then try again", wait);
    const entry = await ask(authorization);
    if (entry !== undefined && (entry.isFrom === undefined || entry.isFrom(address))) return entry.principal;
    throttle?.failed(address);
    throw unauthenticated("the credentials are not accepted: wrong, expired, revoked, or not for this address");
  }

  /**
   * Who was let in lately is not kept out by what others at the same address do; nor for long is anybody with what may be a
   * token: behind a proxy that is not trusted, or on one machine, all are at one address.
   */
  function waitOf(authorization: string, address: string | undefined): number {
    const wait = throttle?.wait(address) ?? 0;
    if (wait === 0 || known.has(authorization)) return 0;
    const credentials = BEARER.exec(authorization)?.[1] ?? "";
    if (tokenId(credentials) === undefined || (spare?.wait(address) ?? 0) > 0) return wait;
    spare?.failed(address);
    return 0;
  }

  /** Once for all who ask with the same credentials at the same time; but not for who asks after a revocation. */
  function ask(authorization: string): Promise<Known | undefined> {
    const revision = tokens?.revision ?? 0;
    const pending = asking.get(authorization);
    if (pending?.revision === revision) return pending.answer;
    const answer = identify(authorization, revision).finally(() => {
      if (asking.get(authorization)?.answer === answer) asking.delete(authorization);
    });
    asking.set(authorization, { revision, answer });
    return answer;
  }

  /** @param revision of before the question: what changes while it is answered makes the answer an old one */
  async function identify(authorization: string, revision: number): Promise<Known | undefined> {
    const credentials = BEARER.exec(authorization)?.[1];
    const until = performance.now() + recheck;
    let found: Pick<Known, "principal" | "expiresAt" | "isFrom"> | undefined;
    try {
      if (credentials?.startsWith("prg_")) found = await byToken(credentials);
      else if (credentials !== undefined && verify !== undefined) {
        const identified = await verify(credentials);
        found = identified === undefined ? undefined : { ...identified, isFrom: undefined };
      }
    } catch (error) {
      throw doubtful(error);
    }
    known.delete(authorization);
    last = undefined;
    if (found === undefined) return undefined;
    const entry = { ...found, until, revision };
    known.set(authorization, entry);
    if (known.size > maxRemembered) known.delete(known.keys().next().value as string);
    return entry;
  }

  async function byToken(token: string) {
    const id = tokenId(token);
    if (id === undefined || tokens === undefined) return undefined;
    const record = await tokens.get(id);
    if (!isToken(token, record?.hash) || record === undefined) return undefined;
    if (record.revokedAt !== undefined) return undefined;
    const expiresAt = record.expiresAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(record.expiresAt);
    // A time that can't be read is none that lies ahead.
    if (!(now() < expiresAt)) return undefined;
    touch(tokens, id, record.lastUsedAt);
    const isFrom = record.cidrs === undefined ? undefined : networks(record.cidrs);
    return { principal: tokenPrincipal(record), expiresAt, isFrom };
  }

  /** Not waited for, and no reason to keep anybody out. */
  function touch(store: TokenStore, id: string, last: string | undefined): void {
    const before = Math.max(touched.get(id) ?? 0, last === undefined ? 0 : Date.parse(last) || 0);
    if (now() - before < TOUCH) return;
    touched.set(id, now());
    const done = store
      .touch(id, new Date(now()).toISOString())
      .catch(() => {})
      .finally(() => touching.delete(done));
    touching.add(done);
  }

  return {
    authenticate,
    remembered,
    allows: (principal, right, resource) => isGranted(principal.grants, right, resource, labels),
    async close() {
      known.clear();
      last = undefined;
      await Promise.allSettled([...[...asking.values()].map((one) => one.answer), ...touching]);
      await tokens?.close();
    },
  };
}

function anonymousPrincipal(scopes: readonly string[]): Principal | undefined {
  const grants = parseScopes(scopes);
  for (const { right } of grants) {
    if (right === "read") continue;
    throw new RegistryError(
      "CONFIG",
      `callers without credentials can only be let read, not ${show(right)}; give them a token`,
      {
        field: "access.anonymous",
      },
    );
  }
  return grants.length === 0 ? undefined : Object.freeze({ id: ANONYMOUS, name: ANONYMOUS, grants });
}

function limited(message: string, retryAfter: number): RegistryError {
  return new RegistryError("RATE_LIMITED", message, { operation: "authenticate", retryAfter });
}

function unauthenticated(message: string): RegistryError {
  return new RegistryError("UNAUTHENTICATED", message, { operation: "authenticate" });
}

/** Where it can't be told who asks, the caller must not take it for a no. What exactly failed is not for them. */
function doubtful(error: unknown): RegistryError {
  const retryAfter = error instanceof RegistryError ? error.context.retryAfter : undefined;
  return new RegistryError("UNAVAILABLE", "who asks can't be told now; try again", {
    operation: "authenticate",
    retryAfter: retryAfter ?? 1000,
    cause: error,
  });
}
