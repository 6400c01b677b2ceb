import { createHash } from "node:crypto";
import type { Digest } from "../document.ts";
import type { Deprecation, HistoryEntry, StorageDriver, Timestamp, Yank } from "../driver.ts";
import { EMPTY_HEAD } from "../driver.ts";
import { headToJson } from "../head.ts";
import { type Label, type PromptName, parsePrefix } from "../names.ts";
import type { Version } from "../semver.ts";
import { mapOrdered } from "./flow.ts";
import { freshly } from "./fresh.ts";
import { listNames } from "./names.ts";
import { type PromptState, readState } from "./state.ts";

export interface ManifestVersion {
  readonly version: Version;
  readonly digest: Digest;
  /** SHA-256 of the stored bytes, spelled like a digest; of the canonical seal for a document without seal. */
  readonly bytes: Digest;
  /** Where it was removed: the digest of what stood there. The others are then those of the tombstone. */
  readonly removed?: Digest;
}

/** What is compared of a prompt; see {@link manifestLine}. The generation of a head counts the writes of one storage. */
export interface PromptManifest {
  readonly name: PromptName;
  /** Ascending by precedence. */
  readonly versions: readonly ManifestVersion[];
  /** Versions that can't be read whole; a prompt with any is equal to no other. */
  readonly damaged: readonly Version[];
  readonly labels: Readonly<Record<Label, Version>>;
  readonly pin?: Version;
  readonly yanked: Readonly<Record<Version, Yank>>;
  readonly deprecated?: Deprecation;
  readonly updatedAt?: Timestamp;
  /** Head entries, oldest first. `publish` entries are in the documents. */
  readonly entries: readonly HistoryEntry[];
}

export interface ManifestOptions {
  /** Only names that start with this. */
  readonly prefix?: string | undefined;
  /** Only these, in this order; may name prompts that are not there. */
  readonly names?: Iterable<PromptName> | AsyncIterable<PromptName> | undefined;
  /** Prompts read at a time. Default 16. */
  readonly concurrency?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The manifest of a storage, prompt by prompt, in byte order of the names; removed prompts too. Reads every byte.
 *
 * @throws RegistryError what the storage has to say; damaged versions are in `damaged` and throw nothing
 * @example
 * for await (const prompt of manifestOf(driver)) process.stdout.write(`${manifestLine(prompt)}\n`);
 */
export async function* manifestOf(
  storage: StorageDriver,
  options: ManifestOptions = {},
): AsyncGenerator<PromptManifest, void, undefined> {
  const driver = freshly(storage);
  const op = options.signal === undefined ? {} : { signal: options.signal };
  const prefix = options.prefix === undefined ? undefined : parsePrefix(options.prefix);
  const names = options.names ?? listNames(driver, { prefix, op });
  yield* mapOrdered(names, options.concurrency ?? 16, async (name) =>
    manifestOfState(await readState(driver, name, { op })),
  );
}

export function manifestOfState(state: PromptState): PromptManifest {
  const { name, slots, damaged, head, entries } = state;
  const { labels, pin, yanked, deprecated, updatedAt } = head;
  return {
    name,
    versions: [...slots.values()].map(({ version, digest, bytes, removed }) => ({
      version,
      digest,
      bytes,
      ...(removed === undefined ? {} : { removed }),
    })),
    damaged: damaged.map((d) => d.version),
    labels,
    ...(pin === undefined ? {} : { pin }),
    yanked,
    ...(deprecated === undefined ? {} : { deprecated }),
    ...(updatedAt === undefined ? {} : { updatedAt }),
    entries,
  };
}

/**
 * Entries by their time, those of one instant by their commit. Two registries may have written at the same time, and each
 * keeps what came from the other behind its own: no order of writing is the same on both sides.
 */
export function inOrder(entries: readonly HistoryEntry[]): HistoryEntry[] {
  const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return [...entries].sort((a, b) => order(a.at, b.at) || order(a.commit ?? "", b.commit ?? ""));
}

/** A head and its entries as JSON in one fixed order of fields, without what differs between storages. */
export function headJson(name: PromptName, head: PromptState["head"], entries: readonly HistoryEntry[]): string {
  const {
    format: _f,
    name: _n,
    generation: _g,
    ...rest
  } = headToJson({
    name,
    head: { ...EMPTY_HEAD, ...head },
    history: inOrder(entries),
  });
  return JSON.stringify(rest);
}

/**
 * A manifest as one line of JSON, the same for equal prompts. Of a removed version it has the digest of what was removed,
 * and not the tombstone: two sides that removed the same each keep their own.
 *
 * @example
 * manifestLine(a) === manifestLine(b); // the two copies are equal
 */
export function manifestLine(manifest: PromptManifest): string {
  const { name, versions, damaged, entries, labels, pin, yanked, deprecated, updatedAt } = manifest;
  const head = {
    labels,
    yanked,
    ...(pin === undefined ? {} : { pin }),
    ...(deprecated === undefined ? {} : { deprecated }),
    ...(updatedAt === undefined ? {} : { updatedAt }),
  };
  const slots = versions.map(({ version, digest, bytes, removed }) =>
    removed === undefined ? [version, digest, bytes, "stored"] : [version, removed, "removed"],
  );
  return JSON.stringify({ name, versions: slots, damaged, head: JSON.parse(headJson(name, head, entries)) });
}

export interface ManifestCounts {
  readonly prompts: number;
  readonly documents: number;
  readonly tombstones: number;
  readonly damaged: number;
  /** Head entries. */
  readonly entries: number;
}

/** SHA-256 of all manifest lines, each ended by LF; equal for equal storages. */
export interface ManifestHash extends ManifestCounts {
  /** 64 hex digits. */
  readonly sha256: string;
}

/**
 * Hashes a manifest without holding it.
 *
 * @example
 * const { sha256, prompts } = await hashManifest(manifestOf(driver));
 */
export async function hashManifest(manifest: AsyncIterable<PromptManifest>): Promise<ManifestHash> {
  const hash = createHash("sha256");
  const counts = { prompts: 0, documents: 0, tombstones: 0, damaged: 0, entries: 0 };
  for await (const prompt of manifest) {
    hash.update(`${manifestLine(prompt)}\n`);
    addCounts(counts, prompt);
  }
  return { sha256: hash.digest("hex"), ...counts };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export function addCounts(counts: Writable<ManifestCounts>, prompt: PromptManifest): void {
  counts.prompts++;
  for (const { removed } of prompt.versions) {
    if (removed === undefined) counts.documents++;
    else counts.tombstones++;
  }
  counts.damaged += prompt.damaged.length;
  counts.entries += prompt.entries.length;
}
