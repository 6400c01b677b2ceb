import type { Change, Commit, HeadState, Outcome, ReadAnswer, ReadAsk } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import type { Version } from "../../semver.ts";
import type { WireCommit } from "../protocol/schemas.ts";
import { changeFromWire, outcomeToWire } from "../protocol/wire.ts";
import { Denied, denial, require } from "./authorize.ts";
import type { Call, Result } from "./context.ts";
import { checkChange, type Difference, differenceOf, needsOf, type Slots, slotsOf } from "./judge.ts";
import { askPolicy } from "./policy.ts";
import { rewrite } from "./rewrite.ts";

/** A change on its way through the checks; `outcome` ends it. */
interface Case {
  readonly name: PromptName;
  change?: Change;
  state?: HeadState | undefined;
  difference?: Difference;
  imports: boolean;
  slots: Slots;
  outcome?: Outcome;
}

/** Applies a commit of a client as far as it may, and as far as a registry could have planned it. */
export async function commitRoute(call: Call): Promise<Result> {
  const wire = call.body as WireCommit;
  const { driver } = call.shared;
  const names = wire.changes.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new RegistryError("INVALID", `a commit changes ${twice} twice`, { name: twice });
  if (names.length === 1) call.note.prompt = names[0] as PromptName;
  else call.note.note = `${names.length} prompts: ${names.slice(0, 20).join(", ")}${names.length > 20 ? ", …" : ""}`;
  if (wire.atomic === true && names.length > 1 && driver.capabilities.atomicity !== "batch") {
    throw new RegistryError("UNSUPPORTED", "this storage can't change several prompts atomically; leave atomic out");
  }
  const cases = wire.changes.map((change): Case => {
    const one: Case = { name: change.name, imports: false, slots: new Map() };
    attempt(one, () => {
      one.change = changeFromWire(change);
    });
    return one;
  });
  await judge(call, wire, cases);
  describe(call, cases);
  endIfAllFailed(call, cases);
  const outcomes = await apply(call, wire, cases);
  summarize(call, outcomes);
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
      if (one.imports) return;
      const author = { by: principal.name, at: call.shared.now().toISOString(), commit: wire.id };
      one.change = rewrite(change, difference, one.slots, author);
    });
  }
  const { policy } = call.shared.options;
  if (policy === undefined) return;
  for (const one of cases) {
    if (one.outcome !== undefined) continue;
    try {
      await askPolicy(call.shared.driver, policy, one.change as Change);
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      one.outcome = { status: "failed", error };
    }
  }
}

function needsHead({ head, remove, restore }: Change): boolean {
  return head !== undefined || remove !== undefined || restore !== undefined;
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

/** What the audit log is told, where there is one thing to tell. */
function describe(call: Call, cases: readonly Case[]): void {
  const [one] = cases;
  if (cases.length !== 1 || one?.change === undefined) return;
  const { add = [], remove = [], restore = [] } = one.change;
  const document = [...add, ...remove, ...restore][0];
  const moved = one.difference?.labels[0];
  if (document !== undefined) {
    call.note.version = document.version;
    call.note.digest = document.digest;
  }
  if (moved === undefined) return;
  call.note.label = moved.label;
  if (moved.from !== undefined) call.note.from = moved.from;
  if (moved.to !== undefined) call.note.to = moved.to;
}

/** Where nothing is left to do, the first reason is the reply. */
function endIfAllFailed(call: Call, cases: readonly Case[]): void {
  const errors = cases.map(({ outcome }) => (outcome?.status === "failed" ? outcome.error : undefined));
  const [first] = errors;
  if (first !== undefined && errors.every((error) => error !== undefined))
    throw errors.find((e) => e instanceof Denied) ?? first;
  if (errors.some((error) => error instanceof Denied)) call.note.outcome = "denied";
}

async function apply(call: Call, wire: WireCommit, cases: readonly Case[]): Promise<readonly Outcome[]> {
  const { driver } = call.shared;
  const isRefused = cases.some(({ outcome }) => outcome !== undefined);
  if (wire.atomic === true && isRefused) return cases.map(({ outcome }) => outcome ?? { status: "skipped" });
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
      for (const [k, one] of part.entries()) one.outcome = shown(call, one, outcomes[k] as Outcome);
    } catch (error) {
      // Parts before this one are done and say so.
      if (i === 0 || !isRegistryError(error)) throw error;
      for (const one of part) one.outcome = { status: "failed", error };
    } finally {
      for (const { name } of part) call.shared.changed(name);
    }
  }
  return cases.map(({ outcome }) => outcome as Outcome);
}

/** What the caller may know of an outcome. */
function shown(call: Call, { name, change, imports }: Case, outcome: Outcome): Outcome {
  const mayRead = call.shared.access.allows(call.principal, "read", { name });
  if (outcome.status === "exists" && !mayRead) {
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

function summarize(call: Call, outcomes: readonly Outcome[]): void {
  if (call.note.outcome !== undefined || outcomes.length === 0) return;
  const failed = outcomes.find((outcome) => outcome.status === "failed");
  if (failed?.status === "failed") {
    call.note.outcome = failed.error.outcome === "unknown" ? "unknown" : "failed";
    call.note.code = failed.error.code;
  } else if (outcomes.every(({ status }) => status !== "done")) call.note.outcome = "refused";
}
