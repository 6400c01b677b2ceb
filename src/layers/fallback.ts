import type {
  Cursor,
  HealthCheck,
  HistoryEntry,
  Operation,
  Page,
  ReadAnswer,
  ReadAsk,
  StorageDriver,
} from "../driver.ts";
import { type RegistryError, throwIfAborted } from "../errors.ts";
import { badCursor } from "../history.ts";
import type { PromptName } from "../names.ts";
import { Denials } from "./fallback/denials.ts";
import { flagged, flaggedPage, mainPage, ownerOf, provenanceOf } from "./fallback/marks.ts";
import { shownAnswer, shownOf } from "./fallback/shown.ts";
import { defineLayer, type Layer } from "./layer.ts";
import { isOutage } from "./outage.ts";
import { checkCount, isOver } from "./signal.ts";

export interface FallbackOptions {
  /** How many "not there", "removed" and "forbidden" of the main storage are remembered through an outage. Default 10,000. */
  readonly remember?: number | undefined;
}

/**
 * Answers reads from other storages, in their order, while the main one can't be asked: `UNAVAILABLE`, `TIMEOUT`,
 * `RATE_LIMITED`. Everything else is an answer and stays one: absent, forbidden, an expired credential, damaged bytes.
 *
 * - Answers from elsewhere say so: `source` is `fallback:<kind>`, `stale` is true, `age` counts from when that storage
 *   had it.
 * - A fallback that does not have it proves nothing: it may be a snapshot of a few prompts. The next one is asked, and in
 *   the end the main storage's own error is thrown.
 * - What the main storage said is gone stays gone through the outage, and so does what was removed through this layer, labels
 *   included: under every selector, in lists, heads and logs.
 * - Writes go to the main storage only. Revisions of a fallback never match there, so nothing planned on them is written.
 *
 * Put `cache` around it: what the cache has is often younger than a fallback, and it prefers the younger.
 *
 * @param storages in the order in which they are asked; none is valid, and changes nothing
 * @throws RegistryError CONFIG
 * @example
 * stack(postgres({ url }), [cache(), fallback([await snapshot({ path: "./prompts.snapshot" })]), retry(), timeout(5_000)]);
 */
export function fallback(storages: readonly StorageDriver[], options: FallbackOptions = {}): Layer {
  const remember = checkCount("fallback.remember", options.remember ?? 10_000, 0);
  return defineLayer("fallback", (inner) => createFallback(inner, storages, remember));
}

function createFallback(inner: StorageDriver, storages: readonly StorageDriver[], remember: number): StorageDriver {
  const denials = new Denials(remember);
  let answered = 0;
  let unanswered = 0;
  let last: string | undefined;

  async function read(asks: readonly ReadAsk[], op?: Operation): Promise<readonly ReadAnswer[]> {
    let error: RegistryError;
    try {
      const answers = await inner.read(asks, op);
      for (const [i, ask] of asks.entries()) denials.note(ask, answers[i] as ReadAnswer);
      return answers;
    } catch (thrown) {
      if (!isOutage(thrown)) {
        denials.noteError(asks, thrown);
        throw thrown;
      }
      if (op?.fresh === true || isOver(op?.signal)) throw thrown;
      error = thrown;
      last = thrown.code;
    }
    const answers = asks.map((ask) => denials.recall(ask));
    for (const [index, storage] of storages.entries()) {
      const open = asks.flatMap((ask, i) => (answers[i] === undefined ? [{ ask, i }] : []));
      if (open.length === 0) break;
      const got = await attempt(() => storage.read(open.map(askWithout), op));
      throwIfAborted(op?.signal, "read");
      for (const [j, { ask, i }] of open.entries()) {
        const answer = got?.[j];
        if (answer === undefined || !isAnswer(answer) || denials.denies(ask, answer)) continue;
        const shown = await attempt(() => shownAnswer(denials, storage, ask.name, answer, op));
        throwIfAborted(op?.signal, "read");
        if (shown !== undefined) answers[i] = flagged(shown, storage, index);
      }
    }
    if (answers.every((answer) => answer !== undefined)) {
      answered++;
      return answers as ReadAnswer[];
    }
    unanswered++;
    throw error;
  }

  /** Lists and logs: a page that one storage began is continued by the same one. */
  async function page<T>(
    cursor: Cursor | undefined,
    op: Operation | undefined,
    fetch: (driver: StorageDriver, cursor: Cursor | undefined) => Promise<Page<T>>,
  ): Promise<Page<T>> {
    const from = cursor === undefined ? undefined : ownerOf(cursor);
    if (from !== undefined && from.index !== "main") {
      const storage = storages[from.index];
      if (storage === undefined) throw badCursor(cursor as Cursor);
      try {
        return flaggedPage(await fetch(storage, from.cursor), storage, from.index);
      } catch (error) {
        throw error instanceof Denied ? error.error : error;
      }
    }
    try {
      return mainPage(await fetch(inner, from?.cursor ?? cursor));
    } catch (error) {
      // A page in the middle of one storage's list is nowhere in another's.
      if (!isOutage(error) || cursor !== undefined || op?.fresh === true || isOver(op?.signal)) throw error;
      last = error.code;
      for (const [index, storage] of storages.entries()) {
        const got = await attempt(() => fetch(storage, undefined));
        throwIfAborted(op?.signal);
        if (got === DENIED) return { items: [], provenance: provenanceOf(storage, undefined) };
        // Nothing there may mean that it is not in this storage.
        if (got === undefined || (got.items.length === 0 && got.cursor === undefined)) continue;
        answered++;
        return flaggedPage(got, storage, index);
      }
      unanswered++;
      throw error;
    }
  }

  /** Throws what the main storage threw. */
  function isDenied(name: PromptName): boolean {
    const mark = denials.denied().prompts.get(name);
    if (mark !== undefined && "error" in mark) throw new Denied(mark.error);
    return mark !== undefined;
  }

  return {
    kind: inner.kind,
    location: inner.location,
    capabilities: Object.freeze({
      ...inner.capabilities,
      consistency: storages.length === 0 ? inner.capabilities.consistency : "session",
    }),
    native: inner.native,
    peek(ask) {
      const answer = inner.peek(ask);
      if (answer !== undefined) denials.note(ask, answer);
      return answer;
    },
    read,
    listPrompts: (query, op) =>
      page(query.cursor, op, async (driver, cursor) => {
        const got = await driver.listPrompts(withCursor(query, cursor), op);
        return driver === inner ? got : { ...got, items: await shownOf(denials, driver, got.items, query, op) };
      }),
    listVersions: (name, query, op) =>
      page(query.cursor, op, async (driver, cursor) => {
        if (driver !== inner && isDenied(name)) return DENIED;
        const got = await driver.listVersions(name, withCursor(query, cursor), op);
        return driver === inner
          ? got
          : { ...got, items: got.items.filter(({ version }) => !denials.isGone(name, version)) };
      }),
    history: (name, query, op) =>
      page(query.cursor, op, async (driver, cursor) => {
        if (driver !== inner && isDenied(name)) return DENIED;
        const got = await driver.history(name, withCursor(query, cursor), op);
        const isShown = ({ to }: HistoryEntry) => to === undefined || !denials.isGone(name, to);
        return driver === inner ? got : { ...got, items: got.items.filter(isShown) };
      }),
    // What happened in another storage is not what happened here.
    changes: (query, op) => inner.changes(query, op),
    async commit(commit, op) {
      const outcomes = await inner.commit(commit, op);
      for (const [i, change] of commit.changes.entries()) {
        const outcome = outcomes[i];
        if (outcome?.status === "done") denials.noteChange(change, outcome.head);
      }
      return outcomes;
    },
    repair: (plan, op) => inner.repair(plan, op),
    async check(op) {
      const [main, ...others] = await Promise.all([inner.check(op), ...storages.map((s) => s.check(op))]);
      const own: HealthCheck = {
        name: "fallback",
        ok: others.every((health) => health.ok),
        detail: `${storages.map((s) => `${s.kind} ${s.location}`).join(", ") || "none"}; ${answered} answers from there`,
        figures: { storages: storages.length, answered, unanswered, lastOutage: last ?? null },
      };
      return {
        ...main,
        ok: main.ok && own.ok,
        checks: [...main.checks, own],
        inner: [...(main.inner ?? []), ...others],
      };
    },
    async close() {
      await Promise.all([inner.close(), ...storages.map((s) => s.close())]);
    },
  } satisfies StorageDriver;
}

/** The empty page of a prompt that the main storage said is not there. */
const DENIED: Page<never> = Object.freeze({ items: [] });

/** Carries what the main storage threw past everything a fallback may throw. */
class Denied {
  readonly error: RegistryError;
  constructor(error: RegistryError) {
    this.error = error;
  }
}

/** A sick fallback is as good as none; the error that is told is that of the main storage. */
async function attempt<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof Denied) throw error.error;
    return undefined;
  }
}

function isAnswer(answer: ReadAnswer): boolean {
  return answer.status === "found" || answer.status === "head" || answer.status === "removed";
}

function askWithout({ ask }: { readonly ask: ReadAsk }): ReadAsk {
  return { name: ask.name, selector: ask.selector };
}

function withCursor<Q extends { readonly cursor?: Cursor }>(query: Q, cursor: Cursor | undefined): Q {
  return cursor === query.cursor ? query : { ...query, ...(cursor === undefined ? {} : { cursor }) };
}
