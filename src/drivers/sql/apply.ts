import type { SealedDocument } from "../../document.ts";
import type { Change, Commit, HeadState, Outcome, StoredDocument } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import { compareVersions, isPrerelease, type Version, versionSortKey } from "../../semver.ts";
import { documentOf, entryArgs, headArgs, headOf, revisionOf, stateOf } from "./rows.ts";
import { SCHEMA_VERSION } from "./schema.ts";
import { buries, checkSize, slotColumns } from "./slots.ts";
import type { Statements } from "./statements.ts";
import { all, type Decision, first, type Row, type Task } from "./task.ts";

export interface Touched {
  readonly id: unknown;
  readonly name: string;
  /** It got new versions, and nothing else happened to it. */
  readonly plain: boolean;
}

/** What the dialects do each in their own way while a change is applied. */
export interface Writing {
  readonly statements: Statements;
  /** Puts prompts into the feed; once, at the end, since it may take a lock that all writers want. */
  announce(prompts: readonly Touched[]): Task<void>;
}

const CONFLICT: Outcome = Object.freeze({ status: "conflict", added: false });
const SKIPPED: Outcome = Object.freeze({ status: "skipped" });

/** Applies a commit inside of a transaction. Each change is looked at as a whole before anything of it is written. */
export function* applyCommit(writing: Writing, commit: Commit): Task<Decision<readonly Outcome[]>> {
  const { changes } = commit;
  const outcomes: Outcome[] = changes.map(() => SKIPPED);
  // In one order everywhere, so that two commits never wait for each other in a circle.
  const order = changes
    .map((_, i) => i)
    .sort((a, b) => ((changes[a] as Change).name < (changes[b] as Change).name ? -1 : 1));
  const touched: Touched[] = [];
  checkSchema(Number((yield* first(writing.statements.schemaVersion))?.version));
  const states = yield* lookAhead(writing.statements, changes);
  for (const i of order) {
    const outcome = yield* applyChange(writing.statements, changes[i] as Change, states, touched);
    outcomes[i] = outcome;
    if (outcome.status !== "done" && commit.atomic === true) {
      return { keep: false, value: outcomes.map((o) => (o.status === "done" ? SKIPPED : o)) };
    }
  }
  if (touched.length > 0) yield* writing.announce(touched);
  return { keep: touched.length > 0, value: outcomes };
}

/** Where one statement for all prompts of a commit is cheaper than one for each. */
const FEW = 4;

type States = Map<string, Row | undefined>;

/** The rows of all prompts, where nobody else can change them before they are used. */
function* lookAhead({ states }: Statements, changes: readonly Change[]): Task<States> {
  if (states === undefined || changes.length <= FEW) return new Map();
  const found: States = new Map(changes.map(({ name }) => [name, undefined]));
  for (const row of yield* all(states, { names: JSON.stringify([...found.keys()]) })) {
    found.set(row.name as string, row);
  }
  return found;
}

function* applyChange(statements: Statements, change: Change, states: States, touched: Touched[]): Task<Outcome> {
  const { name, add = [], restore = [], remove = [] } = change;
  const invalid = refusedSize(add) ?? refusedSize(restore) ?? refusedSize(remove) ?? twice(change);
  if (invalid !== undefined) return { status: "failed", error: invalid };
  const makes =
    add.length + restore.length + remove.length > 0 || change.head !== undefined || change.guard !== undefined;
  for (;;) {
    const row = states.has(name) ? states.get(name) : yield* lockPrompt(statements, name);
    states.delete(name);
    let refused: Outcome | undefined;
    try {
      refused = yield* refusal(statements, row, change);
    } catch (error) {
      if (isRegistryError(error, "CORRUPT") || isRegistryError(error, "INVALID")) return { status: "failed", error };
      throw error;
    }
    if (refused !== undefined) return refused;
    if (!makes) return row === undefined ? { status: "done" } : { status: "done", head: stateOf(row) };
    const advances = change.head !== undefined || change.guard !== undefined;
    const generation = Number(row?.generation ?? 0) + (advances ? 1 : 0);
    const live = add.length + restore.length > 0 ? 1 : 0;
    const id = row?.id ?? (yield* first(statements.addPrompt, { name, live, generation }))?.id;
    // Somebody else made the prompt between the two statements: look again.
    if (id === undefined) continue;
    const taken = yield* write(statements, id, row, change, generation);
    if (taken !== undefined) return { status: "exists", existing: taken };
    const plain = change.head === undefined && change.guard === undefined && restore.length + remove.length === 0;
    touched.push({ id, name, plain });
    if (plain) return { status: "done", head: stateAfter(row, add) };
    const after = (yield* first(statements.state, { name })) as Row;
    return { status: "done", head: stateOf(after) };
  }
}

function refusedSize(documents: readonly SealedDocument[]): RegistryError | undefined {
  for (const document of documents) {
    const error = checkSize(document);
    if (error !== undefined) return error;
  }
  return undefined;
}

function twice({ name, add = [], restore = [], remove = [] }: Change): RegistryError | undefined {
  if (add.length + restore.length + remove.length < 2) return undefined;
  for (const part of [[...add, ...restore], remove]) {
    if (part.length > 1 && new Set(part.map((d) => d.version)).size < part.length) {
      return new RegistryError("INVALID", `${name}: one change holds the same version twice`, { name });
    }
  }
  return undefined;
}

/** The prompt's row, which nobody else changes until the end of the transaction. */
function* lockPrompt(statements: Statements, name: string): Task<Row | undefined> {
  if (statements.lock !== undefined && (yield* first(statements.lock, { name })) === undefined) return undefined;
  return yield* first(statements.state, { name });
}

/** A process that was there before a migration must not go on writing the way it used to. */
export function checkSchema(found: number): void {
  if (found <= SCHEMA_VERSION) return;
  throw new RegistryError(
    "CONFIG",
    `the database has schema version ${found} of a later prompt-registry; this one knows ${SCHEMA_VERSION}: update it`,
  );
}

function* refusal(statements: Statements, row: Row | undefined, change: Change): Task<Outcome | undefined> {
  const revision = revisionOf(Number(row?.generation ?? 0));
  if (change.guard !== undefined && change.guard !== revision) return CONFLICT;
  // The slot of a prompt that was locked stays as it is, so it may be written after it was looked at.
  for (const document of row === undefined || isSingle(change) ? [] : (change.add ?? [])) {
    const slot = yield* first(statements.slot, { prompt: row?.id, sortKey: versionSortKey(document.version) });
    if (slot !== undefined) return { status: "exists", existing: documentOf(slot, change.name) };
  }
  for (const document of row === undefined ? [] : (change.restore ?? [])) {
    const slot = yield* first(statements.slot, { prompt: row?.id, sortKey: versionSortKey(document.version) });
    if (slot === undefined) continue;
    const existing = documentOf(slot, change.name);
    if (Number(slot.tombstone) === 0 || !buries(existing.text, document)) return { status: "exists", existing };
  }
  if (change.head !== undefined && change.head.expect !== revision) return CONFLICT;
  return undefined;
}

/** One new document and nothing else: whether its slot is free is seen when it is written. */
function isSingle({ add, guard, head, remove, restore }: Change): boolean {
  return (
    add?.length === 1 && guard === undefined && head === undefined && remove === undefined && restore === undefined
  );
}

/** One new document that can be stored, and nothing else: both dialects publish it in a way of its own. */
export function isPlain(change: Change): boolean {
  return isSingle(change) && refusedSize(change.add ?? []) === undefined;
}

/** @returns what stands where a document was to be added */
function* write(
  statements: Statements,
  prompt: unknown,
  row: Row | undefined,
  change: Change,
  generation: number,
): Task<StoredDocument | undefined> {
  const { add = [], restore = [], remove = [], head, guard } = change;
  for (const document of add) {
    const columns = slotColumns(document, false);
    if ((yield* first(statements.addVersion, { prompt, ...columns })) !== undefined) continue;
    const slot = yield* first(statements.slot, { prompt, sortKey: columns.sortKey });
    if (slot !== undefined && isSingle(change)) return documentOf(slot, change.name);
    throw new RegistryError("INTERNAL", `${change.name}@${document.version} was taken while its prompt was locked`);
  }
  for (const document of restore) yield* put(statements, prompt, document, false);
  if (head !== undefined) {
    yield* all(statements.setHead, { prompt, generation, ...headArgs(head.next) });
    for (const entry of head.entries) yield* all(statements.addEntry, { prompt, ...entryArgs(entry) });
  } else if (guard !== undefined && row !== undefined) yield* all(statements.setGeneration, { prompt, generation });
  for (const document of remove) yield* put(statements, prompt, document, true);
  const revives = add.length + restore.length > 0 && Number(row?.live ?? 1) === 0;
  if (remove.length > 0 || revives) yield* all(statements.setLive, { prompt });
  return undefined;
}

/** Puts a tombstone where there is none, or a document in the place of its tombstone. */
function* put(statements: Statements, prompt: unknown, document: SealedDocument, tombstone: boolean): Task<void> {
  const slot = yield* first(statements.slot, { prompt, sortKey: versionSortKey(document.version) });
  if (tombstone && slot !== undefined && Number(slot.tombstone) === 1) return;
  const columns = slotColumns(document, tombstone);
  if (slot === undefined) yield* first(statements.addVersion, { prompt, ...columns });
  else yield* all(statements.replaceVersion, { prompt, ...columns });
}

/** The state after documents were added, worked out from the state before: it saves looking a second time. */
export function stateAfter(row: Row | undefined, added: readonly { readonly version: Version }[]): HeadState {
  const head = headOf(row ?? { generation: 0 });
  let highest = (row?.highest as Version | null | undefined) ?? undefined;
  for (const { version } of added) {
    if (!Object.hasOwn(head.yanked, version) && (highest === undefined || outranks(version, highest)))
      highest = version;
  }
  const latest = head.pin ?? highest;
  return Object.freeze({ head, revision: revisionOf(head.generation), ...(latest === undefined ? {} : { latest }) });
}

function outranks(a: Version, b: Version): boolean {
  if (isPrerelease(a) !== isPrerelease(b)) return isPrerelease(b);
  return compareVersions(a, b) > 0;
}
