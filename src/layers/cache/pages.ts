import type { Operation, Page, VersionEntry, VersionQuery } from "../../driver.ts";
import type { PromptName } from "../../names.ts";
import { asRegistryError, isOutage } from "../outage.ts";
import type { Reads } from "./reads.ts";
import { ageOf, bytesOfPage, instant, type PageCell } from "./shelf.ts";
import { Trip } from "./trip.ts";

/**
 * Pages of versions are what ranges are resolved from: they are kept, so that `name@^1` survives an outage, but asked for
 * every time where a write could be planned on them.
 */
export async function answerPage(
  reads: Reads,
  name: PromptName,
  query: VersionQuery,
  op: Operation | undefined,
): Promise<Page<VersionEntry>> {
  const shelf = await reads.shelfOf(name);
  const cell = shelf.pageCell(`${query.includeRemoved === true} ${query.limit} ${query.cursor ?? ""}`);
  const { entry } = cell;
  const mustAsk = op?.fresh ?? reads.inner.capabilities.write;
  if (entry !== undefined) {
    const isFresh = !mustAsk && !entry.expired && ageOf(entry) <= reads.settings.ttl;
    if (isFresh) reads.counts.hits++;
    else if (reads.isQuiet && reads.isBearable(entry)) reads.counts.stale++;
    if (isFresh || (reads.isQuiet && reads.isBearable(entry))) {
      entry.used = true;
      return entry.page;
    }
  }
  if (cell.flight?.isClosed ?? true) {
    reads.counts.misses++;
    cell.flight = send(reads, cell, name, query);
  } else reads.counts.joined++;
  try {
    return await (cell.flight as Trip<Page<VersionEntry>>).join(op?.signal, "listVersions");
  } catch (error) {
    if (!isOutage(error) || cell.entry === undefined || !reads.isBearable(cell.entry)) throw error;
    reads.counts.stale++;
    return cell.entry.page;
  }
}

function send(reads: Reads, cell: PageCell, name: PromptName, query: VersionQuery): Trip<Page<VersionEntry>> {
  const { inner, keeper } = reads;
  const { shelf } = cell;
  const { epoch } = shelf;
  const at = instant();
  const leave = () => {
    if (cell.flight !== trip) return;
    cell.flight = undefined;
    keeper.tidy(shelf);
  };
  const call = async (signal: AbortSignal): Promise<Page<VersionEntry>> => {
    try {
      const page: Page<VersionEntry> = await inner.listVersions(name, query, { signal });
      if (page.provenance?.stale === true) {
        reads.noteOutage();
        const own = cell.entry;
        return own !== undefined && reads.isBearable(own) ? own.page : page;
      }
      reads.noteSuccess();
      reads.writes.answered(name);
      const isCurrent = shelf.epoch === epoch && keeper.find(name) === shelf && shelf.changedAt <= at.mono;
      // A slow answer: what was asked for later came first, and is not undone.
      if (isCurrent && cell.entry !== undefined && cell.entry.at.mono > at.mono) return cell.entry.page;
      if (isCurrent) keep(reads, cell, page, at);
      return page;
    } catch (error) {
      if (!signal.aborted) {
        if (isOutage(error)) reads.noteOutage(error.context.retryAfter);
        else keeper.drop(cell);
      }
      throw asRegistryError(error, inner.kind);
    } finally {
      leave();
    }
  };
  const trip: Trip<Page<VersionEntry>> = new Trip(call, leave);
  return trip;
}

function keep(reads: Reads, cell: PageCell, page: Page<VersionEntry>, at: ReturnType<typeof instant>): void {
  if (page.items.length === 0) {
    reads.keeper.drop(cell);
    return;
  }
  const expired = reads.writes.isInDoubt(cell.shelf.name);
  const entry = { cell, page: Object.freeze(page), at, bytes: bytesOfPage(page), expired, used: true };
  reads.keeper.put(entry);
}
