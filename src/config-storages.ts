import * as z from "zod";
import type { Defined } from "./defined.ts";
import { bytes, count, duration, location } from "./layers/config/values.ts";
import { parseLocation } from "./location.ts";

const memorySchema = z.strictObject({ backend: z.literal("memory") });

const fileSchema = z.strictObject({
  backend: z.literal("file"),
  /** The folder; `prompts/` lies below it. */
  path: z.string().min(1),
  /** Folder of the prompts below `path`. */
  dir: z
    .string()
    .regex(/^[A-Za-z0-9._-]+$/)
    .optional(),
  /** `embedded` reads one small file synchronously; `server` never blocks. */
  mode: z.enum(["embedded", "server"]).optional(),
  links: z.enum(["auto", "symlink", "text"]).optional(),
});

const sqliteSchema = z.strictObject({
  backend: z.literal("sqlite"),
  /** The database file. */
  path: z.string().min(1),
  /** How long to wait while another process writes. */
  busyTimeout: duration.optional(),
  module: z.enum(["node:sqlite", "libsql"]).optional(),
  readOnly: z.stringbool().or(z.boolean()).optional(),
  /** Of answers that are kept in memory. */
  cacheBytes: bytes.optional(),
});

const postgresSchema = z.strictObject({
  backend: z.literal("postgres"),
  /** `postgres://user@host/database`; a password may also come from `PGPASSWORD`. */
  url: z
    .string()
    .trim()
    .regex(/^postgres(?:ql)?:/i, "must start with postgres://")
    .transform((url) => url.replace(/^[^:]*/, (scheme) => scheme.toLowerCase()))
    .optional(),
  host: z.string().min(1).optional(),
  port: count.optional(),
  database: z.string().min(1).optional(),
  user: z.string().min(1).optional(),
  password: z.string().min(1).optional(),
  ssl: z.boolean().optional(),
  pool: z
    .strictObject({ max: count.optional(), idleTimeout: duration.optional(), connectTimeout: duration.optional() })
    .optional(),
  /** Where the tables are. */
  schema: z
    .string()
    .regex(/^[a-z_][a-z0-9_]{0,62}$/)
    .optional(),
  statementTimeout: duration.optional(),
  applicationName: z.string().min(1).max(63).optional(),
  notify: z.boolean().optional(),
  prepare: z.boolean().optional(),
  feed: z.enum(["snapshot", "lock"]).optional(),
});

const snapshotSchema = z.strictObject({
  backend: z.literal("snapshot"),
  /** A file that `prompt-registry snapshot` wrote. */
  path: z.string().min(1),
});

const httpSchema = z.strictObject({
  backend: z.literal("http"),
  /** Where a prompt-registry server answers. */
  url: z.string().trim().min(1),
  /** Default: `PROMPT_REGISTRY_TOKEN` where it is for that origin, else what was stored for the server. */
  token: z.string().min(1).optional(),
});

const githubSchema = z.strictObject({
  backend: z.literal("github"),
  owner: z.string().min(1).max(100),
  repo: z.string().min(1).max(100),
  /** Folder in the repository; `prompts/` lies below it. */
  path: z.string().optional(),
  dir: z.string().optional(),
  /** Else the default branch. */
  branch: z.string().min(1).optional(),
  /** Else `app`, `GITHUB_TOKEN`, `GH_TOKEN`, or what `login github` stored. */
  token: z.string().min(1).optional(),
  app: z
    .strictObject({
      id: z.union([z.int().positive(), z.string().min(1)]),
      privateKey: z.string().min(1).optional(),
      privateKeyFile: z.string().min(1).optional(),
      installationId: z.union([z.int().positive(), z.string().regex(/^\d+$/, "must be a number")]).optional(),
    })
    .optional(),
  clientId: z.string().min(1).optional(),
  /** Labels that move by pull request only. */
  protectedLabels: z.union([z.array(z.string().min(1)), z.string().transform((text) => text.split(","))]).optional(),
  /** Of GitHub Enterprise: `https://github.example/api/v3`. */
  baseUrl: z.url().optional(),
  graphql: z.enum(["auto", "on", "off"]).optional(),
  writes: z.enum(["git", "graphql"]).optional(),
  links: z.enum(["symlink", "text", "none"]).optional(),
  /** Makes the branch, the first commit or the repository where they are missing. */
  create: z.stringbool().or(z.boolean()).optional(),
  committer: z.strictObject({ name: z.string().min(1), email: z.string().min(3) }).optional(),
  /** Between two commits of this process. */
  spacing: duration.optional(),
  cacheBytes: bytes.optional(),
  /** A folder for texts between runs. */
  disk: z.string().min(1).optional(),
  documentMaxAge: duration.optional(),
  maxLag: duration.optional(),
  timeout: duration.optional(),
});

const flag = z.stringbool().or(z.boolean());

const s3Schema = z.strictObject({
  backend: z.literal("s3"),
  bucket: z.string().min(1),
  /** Keys start with it. */
  prefix: z.string().optional(),
  region: z.string().min(1).optional(),
  /** Of a compatible store: `https://storage.example`. */
  endpoint: z.string().min(1).optional(),
  forcePathStyle: flag.optional(),
  /** Else what the AWS SDK finds: environment, profiles, SSO, web identity, container, instance. */
  credentials: z
    .strictObject({
      accessKeyId: z.string().min(1),
      secretAccessKey: z.string().min(1),
      sessionToken: z.string().min(1).optional(),
    })
    .optional(),
  profile: z.string().min(1).optional(),
  /** A role to take before anything else. */
  roleArn: z.string().min(1).optional(),
  externalId: z.string().min(1).optional(),
  roleSessionName: z.string().min(1).optional(),
  webIdentityTokenFile: z.string().min(1).optional(),
  /** Account that must own the bucket. */
  expectedBucketOwner: z
    .string()
    .regex(/^\d{12}$/, "must be an account of 12 digits")
    .optional(),
  requestPayer: flag.optional(),
  encryption: z.enum(["AES256", "aws:kms", "aws:kms:dsse"]).optional(),
  kmsKeyId: z.string().min(1).optional(),
  bucketKey: flag.optional(),
  storageClass: z.string().min(1).optional(),
  /** How writers are kept apart: `required`, `single-writer`, or a lock in a database (in a location: `lock:sqlite:./f`). */
  conditionalWrites: z
    .union([
      z.enum(["required", "single-writer"]),
      z.strictObject({ lock: z.string().min(1) }),
      z
        .string()
        .startsWith("lock:", "must be required, single-writer or lock:<database>")
        .transform((text) => ({ lock: text.slice("lock:".length) })),
    ])
    .optional(),
  latestJson: flag.optional(),
  concurrency: count.optional(),
  requestTimeout: duration.optional(),
  feedInterval: duration.optional(),
  connectTimeout: duration.optional(),
  readOnly: flag.optional(),
});

/** One storage: a backend with its options. */
export const storageSchema = z.discriminatedUnion("backend", [
  memorySchema,
  fileSchema,
  sqliteSchema,
  postgresSchema,
  snapshotSchema,
  httpSchema,
  githubSchema,
  s3Schema,
]);

/** A location or the same in parts; a location is taken apart here, so that its options are checked like all others. */
export const place = z.union([location((text): unknown => parseLocation(text)).pipe(storageSchema), storageSchema]);

export type StorageConfig = Defined<z.output<typeof storageSchema>>;
