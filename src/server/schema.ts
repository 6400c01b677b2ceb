import * as z from "zod";
import { bytes, count, duration } from "../layers/config/values.ts";
import { accessSchema, auditSchema, tokensSchema } from "./access/schema.ts";

const rate = z.strictObject({ rate: z.number().positive(), burst: count.optional() });
const path = z.string().min(1);

const limitsSchema = z.strictObject({
  concurrency: count.optional(),
  queue: count.optional(),
  queueWait: duration.optional(),
  connections: count.optional(),
  streams: count.optional(),
  principalRate: rate.optional(),
  addressRate: rate.optional(),
  headerBytes: bytes.optional(),
  documentBytes: bytes.optional(),
  bodyBytes: bytes.optional(),
  bodiesBytes: bytes.optional(),
  repliesBytes: bytes.optional(),
  headersTimeout: duration.optional(),
  requestTimeout: duration.optional(),
  answerTimeout: duration.optional(),
  keepAliveTimeout: duration.optional(),
  writeTimeout: duration.optional(),
});

/** `server` of the configuration: what `prompt-registry serve` goes by; see docs/server.md. */
export const serverSchema = z.strictObject({
  host: z.string().min(1).optional(),
  port: count.optional(),
  /** Where API tokens are kept. */
  tokens: tokensSchema.optional(),
  /** Where the audit log is kept; `false` for none. */
  audit: auditSchema.optional(),
  access: accessSchema.optional(),
  tls: z.strictObject({ cert: path, key: path }).optional(),
  allowedHosts: z.array(z.string().min(1)).optional(),
  trustedProxies: z.array(z.string().min(1)).optional(),
  metrics: z.strictObject({ host: z.string().min(1).optional(), port: count }).optional(),
  /** Whether the web page is served. */
  web: z.boolean().optional(),
  log: z.enum(["all", "errors", "off"]).optional(),
  limits: limitsSchema.optional(),
  /** How long requests may still take after a signal to stop. */
  drain: duration.optional(),
  /** How often the change feed is looked at. */
  poll: duration.optional(),
});
