import { openStored } from "../../document.ts";
import type { Change, Commit, Outcome, ReadAnswer, ReadAsk, StoredDocument } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import type { Version } from "../../semver.ts";
import type { WireCommit } from "../protocol/schemas.ts";
import { changeFromWire, outcomeToWire, repeated } from "../protocol/wire.ts";
import { Denied, denial, mayChange, require } from "./authorize.ts";
import { type Case, noteParts } from "./commit-notes.ts";
import type { Call, Result } from "./context.ts";
import { checkChange, type Difference, differenceOf, guardRemoval, needsOf, slotsOf } from "./judge.ts";
import { askPolicy } from "./policy.ts";
import { rewrite } from "./rewrite.ts";

/** Applies a commit of a client as far as it may, and as far as a registry could have planned it. */
export async function commitRoute(call: Call): Promise<Result> {
  const wire = call.body as WireCommit;
  const { driver } = call.shared;
  const names = wire.changes.map(({ name }) => name);
  const twice = repeated(names);
  if (twice !== undefined) throw new RegistryError("INVALID", `a commit changes ${twice} twice`, { name: twice });
  if (names.length === 1) call.note.prompt = names[0] as PromptName;
  else call.note.note = `${names.length} prompts: ${names.slice(0, 20).join(", ")}${names.length > 20 ? ", …" : ""}`;
  if (wire.atomic === true && names.length > 1 && driver.capabilities.atomicity !== "batch") {
    throw new RegistryError("UNSUPPORTED", "this storage can't change several prompts atomically; leave atomic out");
  }
  const cases = wire.changes.map((change): Case => {
    const one: Case = { name: change.name, imports: false, slots: new Map() };
    attempt(one, () => {
      // Who may do nothing here has no business with having documents opened.
      if (!mayChange(call.shared.access, call.principal, one.name)) {
        throw denial(call.shared.access, call.principal, "write", { name: one.name });
      }
      one.change = changeFromWire(change);
    });
    return one;
  });
  try {
    await judge(call, wire, cases);
    endIfAllFailed(cases);
    await apply(call, wire, cases);
  } finally {
    noteParts(call, cases);
  }
  const outcomes = cases.map((one) => shown(call, one));
  return { status: 200, json: { outcomes: outcomes.map((outcome) => outcomeToWire(outcome, call.requestId)) } };
}

function attempt(one: Case, step: () => void): void {
  if (one.outcome !== undefined) return;
  try {
    step();
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    one.outcome = { status: "failed", error };
  }
}

async function judge(call: Call, wire: WireCommit, cases: readonly Case[]): Promise<void> {
  const { access } = call.shared;
  const { principal } = call;
  const looking = cases.filter(({ change, outcome }) => outcome === undefined && needsHead(change as Change));
  const heads = await readAll(
    call,
    looking.map(({ name }) => ({ name, selector: { kind: "head" } })),
  );
  for (const [i, one] of looking.entries()) {
    const answer = heads[i] as ReadAnswer;
    one.state = answer.status === "head" ? answer.head : undefined;
  }
  for (const one of cases) {
    attempt(one, () => {
      const change = one.change as Change;
      const { head, name } = change;
      if (head !== undefined && head.expect !== (one.state?.revision ?? null)) {
        // What it was planned on is gone: which rights it takes can't be said, and it won't happen.
        const isSeen = access.allows(principal, "read", { name }) || access.allows(principal, "write", { name });
        if (!isSeen) throw denial(access, principal, "write", { name });
        one.outcome = { status: "conflict", added: false };
        return;
      }
      one.difference = differenceOf(change, one.state);
      for (const { right, resource } of needsOf(change, one.difference, wire)) {
        require(access, principal, right, resource);
      }
      one.imports = access.allows(principal, "import", { name });
    });
  }
  await look(call, cases);
  for (const one of cases) {
    attempt(one, () => {
      const difference = one.difference as Difference;
      const change = one.change as Change;
      checkChange(change, difference, one.slots, one.state, one.imports);
      if (one.imports) {
        one.change = guardRemoval(change, one.slots, one.state);
        return;
      }
      const author = { by: principal.name, at: call.shared.now().toISOString(), commit: wire.id };
      one.change = rewrite(change, difference, one.slots, author);
    });
  }
  const { policy } = call.shared.options;
  if (policy === undefined) return;
  for (const one of cases) {
    if (one.outcome !== undefined) continue;
    try {
      one.overridden = await askPolicy(call.shared.driver, policy, one.change as Change);
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      one.outcome = { status: "failed", error };
    }
  }
}

function needsHead({ guard, head, remove, restore }: Change): boolean {
  return guard !== undefined || head !== undefined || remove !== undefined || restore !== undefined;
}

async function look(call: Call, cases: readonly Case[]): Promise<void> {
  const wanted = cases
    .filter(({ outcome }) => outcome === undefined)
    .map((one) => ({ one, versions: slotsOf(one.change as Change, one.difference as Difference, one.imports) }))
    .filter(({ versions }) => versions.length > 0);
  const asks = wanted.flatMap(({ one, versions }) =>
    versions.map((version): ReadAsk => ({ name: one.name, selector: { kind: "version", version } })),
  );
  const answers = (await readAll(call, asks))[Symbol.iterator]();
  for (const { one, versions } of wanted) {
    one.slots = new Map(
      versions.map((version): [Version, ReadAnswer] => [version, answers.next().value as ReadAnswer]),
    );
  }
}

async function readAll(call: Call, asks: readonly ReadAsk[]): Promise<ReadAnswer[]> {
  const { driver } = call.shared;
  const size = driver.capabilities.maxBatch;
  const answers: ReadAnswer[] = [];
  for (let i = 0; i < asks.length; i += size) {
    answers.push(...(await driver.read(asks.slice(i, i + size), { fresh: true })));
  }
  return answers;
}

/** Where nothing is left to do, the first reason is the reply. */
function endIfAllFailed(cases: readonly Case[]): void {
  const errors = cases.map(({ outcome }) => (outcome?.status === "failed" ? outcome.error : undefined));
  const [first] = errors;
  if (first !== undefined && errors.every((error) => error !== undefined))
    throw errors.find((e) => e instanceof Denied) ?? first;
}

async function apply(call: Call, wire: WireCommit, cases: readonly Case[]): Promise<void> {
  const { driver } = call.shared;
  const isRefused = cases.some(({ outcome }) => outcome !== undefined);
  if (wire.atomic === true && isRefused) {
    for (const one of cases) one.outcome ??= { status: "skipped" };
    return;
  }
  const left = cases.filter(({ outcome }) => outcome === undefined);
  const isImport = left.length > 0 && left.every(({ imports }) => imports);
  const { id, message, atomic } = wire;
  const at = isImport ? wire.at : call.shared.now().toISOString();
  const by = isImport ? wire.by : call.principal.name;
  const rest = {
    ...(by === undefined ? {} : { by }),
    ...(message === undefined ? {} : { message }),
    ...(atomic === undefined ? {} : { atomic }),
  };
  const size = atomic === true ? Math.max(1, left.length) : driver.capabilities.maxBatch;
  for (let i = 0; i < left.length; i += size) {
    const part = left.slice(i, i + size);
    const commit: Commit = { id, at, ...rest, changes: part.map(({ change }) => change as Change) };
    for (const { name } of part) call.shared.changed(name);
    try {
      const outcomes = await driver.commit(commit);
      for (const [k, one] of part.entries()) one.outcome = outcomes[k] as Outcome;
    } catch (error) {
      // Parts before this one are done and say so.
      if (i === 0 || !isRegistryError(error)) throw error;
      for (const one of part) one.outcome = { status: "failed", error };
    } finally {
      for (const { name } of part) call.shared.changed(name);
    }
  }
}

/** What the caller may know of an outcome. */
function shown(call: Call, one: Case): Outcome {
  const { name, change, imports } = one;
  const outcome = one.outcome as Outcome;
  const mayRead = call.shared.access.allows(call.principal, "read", { name });
  if (outcome.status === "exists" && !mayRead && !wasSent(outcome.existing, change)) {
    const { version } = outcome.existing;
    const error = new RegistryError("ALREADY_EXISTS", `${name}@${version} exists; a version is written once`, {
      name,
      version,
    });
    return { status: "failed", error };
  }
  if (outcome.status !== "done") return outcome;
  const { head, warnings } = outcome;
  const add = change?.add;
  return {
    status: "done",
    ...(head === undefined || !mayRead ? {} : { head }),
    ...(warnings === undefined ? {} : { warnings }),
    ...(imports || add === undefined ? {} : { stored: add.map(({ version, text }) => ({ name, version, text })) }),
  };
}

/** Who sends the very text that is there knows it already, and must be able to publish it again. */
function wasSent(existing: StoredDocument, change: Change | undefined): boolean {
  const sent = change?.add?.find(({ version }) => version === existing.version);
  if (sent === undefined) return false;
  try {
    const [there, here] = [openStored(existing.text, existing), openStored(sent.text, sent)];
    return there.kind === "document" && here.kind === "document" && there.text === here.text;
  } catch (error) {
    // Damaged bytes are not what anybody sent.
    if (isRegistryError(error)) return false;
    throw error;
  }
}
