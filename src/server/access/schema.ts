import * as z from "zod";
import { location } from "../../layers/config/values.ts";
import { parseLocation } from "../../location.ts";
import { parseLabel } from "../../names.ts";
import { isCidr } from "./cidr.ts";
import { isClaimName, OIDC_ALGORITHMS } from "./claims.ts";
import { parseScope } from "./grants.ts";

const path = z.string().min(1);

/** `file:./tokens.jsonl`, `sqlite:./registry.db` or `postgres://host/database`, taken apart. */
const place = location((text): unknown => parseLocation(text)).pipe(
  z.discriminatedUnion(
    "backend",
    [
      z.strictObject({ backend: z.literal("file"), path }),
      z.strictObject({ backend: z.literal("sqlite"), path }),
      z.strictObject({ backend: z.literal("postgres"), url: z.string() }),
    ],
    "must be file:…, sqlite:… or postgres:…",
  ),
);

/** The server's `tokens`: where API tokens are kept. */
export const tokensSchema = place;

/** The server's `audit`: where the audit log is kept; `false` for none. */
export const auditSchema = z.union([z.literal(false), place]);

/** A text that a parser of ours takes, and that stays a text. */
function parsed(parse: (text: string) => unknown) {
  return location((text): string => {
    parse(text);
    return text;
  });
}

export const scopeSchema = parsed(parseScope);

const claimValue = z.union([z.string(), z.number(), z.boolean()]);

const issuerSchema = z.strictObject({
  /** Exactly as it stands in `iss`. */
  issuer: z.url({ protocol: /^https?$/ }),
  /** Whom the tokens must be for: one of these must stand in `aud`. */
  audience: z.union([
    z
      .string()
      .min(1)
      .transform((one) => [one]),
    z.array(z.string().min(1)).min(1),
  ]),
  /** Default: by discovery at the issuer. */
  jwksUri: z.url({ protocol: /^https?$/ }).optional(),
  algorithms: z.array(z.enum(OIDC_ALGORITHMS)).min(1).optional(),
  /** Each entry whose claims all hold grants its scopes. A list of values means: any of them. */
  map: z
    .array(
      z.strictObject({
        claims: z
          .record(
            z.string().refine(isClaimName, "is no claim that can be asked for"),
            z.union([claimValue, z.array(claimValue).min(1)]),
          )
          .refine((claims) => Object.keys(claims).length > 0, "must name at least one claim"),
        scopes: z.array(scopeSchema).min(1),
      }),
    )
    .min(1),
  /** The claim that names the author of changes. Default `sub`. */
  nameClaim: z.string().refine(isClaimName, "is no claim that can be asked for").optional(),
});

/** The server's `access`: who else gets in, and what is protected. */
export const accessSchema = z.strictObject({
  /** What callers without credentials may do: only `read`, `read:PREFIX`. Default: nothing. */
  anonymous: z
    .array(scopeSchema.refine((scope) => /^read(?::|$)/.test(scope), "can only be read or read:PREFIX"))
    .optional(),
  /** Moved only by a `promote` scope that names them, or by `admin`. Default: none. */
  protectedLabels: z.array(parsed(parseLabel)).optional(),
  oidc: z
    .array(issuerSchema)
    .refine(
      (list) => new Set(list.map((one) => one.issuer)).size === list.length,
      "names an issuer twice; give it all its audiences in one entry",
    )
    .optional(),
});

export const cidrSchema = z.string().refine(isCidr, "is no network like 10.0.0.0/8 or 2001:db8::/32");
