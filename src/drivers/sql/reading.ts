import type { ReadAnswer, ReadAsk } from "../../driver.ts";
import { versionSortKey } from "../../semver.ts";
import { headAnswer, slotAnswer, stateOf } from "./rows.ts";
import type { Statements } from "./statements.ts";
import { first, type Row, type Task } from "./task.ts";

export const ABSENT: ReadAnswer = Object.freeze({ status: "absent" });

/** One statement for every ask, but for a version that is missing from a prompt that is there. */
export function* readOne(statements: Statements, { name, selector }: ReadAsk): Task<ReadAnswer> {
  switch (selector.kind) {
    case "version": {
      const row = yield* first(statements.readVersion, { name, sortKey: versionSortKey(selector.version) });
      if (row === undefined) return ABSENT;
      if (row.version !== null) return slotAnswer(row, name);
      const head = yield* first(statements.readHead, { name });
      return head === undefined ? ABSENT : Object.freeze({ status: "absent", head: stateOf(head) });
    }
    case "label":
      return pointedAnswer(yield* first(statements.readLabel, { name, label: selector.label }), name);
    case "latest":
      return pointedAnswer(yield* first(statements.readLatest, { name }), name);
    case "head": {
      const row = yield* first(statements.readHead, { name });
      return row === undefined ? ABSENT : headAnswer(row);
    }
  }
}

export function pointedAnswer(row: Row | undefined, name: ReadAsk["name"]): ReadAnswer {
  if (row === undefined) return ABSENT;
  const head = stateOf(row);
  if (row.version === null) return Object.freeze({ status: "absent", head });
  return slotAnswer(row, name, head);
}

export function answerKnown(ask: ReadAsk, fresh: ReadAnswer): ReadAnswer {
  const { known } = ask;
  if (known === undefined || !("revision" in fresh) || fresh.revision !== known) return fresh;
  return { status: "unchanged", revision: known };
}
