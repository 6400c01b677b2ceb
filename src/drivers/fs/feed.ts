import { createHash } from "node:crypto";
import type { ChangeEvent, Cursor, Page } from "../../driver.ts";
import { badCursor } from "../../history.ts";
import type { PromptName } from "../../names.ts";
import { changedAt } from "./files.ts";
import { HEADS_DIR } from "./layout.ts";
import { startWalk, walkNames } from "./names.ts";
import { freshRootOf } from "./root.ts";
import type { Store } from "./store.ts";
import { call, type Task } from "./task.ts";

// The kernel stamps files with a clock that ticks every 1 to 10 ms.
export const SLACK_MS = 20;

interface Position {
  /** Changes from here on are wanted. */
  readonly since: number;
  /** When the scan that this is in the middle of began; the next one goes on from there. */
  readonly started: number;
  /** What this scan has told: the names whose hash stands before this. */
  readonly told: string;
}

interface Changed {
  readonly name: PromptName;
  readonly hash: string;
}

/**
 * A folder has no log, so the feed is read off the times of the folders: whatever was changed at or after the time of
 * the cursor, and a little before, is told; what was changed just then may be told twice. A file that somebody edits in
 * place, by hand, does not change its folder and is not told. When the clock went back, everything is told.
 *
 * Where a page does not hold all of a scan, its cursor says how far it came by as little of a hash as will do, since a
 * server gives cursors to those who may not know every name.
 */
export function* changes(
  store: Store,
  query: { readonly cursor?: Cursor; readonly limit: number },
): Task<Page<ChangeEvent>> {
  const now = Date.now();
  const root = yield* freshRootOf(store);
  if (query.cursor === undefined) return { items: [], cursor: encode({ since: now, started: 0, told: "" }) };
  const from = decode(query.cursor);
  const started = from.told === "" ? now : from.started;
  const since = from.since > now ? 0 : from.since - SLACK_MS;
  const left: Changed[] = [];
  if (root !== undefined) {
    const walk = yield* startWalk(store, root);
    yield* walkNames(walk, "", "", function* ({ name, folder }) {
      if (folder === undefined || (folder.versions.length === 0 && !folder.headed)) return true;
      const hash = createHash("sha256").update(name).digest("hex");
      if (hash < from.told) return true;
      const stats = yield* call("lstat", `${root}/${name}`);
      if (stats === undefined) walk.doubt = true;
      const heads = folder.headed ? yield* call("lstat", `${root}/${name}/${HEADS_DIR}`) : undefined;
      const changed = Math.max(stats === undefined ? 0 : changedAt(stats), heads === undefined ? 0 : changedAt(heads));
      if (changed >= since) left.push({ name, hash });
      return true;
    });
  }
  left.sort((a, b) => (a.hash < b.hash ? -1 : 1));
  const told = left.slice(0, query.limit);
  const [last, next] = [told.at(-1), left[told.length]];
  const position =
    last === undefined || next === undefined
      ? { since: started, started: 0, told: "" }
      : { since: from.since, started, told: between(last.hash, next.hash) };
  return { items: told.map(({ name }) => ({ name })), cursor: encode(position) };
}

/** The shortest beginning of `next` that stands after `last`. */
function between(last: string, next: string): string {
  for (let length = 1; length < next.length; length++) {
    const start = next.slice(0, length);
    if (start > last) return start;
  }
  return next;
}

function encode({ since, started, told }: Position): Cursor {
  return `${since}:${started}:${told}`;
}

function decode(cursor: Cursor): Position {
  const match = /^(\d{1,15}):(\d{1,15}):([0-9a-f]{0,64})$/.exec(cursor);
  if (match === null) throw badCursor(cursor);
  return { since: Number(match[1]), started: Number(match[2]), told: match[3] as string };
}
