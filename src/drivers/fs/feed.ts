import type { ChangeEvent, Cursor, Page } from "../../driver.ts";
import { badCursor } from "../../history.ts";
import { changedAt } from "./files.ts";
import { HEADS_DIR } from "./layout.ts";
import { startWalk, walkNames } from "./names.ts";
import { rootOf, type Store } from "./store.ts";
import { call, type Task } from "./task.ts";

// The kernel stamps files with a clock that ticks every 1 to 10 ms.
export const SLACK_MS = 20;

interface Position {
  /** Changes from here on are wanted. */
  readonly since: number;
  /** When the scan that this is in the middle of began; the next one goes on from there. */
  readonly started: number;
  /** The last name this scan has told. */
  readonly after: string;
}

/**
 * A folder has no log, so the feed is read off the times of the folders: whatever was changed at or after the time of
 * the cursor, and a little before, is told; what was changed just then may be told twice. A file that somebody edits in
 * place, by hand, does not change its folder and is not told. When the clock went back, everything is told.
 */
export function* changes(
  store: Store,
  query: { readonly cursor?: Cursor; readonly limit: number },
): Task<Page<ChangeEvent>> {
  const now = Date.now();
  if (query.cursor === undefined) return { items: [], cursor: encode({ since: now, started: 0, after: "" }) };
  const from = decode(query.cursor);
  const started = from.after === "" ? now : from.started;
  const since = from.since > now ? 0 : from.since - SLACK_MS;
  const items: ChangeEvent[] = [];
  let last = from.after;
  let more = false;
  const root = yield* rootOf(store);
  if (root !== undefined) {
    const walk = yield* startWalk(store, root);
    yield* walkNames(walk, from.after, "", function* ({ name, folder }) {
      if (items.length === query.limit) {
        more = true;
        return false;
      }
      if (folder === undefined || (folder.versions.length === 0 && !folder.headed)) return true;
      const stats = yield* call("lstat", `${root}/${name}`);
      const heads = folder.headed ? yield* call("lstat", `${root}/${name}/${HEADS_DIR}`) : undefined;
      if (Math.max(stats === undefined ? 0 : changedAt(stats), heads === undefined ? 0 : changedAt(heads)) < since) {
        return true;
      }
      items.push({ name });
      last = name;
      return true;
    });
  }
  const next = more ? { since: from.since, started, after: last } : { since: started, started: 0, after: "" };
  return { items, cursor: encode(next) };
}

function encode({ since, started, after }: Position): Cursor {
  return `${since}:${started}:${after}`;
}

function decode(cursor: Cursor): Position {
  const match = /^(\d{1,15}):(\d{1,15}):([a-z0-9._/-]{0,200})$/.exec(cursor);
  if (match === null) throw badCursor(cursor);
  return { since: Number(match[1]), started: Number(match[2]), after: match[3] as string };
}
