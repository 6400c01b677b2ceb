import { openStored, type SealedDocument, sealDocument, sealTombstone } from "../document.ts";
import type { Change, Commit, Head, HistoryEntry, ReadAsk, Timestamp } from "../driver.ts";
import { memory } from "../drivers/memory.ts";
import { type Label, type PromptName, parseLabel, parseName } from "../names.ts";
import { PromptRegistry } from "../registry.ts";
import { parseVersion, type Version } from "../semver.ts";

const START = "2026-01-01T00:00:00.000Z";

/** A clock that advances by `step` milliseconds whenever it is read. */
export function createClock(start: Timestamp = START, step = 1000): () => Date {
  let now = Date.parse(start) - step;
  return () => {
    now += step;
    return new Date(now);
  };
}

/** Ids `commit-1`, `commit-2`, … */
export function createIds(prefix = "commit"): () => string {
  let count = 0;
  return () => `${prefix}-${++count}`;
}

/** Prompts by name and version: `{"support/triage": {"1.0.0": "Sort this."}}`. */
export type TestPrompts = Readonly<Record<string, Readonly<Record<string, string>>>>;

/**
 * A registry in memory whose times and commit ids are the same in every run.
 *
 * @param seed part of the commit ids, for tests with several registries; the clocks of two seeds differ by a day each
 * @example
 * const registry = testRegistry();
 * await seedPrompts(registry, { "support/triage": { "1.0.0": "Sort this: {{ticket}}" } });
 */
export function testRegistry(seed = 0): PromptRegistry {
  const start = new Date(Date.parse(START) + seed * 86_400_000).toISOString();
  return new PromptRegistry(memory(), {
    author: "tester",
    now: createClock(start),
    newId: createIds(seed === 0 ? "commit" : `commit-${seed}`),
  });
}

/** Stores prompts one by one, in the order given. */
export async function seedPrompts(registry: PromptRegistry, prompts: TestPrompts): Promise<void> {
  for (const [name, versions] of Object.entries(prompts)) {
    for (const [version, text] of Object.entries(versions)) await registry.storePrompt({ name, version, text });
  }
}

export interface DocumentOptions {
  readonly at?: Timestamp;
  readonly by?: string;
  readonly message?: string;
}

/** A sealed document, as a driver is given it. */
export function documentOf(
  name: string,
  version: string,
  text = `${name} ${version}\n`,
  options: DocumentOptions = {},
): SealedDocument {
  const { at = START, by, message } = options;
  return sealDocument({
    name: parseName(name),
    version: parseVersion(version),
    text,
    createdAt: at,
    ...(by === undefined ? {} : { author: by }),
    ...(message === undefined ? {} : { message }),
  });
}

/** The tombstone of a document. */
export function tombstoneOf(
  document: SealedDocument,
  options: { readonly at?: Timestamp; readonly by?: string; readonly reason?: string } = {},
): SealedDocument {
  const { author, createdAt, message } = openStored(document.text, document);
  return sealTombstone({
    name: document.name,
    version: document.version,
    digest: document.digest,
    at: options.at ?? START,
    by: options.by,
    reason: options.reason,
    author,
    createdAt,
    message,
  });
}

let commits = 0;

/** A commit of the changes; its id is unique in this process unless one is given. */
export function commitOf(changes: Change | readonly Change[], options: Partial<Omit<Commit, "changes">> = {}): Commit {
  return {
    id: `test-${process.pid}-${++commits}`,
    at: START,
    ...options,
    changes: Array.isArray(changes) ? changes : [changes as Change],
  };
}

/** What a head is moved to, from plain strings. */
export interface HeadInput {
  readonly labels?: Readonly<Record<string, string>>;
  readonly pin?: string;
  readonly yanked?: Readonly<Record<string, Head["yanked"][Version]>>;
  readonly deprecated?: Head["deprecated"];
  readonly updatedAt?: Timestamp;
}

/** A head for `Change.head.next`. */
export function headOf(input: HeadInput): Omit<Head, "generation"> {
  const { labels = {}, yanked = {}, pin, deprecated, updatedAt } = input;
  return {
    labels: Object.fromEntries(
      Object.entries(labels).map(([label, version]) => [parseLabel(label), parseVersion(version)]),
    ) as Head["labels"],
    yanked: Object.fromEntries(
      Object.entries(yanked).map(([version, yank]) => [parseVersion(version), yank]),
    ) as Head["yanked"],
    ...(pin === undefined ? {} : { pin: parseVersion(pin) }),
    ...(deprecated === undefined ? {} : { deprecated }),
    ...(updatedAt === undefined ? {} : { updatedAt }),
  };
}

/** A history entry that says that a label was moved. */
export function labelEntry(label: string, to: string, options: Partial<HistoryEntry> = {}): HistoryEntry {
  return { at: START, action: "label", label: parseLabel(label), to: parseVersion(to), ...options };
}

/** An ask from plain strings: `askOf("a", "1.0.0")`, `askOf("a", "latest")`, `askOf("a", "head")`, `askOf("a", "production")`. */
export function askOf(name: string, what: string, known?: string): ReadAsk {
  const rest = known === undefined ? {} : { known };
  const parsed: PromptName = parseName(name);
  if (what === "latest" || what === "head") return { name: parsed, selector: { kind: what }, ...rest };
  if (/^\d/.test(what)) return { name: parsed, selector: { kind: "version", version: parseVersion(what) }, ...rest };
  const label: Label = parseLabel(what);
  return { name: parsed, selector: { kind: "label", label }, ...rest };
}
