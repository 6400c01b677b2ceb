import type {
  ChangeEvent,
  Commit,
  Cursor,
  ListQuery,
  Operation,
  Outcome,
  Page,
  PromptEntry,
  ReadAnswer,
  ReadAsk,
  StorageDriver,
} from "../driver.ts";
import { RegistryError } from "../errors.ts";
import { badCursor } from "../history.ts";
import { isName, type PromptName } from "../names.ts";
import { defineLayer, identityOf, type Layer } from "./layer.ts";
import { asRegistryError } from "./outage.ts";

export interface Route {
  /** `support/triage`, `support/*` (one segment), `support/**` (everything below), `*` inside a segment too. */
  readonly names: string;
  readonly storage: StorageDriver;
}

/**
 * Sends each prompt to the storage of the first pattern that matches its name, and to the wrapped storage where none does.
 * Lists are merged in byte order; a name that lies in a storage where it does not belong is not shown. Several prompts
 * can't be written atomically.
 *
 * @param routes their storages are closed with this layer
 * @throws RegistryError CONFIG for a pattern that matches no name
 * @example
 * stack(fs({ path: "./registry" }), [route([{ names: "shared/**", storage: await postgres({ url }) }])]);
 */
export function route(routes: readonly Route[]): Layer {
  const matchers = routes.map(({ names, storage }) => ({ pattern: patternOf(names), storage }));
  const view = () => routes.map(({ names, storage }) => [names, ...identityOf(storage)]);
  return defineLayer("route", (inner) => createRoute(inner, matchers), view);
}

/** Compiles a pattern without anything that backtracks. */
function patternOf(names: string): (name: string) => boolean {
  const segments = names.split("/");
  // What has no star stands for itself, and must be able to.
  if (!segments.every((segment) => (segment.includes("*") ? /^[a-z0-9._*-]+$/.test(segment) : isName(segment)))) {
    throw new RegistryError("CONFIG", `route ${JSON.stringify(names)} matches no name; write support/* or support/**`, {
      field: "route.names",
    });
  }
  return (name) => matchSegments(segments, name.split("/"));
}

function matchSegments(pattern: readonly string[], name: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return name.length === 0;
  // At most 8 segments: trying each place is cheap.
  if (first === "**") return name.some((_, i) => matchSegments(rest, name.slice(i + 1)));
  const [segment, ...others] = name;
  return segment !== undefined && matchSegment(first, segment) && matchSegments(rest, others);
}

function matchSegment(pattern: string, segment: string): boolean {
  const parts = pattern.split("*");
  const [start = ""] = parts;
  if (parts.length === 1) return pattern === segment;
  const end = parts.at(-1) as string;
  if (!segment.startsWith(start) || !segment.endsWith(end) || segment.length < start.length + end.length) return false;
  let at = start.length;
  const last = segment.length - end.length;
  for (const part of parts.slice(1, -1)) {
    const found = segment.indexOf(part, at);
    if (found < 0 || found + part.length > last) return false;
    at = found + part.length;
  }
  return true;
}

interface Matcher {
  readonly pattern: (name: string) => boolean;
  readonly storage: StorageDriver;
}

function createRoute(inner: StorageDriver, matchers: readonly Matcher[]): StorageDriver {
  const drivers = [...new Set([...matchers.map(({ storage }) => storage), inner])];
  const owner = (name: PromptName) => matchers.find(({ pattern }) => pattern(name))?.storage ?? inner;
  const all = drivers.map(({ capabilities }) => capabilities);
  const atomicity = drivers.length > 1 && all.every((c) => c.atomicity !== "document") ? "prompt" : "document";

  async function read(asks: readonly ReadAsk[], op?: Operation): Promise<readonly ReadAnswer[]> {
    return spread(
      asks,
      (ask) => owner(ask.name),
      (driver, part) => driver.read(part, op),
    );
  }

  async function commit(commit: Commit, op?: Operation): Promise<readonly Outcome[]> {
    if (drivers.length > 1 && commit.atomic === true && commit.changes.length > 1) {
      // Also where all happen to lie in one: what is possible must not depend on names.
      throw new RegistryError("UNSUPPORTED", "several storages can't be written atomically; leave atomic out", {
        operation: "commit",
      });
    }
    const targets = new Set(commit.changes.map(({ name }) => owner(name)));
    if (targets.size <= 1) return ([...targets][0] ?? inner).commit(commit, op);
    return spread(
      commit.changes,
      ({ name }) => owner(name),
      async (driver, changes) => {
        try {
          return await driver.commit({ ...commit, changes }, op);
        } catch (thrown) {
          // The other storages' parts may be done: each speaks for itself.
          const error = asRegistryError(thrown, driver.kind);
          return changes.map((): Outcome => ({ status: "failed", error }));
        }
      },
    );
  }

  async function listPrompts(query: ListQuery, op?: Operation): Promise<Page<PromptEntry>> {
    const { cursor, ...rest } = query;
    const { positions, after } =
      cursor === undefined ? { positions: drivers.map(() => ""), after: "" } : placeOf(cursor, drivers.length);
    const pages = await Promise.all(
      drivers.map(async (driver, i): Promise<Part | undefined> => {
        const start = positions[i];
        if (start === undefined) return undefined;
        const page = await driver.listPrompts(start === "" ? rest : { ...rest, cursor: start }, op);
        const items = page.items.filter(({ name }) => name > after && owner(name) === driver);
        return { items, cursor: page.cursor, end: page.items.at(-1)?.name ?? after };
      }),
    );
    return mergePages(pages, positions, after, query.limit);
  }

  /** One look at each feed from where it was. */
  async function look(starts: readonly (string | undefined)[], limit: number, op: Operation | undefined) {
    const share = Math.max(1, Math.floor(limit / drivers.length));
    const next = [...starts];
    const items: ChangeEvent[] = [];
    let isEnd = true;
    for (const [i, driver] of drivers.entries()) {
      // Small pages: one storage after the other, each keeping its place.
      const left = limit - items.length;
      const start = starts[i];
      if (left <= 0 && start !== "") continue;
      const most = Math.max(1, Math.min(share, left));
      const page = await driver.changes(
        start === "" || start === undefined ? { limit: most } : { limit: most, cursor: start },
        op,
      );
      if (page.items.length > 0 && page.cursor !== start) isEnd = false;
      items.push(...page.items.filter(({ name }) => owner(name) === driver));
      next[i] = page.cursor as Cursor;
    }
    return { items, next, isEnd };
  }

  return {
    kind: inner.kind,
    location: inner.location,
    capabilities: Object.freeze({
      write: all.every((c) => c.write),
      atomicity: drivers.length === 1 ? inner.capabilities.atomicity : atomicity,
      listing: all.every((c) => c.listing === "indexed") ? "indexed" : "scan",
      search: all.every((c) => c.search),
      maxDocumentBytes: Math.min(...all.map((c) => c.maxDocumentBytes)),
      maxBatch: Math.min(...all.map((c) => c.maxBatch)),
      consistency: all.every((c) => c.consistency === "linearizable") ? "linearizable" : "session",
    }),
    native: inner.native,
    peek: (ask) => owner(ask.name).peek(ask),
    read,
    listPrompts,
    listVersions: (name, query, op) => owner(name).listVersions(name, query, op),
    history: (name, query, op) => owner(name).history(name, query, op),
    async changes(query, op) {
      let at = query.cursor === undefined ? drivers.map(() => "") : positionsOf(query.cursor, drivers.length);
      // As behind a prefix: an empty page must not be one of which all happened where it does not belong.
      for (;;) {
        const { items, next, isEnd } = await look(at, query.limit, op);
        if (items.length > 0 || isEnd) return { items, cursor: cursorOf(next) };
        at = next;
      }
    },
    commit,
    async repair(plan, op) {
      if (plan.name !== undefined) return owner(plan.name).repair(plan, op);
      const reports = await Promise.all(drivers.map((driver) => driver.repair(plan, op)));
      return { findings: reports.flatMap(({ findings }) => findings) };
    },
    async check(op) {
      const [main, ...others] = await Promise.all(
        [inner, ...drivers.filter((d) => d !== inner)].map((d) => d.check(op)),
      );
      if (main === undefined) throw new RegistryError("INTERNAL", "a route without a storage");
      return { ...main, ok: main.ok && others.every((h) => h.ok), inner: [...(main.inner ?? []), ...others] };
    },
    async close() {
      await Promise.all(drivers.map((driver) => driver.close()));
    },
  } satisfies StorageDriver;
}

/** Asks each driver for its part, and puts the results in the order of the items. */
async function spread<T, R>(
  items: readonly T[],
  owner: (item: T) => StorageDriver,
  ask: (driver: StorageDriver, part: readonly T[]) => Promise<readonly R[]>,
): Promise<R[]> {
  const parts = new Map<StorageDriver, number[]>();
  for (const [i, item] of items.entries()) {
    const driver = owner(item);
    const part = parts.get(driver);
    if (part === undefined) parts.set(driver, [i]);
    else part.push(i);
  }
  const results = new Array<R>(items.length);
  await Promise.all(
    [...parts].map(async ([driver, indexes]) => {
      const got = await ask(
        driver,
        indexes.map((i) => items[i] as T),
      );
      for (const [j, i] of indexes.entries()) results[i] = got[j] as R;
    }),
  );
  return results;
}

/** `null`: that storage's list has ended; `""`: it has not begun. */
function positionsOf(cursor: Cursor, length: number): (string | undefined)[] {
  try {
    const value: unknown = JSON.parse(cursor);
    if (Array.isArray(value) && value.length === length && value.every((v) => v === null || typeof v === "string")) {
      return value.map((v: string | null) => v ?? undefined);
    }
  } catch {
    // Told below.
  }
  throw badCursor(cursor);
}

function cursorOf(positions: readonly (string | undefined)[]): Cursor {
  return JSON.stringify(positions.map((position) => position ?? null));
}

interface Part {
  readonly items: readonly PromptEntry[];
  readonly cursor: Cursor | undefined;
  /** The last name of the storage's own page. */
  readonly end: string;
}

/** Where each list goes on, and the last name that was shown: a page of which only a part was shown is read again. */
function placeOf(cursor: Cursor, length: number): { positions: (string | undefined)[]; after: string } {
  const [after, ...positions] = positionsOf(cursor, length + 1);
  return { positions, after: after ?? "" };
}

/** What is shown must come before everything that any list may still bring: nothing behind the first end of a page. */
function mergePages(
  parts: readonly (Part | undefined)[],
  positions: readonly (string | undefined)[],
  after: string,
  limit: number,
): Page<PromptEntry> {
  const ends = parts.flatMap((part) => (part?.cursor === undefined ? [] : [part.end]));
  let bound = ends.length === 0 ? undefined : ends.reduce((a, b) => (a < b ? a : b));
  const within = (name: string) => bound === undefined || name <= bound;
  let items = parts.flatMap((part) => part?.items ?? []).filter(({ name }) => within(name));
  items.sort((a, b) => (a.name < b.name ? -1 : 1));
  if (items.length > limit) {
    items = items.slice(0, limit);
    bound = items.at(-1)?.name;
  }
  const next = parts.map((part, i): string | undefined => {
    if (part === undefined) return undefined;
    const isShown = part.items.every(({ name }) => within(name)) && (part.cursor === undefined || within(part.end));
    return isShown ? part.cursor : positions[i];
  });
  if (next.every((position) => position === undefined)) return { items };
  return { items, cursor: cursorOf([items.at(-1)?.name ?? after, ...next]) };
}
