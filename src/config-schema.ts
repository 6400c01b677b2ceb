import * as z from "zod";
import { place, type StorageConfig, storageSchema } from "./config-storages.ts";
import type { Defined } from "./defined.ts";
import { RegistryError } from "./errors.ts";
import { bytes, count, duration, selector } from "./layers/config/values.ts";
import { POLICY_RULES, type PolicyRule, type Severity } from "./policy/types.ts";
import { serverSchema } from "./server/schema.ts";

const cacheSchema = z.strictObject({
  ttl: duration.optional(),
  staleWhileRevalidate: duration.optional(),
  staleIfError: duration.optional(),
  documentMaxAge: duration.optional(),
  negativeTtl: duration.optional(),
  maxBytes: bytes.optional(),
  poll: duration.optional(),
  disk: z
    .union([
      z
        .string()
        .min(1)
        .transform((path) => ({ path })),
      z.strictObject({ path: z.string().min(1), maxBytes: bytes.optional() }),
    ])
    .optional(),
  preload: z.array(selector).optional(),
});

const policySchema = z.strictObject({
  /** Other severities than the defaults. */
  rules: z.partialRecord(z.enum(POLICY_RULES), z.enum(["block", "warn", "info", "off"])).optional(),
  /** Front matter keys that must be there. */
  required: z.array(z.string().min(1).max(200)).optional(),
  maxBytes: bytes.optional(),
});

const configSchema = z.strictObject({
  /** A location (`file:./dir`) or a backend with its options. */
  storage: place.optional(),
  /** Who is named as author of changes when a call names nobody. */
  author: z.string().min(1).max(200).optional(),
  cache: z.union([z.boolean(), cacheSchema]).optional(),
  /** Asked in this order while the storage can't be. */
  fallback: z.array(place).optional(),
  retry: z
    .union([
      z.boolean(),
      z.strictObject({
        attempts: count.optional(),
        baseDelay: duration.optional(),
        maxDelay: duration.optional(),
        budget: count.optional(),
      }),
    ])
    .optional(),
  /** Of each attempt; or `attempt` and `call`, which is the whole. */
  timeout: z
    .union([
      z.literal(false),
      duration.transform((attempt) => ({ attempt })),
      z.strictObject({ attempt: duration.optional(), call: duration.optional() }),
    ])
    .optional(),
  circuit: z
    .union([
      z.boolean(),
      z.strictObject({
        failures: count.optional(),
        cooldown: duration.optional(),
        maxCooldown: duration.optional(),
      }),
    ])
    .optional(),
  /** How many calls at once; or all its options. */
  limit: z
    .union([
      count.transform((concurrency) => ({ concurrency })),
      z.strictObject({
        concurrency: count.optional(),
        rate: z.number().positive().optional(),
        burst: count.optional(),
        queue: count.optional(),
      }),
    ])
    .optional(),
  readonly: z.boolean().optional(),
  /** Only prompts whose names start so. */
  prefix: z
    .string()
    .regex(/^[a-z0-9._/-]{1,200}$/, "can't start a name")
    .optional(),
  /** A second storage that is kept equal. */
  mirror: z
    .union([
      place.transform((to) => ({ to })),
      z.strictObject({ to: place, cursor: z.string().min(1).optional(), poll: duration.optional() }),
    ])
    .optional(),
  /** The first pattern that matches a name says where its prompt lies; the others lie in `storage`. */
  route: z
    .array(
      z.strictObject({
        names: z.string().regex(/^[a-z0-9._/*-]{1,200}$/, "must be like support/* or support/**"),
        storage: place,
      }),
    )
    .optional(),
  /** Spans through `@opentelemetry/api`. */
  trace: z.boolean().optional(),
  /** What may be published; `true`: the defaults. */
  policy: z.union([z.boolean(), policySchema]).optional(),
  /** What `prompt-registry serve` goes by; see docs/server.md. */
  server: serverSchema.optional(),
});

/** A configuration that was checked: durations in milliseconds, locations taken apart. */
export type CheckedConfig = Defined<z.output<typeof configSchema>>;

/** Milliseconds, or a number with a unit: `"500ms"`, `"60s"`, `"5m"`, `"1h"`, `"7d"`. */
export type Duration = number | string;
/** Bytes, or a number with a unit: `"64MB"`. */
export type Size = number | string;
/** `file:./dir` and the like, or a backend with its options. */
export type Place = string | StorageConfig;

export interface CacheConfig {
  readonly ttl?: Duration | undefined;
  readonly staleWhileRevalidate?: Duration | undefined;
  readonly staleIfError?: Duration | undefined;
  readonly documentMaxAge?: Duration | undefined;
  readonly negativeTtl?: Duration | undefined;
  readonly maxBytes?: Size | undefined;
  readonly poll?: Duration | undefined;
  /** A folder for the second tier. */
  readonly disk?: string | { readonly path: string; readonly maxBytes?: Size | undefined } | undefined;
  /** Read at start: `["support/triage@production"]`. */
  readonly preload?: readonly string[] | undefined;
}

/** What may be published; see docs/policy.md. */
export interface PolicyConfig {
  readonly rules?: { readonly [R in PolicyRule]?: Severity | "off" | undefined } | undefined;
  readonly required?: readonly string[] | undefined;
  readonly maxBytes?: Size | undefined;
}

/** What may be passed, and stands in a file; see docs/layers.md for what each layer does. */
export interface RegistryConfig {
  readonly storage?: Place | undefined;
  readonly author?: string | undefined;
  readonly cache?: boolean | CacheConfig | undefined;
  readonly fallback?: readonly Place[] | undefined;
  readonly retry?:
    | boolean
    | {
        readonly attempts?: number | undefined;
        readonly baseDelay?: Duration | undefined;
        readonly maxDelay?: Duration | undefined;
        readonly budget?: number | undefined;
      }
    | undefined;
  readonly timeout?:
    | false
    | Duration
    | { readonly attempt?: Duration | undefined; readonly call?: Duration | undefined }
    | undefined;
  readonly circuit?:
    | boolean
    | {
        readonly failures?: number | undefined;
        readonly cooldown?: Duration | undefined;
        readonly maxCooldown?: Duration | undefined;
      }
    | undefined;
  readonly limit?:
    | number
    | {
        readonly concurrency?: number | undefined;
        readonly rate?: number | undefined;
        readonly burst?: number | undefined;
        readonly queue?: number | undefined;
      }
    | undefined;
  readonly readonly?: boolean | undefined;
  readonly prefix?: string | undefined;
  readonly mirror?:
    | Place
    | { readonly to: Place; readonly cursor?: string | undefined; readonly poll?: Duration | undefined }
    | undefined;
  readonly route?: readonly { readonly names: string; readonly storage: Place }[] | undefined;
  readonly trace?: boolean | undefined;
  readonly policy?: boolean | PolicyConfig | undefined;
  /** What `prompt-registry serve` goes by; see docs/server.md. */
  readonly server?: z.input<typeof serverSchema> | undefined;
}

export type ConfigProblems = readonly string[];

export function checkStorage(value: unknown): StorageConfig {
  return checked(storageSchema.safeParse(value), "storage") as StorageConfig;
}

export function checkConfig(value: unknown): CheckedConfig {
  return checked(configSchema.safeParse(value), "") as CheckedConfig;
}

function checked<T>(result: z.ZodSafeParseResult<T>, path: string): T {
  if (result.success) return result.data;
  const issues = result.error.issues.flatMap((issue) => problems(issue, path === "" ? [] : [path]));
  const field = issues[0]?.split(":", 1)[0];
  throw new RegistryError("CONFIG", `the configuration is wrong: ${issues.join("; ")}`, {
    issues,
    ...(field === undefined ? {} : { field }),
  });
}

function problems(issue: z.core.$ZodIssue, before: readonly PropertyKey[]): string[] {
  const path = [...before, ...issue.path];
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    // The branch with the fewest problems is the one that was meant.
    const [best] = [...issue.errors].sort((a, b) => depth(b) - depth(a));
    return (best ?? []).flatMap((inner) => problems(inner, path));
  }
  return [`${path.map(String).join(".") || "configuration"}: ${issue.message}`];
}

/** Problems deeper inside a value mean that the value's own kind was right. */
function depth(issues: readonly z.core.$ZodIssue[]): number {
  const meant = (i: z.core.$ZodIssue) => i.code === "unrecognized_keys" || i.code === "custom";
  return Math.max(0, ...issues.map((i) => (meant(i) ? 1 : i.path.length)));
}
