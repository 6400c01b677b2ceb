import type { ChangeEvent, Cursor, Page } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import { badCursor } from "../../history.ts";
import type { PromptName } from "../../names.ts";
import { broken, messageOf } from "./failure.ts";
import type { Session } from "./session.ts";
import { promptsOf, type Snapshot } from "./snapshot.ts";
import { readTree } from "./tree.ts";

interface Position {
  /** What happened after this commit is wanted. */
  readonly from: string;
  /** The commit that the page before was about, where it did not tell all. */
  readonly to: string | undefined;
  /** How many of the names, in order, were told: what differs between two commits never changes. */
  readonly told: number;
}

/** Differences between two commits never change, and pages of one ask for them again. */
const MAX_REMEMBERED = 20;

/**
 * Two commits are compared: whatever differs between them is told. What was changed and changed back meanwhile is not,
 * as a reader that did not look in between can't tell either.
 */
export class Feed {
  readonly #session: Session;
  readonly #differences = new Map<string, Promise<readonly PromptName[]>>();

  constructor(session: Session) {
    this.#session = session;
  }

  async changes(query: { readonly cursor?: Cursor; readonly limit: number }): Promise<Page<ChangeEvent>> {
    const from = query.cursor === undefined ? undefined : decode(query.cursor);
    if (from?.to !== undefined) return await this.#page(from.from, from.to, from.told, query.limit);
    const snapshot = await this.#session.current();
    if (from === undefined || from.from === snapshot.commit) return { items: [], cursor: snapshot.commit };
    return await this.#page(from.from, snapshot.commit, 0, query.limit);
  }

  async #page(from: string, to: string, told: number, limit: number): Promise<Page<ChangeEvent>> {
    const key = `${from}...${to}`;
    let names = this.#differences.get(key);
    if (names === undefined) {
      if (this.#differences.size >= MAX_REMEMBERED) this.#differences.clear();
      names = this.#between(from, to);
      this.#differences.set(key, names);
      names.catch(() => this.#differences.delete(key));
    }
    const all = await names;
    const end = told + limit;
    const items = all.slice(told, end).map((name) => ({ name }));
    return { items, cursor: all.length > end ? `${from}:${to}:${end}` : to };
  }

  async #between(from: string, to: string): Promise<readonly PromptName[]> {
    const [old, now] = [await this.#at(from), await this.#at(to)];
    const names = new Set<PromptName>();
    for (const name of new Set([...old.keys(), ...now.keys()])) {
      const [before, after] = [old.get(name)?.files, now.get(name)?.files];
      const isSame =
        before === after ||
        (before !== undefined &&
          after !== undefined &&
          before.size === after.size &&
          [...after].every(([file, id]) => before.get(file) === id));
      if (!isSame) names.add(name);
    }
    return [...names].sort();
  }

  async #at(commit: string): Promise<Snapshot["prompts"]> {
    const { client } = this.#session;
    const known = this.#session.past(commit);
    if (known !== undefined) return known.prompts;
    const there = await client.send({
      method: "GET",
      path: `${client.repoPath}/git/commits/${commit}`,
      operation: "reading the feed",
      accept: [404, 422],
    });
    if (there.status >= 400) {
      // On the branch it was, so a replica that lags does not know it yet.
      if (this.#session.hasSeen(commit) || messageOf(there.data) === undefined) {
        const what = { operation: "reading the feed", location: client.settings.location, mutates: false };
        throw broken("found no such commit yet", what);
      }
      throw new RegistryError(
        "HISTORY_REWRITTEN",
        `${client.settings.location}: the feed's cursor is a commit that is gone; start again without a cursor`,
        { backend: "github", location: client.settings.location },
      );
    }
    return promptsOf((await readTree(client, commit, client.settings.root)).entries, client.settings.root);
  }
}

function decode(cursor: Cursor): Position {
  const match = /^([0-9a-f]{40,64})(?::([0-9a-f]{40,64}):(\d{1,9}))?$/.exec(cursor);
  const [, from, to, told = "0"] = match ?? [];
  if (from === undefined) throw badCursor(cursor);
  return { from, to, told: Number(told) };
}
