import { createHash } from "node:crypto";
import type { ChangeEvent, Cursor, Operation, Page } from "../../driver.ts";
import { badCursor } from "../../history.ts";
import type { PromptName } from "../../names.ts";
import type { Keys } from "./keys.ts";
import { Recent } from "./limiter.ts";
import type { Listed, S3Store } from "./store.ts";

/**
 * A feed without a server: every change of a prompt writes its head, and a listing tells when, by the store's clock. An
 * object's time is that of the start of its write, so a listing may miss what bears an earlier time: the feed looks back,
 * and the cursor remembers what was told of that span.
 */
const LOOK_BACK_MS = 5 * 60 * 1000;
/** Told heads that a cursor remembers. Where more than these changed, it looks back less far. */
const MAX_TOLD = 1000;
const MARK_CHARS = 8;
/**
 * Longer than any write takes, so that nothing bears an older time and comes yet. Of what is newer no more is told than the
 * cursor can remember: the rest is told when it is as old as this.
 */
const SETTLED_MS = 60 * 1000;
/** For each listing that a poll takes: what nobody writes to must not cost more than two listings a second. */
const IDLE_MS = 500;
/** So many listings are made as often as somebody asks, and no more than these to tell only where the feed stands. */
const FEW_LISTINGS = 10;

interface Position {
  /** All up to this time of the store's clock, and up to this mark within it, was told. A mark gives no name away. */
  readonly time: number;
  readonly mark: string;
  /** Looked back to: what bears a time between this and `time`, and is not in `told`, came late. */
  readonly since: number;
  readonly told: ReadonlySet<string>;
}

interface Change extends Listed {
  readonly name: PromptName;
  readonly mark: string;
}

interface Query {
  readonly cursor?: Cursor;
  readonly limit: number;
}

/** The feed of one handle: it lists no more often than is worth it. */
export class Feed {
  readonly #store: S3Store;
  readonly #keys: Keys;
  /** Cursors after which there was nothing, and until when that is taken for granted. */
  readonly #idle = new Recent<Cursor, number>(100);
  #commits = 0;

  constructor(store: S3Store, keys: Keys) {
    this.#store = store;
    this.#keys = keys;
  }

  async changes(query: Query, op: Operation | undefined): Promise<Page<ChangeEvent>> {
    const { cursor } = query;
    if (cursor !== undefined && op?.fresh !== true && performance.now() < (this.#idle.get(cursor) ?? 0)) {
      return { items: [], cursor };
    }
    const commits = this.#commits;
    const { page, listings, isEnd } = await changes(this.#store, this.#keys, query, op);
    const interval = this.#store.options.feedInterval ?? (listings > FEW_LISTINGS ? listings * IDLE_MS : 0);
    if (isEnd && interval > 0 && commits === this.#commits) this.#idle.set(page.cursor, performance.now() + interval);
    return page;
  }

  /** What this handle writes, it is told of at its next poll. */
  wake(): void {
    this.#commits++;
    this.#idle.clear();
  }
}

interface Told {
  readonly page: Page<ChangeEvent> & { readonly cursor: Cursor };
  /** Requests that it took. */
  readonly listings: number;
  /** Nothing was left to tell. */
  readonly isEnd: boolean;
}

export async function changes(store: S3Store, keys: Keys, query: Query, op: Operation | undefined): Promise<Told> {
  const position = query.cursor === undefined ? undefined : decode(query.cursor);
  const most = position === undefined ? FEW_LISTINGS : Number.POSITIVE_INFINITY;
  const { heads, now, clock, listings, isWhole } = await listHeads(store, keys, op, most);
  const settled = (clock ?? Number.POSITIVE_INFINITY) - SETTLED_MS;
  if (!isWhole && clock !== undefined) {
    // What changed in the time that it looks back is told, too.
    const cursor = encode({ time: clock, mark: "", since: 0 }, []);
    return { page: { items: [], cursor }, listings, isEnd: false };
  }
  if (position === undefined) {
    const cursor = encode({ time: now, mark: "", since: 0 }, heads, Math.max(settled, 0));
    return { page: { items: [], cursor }, listings, isEnd: true };
  }
  const fresh = heads
    .filter((head) => !position.told.has(head.mark) && (head.modified >= position.since || isAfter(head, position)))
    .sort((a, b) => a.modified - b.modified || (a.mark < b.mark ? -1 : 1));
  let room = MAX_TOLD - heads.filter(({ mark, modified }) => modified > settled && position.told.has(mark)).length;
  const items = fresh.filter(({ modified }) => modified <= settled || room-- > 0).slice(0, query.limit);
  const last = items.at(-1);
  const untold = fresh[items.length];
  let reached: Pick<Position, "time" | "mark"> = position;
  if (last !== undefined && isAfter(last, position)) reached = { time: last.modified, mark: last.mark };
  if (untold === undefined && now > reached.time) reached = { time: now, mark: "" };
  // A cursor that would say nothing new stays as it is.
  if (last === undefined && reached.time - position.time < LOOK_BACK_MS)
    return { page: { items: [], cursor: query.cursor as Cursor }, listings, isEnd: untold === undefined };
  const telling = new Set(items);
  const told = heads.filter((head) => position.told.has(head.mark) || telling.has(head));
  // What stands after the position needs no looking back. It must not: more heads than a cursor remembers may bear one time.
  const late = untold === undefined || isAfter(untold, reached) ? undefined : untold.modified;
  const cursor = encode({ ...reached, since: position.since }, told, late);
  return { page: { items: items.map(({ name }) => ({ name })), cursor }, listings, isEnd: untold === undefined };
}

function isAfter({ modified, mark }: Change, position: Pick<Position, "time" | "mark">): boolean {
  return modified > position.time || (modified === position.time && mark > position.mark);
}

/** @param most listings after which the store's clock is enough, where it tells it */
async function listHeads(
  store: S3Store,
  keys: Keys,
  op: Operation | undefined,
  most: number,
): Promise<{
  readonly heads: Change[];
  readonly now: number;
  readonly clock: number | undefined;
  readonly listings: number;
  readonly isWhole: boolean;
}> {
  const heads: Change[] = [];
  let listings = 0;
  let now: number | undefined;
  let isWhole = true;
  for (let after: string | undefined; ; ) {
    const page = await store.list({ prefix: keys.heads, ...(after === undefined ? {} : { after }) }, op);
    listings++;
    // Of the first page: what is written from then on may be missing from it.
    now ??= page.now;
    for (const object of page.objects) {
      const name = keys.headOf(object.key);
      if (name !== undefined) heads.push({ ...object, name, mark: markOf(object) });
    }
    after = page.objects.at(-1)?.key;
    if (!page.more || after === undefined) break;
    isWhole = listings < most || now === undefined;
    if (!isWhole) break;
  }
  const newest = heads.reduce((max, { modified }) => Math.max(max, modified), 0);
  return { heads, now: Math.max(newest, now ?? 0), clock: now, listings, isWhole };
}

function markOf({ key, etag }: Listed): string {
  return createHash("sha256").update(`${etag} ${key}`).digest("base64url").slice(0, MARK_CHARS);
}

/**
 * @param told heads that are not to be told again
 * @param untold the time of the first that was not told yet, and stands before the position
 */
function encode(
  { time, mark: reached, since }: Omit<Position, "told">,
  told: readonly Change[],
  untold = Number.POSITIVE_INFINITY,
): Cursor {
  let from = Math.max(time - LOOK_BACK_MS, since, 0);
  const recent = told.filter(({ modified }) => modified >= from).sort((a, b) => b.modified - a.modified);
  const kept = recent.slice(0, MAX_TOLD);
  if (kept.length < recent.length) from = (kept.at(-1) as Change).modified + 1;
  return `${time}.${Math.min(from, untold)}.${kept.map(({ mark }) => mark).join("")}.${reached}`;
}

function decode(cursor: Cursor): Position {
  const match = /^(\d{1,15})\.(\d{1,15})\.((?:[A-Za-z0-9_-]{8}){0,1000})\.((?:[A-Za-z0-9_-]{8})?)$/.exec(cursor);
  if (match === null) throw badCursor(cursor);
  const [, time, since, marks, mark] = match as unknown as [string, string, string, string, string];
  const told = new Set<string>();
  for (let i = 0; i < marks.length; i += MARK_CHARS) told.add(marks.slice(i, i + MARK_CHARS));
  return { time: Number(time), since: Number(since), told, mark };
}
