import { isUtf8 } from "node:buffer";
import type { Digest, SealedDocument } from "../../document.ts";
import { EMPTY_HEAD, type Head, type HeadState, type HistoryEntry } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import { decodeHead, encodeHead, headFromJson, headToJson } from "../../head.ts";
import type { PromptName } from "../../names.ts";
import { highestStable } from "../../rules/latest.ts";
import { isVersion, type Version } from "../../semver.ts";
import { type Burials, isBurials } from "./burials.ts";

/**
 * The head object of a prompt. Beside the head itself it holds what one request must be able to answer: a listing of the
 * documents would be a second one.
 */
export interface HeadRecord {
  readonly name: PromptName;
  readonly head: Head;
  /** Head entries, oldest first, without those in {@link archives}. */
  readonly history: readonly HistoryEntry[];
  /** What an unpinned `latest` selects. */
  readonly highest: Version | undefined;
  /** Of what `latest`, the pin and the labels name, as far as they were known without asking: a hint for readers of one file. */
  readonly digests?: Readonly<Record<Version, Digest>> | undefined;
  /** Whether any version is live. */
  readonly live: boolean;
  /** Versions whose slot holds a tombstone, or is about to, with the ETag that the tombstone should have. */
  readonly gone: Readonly<Record<Version, string>>;
  readonly burials: Burials;
  /** A guarded change that is under way: whoever wants to write the head completes it first. */
  readonly claim?: Claim | undefined;
  /** Grows with every write, also of those that leave the head as it is: no ETag ever comes back. */
  readonly sequence: number;
  /** Ids of the last writes, newest first, by which a writer knows its own after a lost reply. */
  readonly writes: readonly string[];
  /** Files of older history, oldest first. */
  readonly archives: readonly string[];
}

/** All of a guarded change, so that anybody can complete it for a writer that was stopped. */
export interface Claim {
  readonly commit: string;
  readonly documents: readonly SealedDocument[];
  /** The head to come, where the change has one, and its entries. */
  readonly head?: Head | undefined;
  readonly entries: readonly HistoryEntry[];
}

export const KEPT_WRITES = 32;
/** The history is archived when it is longer than twice this. */
export const KEPT_ENTRIES = 100;

export function emptyRecord(name: PromptName): HeadRecord {
  return {
    ...{ name, head: EMPTY_HEAD, history: [], highest: undefined, live: false },
    ...{ gone: {}, burials: {}, sequence: 0, writes: [], archives: [] },
  };
}

export function revisionOf({ head }: HeadRecord): string | null {
  return head.generation === 0 ? null : String(head.generation);
}

export function latestOf({ head, highest }: HeadRecord): Version | undefined {
  return head.pin ?? highest;
}

export function stateOf(record: HeadRecord): HeadState {
  const latest = latestOf(record);
  return Object.freeze({
    head: record.head,
    revision: revisionOf(record),
    ...(latest === undefined ? {} : { latest }),
  });
}

/** A head as it lies next to the documents: what `latest.json` of a folder or repository looks like. */
export function encodePublic(record: HeadRecord): string {
  const { name, head, history, digests } = record;
  const latest = latestOf(record);
  const hints = { ...(latest === undefined ? {} : { latest }), ...(digests === undefined ? {} : { digests }) };
  return encodeHead({ name, head, history, ...hints });
}

/** The record with the digests of what it names now. One that nobody knows is left out. */
export function withDigests(record: HeadRecord, known: (version: Version) => Digest | undefined): HeadRecord {
  const { head, digests: before, ...rest } = record;
  const named = [...Object.values(head.labels), head.pin, latestOf(record)].filter((version) => version !== undefined);
  const found = [...new Set(named)].flatMap((version) => {
    const digest = known(version) ?? before?.[version];
    return digest === undefined ? [] : [[version, digest] as const];
  });
  return { ...rest, head, ...(found.length === 0 ? {} : { digests: Object.fromEntries(found) }) };
}

export function encodeRecord(record: HeadRecord): string {
  const { name, highest, live, gone, burials, claim, sequence, writes, archives } = record;
  const more = {
    sequence,
    ...(highest === undefined ? {} : { highest }),
    ...{ live, gone, writes, archives },
    ...(Object.keys(burials).length === 0 ? {} : { burials }),
    ...(claim === undefined ? {} : { claim: claimToJson(name, claim) }),
  };
  return `${encodePublic(record).slice(0, -"\n}\n".length)},\n  "s3": ${JSON.stringify(more)}\n}\n`;
}

function claimToJson(name: PromptName, { commit, documents, head, entries }: Claim): object {
  return {
    commit,
    documents: documents.map(({ version, digest, text }) => ({ version, digest, text })),
    hasHead: head !== undefined,
    head: headToJson({ name, head: head ?? EMPTY_HEAD, history: entries }),
  };
}

function claimOf(value: unknown, name: PromptName, where: string, bad: (problem: string) => RegistryError): Claim {
  const { commit, documents, hasHead, head } = (value ?? {}) as Record<string, unknown>;
  if (typeof commit !== "string" || !Array.isArray(documents)) throw bad("has a claim that can't be read");
  const sealed = documents.map((one: unknown) => {
    const { version, digest, text } = (one ?? {}) as Record<string, unknown>;
    if (typeof version !== "string" || !isVersion(version)) throw bad("has a claim on no version");
    if (typeof digest !== "string" || typeof text !== "string") throw bad("has a claim without documents");
    return { name, version, digest: digest as SealedDocument["digest"], text };
  });
  const read = headFromJson(head, name, where);
  return { commit, documents: sealed, entries: read.history, ...(hasHead === true ? { head: read.head } : {}) };
}

/**
 * @param where for messages
 * @throws RegistryError CORRUPT
 */
export function decodeRecord(bytes: Buffer, name: PromptName, where: string): HeadRecord {
  const bad = (problem: string) =>
    new RegistryError("CORRUPT", `${where} ${problem}; restore it from a copy or an older version of the object`, {
      ...{ backend: "s3", name, path: where },
    });
  if (!isUtf8(bytes)) throw bad("is not UTF-8");
  const text = bytes.toString();
  const { head, history, latest, digests } = decodeHead(text, name, where);
  const hints = digests === undefined ? {} : { digests };
  const more = (JSON.parse(text) as { s3?: unknown }).s3;
  // A head that was brought here from a folder or a repository says less.
  if (more === undefined) {
    const highest = head.pin === undefined ? latest : undefined;
    const removed = Object.keys(head.yanked).filter((v) => head.yanked[v as Version]?.removed === true);
    const gone = Object.fromEntries(removed.map((v) => [v, ""]));
    return { ...emptyRecord(name), head, history, ...hints, highest, live: true, gone, sequence: head.generation };
  }
  const { highest, live, gone, burials = {}, claim, sequence, writes, archives } = more as Record<string, unknown>;
  if (highest !== undefined && (typeof highest !== "string" || !isVersion(highest)))
    throw bad("has no highest version");
  if (!isCount(sequence) || typeof live !== "boolean") throw bad("lacks what S3 needs of it");
  if (!isTexts(writes) || !isTexts(archives)) throw bad("lacks what S3 needs of it");
  if (typeof gone !== "object" || gone === null || !isTexts(Object.values(gone))) throw bad("lacks its removals");
  if (!Object.keys(gone).every(isVersion)) throw bad("names a removed version that is none");
  if (!isBurials(burials) || !Object.keys(burials).every(isVersion)) throw bad("names removals that can't be read");
  const removals = gone as Readonly<Record<Version, string>>;
  return Object.freeze({
    ...{ name, head, history, ...hints, highest, live, gone: removals, burials, sequence, writes, archives },
    ...(claim === undefined ? {} : { claim: claimOf(claim, name, where, bad) }),
  });
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

/** After versions were put: they count, unless they were yanked or removed in the meantime. */
export function withVersions(record: HeadRecord, versions: readonly Version[]): HeadRecord {
  const live = versions.filter((v) => !Object.hasOwn(record.gone, v));
  const candidates = record.highest === undefined ? live : [record.highest, ...live];
  return {
    ...record,
    highest: highestStable(candidates, record.head.yanked),
    live: record.live || live.length > 0,
  };
}

/** After a claim was completed. Where one of its slots was somebody else's, nothing of it counts but what was put. */
export function withoutClaim(record: HeadRecord, put: readonly Version[]): HeadRecord {
  const { claim, ...rest } = record;
  if (claim === undefined) return record;
  if (put.length < claim.documents.length) return withVersions(rest, put);
  const { head = record.head, entries } = claim;
  const next = { ...head, generation: record.head.generation + 1 };
  return withVersions({ ...rest, head: next, history: [...record.history, ...entries] }, put);
}

/** Whether the highest version under another head, or without these versions, can only be told from a listing. */
export function needsListing(before: HeadRecord, head: Head, removed: readonly Version[]): boolean {
  const { highest } = before;
  if (highest === undefined) return removed.length > 0 || Object.keys(before.head.yanked).length > 0;
  if (Object.hasOwn(head.yanked, highest) || removed.includes(highest)) return true;
  const back = Object.keys(before.head.yanked).filter((v) => !Object.hasOwn(head.yanked, v)) as Version[];
  return back.some((version) => highestStable([highest, version], {}) !== highest);
}
