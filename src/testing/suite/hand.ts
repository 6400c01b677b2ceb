import type { SealedDocument } from "../../document.ts";
import type {
  Change,
  ChangeEvent,
  Commit,
  Cursor,
  Head,
  HeadState,
  HistoryEntry,
  ListQuery,
  Outcome,
  Page,
  PromptEntry,
  ReadAnswer,
  StorageDriver,
  VersionEntry,
  VersionQuery,
} from "../../driver.ts";
import { EMPTY_HEAD } from "../../driver.ts";
import { parseName } from "../../names.ts";
import { askOf, commitOf, type DocumentOptions, documentOf, type HeadInput, headOf, tombstoneOf } from "../builders.ts";
import { answerIs, ok, outcomeIs } from "./expect.ts";

const AT = "2026-01-01T00:00:00.000Z";
// Far more than any list here has; a driver that hands out cursors for ever must fail, not hang.
const MAX_PAGES = 5000;

/** A driver with plain words for what tests do all the time. It adds no rule and keeps no state. */
export class Hand {
  readonly driver: StorageDriver;

  constructor(driver: StorageDriver) {
    this.driver = driver;
  }

  async commit(changes: readonly Change[], options: Partial<Commit> = {}): Promise<readonly Outcome[]> {
    const outcomes = await this.driver.commit(commitOf(changes, options));
    ok(outcomes.length === changes.length, `${changes.length} changes got ${outcomes.length} outcomes`);
    return outcomes;
  }

  async one(change: Change): Promise<Outcome> {
    return (await this.commit([change]))[0] as Outcome;
  }

  async done(change: Change): Promise<HeadState | undefined> {
    return outcomeIs(await this.one(change), "done", `a change of ${change.name}`).head;
  }

  /** Publishes a version; gives its document. */
  async put(name: string, version: string, text?: string, options?: DocumentOptions): Promise<SealedDocument> {
    const document = documentOf(name, version, text, options);
    await this.done({ name: document.name, add: [document] });
    return document;
  }

  async putAll(name: string, versions: readonly string[]): Promise<SealedDocument[]> {
    const documents = versions.map((version) => documentOf(name, version));
    await this.done({ name: parseName(name), add: documents });
    return documents;
  }

  /** `what`: a version, `latest`, `head`, or a label. */
  async ask(name: string, what: string, known?: string): Promise<ReadAnswer> {
    const answers = await this.driver.read([askOf(name, what, known)]);
    ok(answers.length === 1, `1 ask got ${answers.length} answers`);
    return answers[0] as ReadAnswer;
  }

  async found(name: string, what: string): Promise<Extract<ReadAnswer, { status: "found" }>> {
    return answerIs(await this.ask(name, what), "found", `${name}@${what}`);
  }

  /** The head as it is; of a prompt that is not there, the empty one. */
  async state(name: string): Promise<HeadState> {
    const answer = await this.ask(name, "head");
    if (answer.status === "absent") return { head: EMPTY_HEAD, revision: null };
    return answerIs(answer, "head", `the head of ${name}`).head;
  }

  /** A change that replaces the head of now. */
  async headChange(name: string, next: HeadInput, entries: readonly HistoryEntry[] = []): Promise<Change> {
    const { revision } = await this.state(name);
    return { name: parseName(name), head: { expect: revision, next: headOf(next), entries } };
  }

  /** Replaces the head; gives the state after it. */
  async move(name: string, next: HeadInput, entries: readonly HistoryEntry[] = []): Promise<HeadState> {
    await this.done(await this.headChange(name, next, entries));
    return this.state(name);
  }

  /** Removes a version the way the registry does: marked in the head and replaced by a tombstone, in one change. */
  async remove(name: string, document: SealedDocument, next: HeadInput = {}): Promise<SealedDocument> {
    const tombstone = tombstoneOf(document, { at: AT, by: "remover", reason: "test" });
    const { head } = await this.state(name);
    const change = await this.headChange(name, {
      ...keep(head),
      ...next,
      yanked: { ...head.yanked, [document.version]: { at: AT, removed: true } },
    });
    await this.done({ ...change, remove: [tombstone] });
    return tombstone;
  }

  async prompts(query: Partial<ListQuery> = {}): Promise<PromptEntry[]> {
    return all((cursor) => this.driver.listPrompts({ limit: 100, ...query, ...cursor }));
  }

  async names(query: Partial<ListQuery> = {}): Promise<string[]> {
    return (await this.prompts(query)).map((entry) => entry.name);
  }

  async entries(name: string, query: Partial<VersionQuery> = {}): Promise<VersionEntry[]> {
    return all((cursor) => this.driver.listVersions(parseName(name), { limit: 100, ...query, ...cursor }));
  }

  async versions(name: string, query: Partial<VersionQuery> = {}): Promise<string[]> {
    return (await this.entries(name, query)).map((entry) => entry.version);
  }

  async log(name: string, limit = 100): Promise<HistoryEntry[]> {
    return all((cursor) => this.driver.history(parseName(name), { limit, ...cursor }));
  }

  /** The cursor of now. */
  async now(): Promise<Cursor> {
    const page = await this.driver.changes({ limit: 100 });
    ok(page.items.length === 0, "without a cursor the feed must start with an empty page");
    ok(page.cursor !== undefined, "every page of the feed must have a cursor");
    return page.cursor;
  }

  /** Every event after the cursor, and the cursor after them. */
  async since(cursor: Cursor, limit = 100): Promise<{ names: string[]; cursor: Cursor }> {
    const names: string[] = [];
    let empty = 0;
    for (let i = 0; i < MAX_PAGES; i++) {
      const page: Page<ChangeEvent> = await this.driver.changes({ cursor, limit });
      ok(page.cursor !== undefined, "every page of the feed must have a cursor");
      ok(
        page.items.length <= limit,
        `a page of the feed has ${page.items.length} items; at most ${limit} were asked for`,
      );
      names.push(...page.items.map((item) => item.name));
      empty = page.items.length === 0 ? empty + 1 : 0;
      // An empty page need not be the end; one that leads to itself is.
      if (empty > 0 && (page.cursor === cursor || empty >= 3)) return { names, cursor: page.cursor };
      cursor = page.cursor;
      await turn();
    }
    throw new Error(`the feed has not ended after ${MAX_PAGES} pages`);
  }
}

/** A head as input for the next one. */
export function keep(head: Head): HeadInput {
  const { generation: _, ...rest } = head;
  return rest;
}

/** Follows cursors to the end. */
export async function all<T>(fetch: (query: { cursor?: Cursor }) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = [];
  let cursor: Cursor | undefined;
  for (let i = 0; i < MAX_PAGES; i++) {
    const page = await fetch(cursor === undefined ? {} : { cursor });
    items.push(...page.items);
    if (page.cursor === undefined) return items;
    cursor = page.cursor;
  }
  throw new Error(`the list has not ended after ${MAX_PAGES} pages`);
}

const MAX_LOOKS = 20_000;

/**
 * Looks again and again while something is written. The first failure of either ends it, but never before the writer has
 * ended, so that no failure is left over for the next test.
 */
export async function during(write: () => Promise<unknown>, look: (round: number) => Promise<unknown>): Promise<void> {
  let ended = false;
  const writer = write().finally(() => {
    ended = true;
  });
  const settled = writer.catch(() => {});
  try {
    for (let round = 0; round < MAX_LOOKS && !ended; round++) {
      await look(round);
      await turn();
    }
  } finally {
    await settled;
  }
  await writer;
}

/** One turn of the event loop, so that no loop of a test starves what it waits for. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
