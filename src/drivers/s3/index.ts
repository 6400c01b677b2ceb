import { setMaxListeners } from "node:events";
import type { S3Client } from "@aws-sdk/client-s3";
import type { Capabilities, Operation, StorageDriver } from "../../driver.ts";
import { isRegistryError, RegistryError, throwIfAborted } from "../../errors.ts";
import { unlessAborted } from "../../layers/signal.ts";
import { Archives } from "./archives.ts";
import { checkS3 } from "./check.ts";
import { MAX_DOCUMENT_BYTES, Writing } from "./commit.ts";
import { Documents } from "./documents.ts";
import { Feed } from "./feed.ts";
import { HeadObjects } from "./head-objects.ts";
import { Heads } from "./heads.ts";
import { layout } from "./keys.ts";
import { Lister } from "./listing.ts";
import { openLock } from "./lock.ts";
import { resolveOptions, type S3Options } from "./options.ts";
import { prove } from "./probe.ts";
import { Projector } from "./projector.ts";
import { Reader } from "./reading.ts";
import { repair } from "./repair.ts";
import { createClient, loadSdk } from "./sdk.ts";
import { Slots } from "./slots.ts";
import { S3Store } from "./store.ts";

export type { ConditionalWrites, S3Credentials, S3Options } from "./options.ts";

export interface S3Native {
  /** The client of the AWS SDK. */
  readonly client: S3Client;
  readonly bucket: string;
  /** `""`, or ends with a slash. */
  readonly prefix: string;
  /** How many requests were made so far. */
  readonly calls: () => number;
  /** Until every `latest.json` that is written behind the callers' backs is there, or has failed. */
  readonly settled: () => Promise<void>;
}

const MAX_BATCH = 1000;

/**
 * A bucket of S3, or of a store that speaks its protocol and keeps its conditions. Any number of processes may write it,
 * without a server: documents are created only where there is none, heads replaced only where they are what was read.
 * Needs `@aws-sdk/client-s3`, which is loaded here.
 *
 * @throws RegistryError CONFIG
 * @example
 * const registry = new PromptRegistry(await s3({ bucket: "prompts", prefix: "team", region: "eu-central-1" }));
 * @example
 * await s3({ bucket: "prompts", endpoint: "https://storage.example", credentials: { accessKeyId, secretAccessKey } });
 */
export async function s3(options: S3Options): Promise<StorageDriver<S3Native>> {
  const resolved = resolveOptions(options);
  const { location, readOnly, bucket } = resolved;
  const sdk = await loadSdk();
  const client = await createClient(sdk, resolved);
  const store = new S3Store(sdk, client, resolved);
  const keys = layout(resolved.prefix);
  const documents = new Documents(store, keys);
  const archives = new Archives(store, keys);
  const projector = new Projector(store, keys);
  const slots = new Slots(store, keys, documents);
  const heads = new Heads(store, keys, new HeadObjects(store, keys, documents, projector), documents, slots, archives);
  const reader = new Reader(documents, heads);
  const lister = new Lister(store, keys, documents, heads, archives);
  const feed = new Feed(store, keys);
  const lock = await openLock(resolved);
  const capabilities: Capabilities = Object.freeze({
    write: !readOnly,
    atomicity: "document",
    listing: "indexed",
    search: false,
    maxDocumentBytes: MAX_DOCUMENT_BYTES,
    maxBatch: MAX_BATCH,
    consistency: "linearizable",
  });
  let proven: Promise<void> | undefined;
  let closed = false;

  function enter(op: Operation | undefined, operation: string): void {
    if (closed) throw new RegistryError("ABORTED", "the S3 storage is closed", { backend: "s3", operation });
    throwIfAborted(op?.signal, operation);
    // A call may make a thousand requests, each of which listens.
    if (op?.signal !== undefined) setMaxListeners(0, op.signal);
  }

  /** One proof for all writers of this handle; a proof that could not be made is tried again by the next. */
  async function ready(op: Operation | undefined): Promise<void> {
    proven ??= prove(store, keys).catch((error: unknown) => {
      proven = undefined;
      throw isRegistryError(error) && error.outcome === "unknown" ? asTemporary(error) : error;
    });
    await unlessAborted(proven, op?.signal, "commit");
  }

  function readOnlyError(): RegistryError {
    return new RegistryError("READ_ONLY", `${location} was opened for reading only`, { backend: "s3", location });
  }

  return {
    kind: "s3",
    location,
    capabilities,
    native: Object.freeze({
      ...{ client, bucket, prefix: keys.root },
      ...{ calls: () => store.calls, settled: () => projector.settle() },
    }),
    // Only the store knows what is true now.
    peek: () => undefined,
    async read(asks, op) {
      enter(op, "read");
      return await Promise.all(asks.map((ask) => reader.answer(ask, op)));
    },
    async listPrompts(query, op) {
      enter(op, "listPrompts");
      if (query.text !== undefined) {
        throw new RegistryError(
          "UNSUPPORTED",
          "S3 can't search; put a SQL storage next to it (mirror) and search there",
          {
            ...{ backend: "s3", location },
          },
        );
      }
      return await lister.prompts(query, op);
    },
    async listVersions(name, query, op) {
      enter(op, "listVersions");
      return await lister.versions(name, query, op);
    },
    async history(name, query, op) {
      enter(op, "history");
      return await lister.history(name, query, op);
    },
    async changes(query, op) {
      enter(op, "changes");
      return await feed.changes(query, op);
    },
    async commit(commit, op) {
      enter(op, "commit");
      if (readOnly) throw readOnlyError();
      const { length } = commit.changes;
      if (length > MAX_BATCH) {
        throw new RegistryError("INVALID", `${length} changes in one commit; at most ${MAX_BATCH}`, { backend: "s3" });
      }
      if (commit.atomic === true && length > 1) {
        throw new RegistryError("UNSUPPORTED", "S3 can't change several prompts at once, all or nothing", {
          backend: "s3",
        });
      }
      if (length === 0) return [];
      await ready(op);
      const parts = { documents, heads, slots };
      try {
        return await lock.run(op, (held) =>
          Promise.all(commit.changes.map((change) => new Writing(parts, commit, change, held).run())),
        );
      } finally {
        feed.wake();
      }
    },
    async repair(plan, op) {
      enter(op, "repair");
      if (readOnly && plan.repair.length > 0) throw readOnlyError();
      const parts = { store, keys, documents, heads, projector };
      if (plan.repair.length === 0) return await repair(parts, plan, op);
      await ready(op);
      return await lock.run(op, (held) => repair(parts, plan, held)).finally(() => feed.wake());
    },
    async check(op) {
      throwIfAborted(op?.signal, "check");
      const started = performance.now();
      const checks = closed
        ? [{ name: "open", ok: false, detail: "closed" }]
        : await checkS3(store, keys, projector, op);
      const latency = performance.now() - started;
      return { ok: checks.every((one) => one.ok), kind: "s3", location, latency, checks };
    },
    async close() {
      if (closed) return;
      closed = true;
      await projector.settle();
      store.close();
      await lock.close();
    },
  } satisfies StorageDriver<S3Native>;
}

/** Of what comes before a commit: whatever the probe did, the commit has not begun. */
function asTemporary(error: RegistryError): RegistryError {
  return new RegistryError(error.code, error.message, { ...error.context, outcome: "temporary", cause: error.cause });
}
