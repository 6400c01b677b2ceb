/** Between the types of the driver contract and the JSON of the protocol; used by both ends. */
import { openStored, type SealedDocument } from "../../document.ts";
import type { Change, Commit, Outcome, StoredDocument } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import type { Version } from "../../semver.ts";
import { errorFrom, problemOf } from "./problem.ts";
import type { WireChange, WireCommit, WireOutcome } from "./schemas.ts";

/** What `JSON.stringify` is given for a commit. */
export function commitToWire(commit: Commit): WireCommit {
  const { id, at, by, message, atomic, changes } = commit;
  return {
    id,
    at,
    ...(by === undefined ? {} : { by }),
    ...(message === undefined ? {} : { message }),
    ...(atomic === undefined ? {} : { atomic }),
    changes: changes.map(changeToWire),
  };
}

function changeToWire({ name, add, guard, head, remove, restore }: Change): WireChange {
  return {
    name,
    ...(add === undefined ? {} : { add: add.map(bare) }),
    ...(guard === undefined ? {} : { guard }),
    ...(head === undefined
      ? {}
      : { head: { expect: head.expect, next: head.next, entries: head.entries.map((entry) => ({ ...entry })) } }),
    ...(remove === undefined ? {} : { remove: remove.map(bare) }),
    ...(restore === undefined ? {} : { restore: restore.map(bare) }),
  };
}

function bare({ version, text }: SealedDocument): { version: Version; text: string } {
  return { version, text };
}

/**
 * A checked change; every document's digest is verified.
 *
 * @throws RegistryError INVALID
 */
export function changeFromWire(wire: WireChange): Change {
  const { name, add, guard, head, remove, restore } = wire;
  const twice = repeated([...(add ?? []), ...(remove ?? []), ...(restore ?? [])].map((d) => d.version));
  if (twice !== undefined) throw new RegistryError("INVALID", `${name}@${twice} stands in one change twice`, { name });
  return {
    name,
    ...(add === undefined ? {} : { add: add.map((d) => sealedFrom(name, d, "document")) }),
    ...(guard === undefined ? {} : { guard }),
    ...(head === undefined ? {} : { head }),
    ...(remove === undefined ? {} : { remove: remove.map((d) => sealedFrom(name, d, "tombstone")) }),
    ...(restore === undefined ? {} : { restore: restore.map((d) => sealedFrom(name, d, "document")) }),
  };
}

/** The first that stands in the list a second time. */
export function repeated<T>(list: readonly T[]): T | undefined {
  const seen = new Set<T>();
  return list.find((one) => seen.size === seen.add(one).size);
}

function sealedFrom(
  name: PromptName,
  { version, text }: { readonly version: Version; readonly text: string },
  kind: "document" | "tombstone",
): SealedDocument {
  const bad = (problem: string, cause?: unknown) =>
    new RegistryError("INVALID", `${name}@${version} ${problem}`, { name, version, field: "text", cause });
  let opened: ReturnType<typeof openStored>;
  try {
    opened = openStored(text, { name, version });
    if (opened.kind === "document") void opened.metadata;
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    throw bad(`is no sealed document of that name and version: ${error.message}`, error);
  }
  if (opened.kind !== kind) throw bad(kind === "document" ? "is the mark of a removed version" : "is no such mark");
  if (opened.kind === "document" && !opened.sealed) throw bad("is not sealed");
  return { name, version, text, digest: opened.digest };
}

export function outcomeToWire(outcome: Outcome, requestId?: string): unknown {
  return outcome.status === "failed" ? { status: "failed", problem: problemOf(outcome.error, requestId) } : outcome;
}

export function outcomeFromWire(wire: WireOutcome, from: { backend: string; location: string }): Outcome {
  if (wire.status === "failed") {
    const error =
      errorFrom(wire.problem, from) ??
      new RegistryError("UNAVAILABLE", `${from.location} told of a failure without saying which`, {
        ...from,
        outcome: "unknown",
      });
    return { status: "failed", error };
  }
  if (wire.status !== "done") return wire;
  const { head, warnings, stored } = wire;
  return {
    status: "done",
    ...(head === undefined ? {} : { head }),
    ...(warnings === undefined ? {} : { warnings }),
    ...(stored === undefined ? {} : { stored: stored as readonly StoredDocument[] }),
  };
}
