import type { JWTPayload, JWTVerifyGetKey } from "jose";
import { RegistryError, show } from "../../errors.ts";
import type { Principal } from "../types.ts";
import {
  type ClaimRule,
  DEFAULT_ALGORITHMS,
  grantsOf,
  isClaimName,
  OIDC_ALGORITHMS,
  type OidcAlgorithm,
} from "./claims.ts";
import { parseScopes } from "./grants.ts";
import { isSafeUrl, issuerKeys, type KeysOptions } from "./keys.ts";
import { authorName } from "./principal.ts";

/** An issuer of bearer tokens that are taken: an identity provider, or a CI that proves what it runs for. */
export interface OidcIssuer {
  /** Exactly as it stands in `iss`; `https:`, or `http:` on this machine. */
  readonly issuer: string;
  /** Whom tokens must be for: one of these must stand in `aud`. */
  readonly audience: string | readonly string[];
  /** Default: by discovery at the issuer. */
  readonly jwksUri?: string;
  /** Default RS256, ES256 and EdDSA. */
  readonly algorithms?: readonly OidcAlgorithm[];
  /** Each entry whose claims all hold grants its scopes. */
  readonly map: readonly ClaimRule[];
  /** The claim that names the author of changes. Default `sub`. */
  readonly nameClaim?: string;
}

export interface OidcOptions extends Omit<KeysOptions, "issuer" | "jwksUri"> {
  /** The clock. */
  readonly now?: (() => number) | undefined;
}

export interface Identified {
  readonly principal: Principal;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

const TOLERANCE = 60;
const MAX_TOKEN = 16 * 1024;
/** https://openid.net/specs/openid-connect-core-1_0.html#IDToken */
const MAX_SUBJECT = 255;

/** Tells who a signed token is of; `undefined`: it is not to be believed, without saying why. */
export type OidcVerifier = (token: string) => Promise<Identified | undefined>;

/**
 * Verifies bearer tokens of OpenID Connect issuers: signature, `iss`, `aud`, `exp` and `nbf` (60 seconds of tolerance), and
 * grants what the claims are mapped to. Keys of one issuer never speak for another.
 *
 * @throws RegistryError CONFIG; the verifier UNAVAILABLE where the issuer's keys can't be had
 */
export function oidcVerifier(issuers: readonly OidcIssuer[], options: OidcOptions = {}): OidcVerifier {
  const checked = new Map(issuers.map((issuer) => [issuer.issuer, checkIssuer(issuer)]));
  if (checked.size < issuers.length) throw bad("an issuer stands there twice; give it all its audiences in one entry");
  const keys = new Map<string, JWTVerifyGetKey>();
  const now = options.now ?? Date.now;

  return async (token) => {
    const [, payload = ""] = token.split(".", 3);
    const issuer = token.length > MAX_TOKEN ? undefined : checked.get(issuerOf(payload));
    if (issuer === undefined) return undefined;
    const jose = await import("jose");
    let getKey = keys.get(issuer.issuer);
    if (getKey === undefined) {
      const { jwksUri } = issuer;
      getKey = issuerKeys(jose, { ...options, issuer: issuer.issuer, ...(jwksUri === undefined ? {} : { jwksUri }) });
      keys.set(issuer.issuer, getKey);
    }
    let claims: JWTPayload;
    try {
      const verified = await jose.jwtVerify(token, getKey, {
        issuer: issuer.issuer,
        audience: [...([] as string[]).concat(issuer.audience)],
        algorithms: [...(issuer.algorithms ?? DEFAULT_ALGORITHMS)],
        clockTolerance: TOLERANCE,
        requiredClaims: ["exp", "sub"],
        currentDate: new Date(now()),
      });
      claims = verified.payload;
    } catch (error) {
      if (error instanceof RegistryError) throw error;
      return undefined;
    }
    return identify(issuer, claims);
  };
}

function identify(issuer: OidcIssuer, claims: JWTPayload): Identified | undefined {
  const { sub, exp } = claims;
  if (typeof sub !== "string" || sub === "" || sub.length > MAX_SUBJECT || typeof exp !== "number") return undefined;
  const claim = issuer.nameClaim ?? "sub";
  const name = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
  return {
    principal: Object.freeze({
      id: `oidc:${issuer.issuer}#${sub}`,
      name: authorName(typeof name === "string" && name !== "" ? name : sub),
      grants: grantsOf(issuer.map, claims),
    }),
    expiresAt: (exp + TOLERANCE) * 1000,
  };
}

/** Read before anything is verified, only to know whose keys to ask. */
function issuerOf(payload: string): string {
  try {
    const { iss } = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as { iss?: unknown };
    return typeof iss === "string" ? iss : "";
  } catch {
    return "";
  }
}

function checkIssuer(issuer: OidcIssuer): OidcIssuer {
  const { audience, jwksUri, algorithms = [], map, nameClaim = "sub" } = issuer;
  const where = `of issuer ${show(issuer.issuer)}`;
  if (!isSafeUrl(issuer.issuer)) throw bad(`issuer ${show(issuer.issuer)} must be an https: URL`);
  if (jwksUri !== undefined && !isSafeUrl(jwksUri)) throw bad(`jwksUri ${where} must be an https: URL`);
  const audiences = ([] as string[]).concat(audience);
  if (audiences.length === 0 || audiences.includes("")) throw bad(`audience ${where} is empty`);
  for (const algorithm of algorithms)
    if (!OIDC_ALGORITHMS.includes(algorithm)) throw bad(`algorithm ${show(algorithm)} ${where} is not taken`);
  if (map.length === 0) throw bad(`map ${where} is empty, so nobody gets in`);
  for (const rule of map) {
    const names = Object.keys(rule.claims);
    if (names.length === 0) throw bad(`a map ${where} asks for no claim, so everybody there would get in`);
    for (const name of names) if (!isClaimName(name)) throw bad(`a map ${where} asks for ${show(name)}`);
    parseScopes(rule.scopes);
  }
  if (!isClaimName(nameClaim)) throw bad(`nameClaim ${where} is ${show(nameClaim)}`);
  return issuer;
}

function bad(problem: string): RegistryError {
  return new RegistryError("CONFIG", `access.oidc: ${problem}`, { field: "access.oidc" });
}
