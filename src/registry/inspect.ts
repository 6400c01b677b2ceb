import { openStored } from "../document.ts";
import type {
  Finding,
  FindingKind,
  HeadState,
  HistoryEntry,
  Operation,
  ReadAnswer,
  RepairPlan,
  Timestamp,
} from "../driver.ts";
import { isRegistryError, RegistryError, show } from "../errors.ts";
import { type PromptName, parseLabel, parseName } from "../names.ts";
import { isAhead } from "../rules/clocks.ts";
import { selectedAt } from "../rules/time.ts";
import type { Version } from "../semver.ts";
import { allVersions, freshOperation, historyOf, readAll, readHead, readOne } from "./asks.ts";
import { actOf, type ChangeOptions, type Context } from "./context.ts";
import { notFound } from "./missing.ts";
import { Listing } from "./pages.ts";

/** Something that `verify` or `doctor` found. */
export type Problem = Finding;

export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each prompt. */
  readonly onProgress?:
    | ((progress: { readonly prompts: number; readonly documents: number; readonly name: PromptName }) => void)
    | undefined;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly prompts: number;
  readonly documents: number;
  readonly tombstones: number;
  /** Documents without seal: served, but nothing vouches for their bytes. */
  readonly unsealed: number;
  readonly problems: readonly Problem[];
  /** What somebody should look after and nothing here can mend; the registry is none the worse for it. */
  readonly warnings: readonly string[];
}

/** What is added up on the way. */
interface Draft {
  documents: number;
  tombstones: number;
  unsealed: number;
  readonly problems: Problem[];
  readonly warnings: string[];
}

/** Reads every byte of one prompt or of all, and checks digests, seals and pointers. */
export async function verify(
  context: Context,
  name: string | undefined,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const op = freshOperation(options);
  const report: Draft = { documents: 0, tombstones: 0, unsealed: 0, problems: [], warnings: [] };
  let prompts = 0;
  const names = name === undefined ? allNames(context, op) : [parseName(name)];
  for await (const prompt of names) {
    const found = await verifyPrompt(context, prompt, op, report);
    if (!found && name !== undefined) throw notFound(prompt);
    prompts++;
    options.onProgress?.({ prompts, documents: report.documents, name: prompt });
  }
  return { ok: report.problems.length === 0, prompts, ...report };
}

async function* allNames(context: Context, op: Operation): AsyncGenerator<PromptName> {
  const listing = new Listing((cursor) =>
    context.driver.listPrompts({ limit: 1000, includeRemoved: true, ...(cursor === undefined ? {} : { cursor }) }, op),
  );
  for await (const entry of listing) yield entry.name;
}

async function verifyPrompt(context: Context, name: PromptName, op: Operation, report: Draft): Promise<boolean> {
  // The head first: what it points at is there already when the versions are listed.
  const state = await headOrProblem(context, name, op, report.problems);
  const versions = await versionsOrNone(context, name, op, state === "damaged");
  const live = new Set<Version>();
  const served: Version[] = [];
  for (const version of versions) {
    try {
      const answer = await readOne(context, name, { kind: "version", version }, op);
      const { kind, createdAt } = checkAnswer(name, version, answer);
      warnOfClock(report, context.now(), `${name}@${version} was stored`, createdAt);
      if (kind === "tombstone") report.tombstones++;
      else {
        live.add(version);
        served.push(version);
        report.documents++;
        if (kind === "unsealed") report.unsealed++;
      }
    } catch (error) {
      if (!isRegistryError(error) || (error.code !== "CORRUPT" && error.code !== "INVALID")) throw error;
      // Its slot is taken, so a pointer to it does not dangle; what it holds is another matter.
      live.add(version);
      report.problems.push({ kind: "corrupt", name, version, detail: error.message, repaired: false });
    }
  }
  if (typeof state === "object") {
    warnOfClock(report, context.now(), `${name} was changed last`, state.head.updatedAt);
    report.problems.push(...(await halfRemoved(context, name, state, served, op)));
    const { labels, pin } = state.head;
    const pointers = Object.entries(labels).map(([label, version]): [string, Version] => [`label ${label}`, version]);
    if (pin !== undefined) pointers.push(["the pin", pin]);
    for (const [pointer, version] of pointers) {
      if (!live.has(version)) report.problems.push(dangling(name, pointer, version));
    }
  }
  return versions.length > 0 || state !== undefined;
}

/**
 * A version that the head calls removed while its document is served: its remover was stopped before the tombstone, or who
 * restored it before the head. Which of the two only a person can tell, so nothing here finishes either.
 */
async function halfRemoved(
  context: Context,
  name: PromptName,
  before: HeadState,
  served: readonly Version[],
  op: Operation,
): Promise<Problem[]> {
  const isMarked = ({ head }: HeadState, version: Version) => head.yanked[version]?.removed === true;
  const suspects = served.filter((version) => isMarked(before, version));
  if (suspects.length === 0) return [];
  // Somebody may be in the middle of it: only what a second look still shows is told.
  const now = await readHead(context, name, op);
  const marked = suspects.filter((version) => now !== undefined && isMarked(now, version));
  const asks = marked.map((version) => ({ name, selector: { kind: "version" as const, version } }));
  const answers = await readAll(context, asks, op);
  const detail =
    "is marked as removed and still served: a removal, or a restore, stopped halfway; delete it again, or restore it";
  return marked
    .filter((_, i) => answers[i]?.status === "found")
    .map((version) => ({ kind: "foreign", name, version, detail, repaired: false }));
}

/** Nothing here can mend a time, and nobody else's depend on it: but whoever reads that history has to know. */
function warnOfClock(report: Draft, now: Date, what: string, at: Timestamp | undefined): void {
  if (at === undefined || !isAhead(at, now.toISOString())) return;
  report.warnings.push(
    `${what} at a time that has not come, ${at}: look after the clock of who did so (see its history), or of this machine`,
  );
}

/** Where the head tells which versions are removed, nothing can be listed while it is damaged. */
async function versionsOrNone(
  context: Context,
  name: PromptName,
  op: Operation,
  isDamaged: boolean,
): Promise<Version[]> {
  try {
    return (await allVersions(context, name, op, true)).map((e) => e.version);
  } catch (error) {
    if (isDamaged && isRegistryError(error, "CORRUPT")) return [];
    throw error;
  }
}

/** `damaged`: it is there and can't be read, which is listed; the prompt's versions are looked at all the same. */
async function headOrProblem(
  context: Context,
  name: PromptName,
  op: Operation,
  problems: Problem[],
): Promise<HeadState | "damaged" | undefined> {
  try {
    return await readHead(context, name, op);
  } catch (error) {
    if (!isRegistryError(error, "CORRUPT")) throw error;
    problems.push({ kind: "head", name, detail: error.message, repaired: false });
    return "damaged";
  }
}

interface Checked {
  readonly kind: "sealed" | "unsealed" | "tombstone";
  readonly createdAt?: Timestamp | undefined;
}

function checkAnswer(name: PromptName, version: Version, answer: ReadAnswer): Checked {
  if (answer.status !== "found" && answer.status !== "removed") {
    throw new RegistryError("CORRUPT", `${name}@${version} is listed but can't be read`, { name, version });
  }
  const opened = openStored(answer.document.text, { name, version });
  if (opened.kind === "tombstone") return { kind: "tombstone" };
  // Front matter is parsed only when asked for; here it must be.
  void opened.metadata;
  return { kind: opened.sealed ? "sealed" : "unsealed", createdAt: opened.createdAt };
}

function dangling(name: PromptName, pointer: string, version: Version): Problem {
  return { kind: "head", name, version, detail: `${pointer} is on ${version}, which is not there`, repaired: false };
}

export interface DoctorOptions extends ChangeOptions {
  /** `true` repairs everything that is safe to repair; a list repairs those kinds. Default: look only. */
  readonly fix?: boolean | readonly FindingKind[] | undefined;
  readonly name?: string | undefined;
  /** Milliseconds after which a temporary file is nobody's. Default 24 hours. */
  readonly minTempAge?: number | undefined;
}

export interface DoctorReport {
  /** Nothing is left to repair. */
  readonly ok: boolean;
  readonly findings: readonly Finding[];
  /** As of `verify`. */
  readonly warnings: readonly string[];
}

/**
 * What `fix: true` repairs. Adopting a link that somebody moved by hand changes what a label selects, sealing vouches for
 * bytes nobody vouched for, and what looks like a prompt of an old layout may be somebody's notes: only when named.
 */
export const SAFE: readonly FindingKind[] = ["temp", "projection"];

export async function doctor(context: Context, options: DoctorOptions): Promise<DoctorReport> {
  const act = actOf(context, options);
  const op = freshOperation(options);
  const repair = options.fix === true ? SAFE : options.fix === false || options.fix === undefined ? [] : options.fix;
  const name = options.name === undefined ? undefined : parseName(options.name);
  const findings = await repairs(
    context,
    {
      repair,
      at: act.at,
      ...(act.by === undefined ? {} : { by: act.by }),
      ...(name === undefined ? {} : { name }),
      ...(options.minTempAge === undefined ? {} : { minTempAge: options.minTempAge }),
    },
    op,
  );
  const { problems, warnings } = await verify(
    context,
    name,
    options.signal === undefined ? {} : { signal: options.signal },
  );
  const seen = new Set(findings.map((f) => `${f.kind} ${f.name}@${f.version}`));
  const all = [...findings, ...problems.filter((p) => !seen.has(`${p.kind} ${p.name}@${p.version}`))];
  return { ok: all.every((f) => f.repaired), findings: all, warnings };
}

/** What can't be repaired, since a head can't be read, is a finding like others: `verify` goes on from there. */
async function repairs(context: Context, plan: RepairPlan, op: Operation): Promise<readonly Finding[]> {
  try {
    return (await context.driver.repair(plan, op)).findings;
  } catch (error) {
    if (!isRegistryError(error, "CORRUPT")) throw error;
    const name = error.context.name as PromptName | undefined;
    return [{ kind: "head", detail: error.message, repaired: false, ...(name === undefined ? {} : { name }) }];
  }
}

/** What `name@label` or `name` (latest) selected at an instant; `undefined`: nothing. */
export async function resolveAt(
  context: Context,
  name: string,
  pointer: string,
  time: Date | string,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<Version | undefined> {
  const parsed = parseName(name);
  const label = pointer === "latest" ? "latest" : parseLabel(pointer);
  const at = instant(time);
  const op = freshOperation(options);
  const now = await readHead(context, parsed, op);
  const entries = (await historyOf(context, parsed, op, 1000).all()).reverse();
  if (entries.length === 0 && now === undefined) throw notFound(parsed);
  const born = new Map(entries.filter((e) => e.action === "publish").map((e) => [e.to, e.at]));
  const versions = label === "latest" ? (await allVersions(context, parsed, op, true)).map((e) => e.version) : [];
  return selectedAt(
    label,
    at,
    entries.filter((e: HistoryEntry) => e.action !== "publish"),
    versions.map((version) => ({ version, createdAt: born.get(version) })),
    now?.head,
  );
}

function instant(time: Date | string): string {
  const date = time instanceof Date ? time : new Date(time);
  if (Number.isNaN(date.getTime())) {
    throw new RegistryError("INVALID", `time ${show(time)} is no instant; write 2026-11-24T14:03:00Z`, {
      field: "time",
    });
  }
  return date.toISOString();
}
