import type { SealedDocument } from "../../document.ts";
import type { StorageDriver } from "../../driver.ts";
import { RegistryError, throwIfAborted } from "../../errors.ts";
import { compareNames, parsePrefix } from "../../names.ts";
import { compareVersions, type Version } from "../../semver.ts";
import { applyPrompt, Committer } from "../apply.ts";
import { changes, DEFAULT_CONCURRENCY, guarded, operationOf, requireWritable, type TransferOptions } from "../copy.ts";
import { forEachOf } from "../flow.ts";
import { freshly } from "../fresh.ts";
import { type ManifestOptions, manifestOf, manifestOfState, type PromptManifest } from "../manifest.ts";
import { Tally, type TransferReport } from "../report.ts";
import { openSlot, type PromptState, readState, type Slot, slotOf } from "../state.ts";
import { compareManifests } from "../verify.ts";
import { type ArchiveLimits, corruptArchive, type PromptRecord, type Trailer } from "./format.ts";
import { type ArchiveInput, archiveFile, readRecords } from "./read.ts";

export interface RestoreOptions extends Omit<TransferOptions, "names"> {
  readonly limits?: ArchiveLimits | undefined;
  /** Read and check the whole archive before the first write. Default `true`. */
  readonly check?: boolean | undefined;
}

/** UTF-8 bytes of a prompt that waits in memory. */
const KEEP = 2 * 2 ** 20;

interface ArchivedPrompt {
  readonly record: PromptRecord;
  /** Every text, in order, verified; must be taken to its end before the next prompt. */
  readonly texts: AsyncIterable<{ readonly slot: Slot; readonly document: SealedDocument }>;
}

/** The prompts of an archive, checked against everything that it says about itself. */
async function* promptsOf(
  input: ArchiveInput,
  limits: ArchiveLimits | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<ArchivedPrompt, Trailer, undefined> {
  const records = readRecords(input, limits, signal);
  const counts = { prompts: 0, documents: 0, tombstones: 0, entries: 0 };
  let previous: PromptRecord | undefined;
  try {
    for (let next = await records.next(); next.done !== true; next = await records.next()) {
      const { record, line } = next.value;
      if (record.kind === "text") throw corruptArchive(line, `a text of ${record.name} without its prompt`);
      if (record.kind === "end") {
        for (const key of ["prompts", "documents", "tombstones", "entries"] as const) {
          if (record.trailer[key] !== counts[key]) {
            throw corruptArchive(line, `it tells of ${record.trailer[key]} ${key}; there are ${counts[key]}`);
          }
        }
        // Whatever follows the last line, and a stream that breaks off in its checksum, is found here.
        if ((await records.next()).done !== true) throw corruptArchive(line + 1, "something follows the last line");
        return record.trailer;
      }
      const { prompt } = record;
      checkOrder(prompt, previous, line);
      previous = prompt;
      counts.prompts++;
      counts.entries += prompt.entries.length;
      for (const { removed } of prompt.slots) counts[removed === undefined ? "documents" : "tombstones"]++;
      let taken = 0;
      const texts = async function* () {
        for (const wanted of prompt.slots) {
          const { value } = await records.next();
          if (value === undefined || value.record.kind !== "text") {
            throw corruptArchive(value?.line ?? line, `${prompt.name}@${wanted.version} is missing`);
          }
          taken++;
          yield checkText(prompt, wanted, value.record, value.line);
        }
      };
      yield { record: prompt, texts: texts() };
      if (taken < prompt.slots.length)
        throw new RegistryError("INTERNAL", `the texts of ${prompt.name} were not taken`);
    }
    throw new RegistryError("INTERNAL", "an archive ended without its last line");
  } finally {
    await records.return();
  }
}

function checkOrder(prompt: PromptRecord, previous: PromptRecord | undefined, line: number): void {
  if (previous !== undefined && compareNames(prompt.name, previous.name) <= 0) {
    throw corruptArchive(line, `${prompt.name} comes after ${previous.name}; each name comes once, in byte order`);
  }
  let last: Version | undefined;
  for (const { version } of prompt.slots) {
    if (last !== undefined && compareVersions(version, last) <= 0) {
      throw corruptArchive(
        line,
        `${prompt.name}: version ${version} comes after ${last}; each comes once, lowest first`,
      );
    }
    last = version;
  }
}

function checkText(
  { name }: PromptRecord,
  wanted: PromptRecord["slots"][number],
  found: { readonly name: string; readonly version: Version; readonly text: string },
  line: number,
): { readonly slot: Slot; readonly document: SealedDocument } {
  const { version, digest } = wanted;
  if (found.name !== name || found.version !== version) {
    throw corruptArchive(line, `it has ${found.name}@${found.version} in the place of ${name}@${version}`);
  }
  let opened: ReturnType<typeof openSlot>;
  try {
    opened = openSlot(name, version, found.text);
  } catch (error) {
    throw corruptArchive(line, error instanceof Error ? error.message : String(error), error);
  }
  const { document, unsealed } = opened;
  if (unsealed) throw corruptArchive(line, `${name}@${version} has no seal`);
  const slot = slotOf(document, false);
  if (document.digest !== digest || slot.size !== wanted.size || slot.removed !== wanted.removed) {
    throw corruptArchive(line, `${name}@${version} is not what its prompt says`);
  }
  return { slot, document };
}

function stateOf(record: PromptRecord, slots: ReadonlyMap<Version, Slot>): PromptState {
  const { name, head, entries } = record;
  const damaged = record.damaged.map((version) => {
    const detail = `${name}@${version} was damaged when the archive was made, and is not in it`;
    return { version, error: new RegistryError("CORRUPT", detail, { name, version }) };
  });
  return { name, slots, damaged, head, revision: null, entries };
}

/**
 * Reads a whole archive and checks everything: lengths, names, digests, counts, the SHA-256 at its end.
 *
 * @throws RegistryError CORRUPT for one that is cut off or was changed; INVALID for one that is too large or none
 * @example
 * const { prompts, sha256 } = await checkArchive(archiveFile("prompts.ndjson.gz"));
 */
export async function checkArchive(
  input: ArchiveInput,
  options: Pick<RestoreOptions, "limits" | "signal" | "onProgress"> = {},
): Promise<Trailer> {
  const prompts = promptsOf(input, options.limits, options.signal);
  let done = 0;
  for (let next = await prompts.next(); ; next = await prompts.next()) {
    if (next.done === true) return next.value;
    for await (const _ of next.value.texts);
    options.onProgress?.({ phase: "check", done: ++done, name: next.value.record.name });
  }
}

/** The manifest of an archive: equal to {@link manifestOf} of the storage it was made of. */
export async function* manifestOfArchive(
  input: ArchiveInput,
  options: Pick<RestoreOptions, "limits" | "signal" | "prefix"> = {},
): AsyncGenerator<PromptManifest, void, undefined> {
  const prefix = options.prefix === undefined ? "" : parsePrefix(options.prefix);
  for await (const { record, texts } of promptsOf(input, options.limits, options.signal)) {
    const slots = new Map<Version, Slot>();
    for await (const { slot } of texts) slots.set(slot.version, slot);
    if (record.name.startsWith(prefix)) yield manifestOfState(stateOf(record, slots));
  }
}

/**
 * Restores an archive into a storage, empty or not, by the rules of a copy: what is there stays, conflicts are listed.
 * Killed at any point and run again, it ends the same.
 *
 * @throws RegistryError CORRUPT, INVALID as {@link checkArchive}; READ_ONLY; what the storage has to say
 * @example
 * const report = await restoreArchive(driver, archiveFile("prompts.ndjson.gz"));
 */
export async function restoreArchive(
  storage: StorageDriver,
  input: ArchiveInput,
  options: RestoreOptions = {},
): Promise<TransferReport> {
  const to = freshly(storage);
  const { dryRun = false, concurrency = DEFAULT_CONCURRENCY, onProgress, author, limits, signal } = options;
  const op = operationOf(options);
  const prefix = options.prefix === undefined ? "" : parsePrefix(options.prefix);
  requireWritable(to, dryRun);
  const total = options.check === false ? undefined : (await checkArchive(input, options)).prompts;
  const tally = new Tally(dryRun);
  let done = 0;
  const committer = new Committer(to, { author, message: "restore from an archive", op, width: concurrency });
  const restore = async (record: PromptRecord, texts: ArchivedPrompt["texts"]) => {
    throwIfAborted(signal, "restore");
    await restorePrompt(to, record, texts, committer, tally, { dryRun, op });
    onProgress?.({ phase: "copy", done: ++done, ...(total === undefined ? {} : { total }), name: record.name });
  };
  const jobs = async function* () {
    for await (const { record, texts } of promptsOf(input, limits, signal)) {
      const size = record.slots.reduce((sum, slot) => sum + slot.size, 0);
      const selected = record.name.startsWith(prefix);
      // Small prompts are written several at a time, which needs their texts in memory.
      if (selected && size > KEEP) await restore(record, texts);
      else {
        const held = [];
        for await (const text of texts) if (selected) held.push(text);
        if (selected) yield { record, held };
      }
    }
  };
  await forEachOf(jobs(), concurrency, ({ record, held }) => restore(record, each(held)));
  if (dryRun || options.verify === false) return tally.report();
  const narrow = { ...op, ...(limits === undefined ? {} : { limits }), prefix };
  const names = async function* () {
    for await (const { name } of manifestOfArchive(input, narrow)) yield name;
  };
  const target: ManifestOptions = { ...op, names: names() };
  return tally.report(
    await compareManifests(manifestOfArchive(input, narrow), manifestOf(to, target), onProgress, total),
  );
}

async function restorePrompt(
  to: StorageDriver,
  record: PromptRecord,
  texts: ArchivedPrompt["texts"],
  committer: Committer,
  tally: Tally,
  how: { readonly dryRun: boolean; readonly op: { readonly signal?: AbortSignal } },
): Promise<void> {
  const { name } = record;
  const stream = texts[Symbol.asyncIterator]();
  // The archive's own damage is no fault of this prompt and ends the whole restore.
  let broken: { readonly error: unknown } | undefined;
  const next = () =>
    stream.next().catch((error: unknown) => {
      broken = { error };
      throw error;
    });
  await guarded(tally, name, async () => {
    const target = await readState(to, name, { op: how.op });
    const source = {
      state: stateOf(record, new Map(record.slots.map((slot) => [slot.version, foretold(slot)]))),
      async *texts(versions: ReadonlySet<Version>) {
        for (let text = await next(); text.done !== true; text = await next()) {
          if (versions.has(text.value.document.version)) yield text.value.document;
        }
      },
    };
    const { plan, done } = await applyPrompt(source, to, target, committer, how);
    tally.done(done);
    return { plans: [plan], changed: changes(done) };
  });
  if (broken !== undefined) throw broken.error;
  // Whatever was not asked for is read all the same: it is checked, and the next prompt comes after it.
  for (let text = await stream.next(); text.done !== true; text = await stream.next());
}

/** What the prompt's line says of a text that comes later, and is held to it then. */
function foretold({ version, digest, size, removed }: PromptRecord["slots"][number]): Slot {
  const kind = removed === undefined ? "document" : "tombstone";
  return { version, digest, kind, size, bytes: digest, ...(removed === undefined ? {} : { removed }) };
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* items;
}

/** {@link restoreArchive} of a file. */
export function restoreFile(to: StorageDriver, file: string, options: RestoreOptions = {}): Promise<TransferReport> {
  return restoreArchive(to, archiveFile(file), options);
}
