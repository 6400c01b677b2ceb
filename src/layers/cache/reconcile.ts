import type { DriverSelector, Head, HeadState, ReadAnswer } from "../../driver.ts";
import { isAhead } from "../../rules/clocks.ts";
import { labelTarget } from "../../rules/latest.ts";
import { compareVersions, isPrerelease, type Version } from "../../semver.ts";
import type { Keeper } from "./keeper.ts";
import { type Cell, expire, type Instant, type Shelf } from "./shelf.ts";

/**
 * A head that came with one answer says something of all others: what it marks as removed or no longer names is thrown
 * out, so that a prompt that was deleted is gone under every selector with the first refresh of one; what it points
 * elsewhere, or what was told with an older head, is asked for again.
 */
export function reconcile(keeper: Keeper, shelf: Shelf, state: HeadState, at: Instant): void {
  const { head } = state;
  for (const cell of [...shelf.cells()]) {
    const { entry, selector } = cell;
    if (entry === undefined || entry.at.mono > at.mono) continue;
    const shown = shownBy(cell);
    if (isRemoved(head, shown)) {
      keeper.drop(cell);
      shelf.changedAt = Math.max(shelf.changedAt, at.mono);
      continue;
    }
    if (selector.kind === "version") continue;
    // Of one prompt nobody sees a head and then, under another selector, an older one.
    const isOlder = (headOf(entry.answer)?.head.generation ?? head.generation) < head.generation;
    const target = selector.kind === "head" ? undefined : targetOf(selector, state);
    if (selector.kind === "head" ? !isOlder : target === shown && !isOlder) continue;
    shelf.changedAt = Math.max(shelf.changedAt, at.mono);
    if (target === undefined && selector.kind !== "head") keeper.drop(cell);
    else expire(entry);
  }
}

/**
 * Notes the newest head that was told, and sees to it that nobody who asks from now on is given what is kept of an older one, or
 * waits for what somebody else asked for before that.
 */
export function hear(shelf: Shelf, state: HeadState, at: Instant): void {
  const { told } = shelf;
  // One that was asked for since and is behind: the store itself went back, as when a copy of old was put in its place.
  if (told !== undefined && !isBehind(told.state, state) && at.mono < told.at) return;
  const isKnown = told?.state.head.generation === state.head.generation && told.state.latest === state.latest;
  if (isKnown) return;
  shelf.told = { state, at: performance.now() };
  shelf.closeFlights();
  for (const cell of shelf.cells()) {
    const { entry } = cell;
    if (entry === undefined) continue;
    const theirs = headOf(entry.answer);
    const isOld = theirs === undefined ? isRemoved(state.head, shownBy(cell)) : isBehind(theirs, state);
    if (isOld) expire(entry);
  }
}

function targetOf(selector: Exclude<DriverSelector, { kind: "version" | "head" }>, { head, latest }: HeadState) {
  return selector.kind === "label" ? labelTarget(head, selector.label) : latest;
}

function isRemoved({ yanked }: Head, version: Version | undefined): boolean {
  return version !== undefined && Object.hasOwn(yanked, version) && yanked[version]?.removed === true;
}

/** Whether an answer that was asked for before a head was told is of before that head: then it is not kept. */
export function isOverheard(shelf: Shelf, selector: DriverSelector, answer: ReadAnswer, at: Instant): boolean {
  const { told } = shelf;
  if (told === undefined || told.at <= at.mono) return false;
  const own = headOf(answer);
  if (own !== undefined) return isBehind(own, told.state);
  const shown = answer.status === "found" ? answer.document.version : undefined;
  if (selector.kind === "version") return isRemoved(told.state.head, shown);
  return selector.kind === "head" || shown !== targetOf(selector, told.state);
}

/** A head never goes back, and publishing, which does not touch it, only moves `latest` up. */
function isBehind(a: HeadState, b: HeadState): boolean {
  if (a.head.generation !== b.head.generation) return a.head.generation < b.head.generation;
  if (a.latest === b.latest || b.latest === undefined) return false;
  if (a.latest === undefined) return true;
  if (isPrerelease(a.latest) !== isPrerelease(b.latest)) return isPrerelease(a.latest);
  return compareVersions(a.latest, b.latest) < 0;
}

/**
 * Whether a fallback's answer is of a later state than what is kept here. How long ago it was asked says nothing: a copy
 * answers now with what it got at some time. Heads say when they changed, and that travels with copies. In doubt the kept
 * one is given, so that nobody who saw a change sees it undone.
 */
export function isNewer(answer: ReadAnswer, own: ReadAnswer): boolean {
  const [theirs, mine] = [headOf(answer), headOf(own)];
  if (theirs === undefined || mine === undefined) return false;
  const [later, earlier] = [theirs.head.updatedAt ?? "", mine.head.updatedAt ?? ""];
  // A time that can't have come proves nothing: it is of a clock that was ahead.
  if (later !== earlier) return later > earlier && !isAhead(later, new Date().toISOString());
  if (answer.status !== "found" || own.status !== "found") return false;
  // Publishing does not touch the head, and only ever moves `latest` up.
  return compareVersions(answer.document.version, own.document.version) > 0;
}

export function headOf(answer: ReadAnswer): HeadState | undefined {
  return "head" in answer ? answer.head : undefined;
}

function shownBy({ entry }: Cell) {
  return entry?.answer.status === "found" ? entry.answer.document.version : undefined;
}
