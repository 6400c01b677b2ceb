/** A change in the caller's name and by this server's clock, for callers without the right to import. */
import { openStored, type SealedDocument, sealDocument, sealTombstone } from "../../document.ts";
import type { Change, Deprecation, Head, HistoryEntry, Timestamp, Yank } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import { notBefore } from "../../rules/clocks.ts";
import type { Version } from "../../semver.ts";
import type { Difference, Slots } from "./judge.ts";

export interface Author {
  readonly by: string;
  readonly at: Timestamp;
  /** Id of the commit. */
  readonly commit: string;
}

export function rewrite(change: Change, difference: Difference, slots: Slots, author: Author): Change {
  const { name, add, guard, head, remove, restore } = change;
  const at = notBefore(difference.from, author.at);
  return {
    name,
    ...(add === undefined ? {} : { add: add.map((document) => sealAgain(document, author)) }),
    ...(guard === undefined ? {} : { guard }),
    ...(head === undefined
      ? {}
      : {
          head: {
            expect: head.expect,
            next: nextOf(difference, { ...author, at }),
            entries: entriesOf(difference, head.entries, { ...author, at }),
          },
        }),
    ...(remove === undefined ? {} : { remove: remove.map((d) => entombAgain(d, slots, author)) }),
    // A restored document is what it was, or it is no restored document.
    ...(restore === undefined ? {} : { restore }),
  };
}

function sealAgain(document: SealedDocument, { by, at }: Author): SealedDocument {
  const opened = openStored(document.text, document);
  if (opened.kind === "tombstone") throw new RegistryError("INVALID", "a tombstone can't be published", {});
  const { name, version, text, message } = opened;
  return sealDocument({ name, version, text, author: by, createdAt: at, message });
}

function entombAgain(document: SealedDocument, slots: Slots, { by, at }: Author): SealedDocument {
  const tombstone = openStored(document.text, document);
  if (tombstone.kind === "document") throw new RegistryError("INVALID", "a document is no tombstone", {});
  const { name, version, removed } = tombstone;
  const answer = slots.get(version);
  const { author, createdAt, message } = answer?.status === "found" ? saidBy(answer.document.text, document) : {};
  return sealTombstone({
    ...{ name, version, digest: removed.digest, at, by },
    ...{ reason: removed.reason, author, createdAt, message },
  });
}

function saidBy(text: string, slot: SealedDocument): { author?: string; createdAt?: string; message?: string } {
  try {
    return openStored(text, slot);
  } catch {
    return {};
  }
}

function nextOf({ from, to }: Difference, { by, at }: Author): Omit<Head, "generation"> {
  const yanked: Record<Version, Yank> = {};
  for (const [version, yank] of Object.entries(to.yanked) as [Version, Yank][]) {
    const before = Object.hasOwn(from.yanked, version) ? from.yanked[version] : undefined;
    const isSame = before !== undefined && before.removed === yank.removed && before.reason === yank.reason;
    yanked[version] = isSame ? before : { ...yank, at, by };
  }
  const { deprecated } = to;
  const mark: Deprecation | undefined =
    deprecated === undefined || deprecated.message === from.deprecated?.message
      ? deprecated && from.deprecated
      : { at, by, message: deprecated.message };
  return {
    labels: to.labels,
    ...(to.pin === undefined ? {} : { pin: to.pin }),
    yanked,
    ...(mark === undefined ? {} : { deprecated: mark }),
    updatedAt: at,
  };
}

type Fields = Omit<HistoryEntry, "at" | "by" | "commit" | "message">;

/** One entry for everything that changes, whatever the caller says; what it says about why is kept. */
function entriesOf(difference: Difference, given: readonly HistoryEntry[], author: Author): HistoryEntry[] {
  const entries: HistoryEntry[] = [];
  const add = (fields: Fields, message?: string) => {
    const told = given.find((e) => e.action === fields.action && e.label === fields.label && isAbout(e, fields));
    const why = message ?? told?.message;
    const { at, by, commit } = author;
    entries.push({ at, by, ...fields, ...(why === undefined ? {} : { message: why }), commit });
  };
  const { from, to } = difference;
  for (const { label, from: before, to: after } of difference.labels) {
    const where = before === undefined ? {} : { from: before };
    if (after === undefined) add({ action: "unlabel", label, ...where });
    else add({ action: "label", label, ...where, to: after });
  }
  if (difference.pin) {
    const told = given.find((e) => e.action === "rollback")?.from;
    if (to.pin === undefined) add({ action: "unpin", ...(from.pin === undefined ? {} : { from: from.pin }) });
    else add({ action: "rollback", ...(told === undefined ? {} : { from: told }), to: to.pin });
  }
  // Before its yank: who replays the history takes the marks of a version away where it is restored.
  for (const version of difference.restored) add({ action: "restore", to: version });
  for (const { version, lifted } of difference.yanked) add({ action: lifted ? "unyank" : "yank", to: version });
  for (const version of difference.removed) add({ action: "remove", from: version });
  if (difference.deprecated) {
    if (to.deprecated === undefined) add({ action: "undeprecate" });
    else add({ action: "deprecate" }, to.deprecated.message);
  }
  return entries;
}

function isAbout(entry: HistoryEntry, fields: Fields): boolean {
  return fields.action === "remove" ? entry.from === fields.from : fields.to === undefined || entry.to === fields.to;
}
