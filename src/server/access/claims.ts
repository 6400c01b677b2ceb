import type { Grant } from "../types.ts";
import { parseScopes } from "./grants.ts";

/** Only such whose key can be shown to the world. A secret shared with the issuer (`HS256`) would be no proof of anything. */
export const OIDC_ALGORITHMS = [
  ...(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] as const),
  ...(["ES256", "ES384", "ES512", "EdDSA", "Ed25519"] as const),
] as const;

export type OidcAlgorithm = (typeof OIDC_ALGORITHMS)[number];

export const DEFAULT_ALGORITHMS: readonly OidcAlgorithm[] = ["RS256", "ES256", "EdDSA"];

export type ClaimValue = string | number | boolean;

/** Claims that must all hold, and what is granted then. */
export interface ClaimRule {
  /** A list of values means any of them. A claim that is a list holds when one of its members does. */
  readonly claims: Readonly<Record<string, ClaimValue | readonly ClaimValue[]>>;
  readonly scopes: readonly string[];
}

export function isClaimName(name: string): boolean {
  return name !== "" && name.length <= 200 && name !== "__proto__";
}

/** Values are compared whole and by type; there are no patterns, which let in more than was meant sooner or later. */
function holds(wanted: ClaimValue | readonly ClaimValue[], found: unknown): boolean {
  const any = Array.isArray(wanted) ? (wanted as readonly ClaimValue[]) : [wanted as ClaimValue];
  const values: readonly unknown[] = Array.isArray(found) ? found : [found];
  return any.some((value) => values.includes(value));
}

/** What the rules grant to these claims. Without any condition a rule grants nothing. */
export function grantsOf(rules: readonly ClaimRule[], claims: Readonly<Record<string, unknown>>): readonly Grant[] {
  const scopes = rules.flatMap((rule) => {
    const wanted = Object.entries(rule.claims);
    const all = wanted.every(([name, value]) => Object.hasOwn(claims, name) && holds(value, claims[name]));
    return wanted.length > 0 && all ? rule.scopes : [];
  });
  return parseScopes(scopes);
}
