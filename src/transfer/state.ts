import { sha256 } from "../document/digest.ts";
import { canonicalSeal, type Digest, openStored, type SealedDocument } from "../document.ts";
import {
  EMPTY_HEAD,
  type Head,
  type HistoryEntry,
  type Operation,
  type ReadAnswer,
  type ReadAsk,
  type Revision,
  type StorageDriver,
} from "../driver.ts";
import { isRegistryError, RegistryError } from "../errors.ts";
import type { PromptName } from "../names.ts";
import { sortVersionsDescending } from "../rules/latest.ts";
import type { Version } from "../semver.ts";

/** What one version slot holds, as a copy of it would be stored. */
export interface Slot {
  readonly version: Version;
  readonly kind: "document" | "tombstone";
  readonly digest: Digest;
  /** Of the removed document, for a tombstone. */
  readonly removed?: Digest;
  /** SHA-256 of the stored bytes, spelled like a digest; of the canonical seal where `unsealed`. */
  readonly bytes: Digest;
  /** UTF-8 bytes of the stored text. */
  readonly size: number;
  /** It lies there without seal. */
  readonly unsealed?: true;
  /** The text to store; left out where more than the budget would be held. */
  readonly text?: string;
}

/** A version that can't be read whole; nothing of it is copied. */
export interface Damage {
  readonly version: Version;
  readonly error: RegistryError;
}

/** Everything of one prompt at one moment. */
export interface PromptState {
  readonly name: PromptName;
  /** Ascending by precedence. */
  readonly slots: ReadonlyMap<Version, Slot>;
  readonly damaged: readonly Damage[];
  readonly head: Omit<Head, "generation">;
  readonly revision: Revision | null;
  /** Head entries only, oldest first. */
  readonly entries: readonly HistoryEntry[];
}

export interface ReadStateOptions {
  /** Texts kept in the state, in UTF-16 units. Default 0: none. */
  readonly keep?: number;
  readonly op?: Operation;
}

const BATCH = 16;
const MAX_LOOKS = 8;

export function emptyState(name: PromptName): PromptState {
  const { generation: _, ...head } = EMPTY_HEAD;
  return { name, slots: new Map(), damaged: [], head, revision: null, entries: [] };
}

/**
 * Reads a prompt: head and history belong together, and every version that the head names is among the slots.
 *
 * @throws RegistryError CONFLICT (temporary) where somebody moves the head all the time
 */
export async function readState(
  driver: StorageDriver,
  name: PromptName,
  options: ReadStateOptions = {},
): Promise<PromptState> {
  const { op = {}, keep = 0 } = options;
  for (let look = 0; look < MAX_LOOKS; look++) {
    const before = await readHead(driver, name, op);
    if (before === undefined) return emptyState(name);
    const versions = await versionsOf(driver, name, op);
    const { slots, damaged } = await readSlots(driver, name, versions, keep, op);
    let entries: HistoryEntry[];
    try {
      entries = await headEntries(driver, name, op);
    } catch (error) {
      // A history is read off the documents, too; what stops it then is listed already. The head alone says nothing.
      if (damaged.length === 0 || !isDamage(error)) throw error;
      return { ...emptyState(name), slots, damaged };
    }
    const after = await readHead(driver, name, op);
    if (after?.revision !== before.revision) continue;
    const { generation: _, ...head } = before.head;
    return { name, slots, damaged, head, revision: before.revision, entries };
  }
  throw new RegistryError("CONFLICT", `${name} is being changed by others all the time; try again`, {
    name,
    outcome: "temporary",
  });
}

async function readHead(driver: StorageDriver, name: PromptName, op: Operation) {
  const [answer] = await driver.read([{ name, selector: { kind: "head" } }], op);
  return answer?.status === "head" ? answer.head : undefined;
}

async function versionsOf(driver: StorageDriver, name: PromptName, op: Operation): Promise<Version[]> {
  const found: { version: Version }[] = [];
  let cursor: string | undefined;
  do {
    const page = await driver.listVersions(
      name,
      { limit: 1000, includeRemoved: true, ...(cursor === undefined ? {} : { cursor }) },
      op,
    );
    for (const { version } of page.items) found.push({ version });
    cursor = page.cursor;
  } while (cursor !== undefined);
  return sortVersionsDescending(found)
    .map((e) => e.version)
    .reverse();
}

async function headEntries(driver: StorageDriver, name: PromptName, op: Operation): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  let cursor: string | undefined;
  do {
    const page = await driver.history(name, { limit: 1000, ...(cursor === undefined ? {} : { cursor }) }, op);
    // `publish` entries are read off the documents, so they travel with them.
    for (const entry of page.items) if (entry.action !== "publish") entries.push(entry);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return entries.reverse();
}

async function readSlots(
  driver: StorageDriver,
  name: PromptName,
  versions: readonly Version[],
  keep: number,
  op: Operation,
): Promise<{ slots: Map<Version, Slot>; damaged: Damage[] }> {
  const slots = new Map<Version, Slot>();
  const damaged: Damage[] = [];
  let left = keep;
  for await (const found of readTexts(driver, name, versions, op)) {
    if ("error" in found) {
      damaged.push(found);
      continue;
    }
    const slot = slotOf(found.document, found.unsealed);
    const text = found.document.text;
    const fits = text.length <= left;
    if (fits) left -= text.length;
    slots.set(slot.version, fits ? { ...slot, text } : slot);
  }
  return { slots, damaged };
}

export interface FoundText {
  readonly version: Version;
  /** As it is to be stored: verbatim, or the canonical seal of an unsealed text. */
  readonly document: SealedDocument;
  readonly unsealed: boolean;
}

/** The texts of some versions, verified, a few at a time. */
export async function* readTexts(
  driver: StorageDriver,
  name: PromptName,
  versions: readonly Version[],
  op: Operation = {},
): AsyncGenerator<FoundText | Damage, void, undefined> {
  const size = Math.min(BATCH, driver.capabilities.maxBatch);
  for (let i = 0; i < versions.length; i += size) {
    const part = versions.slice(i, i + size);
    const answers = await readPart(driver, name, part, op);
    for (const [j, version] of part.entries()) {
      const answer = answers[j] as ReadAnswer | RegistryError;
      yield answer instanceof RegistryError ? { version, error: answer } : verified(name, version, answer);
    }
  }
}

/** A batch fails as a whole; one by one, the damaged text is told from the others. */
async function readPart(
  driver: StorageDriver,
  name: PromptName,
  versions: readonly Version[],
  op: Operation,
): Promise<readonly (ReadAnswer | RegistryError)[]> {
  const asks = versions.map((version): ReadAsk => ({ name, selector: { kind: "version", version } }));
  try {
    return await driver.read(asks, op);
  } catch (error) {
    if (!isDamage(error)) throw error;
    if (versions.length === 1) return [error];
    const answers: (ReadAnswer | RegistryError)[] = [];
    for (const version of versions) answers.push(...(await readPart(driver, name, [version], op)));
    return answers;
  }
}

export function isDamage(error: unknown): error is RegistryError {
  return (
    isRegistryError(error, "CORRUPT") || isRegistryError(error, "INVALID") || isRegistryError(error, "UNSUPPORTED")
  );
}

function verified(name: PromptName, version: Version, answer: ReadAnswer): FoundText | Damage {
  if (answer.status !== "found" && answer.status !== "removed") {
    const detail = `${name}@${version} is listed but can't be read`;
    return { version, error: new RegistryError("CORRUPT", detail, { name, version }) };
  }
  try {
    return openSlot(name, version, answer.document.text);
  } catch (error) {
    if (!isDamage(error)) throw error;
    return { version, error };
  }
}

/** @throws RegistryError CORRUPT, INVALID or UNSUPPORTED as `openStored` */
export function openSlot(name: PromptName, version: Version, text: string): FoundText {
  const opened = openStored(text, { name, version });
  if (opened.kind === "tombstone" || opened.sealed) {
    // Front matter is parsed only when asked for; what no version of this package would have sealed is not carried on.
    if (opened.kind === "document") void opened.metadata;
    return { version, document: { name, version, text, digest: opened.digest }, unsealed: false };
  }
  return { version, document: canonicalSeal({ name, version, text: opened.text }), unsealed: true };
}

export function slotOf(document: SealedDocument, unsealed: boolean): Slot {
  const { version, digest, text } = document;
  const opened = openStored(text, document);
  return {
    version,
    kind: opened.kind,
    digest,
    ...(opened.kind === "tombstone" ? { removed: opened.removed.digest } : {}),
    bytes: sha256(text),
    size: Buffer.byteLength(text),
    ...(unsealed ? { unsealed: true as const } : {}),
  };
}
