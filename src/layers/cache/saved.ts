import { createHash } from "node:crypto";
import type { DriverSelector, HeadState, Page, ReadAnswer, StoredDocument, VersionEntry } from "../../driver.ts";
import type { PromptName } from "../../names.ts";
import type { Version } from "../../semver.ts";
import { type Answer, type Entry, type Instant, type PageEntry, qualityOf } from "./shelf.ts";

export interface SavedAnswer {
  readonly selector: DriverSelector;
  readonly status: Answer["status"];
  readonly version?: Version;
  /** SHA-256 of the text, and the name of its file. */
  readonly text?: string;
  readonly head?: HeadState;
  readonly revision?: string;
  readonly known?: string;
  readonly fetchedAt: number;
  readonly ttl: number;
  readonly expired?: true;
}

interface SavedPage {
  readonly key: string;
  readonly page: Page<VersionEntry>;
  readonly fetchedAt: number;
}

export interface SavedShelf {
  readonly name: PromptName;
  readonly answers: readonly SavedAnswer[];
  readonly pages: readonly SavedPage[];
}

/** What a shelf held when it was handed over; spelled out only when it is written, as most are replaced before. */
export interface Pending {
  readonly entries: readonly Entry[];
  readonly pages: readonly PageEntry[];
}

const digests = new WeakMap<StoredDocument, string>();

function digestOf(document: StoredDocument): string {
  let digest = digests.get(document);
  if (digest === undefined) {
    digest = sha256(document.text);
    digests.set(document, digest);
  }
  return digest;
}

export function sha256(data: string | Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}

export function textsOf(saved: SavedShelf | undefined): Set<string> {
  return new Set(saved?.answers.flatMap((answer) => answer.text ?? []));
}

export function spell(name: PromptName, pending: Pending, texts: Map<string, string | undefined>): SavedShelf {
  const answers = pending.entries.map((entry) => savedOf(entry, texts));
  const pages = pending.pages.map(({ cell, page, at }) => ({ key: cell.key, page, fetchedAt: at.wall }));
  return { name, answers, pages };
}

function savedOf(entry: Entry, texts: Map<string, string | undefined>): SavedAnswer {
  const { answer, cell, at, ttl, known, expired } = entry;
  const rest = {
    selector: cell.selector,
    status: answer.status,
    fetchedAt: at.wall,
    ttl,
    ...(known === undefined ? {} : { known }),
    ...(expired ? { expired: true as const } : {}),
    ...(answer.head === undefined ? {} : { head: answer.head }),
    ...("revision" in answer ? { revision: answer.revision } : {}),
  };
  if (!("document" in answer)) return rest;
  const digest = digestOf(answer.document);
  texts.set(digest, answer.document.text);
  return { ...rest, version: answer.document.version, text: digest };
}

export function answerOf(
  name: PromptName,
  saved: SavedAnswer,
  texts: ReadonlyMap<string, string | undefined>,
): Answer | undefined {
  const { status, version, text: digest, head, revision } = saved;
  if (status === "head") return head && revision !== undefined ? { status, head, revision } : undefined;
  const text = digest === undefined ? undefined : texts.get(digest);
  if (status !== "found" || text === undefined || version === undefined || revision === undefined) return undefined;
  const document = Object.freeze({ name, version, text });
  if (qualityOf(document) === "damaged") return undefined;
  return { status, document, revision, ...(head === undefined ? {} : { head }) } satisfies ReadAnswer;
}

export function instantOf(wall: number): Instant {
  return { wall, mono: performance.now() - Math.max(0, Date.now() - wall) };
}
