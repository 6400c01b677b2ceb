import type { Head, HistoryEntry, Timestamp } from "../driver.ts";
import type { Label } from "../names.ts";
import type { Version } from "../semver.ts";
import { highestStable, labelTarget } from "./latest.ts";

/** A version and when it came; `undefined` for documents that carry no time (dropped in by hand): they always count. */
export interface Appearance {
  readonly version: Version;
  readonly createdAt?: Timestamp | undefined;
}

const MOVES_LATEST: ReadonlySet<HistoryEntry["action"]> = new Set([
  "rollback",
  "unpin",
  "yank",
  "unyank",
  "remove",
  "restore",
]);

/**
 * What a label or `latest` selected at an instant, replayed from the history. Where nothing that moved it lies after the
 * instant, it is what the head says: the last one to move it may have had a clock that was behind, and then its entry is not
 * the last.
 *
 * @param entries head entries, oldest first
 * @param now the head, read before the entries
 */
export function selectedAt(
  pointer: Label | "latest",
  at: Timestamp,
  entries: readonly HistoryEntry[],
  versions: readonly Appearance[],
  now?: Head,
): Version | undefined {
  const past = entries.filter((e) => e.at <= at);
  const there = versions.filter((v) => v.createdAt === undefined || v.createdAt <= at).map((v) => v.version);
  const moves = entries.filter((e) => (pointer === "latest" ? MOVES_LATEST.has(e.action) : e.label === pointer));
  if (now !== undefined && moves.length > 0 && moves.every((e) => e.at <= at)) {
    return pointer === "latest" ? (now.pin ?? highestStable(there, now.yanked)) : labelTarget(now, pointer);
  }
  if (pointer !== "latest") {
    let version: Version | undefined;
    for (const e of past) {
      if (e.label !== pointer) continue;
      if (e.action === "label") version = e.to;
      else if (e.action === "unlabel") version = undefined;
    }
    return version;
  }
  let pin: Version | undefined;
  const yanked: Record<string, { at: Timestamp }> = {};
  for (const e of past) {
    if (e.action === "rollback") pin = e.to;
    else if (e.action === "unpin") pin = undefined;
    else if (e.action === "yank" && e.to !== undefined) yanked[e.to] = { at: e.at };
    else if (e.action === "remove" && e.from !== undefined) yanked[e.from] = { at: e.at };
    else if ((e.action === "unyank" || e.action === "restore") && e.to !== undefined) delete yanked[e.to];
  }
  if (pin !== undefined) return pin;
  return highestStable(there, yanked);
}
