import type { DriverSelector, HeadState, ReadAnswer } from "../../driver.ts";
import { labelTarget } from "../../rules/latest.ts";
import { compareVersions } from "../../semver.ts";
import type { Keeper } from "./keeper.ts";
import { type Cell, endLease, type Instant, type Shelf } from "./shelf.ts";

/**
 * A head that came with one answer says something of all others: what it marks as removed or no longer names is thrown
 * out, so that a prompt that was deleted is gone under every selector with the first refresh of one; what it points
 * elsewhere, or what was told with an older head, is asked for again.
 */
export function reconcile(keeper: Keeper, shelf: Shelf, { head, latest }: HeadState, at: Instant): void {
  for (const cell of [...shelf.cells()]) {
    const { entry, selector } = cell;
    if (entry === undefined || entry.at.mono > at.mono) continue;
    const shown = shownBy(cell);
    if (shown !== undefined && Object.hasOwn(head.yanked, shown) && head.yanked[shown]?.removed === true) {
      keeper.drop(cell);
      shelf.changedAt = Math.max(shelf.changedAt, at.mono);
      continue;
    }
    if (selector.kind === "version") continue;
    // Of one prompt nobody sees a head and then, under another selector, an older one.
    const isOlder = (headOf(entry.answer)?.head.generation ?? head.generation) < head.generation;
    const target = selector.kind === "label" ? labelTarget(head, selector.label) : latest;
    if (selector.kind === "head" ? !isOlder : target === shown && !isOlder) continue;
    shelf.changedAt = Math.max(shelf.changedAt, at.mono);
    if (target === undefined && selector.kind !== "head") keeper.drop(cell);
    else {
      entry.expired = true;
      endLease(entry);
    }
  }
}

/**
 * Notes what a head says, and sees to it that nobody who asks from now on is given what somebody else asked for before it and
 * has yet to be told.
 */
export function hear(shelf: Shelf, state: HeadState, at: Instant, trip: Cell["flight"]): void {
  const { told } = shelf;
  if (told !== undefined && told.at > at.mono) return;
  shelf.told = { state, at: at.mono };
  const isKnown = told?.state.head.generation === state.head.generation && told.state.latest === state.latest;
  if (isKnown) return;
  for (const { flight } of shelf.cells()) if (flight !== undefined && flight !== trip) flight.isClosed = true;
}

/** Whether an answer was asked for before a head that says otherwise was: then it is not kept. */
export function isOverheard(shelf: Shelf, selector: DriverSelector, answer: ReadAnswer, at: Instant): boolean {
  const { told } = shelf;
  if (told === undefined || told.at <= at.mono) return false;
  const { head, latest } = told.state;
  const own = headOf(answer);
  if (own !== undefined && (own.head.generation < head.generation || own.latest !== latest)) return true;
  const shown = answer.status === "found" ? answer.document.version : undefined;
  if (selector.kind === "version") {
    return shown !== undefined && Object.hasOwn(head.yanked, shown) && head.yanked[shown]?.removed === true;
  }
  if (selector.kind === "head") return own === undefined;
  return shown !== (selector.kind === "label" ? labelTarget(head, selector.label) : latest);
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
  if (later !== earlier) return later > earlier;
  if (answer.status !== "found" || own.status !== "found") return false;
  // Publishing does not touch the head, and only ever moves `latest` up.
  return compareVersions(answer.document.version, own.document.version) > 0;
}

function headOf(answer: ReadAnswer): HeadState | undefined {
  return "head" in answer ? answer.head : undefined;
}

function shownBy({ entry }: Cell) {
  return entry?.answer.status === "found" ? entry.answer.document.version : undefined;
}
