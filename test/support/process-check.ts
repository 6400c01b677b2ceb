import { createHash } from "node:crypto";
import { type FsOptions, fs } from "../../src/drivers/fs/index.ts";
import { isRegistryError } from "../../src/errors.ts";
import type { PromptName } from "../../src/names.ts";
import type { Problem } from "../../src/registry/inspect.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { highestStable } from "../../src/rules/latest.ts";
import type { Version } from "../../src/semver.ts";

/** What a reader can see of one prompt. */
export interface PromptState {
  /** Author's text by version, shortened; `REMOVED` for a tombstone. */
  readonly versions: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly yanked: Readonly<Record<string, "yanked" | "removed">>;
  readonly pin: string | null;
  readonly latest: string | null;
  /** What the head went through, sorted, as one commit may tell its parts in any order; publishes are in `versions`. */
  readonly history: readonly string[];
}

export type State = Readonly<Record<string, PromptState>>;

export const REMOVED = "\0removed";
const NOTHING: PromptState = { versions: {}, labels: {}, yanked: {}, pin: null, latest: null, history: [] };

/**
 * Reads everything through the public methods. `problems` holds whatever no reader may ever see: a pointer to nothing, a
 * version that is listed but not there, `latest` off its rule, what `verify` reports.
 */
export async function inspect(
  registry: PromptRegistry,
  options: { readonly verify: boolean } = { verify: true },
): Promise<{ state: State; problems: string[] }> {
  const state: Record<string, PromptState> = {};
  const problems: string[] = [];
  for await (const { name } of registry.listPrompts({ includeRemoved: true, limit: 1000 })) {
    try {
      state[name] = await inspectPrompt(registry, name, problems);
    } catch (error) {
      problems.push(`${name}: ${describeError(error)}`);
    }
  }
  if (!options.verify) return { state, problems };
  try {
    const report = await registry.verify();
    // That a removal stopped halfway is a state like others, which is in `state` and judged there.
    const isHalfRemoved = ({ kind, name, version }: Problem) => {
      const prompt = state[String(name)];
      const slot = String(version);
      return kind === "foreign" && prompt?.yanked[slot] === "removed" && prompt.versions[slot] !== REMOVED;
    };
    const told = report.problems.filter((p) => !isHalfRemoved(p));
    problems.push(...told.map((p) => `verify: ${p.kind} ${p.name}@${p.version}: ${p.detail}`));
    if (report.unsealed > 0) problems.push(`verify: ${report.unsealed} without a seal`);
  } catch (error) {
    problems.push(`verify: ${describeError(error)}`);
  }
  return { state, problems };
}

async function inspectPrompt(registry: PromptRegistry, name: PromptName, problems: string[]): Promise<PromptState> {
  const versions: Record<string, string> = {};
  const live: Version[] = [];
  for await (const entry of registry.listVersions(name, { includeRemoved: true, limit: 1000 })) {
    if (entry.removed) versions[entry.version] = REMOVED;
    else {
      versions[entry.version] = brief((await registry.getPrompt(`${name}@${entry.version}`)).text);
      live.push(entry.version);
    }
  }
  const [answer] = await registry.driver.read([{ name, selector: { kind: "head" } }]);
  if (answer?.status !== "head") throw new Error(`${name} is listed but has no head: ${answer?.status}`);
  const { head } = answer.head;
  for (const [label, version] of Object.entries(head.labels)) {
    const prompt = await registry.getPrompt(`${name}@${label}`);
    if (prompt.version !== version) problems.push(`${name}@${label} is ${prompt.version}, the head says ${version}`);
    if (brief(prompt.text) !== versions[version]) problems.push(`${name}@${label}: not the text of ${version}`);
  }
  const rule = head.pin ?? highestStable(live, head.yanked) ?? null;
  const latest = await latestOf(registry, name);
  const history: string[] = [];
  for await (const { action, label, from, to } of registry.history(name, { limit: 1000 })) {
    if (action !== "publish") history.push([action, label, from, to].join(" "));
  }
  if (latest !== rule) problems.push(`latest of ${name} is ${latest}, by rule ${rule}`);
  return {
    versions,
    labels: { ...head.labels },
    yanked: Object.fromEntries(Object.entries(head.yanked).map(([v, y]) => [v, y.removed ? "removed" : "yanked"])),
    pin: head.pin ?? null,
    latest,
    history: history.sort(),
  };
}

async function latestOf(registry: PromptRegistry, name: string): Promise<string | null> {
  try {
    return (await registry.getPrompt(name)).version;
  } catch (error) {
    if (isRegistryError(error, "NOT_FOUND")) return null;
    throw error;
  }
}

/**
 * Whether `now` may be what a crash left between `before` and `after`: each document old or new, the head old or new; a
 * new head only over complete documents, a tombstone only under the new head.
 */
export function between(before: State, after: State, now: State): string[] {
  const problems: string[] = [];
  for (const name of union(before, after, now)) {
    const [b, a, n] = [before[name] ?? NOTHING, after[name] ?? NOTHING, now[name] ?? NOTHING];
    const headMoved = !sameHead(b, n);
    if (headMoved && !sameHead(a, n)) problems.push(`${name}: a head that nobody wrote: ${JSON.stringify(n)}`);
    for (const version of union(b.versions, a.versions, n.versions)) {
      const [was, will, is] = [b.versions[version], a.versions[version], n.versions[version]];
      if (is !== was && is !== will) {
        problems.push(`${name}@${version} is ${short(is)}; it was ${short(was)} and should become ${short(will)}`);
      }
      // A copy brings tombstones of versions that were never here: those come after the head, as all tombstones do.
      if (headMoved && was === undefined && is !== will && will !== REMOVED)
        problems.push(`${name}: the head moved before ${version} was there`);
      if (is === REMOVED && was !== REMOVED && was !== undefined && !sameHead(a, n)) {
        problems.push(`${name}@${version} was removed before the head moved`);
      }
    }
  }
  return problems;
}

export function sameState(expected: State, actual: State): string[] {
  const problems: string[] = [];
  for (const name of union(expected, actual)) {
    const [e, a] = [expected[name] ?? NOTHING, actual[name] ?? NOTHING];
    const [left, right] = [canonical(e), canonical(a)];
    if (left !== right) problems.push(`${name} is ${short(right, 600)}, expected ${short(left, 600)}`);
  }
  return problems;
}

/** Everything that must hold after whatever happened, ending with `doctor`, which must leave nothing to find. */
export async function aftermath(options: FsOptions): Promise<string[]> {
  const registry = new PromptRegistry(fs(options));
  const first = await registry.doctor({ fix: true, minTempAge: 0 });
  const problems = first.findings.filter((f) => !f.repaired).map((f) => `doctor could not repair ${JSON.stringify(f)}`);
  const second = await new PromptRegistry(fs(options)).doctor({ minTempAge: 0 });
  problems.push(...second.findings.map((f) => `still found after doctor: ${JSON.stringify(f)}`));
  return problems;
}

/** The first of many problems: what differs only in random names and numbers is told once. */
export function gist(problems: readonly string[]): string[] {
  const seen = new Map<string, string>();
  for (const problem of problems) {
    const key = problem.replace(/[0-9a-f]{8}-[0-9a-f-]{27}|E[A-Z]{2,}/g, "#").replace(/\d+/g, "#");
    if (!seen.has(key)) seen.set(key, problem);
  }
  return [...seen.values()].slice(0, 12).map((problem) => problem.slice(0, 700));
}

export function describeError(error: unknown): string {
  if (isRegistryError(error)) return `${error.code} (${error.outcome}): ${error.message}`;
  return `not a RegistryError: ${String((error as Error)?.stack ?? error)}`;
}

function sameHead(x: PromptState, y: PromptState): boolean {
  const head = ({ labels, yanked, pin, history }: PromptState) => canonical([labels, yanked, pin, history]);
  return head(x) === head(y);
}

function union(...records: Readonly<Record<string, unknown>>[]): Set<string> {
  return new Set(records.flatMap((r) => Object.keys(r)));
}

/** Enough of a text to know it by. */
function brief(text: string): string {
  if (text.length <= 40) return text;
  return `${text.slice(0, 20)}… ${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) =>
    v !== null && typeof v === "object" && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([x], [y]) => (x < y ? -1 : 1)))
      : v,
  );
}

function short(text: string | undefined, max = 60): string {
  if (text === undefined) return "absent";
  return text.length > max ? `${JSON.stringify(text.slice(0, max))}…` : JSON.stringify(text);
}
