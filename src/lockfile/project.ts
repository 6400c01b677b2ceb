import { join, resolve } from "node:path";
import { isRegistryError, RegistryError } from "../errors.ts";
import { formatSelector, type PromptName, parseName, type Selector } from "../names.ts";
import type { PromptRegistry } from "../registry.ts";
import { compareVersions, type Version } from "../semver.ts";
import { mapOrdered } from "../transfer/flow.ts";
import { materializeInto, putText, readText, requireOurs } from "./disk.ts";
import {
  formatLockfile,
  LOCK_FILE,
  type LockedPrompt,
  type Lockfile,
  PROMPTS_FILE,
  type PromptsFile,
  parseLockfile,
  parsePromptsFile,
} from "./files.ts";
import { askingNow, type Drift, fileDrift, type ResolvedPrompt, readLocked, resolveNow } from "./resolve.ts";

export interface ProjectOptions {
  /** Folder of `prompts.json` and `prompts.lock.json`. Default: the working directory. */
  readonly cwd?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface InstallOptions extends ProjectOptions {
  /** Change no file but the materialized ones, and fail on any drift. Default `false`. */
  readonly frozen?: boolean | undefined;
  /** Where the texts go, relative to `cwd`; `false`: nowhere. Default `prompts/.materialized`. */
  readonly materialize?: string | false | undefined;
  /** Say what would be done. Default `false`. */
  readonly dryRun?: boolean | undefined;
}

export interface LockChange {
  readonly name: PromptName;
  readonly from?: Version;
  readonly to?: Version;
}

export interface InstallReport {
  readonly dryRun: boolean;
  readonly lock: Lockfile;
  /** Names that came, went, or moved in the lock. */
  readonly changes: readonly LockChange[];
  /** Files written or removed in the materialized folder, relative to it. */
  readonly written: readonly string[];
  readonly removed: readonly string[];
  /** The folder; absent when nothing was to be materialized. */
  readonly folder?: string;
}

export const MATERIALIZED = "prompts/.materialized";
/** Prompts that `outdated` asks for. */
const AT_A_TIME = 16;

/** @throws RegistryError NOT_FOUND, INVALID, UNSUPPORTED */
export async function readProject(
  options: ProjectOptions = {},
): Promise<{ wanted: PromptsFile; lock: Lockfile | undefined }> {
  const cwd = options.cwd ?? process.cwd();
  const text = await readText(join(cwd, PROMPTS_FILE));
  if (text === undefined) {
    throw new RegistryError("NOT_FOUND", `there is no ${PROMPTS_FILE} here; write {"prompts": {"name": "^1.0"}}`, {
      path: PROMPTS_FILE,
    });
  }
  return { wanted: parsePromptsFile(text), lock: await readLock(options) };
}

/** @returns `undefined` when there is none */
export async function readLock(options: ProjectOptions = {}): Promise<Lockfile | undefined> {
  const text = await readText(join(options.cwd ?? process.cwd(), LOCK_FILE));
  return text === undefined ? undefined : parseLockfile(text);
}

/**
 * Resolves `prompts.json`, writes `prompts.lock.json` and puts the texts into a folder. What is locked and still fits
 * stays; `update` moves it. The lock is written before the texts; run it again after a crash.
 *
 * With `frozen`, nothing is resolved: what is locked is read, compared and put into the folder.
 *
 * @throws RegistryError CONFLICT that lists all drift (`issues`): with `frozen` any, else bytes that are not those that
 *   were locked; NOT_FOUND for what nothing satisfies, or a missing file; what the storage has to say
 * @example
 * const { changes } = await install(registry);
 * await install(registry, { frozen: true, materialize: "dist/prompts" });
 */
export async function install(registry: PromptRegistry, options: InstallOptions = {}): Promise<InstallReport> {
  const { wanted, lock = { prompts: new Map() } } = await readProject(options);
  const drift = fileDrift(wanted, lock);
  if (options.frozen === true) {
    const read = await readLocked(registry, lock, options);
    refuseDrift([...drift, ...read.drift], "the lockfile is frozen");
    return finish(lock, lock, read.found, options);
  }
  const stale = new Set(drift.map((d) => d.name));
  const kept: Lockfile = { prompts: new Map([...lock.prompts].filter(([name]) => !stale.has(name))) };
  const read = await readLocked(registry, kept, options);
  refuseDrift(read.drift, "what is locked is not what the registry has");
  const fresh = [...wanted.prompts].filter(([name]) => !kept.prompts.has(name));
  const resolved = await resolveMany(registry, fresh, options);
  return finish(lock, lockOf([...read.found, ...resolved]), [...read.found, ...resolved], options);
}

/**
 * Moves what is locked to what `prompts.json` selects now.
 *
 * @param names only these; default: all
 * @throws RegistryError as {@link install}
 * @example
 * await update(registry, ["support/triage"]);
 */
export async function update(
  registry: PromptRegistry,
  names: readonly string[] = [],
  options: Omit<InstallOptions, "frozen"> = {},
): Promise<InstallReport> {
  const { wanted, lock = { prompts: new Map() } } = await readProject(options);
  const moved = new Set(names.map(parseName));
  for (const name of moved) {
    if (!wanted.prompts.has(name)) {
      throw new RegistryError("NOT_FOUND", `${name} is not in ${PROMPTS_FILE}`, { name });
    }
  }
  const stale = new Set(fileDrift(wanted, lock).map((d) => d.name));
  const all = moved.size === 0;
  const kept: Lockfile = {
    prompts: new Map([...lock.prompts].filter(([name]) => !all && !moved.has(name) && !stale.has(name))),
  };
  const read = await readLocked(registry, kept, options);
  refuseDrift(read.drift, "what is locked is not what the registry has");
  const fresh = [...wanted.prompts].filter(([name]) => !kept.prompts.has(name));
  const resolved = await resolveMany(registry, fresh, options);
  for (const { name, locked } of resolved) {
    const before = lock.prompts.get(name);
    if (before?.version === locked.version && before.digest !== locked.digest) {
      refuseDrift(
        [
          {
            name,
            kind: "digest",
            detail: `${name}@${locked.version} was locked with ${before.digest}; the registry has ${locked.digest}`,
          },
        ],
        "a version never changes its bytes",
      );
    }
  }
  return finish(lock, lockOf([...read.found, ...resolved]), [...read.found, ...resolved], options);
}

export interface Outdated {
  readonly name: PromptName;
  readonly selector: string;
  /** `undefined`: not in the lock yet. */
  readonly locked?: Version;
  /** What the selector selects now; `undefined`: nothing. */
  readonly wanted?: Version;
  /** What `latest` selects now; `undefined`: nothing. */
  readonly latest?: Version;
  /** The locked version is yanked; why, as far as somebody said. */
  readonly yanked?: string;
  /** The prompt is deprecated; what to use instead. */
  readonly deprecated?: string;
}

/**
 * What `update` would move, or could not: locked versions that are not what their selector selects now, are not the
 * latest, are yanked, or belong to a deprecated prompt. Asks the storage itself, as `update` does. Writes nothing.
 *
 * @throws RegistryError UNAVAILABLE where the storage can't be asked, whatever a cache remembers; a missing or bad file
 * @example
 * for (const { name, locked, wanted } of await outdated(registry)) console.log(name, locked, "->", wanted);
 */
export async function outdated(registry: PromptRegistry, options: ProjectOptions = {}): Promise<Outdated[]> {
  const { wanted, lock } = await readProject(options);
  const asking = askingNow(registry);
  const rows: Outdated[] = [];
  const looked = mapOrdered(wanted.prompts, AT_A_TIME, ([name, selector]) =>
    outdatedRow(asking, name, selector, lock?.prompts.get(name)?.version, options),
  );
  for await (const row of looked) if (row !== undefined) rows.push(row);
  return rows;
}

/** @returns `undefined` where there is nothing to tell */
async function outdatedRow(
  registry: PromptRegistry,
  name: PromptName,
  selector: Selector,
  locked: Version | undefined,
  options: ProjectOptions,
): Promise<Outdated | undefined> {
  const how = signalOf(options);
  const selected = registry.getPrompt(`${name}@${formatSelector(selector)}`, how).then(
    ({ version }) => version,
    (error: unknown) => {
      if (!isRegistryError(error, "NOT_FOUND")) throw error;
    },
  );
  const [now, [answer]] = await Promise.all([
    selected,
    registry.driver.read([{ name, selector: { kind: "head" } }], how),
  ]);
  const state = answer?.status === "head" ? answer.head : undefined;
  const latest = state?.latest;
  const head = state?.head;
  const yank = locked === undefined ? undefined : head?.yanked[locked];
  const row: Outdated = {
    name,
    selector: formatSelector(selector),
    ...(locked === undefined ? {} : { locked }),
    ...(now === undefined ? {} : { wanted: now }),
    ...(latest === undefined ? {} : { latest }),
    ...(yank === undefined ? {} : { yanked: yank.reason ?? "" }),
    ...(head?.deprecated === undefined ? {} : { deprecated: head.deprecated.message }),
  };
  const behind = latest !== undefined && locked !== undefined && compareVersions(latest, locked) > 0;
  return locked !== now || behind || yank !== undefined || row.deprecated !== undefined ? row : undefined;
}

function signalOf(options: ProjectOptions): { signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}

async function resolveMany(
  registry: PromptRegistry,
  wanted: readonly (readonly [PromptName, Parameters<typeof formatSelector>[0]])[],
  options: ProjectOptions,
): Promise<ResolvedPrompt[]> {
  const resolved: ResolvedPrompt[] = [];
  const problems: RegistryError[] = [];
  for (const [name, selector] of wanted) {
    try {
      resolved.push(await resolveNow(registry, name, selector, signalOf(options)));
    } catch (error) {
      if (!isRegistryError(error) || (error.code !== "NOT_FOUND" && error.code !== "CORRUPT")) throw error;
      problems.push(error);
    }
  }
  const [first] = problems;
  if (first === undefined) return resolved;
  const issues = problems.map((p) => p.message);
  throw new RegistryError(first.code, `${issues.slice(0, 10).join("; ")}`, { ...first.context, issues });
}

function lockOf(resolved: readonly ResolvedPrompt[]): Lockfile {
  return { prompts: new Map(resolved.map(({ name, locked }): [PromptName, LockedPrompt] => [name, locked])) };
}

function refuseDrift(drift: readonly Drift[], what: string): void {
  if (drift.length === 0) return;
  const issues = drift.map((d) => d.detail);
  const more = issues.length > 10 ? `; and ${issues.length - 10} more` : "";
  throw new RegistryError("CONFLICT", `${what}: ${issues.slice(0, 10).join("; ")}${more}`, { issues });
}

async function finish(
  before: Lockfile,
  lock: Lockfile,
  resolved: readonly ResolvedPrompt[],
  options: InstallOptions,
): Promise<InstallReport> {
  const { cwd = process.cwd(), dryRun = false, materialize = MATERIALIZED } = options;
  const changes: LockChange[] = [];
  for (const name of new Set([...before.prompts.keys(), ...lock.prompts.keys()])) {
    const from = before.prompts.get(name);
    const to = lock.prompts.get(name);
    if (from?.version === to?.version && from?.selector === to?.selector) continue;
    changes.push({
      name,
      ...(from === undefined ? {} : { from: from.version }),
      ...(to === undefined ? {} : { to: to.version }),
    });
  }
  const folder = materialize === false ? undefined : resolve(cwd, materialize);
  if (folder !== undefined) await requireOurs(folder);
  const path = join(cwd, LOCK_FILE);
  const text = formatLockfile(lock);
  if (!dryRun && options.frozen !== true && (await readText(path)) !== text) await putText(path, text);
  const report = { dryRun, lock, changes };
  if (folder === undefined) return { ...report, written: [], removed: [] };
  return {
    ...report,
    folder,
    ...(await materializeInto(
      folder,
      resolved.map((p) => ({ name: p.name, version: p.locked.version, text: p.text })),
      dryRun,
    )),
  };
}
