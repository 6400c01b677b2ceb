/** What the audit log is told of a commit: an entry for each document and each label of each change. */
import type { Change, HeadState, Outcome } from "../../driver.ts";
import type { PromptName } from "../../names.ts";
import type { Call, Note } from "./context.ts";
import type { Difference, Slots } from "./judge.ts";
import { overrideNote } from "./policy.ts";
import { outcomeOf } from "./record.ts";

/** A change on its way through the checks; `outcome` ends it. */
export interface Case {
  readonly name: PromptName;
  change?: Change;
  state?: HeadState | undefined;
  difference?: Difference;
  imports: boolean;
  slots: Slots;
  /** Rules of the policy that it is published in spite of. */
  overridden?: readonly string[];
  outcome?: Outcome;
}

export function noteParts(call: Call, cases: readonly Case[]): void {
  call.parts.push(...cases.flatMap(partsOf));
  // It is said of each now.
  if (call.parts.length > 0) delete call.note.note;
}

function partsOf(one: Case): Note[] {
  const { name, change, difference, outcome } = one;
  const base: Note = { prompt: name, ...resultOf(outcome) };
  const { add = [], remove = [], restore = [] } = change ?? {};
  const documents = [...add, ...remove, ...restore].map(({ version, digest }): Note => ({ version, digest }));
  const labels = (difference?.labels ?? []).map(
    ({ label, from, to }): Note => ({
      label,
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
    }),
  );
  // The usual publication, with the label that goes with it, is one.
  const facts =
    documents.length <= 1 && labels.length <= 1 ? [{ ...documents[0], ...labels[0] }] : [...documents, ...labels];
  const more = [...said(one), overrideNote(one.overridden ?? []) ?? ""].filter((part) => part !== "").join("; ");
  return facts.map((fact, i) => ({ ...base, ...fact, ...(i > 0 || more === "" ? {} : { note: more }) }));
}

/** What no field says. */
function said({ change, difference }: Case): string[] {
  const { remove = [], restore = [] } = change ?? {};
  const notes = [
    ...remove.map(({ version }) => `remove ${version}`),
    ...restore.map(({ version }) => `restore ${version}`),
  ];
  if (difference === undefined) return notes;
  if (difference.pin) notes.push(difference.to.pin === undefined ? "unpin" : `pin ${difference.to.pin}`);
  for (const { version, lifted } of difference.yanked) notes.push(`${lifted ? "unyank" : "yank"} ${version}`);
  if (difference.deprecated) notes.push(difference.to.deprecated === undefined ? "undeprecate" : "deprecate");
  return notes;
}

/** Nothing where the commit ended before this change did: then it ended as the request did. */
function resultOf(outcome: Outcome | undefined): Note {
  switch (outcome?.status) {
    case undefined:
      return {};
    case "done":
      return { outcome: "done" };
    case "failed":
      return { outcome: outcomeOf(outcome.error), code: outcome.error.code };
    case "exists":
      return { outcome: "refused", code: "ALREADY_EXISTS" };
    case "conflict":
      return { outcome: "refused", code: "CONFLICT" };
    default:
      return { outcome: "refused" };
  }
}
