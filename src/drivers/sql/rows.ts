import { isUtf8 } from "node:buffer";
import {
  type Deprecation,
  EMPTY_HEAD,
  type Head,
  type HeadState,
  type HistoryAction,
  type HistoryEntry,
  type ReadAnswer,
  type StoredDocument,
  type Yank,
} from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import type { Label, PromptName } from "../../names.ts";
import { type Version, versionSortKey } from "../../semver.ts";
import type { Args, Row } from "./task.ts";

/** JSON comes parsed from PostgreSQL and as text from SQLite. */
function json(value: unknown, what: string): unknown {
  if (value === null || value === undefined) return undefined;
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch (cause) {
    throw new RegistryError("CORRUPT", `${what} in the database is not JSON; restore it from a copy`, { cause });
  }
}

function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.freeze(value);
    for (const inner of Object.values(value)) frozen(inner);
  }
  return value;
}

export function revisionOf(generation: number): string | null {
  return generation === 0 ? null : String(generation);
}

export function headOf(row: Row): Head {
  const { labels, yanked, deprecated, pin, updated_at: updatedAt } = row;
  const generation = Number(row.generation);
  if (generation === 0) return EMPTY_HEAD;
  return frozen({
    generation,
    labels: (json(labels, "the labels of a head") ?? {}) as Record<Label, Version>,
    ...(pin === null ? {} : { pin: pin as Version }),
    yanked: (json(yanked, "the yanks of a head") ?? {}) as Record<Version, Yank>,
    ...(deprecated === null ? {} : { deprecated: json(deprecated, "the deprecation of a head") as Deprecation }),
    ...(updatedAt === null ? {} : { updatedAt: updatedAt as string }),
  });
}

/** Of a row with the columns of a head and `highest`, the highest version that is neither yanked nor removed. */
export function stateOf(row: Row): HeadState {
  const head = headOf(row);
  const latest = head.pin ?? (row.highest as Version | null) ?? undefined;
  return Object.freeze({ head, revision: revisionOf(head.generation), ...(latest === undefined ? {} : { latest }) });
}

export function textOf(content: unknown, name: PromptName, version: unknown): string {
  if (typeof content === "string") return content;
  // libsql gives one or the other, depending on how many rows are asked for.
  const bytes = content instanceof ArrayBuffer ? new Uint8Array(content) : (content as Uint8Array);
  if (!isUtf8(bytes)) {
    throw new RegistryError(
      "CORRUPT",
      `${name}@${version} is damaged: its bytes are no UTF-8; restore it from a copy`,
      {
        name,
        version: version as string,
      },
    );
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}

export function documentOf(row: Row, name: PromptName): StoredDocument {
  const version = row.version as Version;
  return Object.freeze({ name, version, text: textOf(row.content, name, version) });
}

/** The answer of a slot; its revision changes with the slot, and with the head and `latest` where those are part of it. */
export function slotAnswer(row: Row, name: PromptName, head?: HeadState): ReadAnswer {
  const document = documentOf(row, name);
  const status = Number(row.tombstone) === 1 ? "removed" : "found";
  const revision = `r${row.revision}.${imprint(document.text)}`;
  if (head === undefined) return Object.freeze({ status, document, revision });
  return Object.freeze({ status, document, head, revision: `${headRevision(head)}.${document.version}.${revision}` });
}

/**
 * Numbers come back where a database is replaced by another one or by last night's copy; what was stored then has another digest,
 * and a head another time.
 */
export function headRevision({ head, latest }: HeadState): string {
  return `g${head.generation}.${head.updatedAt ?? ""}.${latest ?? ""}`;
}

const SEAL = "\nregistry.digest: sha256:";

/** A piece of the digest that the text names as its own. */
function imprint(text: string): string {
  const start = text.indexOf(SEAL) + SEAL.length;
  return start < SEAL.length ? "" : text.slice(start, start + 16);
}

export function headAnswer(row: Row): ReadAnswer {
  const head = stateOf(row);
  return Object.freeze({ status: "head", head, revision: headRevision(head) });
}

const orNull = (value: string | undefined): string | null => value ?? null;
const objectOrNull = (value: object): string | null => (Object.keys(value).length === 0 ? null : JSON.stringify(value));

export function headArgs(next: Omit<Head, "generation">): Args {
  return {
    pin: orNull(next.pin),
    pinKey: next.pin === undefined ? null : versionSortKey(next.pin),
    labels: objectOrNull(next.labels),
    labelKeys: objectOrNull(Object.fromEntries(Object.entries(next.labels).map(([l, v]) => [l, versionSortKey(v)]))),
    yanked: objectOrNull(next.yanked),
    deprecated: next.deprecated === undefined ? null : JSON.stringify(next.deprecated),
    updatedAt: orNull(next.updatedAt),
  };
}

export function entryArgs(entry: HistoryEntry): Args {
  const { at, by, action, label, from, to, message, commit } = entry;
  return {
    at,
    by: orNull(by),
    action,
    label: orNull(label),
    from: orNull(from),
    to: orNull(to),
    message: orNull(message),
    commit: orNull(commit),
  };
}

export function entryOf(row: Row): HistoryEntry {
  const text = (key: string, value: unknown) => (value === null || value === undefined ? {} : { [key]: value });
  return {
    at: row.at as string,
    ...text("by", row.actor),
    action: row.action as HistoryAction,
    ...text("label", row.label),
    ...text("from", row.from_version),
    ...text("to", row.to_version),
    ...text("message", row.message),
    ...text("commit", row.commit_id),
  };
}
