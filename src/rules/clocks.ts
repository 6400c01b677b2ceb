/** What is made of the clocks of several writers, of which any may be wrong. Pure: who calls brings the time. */
import type { Head, Timestamp } from "../driver.ts";

/** By how much the clocks of writers may differ without anybody having to look after them. */
const SKEW_MS = 10_000;
/** What lies further ahead than this was not written by a clock that is right. */
const AHEAD_MS = 5 * 60_000;

/**
 * When a change counts as made: not before the one that its head knows of, so that changes stay in the order of their
 * writing although two clocks never agree.
 *
 * Only by as much as honest clocks differ. Whose clock is years ahead would else stamp everything that anybody did
 * afterwards; so each change has the time of its own writer, and what is wrong stays with the one who was.
 */
export function notBefore({ updatedAt }: Pick<Head, "updatedAt">, at: Timestamp): Timestamp {
  if (updatedAt === undefined || updatedAt <= at) return at;
  return Date.parse(updatedAt) - Date.parse(at) <= SKEW_MS ? updatedAt : at;
}

/** Whether a time can't have come yet, whatever clock is asked within reason. */
export function isAhead(at: Timestamp, now: Timestamp): boolean {
  return Date.parse(at) - Date.parse(now) > AHEAD_MS;
}
