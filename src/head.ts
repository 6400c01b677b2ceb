import { type Digest, isDigest } from "./document.ts";
import {
  type Deprecation,
  EMPTY_HEAD,
  type Head,
  type HistoryAction,
  type HistoryEntry,
  type Timestamp,
  type Yank,
} from "./driver.ts";
import { RegistryError, show } from "./errors.ts";
import { isLabel, type Label, type PromptName } from "./names.ts";
import { compareVersions, isVersion, type Version } from "./semver.ts";

/** A head as it lies in a file (`latest.json` of a folder or repository): readable by people and over raw HTTP. */
export interface HeadRecord {
  readonly name: PromptName;
  readonly head: Head;
  /** What `latest` selected when this was written: a hint for readers without a listing, never the truth. */
  readonly latest?: Version;
  /** Of the versions that `latest`, the pin and the labels name; a hint, as `latest` is. */
  readonly digests?: Readonly<Record<Version, Digest>>;
  /** Who wrote this file last, and when; a hint. */
  readonly written?: Written;
  /** Head entries, oldest first. */
  readonly history: readonly HistoryEntry[];
}

export interface Written {
  readonly at: Timestamp;
  readonly by?: string;
}

export const HEAD_FORMAT = 1;

const ACTIONS: ReadonlySet<string> = new Set<HistoryAction>([
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
]);
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;

/** The fields of a record in a fixed order, so that the same record gives the same bytes everywhere. */
export function headToJson(record: HeadRecord): Record<string, unknown> {
  const { name, head, latest, digests, written, history } = record;
  return {
    format: HEAD_FORMAT,
    name,
    generation: head.generation,
    ...(latest === undefined ? {} : { latest }),
    ...(head.pin === undefined ? {} : { pin: head.pin }),
    labels: sorted(head.labels, (a, b) => (a < b ? -1 : 1)),
    ...(digests === undefined ? {} : { digests: sorted(digests, byVersion) }),
    yanked: sorted(head.yanked, byVersion, yankToJson),
    ...(head.deprecated === undefined ? {} : { deprecated: deprecationToJson(head.deprecated) }),
    ...(head.updatedAt === undefined ? {} : { updatedAt: head.updatedAt }),
    ...(written === undefined ? {} : { written: writtenToJson(written) }),
    history: history.map(entryToJson),
  };
}

/** One field a line and one entry a line: merges and diffs of a repository stay small. */
export function encodeHead(record: HeadRecord): string {
  const { history, ...rest } = headToJson(record) as { history: readonly unknown[] };
  const start = JSON.stringify(rest, null, 2).slice(0, -2);
  const lines = history.map((entry) => `    ${JSON.stringify(entry)}`).join(",\n");
  return `${start},\n  "history": [${lines === "" ? "" : `\n${lines}\n  `}]\n}\n`;
}

/**
 * @param where what the text is, for messages
 * @throws RegistryError CORRUPT for anything that no version of this package would have written; UNSUPPORTED for the
 *   format of a later one
 */
export function decodeHead(text: string, name: PromptName, where: string): HeadRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RegistryError("CORRUPT", `${where} is not JSON`, { name, path: where, cause });
  }
  return headFromJson(value, name, where);
}

/** {@link decodeHead} of a value that was parsed already. */
export function headFromJson(value: unknown, name: PromptName, where: string): HeadRecord {
  const bad: Bad = (problem) => new RegistryError("CORRUPT", `${where} ${problem}`, { name, path: where });
  const json = object(value, "", bad);
  if (typeof json.format === "number" && json.format > HEAD_FORMAT) {
    throw new RegistryError("UNSUPPORTED", `${where} has format ${json.format} of a later prompt-registry; update`, {
      name,
    });
  }
  if (json.format !== HEAD_FORMAT) throw bad(`has the unknown format ${show(json.format)}`);
  if (json.name !== name) throw bad(`is the head of ${show(json.name)}`);
  const { generation, deprecated } = json;
  if (typeof generation !== "number" || !Number.isSafeInteger(generation) || generation < 0) {
    throw bad("has no generation");
  }
  const labels: Record<Label, Version> = {};
  for (const [label, target] of Object.entries(object(json.labels ?? {}, "labels", bad))) {
    if (!isLabel(label)) throw bad(`has the label ${show(label)}`);
    labels[label] = version(target, `labels.${label}`, bad);
  }
  const yanked: Record<Version, Yank> = {};
  for (const [of, yank] of Object.entries(object(json.yanked ?? {}, "yanked", bad))) {
    yanked[version(of, "yanked", bad)] = yankFromJson(yank, bad);
  }
  const history = json.history ?? [];
  if (!Array.isArray(history)) throw bad("has a history that is no list");
  return {
    name,
    head: Object.freeze({
      ...EMPTY_HEAD,
      generation,
      labels: Object.freeze(labels),
      ...(json.pin === undefined ? {} : { pin: version(json.pin, "pin", bad) }),
      yanked: Object.freeze(yanked),
      ...(deprecated === undefined ? {} : { deprecated: deprecationFromJson(deprecated, bad) }),
      ...(json.updatedAt === undefined ? {} : { updatedAt: time(json.updatedAt, "updatedAt", bad) }),
    }),
    ...(json.latest === undefined ? {} : { latest: version(json.latest, "latest", bad) }),
    ...hints(json),
    history: history.map((entry: unknown) => entryFromJson(entry, bad)),
  };
}

export function entryToJson(entry: HistoryEntry): HistoryEntry {
  const { at, by, action, label, from, to, message, commit } = entry;
  return {
    at,
    ...(by === undefined ? {} : { by }),
    action,
    ...(label === undefined ? {} : { label }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(message === undefined ? {} : { message }),
    ...(commit === undefined ? {} : { commit }),
  };
}

/** Nothing is decided by them, so one that can't be read is as good as none. */
function hints({ digests, written }: Record<string, unknown>): Pick<HeadRecord, "digests" | "written"> {
  const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
  const entries = isObject(digests) ? Object.entries(digests as object) : undefined;
  const known = entries?.filter(([of, digest]) => isVersion(of) && typeof digest === "string" && isDigest(digest));
  const { at, by } = (isObject(written) ? written : {}) as Record<string, unknown>;
  const isTime = typeof at === "string" && TIME.test(at);
  return {
    ...(known === undefined ? {} : { digests: Object.freeze(Object.fromEntries(known)) }),
    ...(isTime ? { written: Object.freeze({ at, ...(typeof by === "string" ? { by } : {}) }) } : {}),
  };
}

const byVersion = (a: string, b: string) => compareVersions(a as Version, b as Version);

type Bad = (problem: string) => RegistryError;

function sorted<T>(
  record: Readonly<Record<string, T>>,
  order: (a: string, b: string) => number,
  map: (value: T) => unknown = (value) => value,
): Record<string, unknown> {
  const keys = Object.keys(record).sort(order);
  return Object.fromEntries(keys.map((key) => [key, map(record[key] as T)]));
}

function yankToJson({ at, by, reason, removed }: Yank): Yank {
  return {
    at,
    ...(by === undefined ? {} : { by }),
    ...(reason === undefined ? {} : { reason }),
    ...(removed === undefined ? {} : { removed }),
  };
}

function writtenToJson({ at, by }: Written): Written {
  return { at, ...(by === undefined ? {} : { by }) };
}

function deprecationToJson({ at, by, message }: Deprecation): Deprecation {
  return { at, ...(by === undefined ? {} : { by }), message };
}

function yankFromJson(value: unknown, bad: Bad): Yank {
  const { at, by, reason, removed } = object(value, "yanked", bad);
  if (removed !== undefined && removed !== true) throw bad("has a yank whose removed is not true");
  return Object.freeze({
    at: time(at, "yanked", bad),
    ...text("by", by, bad),
    ...text("reason", reason, bad),
    ...(removed === undefined ? {} : { removed }),
  });
}

function deprecationFromJson(value: unknown, bad: Bad): Deprecation {
  const { at, by, message } = object(value, "deprecated", bad);
  if (typeof message !== "string") throw bad("has a deprecation without message");
  return Object.freeze({ at: time(at, "deprecated", bad), ...text("by", by, bad), message });
}

function entryFromJson(value: unknown, bad: Bad): HistoryEntry {
  const { at, by, action, label, from, to, message, commit } = object(value, "history", bad);
  if (typeof action !== "string" || !ACTIONS.has(action)) throw bad(`has the history action ${show(action)}`);
  if (label !== undefined && (typeof label !== "string" || !isLabel(label))) throw bad(`has the label ${show(label)}`);
  return Object.freeze({
    at: time(at, "history", bad),
    ...text("by", by, bad),
    action: action as HistoryAction,
    ...(label === undefined ? {} : { label }),
    ...(from === undefined ? {} : { from: version(from, "history", bad) }),
    ...(to === undefined ? {} : { to: version(to, "history", bad) }),
    ...text("message", message, bad),
    ...text("commit", commit, bad),
  });
}

function object(value: unknown, field: string, bad: Bad): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw bad(field === "" ? "is not a JSON object" : `has ${field} that are not an object`);
}

function version(value: unknown, field: string, bad: Bad): Version {
  if (typeof value === "string" && isVersion(value)) return value;
  throw bad(`names the version ${show(value)} in ${field}`);
}

function time(value: unknown, field: string, bad: Bad): string {
  if (typeof value === "string" && TIME.test(value)) return value;
  throw bad(`has the time ${show(value)} in ${field}`);
}

function text<K extends string>(key: K, value: unknown, bad: Bad): { readonly [P in K]?: string } {
  if (value === undefined) return {};
  if (typeof value !== "string") throw bad(`has ${key} that is not a text`);
  return { [key]: value } as { readonly [P in K]?: string };
}
