/** What comes from a fallback says so: its answers, their revisions, and the cursors of its pages. */
import type { Cursor, HeadState, Page, Provenance, ReadAnswer, StorageDriver } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";

export function provenanceOf(storage: StorageDriver, provenance: Provenance | undefined): Provenance {
  return { source: `fallback:${storage.kind}`, fetchedAt: provenance?.fetchedAt ?? Date.now(), stale: true };
}

/** Revisions of two storages may look alike; one that is marked is never taken for one of the main storage. */
export function flagged(answer: ReadAnswer, storage: StorageDriver, index: number): ReadAnswer {
  const provenance = provenanceOf(storage, answer.provenance);
  const mark = (revision: string) => `fallback-${index}:${revision}`;
  const markHead = (state: HeadState): HeadState => ({
    ...state,
    revision: state.revision === null ? null : mark(state.revision),
  });
  switch (answer.status) {
    case "found":
    case "removed": {
      const { status, document, head, revision } = answer;
      const own = { status, document, revision: mark(revision), provenance };
      return Object.freeze(head === undefined ? own : { ...own, head: markHead(head) });
    }
    case "head":
      return Object.freeze({
        status: "head",
        head: markHead(answer.head),
        revision: mark(answer.revision),
        provenance,
      });
    case "absent":
    case "unchanged":
      throw new RegistryError("INTERNAL", "only what a fallback has may be given from there");
  }
}

const OWNED = /^fallback-(\d{1,4}|main):/;

/** @returns `undefined` for a cursor of the main storage that looks like none of ours */
export function ownerOf(cursor: Cursor): { readonly index: number | "main"; readonly cursor: Cursor } | undefined {
  const match = OWNED.exec(cursor);
  if (match === null) return undefined;
  return { index: match[1] === "main" ? "main" : Number(match[1]), cursor: cursor.slice(match[0].length) };
}

/** The main storage may answer from a fallback of its own, as a server does: its cursors must not be taken for ours. */
export function mainPage<T>(page: Page<T>): Page<T> {
  const { cursor } = page;
  return cursor !== undefined && OWNED.test(cursor) ? { ...page, cursor: `fallback-main:${cursor}` } : page;
}

export function flaggedPage<T>(page: Page<T>, storage: StorageDriver, index: number): Page<T> {
  const provenance = provenanceOf(storage, page.provenance);
  const { items, cursor } = page;
  return cursor === undefined ? { items, provenance } : { items, cursor: `fallback-${index}:${cursor}`, provenance };
}
