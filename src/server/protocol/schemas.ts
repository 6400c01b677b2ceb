/**
 * The shapes of protocol v1. What a server takes is strict where dropping a field that it does not know would be unsafe;
 * what a client reads ignores the fields that it does not know.
 */
import * as z from "zod";
import { MAX_AUTHOR, MAX_MESSAGE, MAX_STORED_BYTES } from "../../document.ts";
import type {
  Capabilities,
  ChangeEvent,
  Head,
  HeadState,
  Health,
  HistoryEntry,
  Page,
  PromptEntry,
  Provenance,
  ReadAnswer,
  ReadAsk,
  RepairPlan,
  RepairReport,
  StoredDocument,
  VersionEntry,
} from "../../driver.ts";
import { isWellFormed } from "../../frontmatter.ts";
import { isLabel, isName, type Label, type PromptName } from "../../names.ts";
import { isVersion, type Version } from "../../semver.ts";
import { list, map } from "./bounded.ts";

const typed = <T>(schema: z.ZodType): z.ZodType<T> => schema as unknown as z.ZodType<T>;

export const name = typed<PromptName>(
  z
    .string()
    .max(200)
    .regex(/^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?(?:\/[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?){0,7}$/)
    .refine(isName, "is not a prompt name")
    .meta({ examples: ["support/triage"] }),
);
export const version = typed<Version>(
  z
    .string()
    .max(64)
    .regex(/^(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)(?:-[0-9a-z-]+(?:\.[0-9a-z-]+)*)?$/)
    .refine(isVersion, "is not an exact version")
    .meta({ examples: ["1.2.0"] }),
);
export const label = typed<Label>(
  z
    .string()
    .max(64)
    .regex(/^[a-z](?:[a-z0-9._-]*[a-z0-9])?$/)
    .refine(isLabel, "is not a label")
    .meta({ examples: ["production"] }),
);
export const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
export const timestamp = z.string().regex(/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z$/);
const note = (max: number) =>
  z
    .string()
    .max(max)
    .refine((text) => !text.includes("\0") && isWellFormed(text), "has NUL or half a surrogate pair");
export const author = note(MAX_AUTHOR);
export const message = note(MAX_MESSAGE);
export const revision = note(500);
export const cursor = z.string().max(2000);
export const commitId = note(200).min(1);
const text = z.string().max(MAX_STORED_BYTES);

const yank = z.strictObject({
  at: timestamp,
  by: author.optional(),
  reason: message.optional(),
  removed: z.literal(true).optional(),
});
const deprecation = z.strictObject({ at: timestamp, by: author.optional(), message });

const headFields = {
  labels: map(label, version),
  pin: version.optional(),
  yanked: map(version, yank),
  deprecated: deprecation.optional(),
  updatedAt: timestamp.optional(),
};
export const nextHead = typed<Omit<Head, "generation">>(z.strictObject(headFields));
/** As it is read: later versions may say more. */
export const head = typed<Head>(
  z.object({
    ...headFields,
    yanked: map(version, z.object(yank.shape)),
    deprecated: z.object(deprecation.shape).optional(),
    generation: z.int().min(0),
  }),
);
export const headState = typed<HeadState>(
  z.object({ head, revision: revision.nullable(), latest: version.optional() }),
);

const ACTIONS = [
  "publish",
  "label",
  "unlabel",
  "rollback",
  "unpin",
  "yank",
  "unyank",
  "deprecate",
  "undeprecate",
  "remove",
  "restore",
] as const;
const entryFields = {
  at: timestamp,
  by: author.optional(),
  action: z.enum(ACTIONS),
  label: label.optional(),
  from: version.optional(),
  to: version.optional(),
  message: message.optional(),
  commit: commitId.optional(),
};
export const entry = typed<HistoryEntry>(z.object(entryFields));
export const newEntry = typed<HistoryEntry>(
  z.strictObject({ ...entryFields, action: z.enum(ACTIONS).exclude(["publish"]) }),
);

export const stored = typed<StoredDocument>(z.object({ name, version, text }));
export const provenance = typed<Provenance>(
  z.object({ source: z.string().max(200), fetchedAt: z.number(), stale: z.boolean() }),
);

const selector = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("version"), version }),
  z.strictObject({ kind: z.literal("label"), label }),
  z.strictObject({ kind: z.literal("latest") }),
  z.strictObject({ kind: z.literal("head") }),
]);
export const ask = typed<ReadAsk>(z.strictObject({ name, selector, known: revision.optional() }));
const answered = { provenance: provenance.optional() };
export const answer = typed<ReadAnswer>(
  z.discriminatedUnion("status", [
    z.object({ status: z.literal("found"), document: stored, head: headState.optional(), revision, ...answered }),
    z.object({ status: z.literal("head"), head: headState, revision, ...answered }),
    z.object({ status: z.literal("removed"), document: stored, head: headState.optional(), revision, ...answered }),
    z.object({ status: z.literal("absent"), head: headState.optional(), ...answered }),
    z.object({ status: z.literal("unchanged"), revision, ...answered }),
  ]),
);
export const MAX_ASKS = 1000;
export const reads = z.strictObject({
  asks: list(ask, MAX_ASKS),
  /** As `Operation.fresh`: only what the store itself says now will do. */
  fresh: z.boolean().optional(),
});
/** `answers` may be fewer than the asks: then the rest is asked again. */
export const readsReply = typed<{ readonly answers: readonly ReadAnswer[] }>(z.object({ answers: z.array(answer) }));

const page = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), cursor: cursor.optional(), provenance: provenance.optional() });
export const promptPage = typed<Page<PromptEntry>>(
  page(z.object({ name, head: headState.optional(), removed: z.literal(true).optional() })),
);
export const versionPage = typed<Page<VersionEntry>>(
  page(z.object({ version, yanked: z.object(yank.shape).optional(), removed: z.literal(true).optional() })),
);
export const historyPage = typed<Page<HistoryEntry>>(page(entry));
export const changePage = typed<Page<ChangeEvent>>(page(z.object({ name })));

/** In each of the lists of one change. */
export const MAX_DOCUMENTS = 2000;
/** A prompt that is copied brings its whole history. */
export const MAX_ENTRIES = 20_000;
const sealed = list(z.strictObject({ version, text }), MAX_DOCUMENTS);
export const change = z.strictObject({
  name,
  add: sealed.optional(),
  guard: revision.nullable().optional(),
  head: z
    .strictObject({ expect: revision.nullable(), next: nextHead, entries: list(newEntry, MAX_ENTRIES) })
    .optional(),
  remove: sealed.optional(),
  restore: sealed.optional(),
});
export const MAX_CHANGES = 500;
/** Labels and yanks, in all heads of one commit together. */
export const MAX_MAP_KEYS = 100_000;
export const commit = z.strictObject({
  id: commitId,
  at: timestamp,
  by: author.optional(),
  message: message.optional(),
  atomic: z.boolean().optional(),
  changes: list(change, MAX_CHANGES),
});
export type WireChange = z.output<typeof change>;
export type WireCommit = z.output<typeof commit>;

export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  outcome: z.enum(["temporary", "unknown", "final"]),
  context: z.record(z.string(), z.unknown()).optional(),
  requestId: z.string().optional(),
});
export const outcome = z.discriminatedUnion("status", [
  z.object({
    status: z.literal("done"),
    head: headState.optional(),
    warnings: z.array(z.string()).optional(),
    /** What stands in the store, index-aligned with `add`, where the server sealed it itself. */
    stored: z.array(stored).optional(),
  }),
  z.object({ status: z.literal("exists"), existing: stored }),
  z.object({ status: z.literal("conflict"), added: z.boolean() }),
  z.object({ status: z.literal("failed"), problem }),
  z.object({ status: z.literal("skipped") }),
]);
export const commitReply = z.object({ outcomes: z.array(outcome) });
export type WireOutcome = z.output<typeof outcome>;

export const capabilities = typed<Capabilities>(
  z.object({
    write: z.boolean(),
    atomicity: z.enum(["batch", "prompt", "document"]),
    listing: z.enum(["indexed", "scan"]),
    search: z.boolean(),
    maxDocumentBytes: z.int().positive(),
    maxBatch: z.int().positive(),
    consistency: z.enum(["linearizable", "session"]),
  }),
);
const right = z.enum(["read", "write", "promote", "import", "admin"]);
export const service = z.object({
  service: z.literal("prompt-registry"),
  protocol: z.literal(1),
  capabilities,
  limits: z.object({ documentBytes: z.int(), bodyBytes: z.int(), asks: z.int(), changes: z.int() }),
  principal: z.object({
    id: z.string(),
    name: z.string(),
    grants: z.array(z.object({ right, prefix: z.string(), labels: z.array(z.string()).optional() })),
  }),
});
export type Service = z.output<typeof service>;
export const discovery = z.object({
  service: z.literal("prompt-registry"),
  protocols: z.array(z.object({ version: z.int(), path: z.string() })),
  openapi: z.string(),
});

const findingKind = z.enum(["temp", "projection", "moved-link", "unsealed", "legacy", "head", "foreign", "corrupt"]);
export const repairPlan = typed<RepairPlan>(
  z.strictObject({
    repair: z.array(findingKind),
    name: name.optional(),
    minTempAge: z.number().min(0).optional(),
    at: timestamp,
    by: author.optional(),
  }),
);
export const finding = z.object({
  kind: findingKind,
  name: name.optional(),
  version: version.optional(),
  label: label.optional(),
  path: z.string().optional(),
  detail: z.string(),
  repaired: z.boolean(),
});
export const repairReport = typed<RepairReport>(z.object({ findings: z.array(finding) }));
export const verifyReport = z.object({
  ok: z.boolean(),
  prompts: z.int(),
  documents: z.int(),
  tombstones: z.int(),
  unsealed: z.int(),
  problems: z.array(finding),
  warnings: z.array(z.string()).optional(),
});
const check = z.object({
  name: z.string(),
  ok: z.boolean(),
  detail: z.string(),
  figures: z.record(z.string(), z.union([z.number(), z.string(), z.null()])).optional(),
});
const healthFields = {
  ok: z.boolean(),
  kind: z.string(),
  location: z.string(),
  latency: z.number(),
  checks: z.array(check),
};
export const health: z.ZodType<Health> = z.lazy(() =>
  typed<Health>(z.object({ ...healthFields, inner: z.array(health).optional() })),
);
