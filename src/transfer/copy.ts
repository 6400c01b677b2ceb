import { setMaxListeners } from "node:events";
import type { Cursor, Operation, StorageDriver } from "../driver.ts";
import { isRegistryError, RegistryError, throwIfAborted } from "../errors.ts";
import { type PromptName, parseName, parsePrefix } from "../names.ts";
import { applyPrompt, Committer, textsOf } from "./apply.ts";
import { forEachOf } from "./flow.ts";
import { freshly } from "./fresh.ts";
import { manifestOf } from "./manifest.ts";
import { changedNames, countNames, listNames } from "./names.ts";
import { isOwnFault } from "./own-fault.ts";
import type { TransferPlan } from "./plan.ts";
import { Tally, type TransferProgress, type TransferReport } from "./report.ts";
import { readState } from "./state.ts";
import { compareManifests } from "./verify.ts";

export interface TransferOptions {
  /** Look and report, write nothing. Default `false`. */
  readonly dryRun?: boolean | undefined;
  /** Only names that start with this. */
  readonly prefix?: string | undefined;
  /** Only these. */
  readonly names?: readonly string[] | undefined;
  /** Compare both sides at the end. Default `true`; never in a dry run. */
  readonly verify?: boolean | undefined;
  /** Prompts on their way at a time. Default 16. */
  readonly concurrency?: number | undefined;
  /** Who makes the commits; entries and documents keep their own authors. */
  readonly author?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each prompt. With it, prompts are counted first. */
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined;
}

export interface CopyOptions extends TransferOptions {
  /** Only what the source's feed names since this cursor: `cursor` of an earlier report. */
  readonly since?: Cursor | undefined;
}

export const DEFAULT_CONCURRENCY = 16;
/** Texts that each prompt on its way holds, in UTF-16 units. What is over it is read a second time. */
const KEEP = 2 * 2 ** 20;

/**
 * Copies one prompt: every version, removed ones included, byte for byte; head and history with their times. Running it
 * again does nothing; after a kill it goes on.
 *
 * @returns `dryRun`, `verify` and the rest as {@link copyStorage}
 * @throws RegistryError INVALID for a name; READ_ONLY; what the storages have to say
 * @example
 * const report = await copyPrompt(from, to, "support/triage");
 */
export function copyPrompt(
  from: StorageDriver,
  to: StorageDriver,
  name: string,
  options: Omit<CopyOptions, "names" | "prefix" | "since"> = {},
): Promise<TransferReport> {
  return copyStorage(from, to, { ...options, names: [name] });
}

/**
 * Copies every prompt of one storage to another. What the target has already stays; conflicts are listed and nothing is
 * guessed; a damaged version is listed and everything else is copied.
 *
 * Documents without seal are stored with their canonical seal, which has the same digest; `sealed` lists them.
 *
 * @throws RegistryError READ_ONLY; ABORTED; what the storages have to say. Running it again goes on where it stopped
 * @example
 * const report = await copyStorage(fs({ path: "./registry" }), memory(), { dryRun: true });
 * console.log(report.added, report.conflicts);
 */
export async function copyStorage(
  source: StorageDriver,
  target: StorageDriver,
  options: CopyOptions = {},
): Promise<TransferReport> {
  const [from, to] = [freshly(source), freshly(target)];
  const { dryRun = false, concurrency = DEFAULT_CONCURRENCY, onProgress, author } = options;
  const op = operationOf(options);
  requireWritable(to, dryRun);
  const { since } = options;
  const changed = since === undefined ? undefined : await changedNames(from, since, op);
  const cursor = changed === undefined ? await feedCursor(from, op) : changed.cursor;
  const selection = select(from, options, changed?.names, op);
  const total = onProgress === undefined ? undefined : await countNames(selection());
  let done = 0;
  const tally = new Tally(dryRun);
  const message = `copy from ${from.kind}`;
  const committer = new Committer(to, { author, message, op, width: concurrency });
  await forEachOf(selection(), concurrency, async (name) => {
    throwIfAborted(op.signal, "copy");
    await guarded(tally, name, async () => {
      const [state, before] = await Promise.all([
        readState(from, name, { keep: KEEP, op }),
        readState(to, name, { op }),
      ]);
      const applied = await applyPrompt({ state, texts: textsOf(from, state, op) }, to, before, committer, {
        dryRun,
        op,
      });
      tally.done(applied.done);
      return { plans: [applied.plan], changed: changes(applied.done) };
    });
    onProgress?.({ phase: "copy", done: ++done, ...(total === undefined ? {} : { total }), name });
  });
  // What failed, or was only looked at, must be seen again.
  const told = (report: TransferReport): TransferReport => {
    const next = report.ok && !dryRun ? cursor : since;
    return next === undefined ? report : { ...report, cursor: next };
  };
  if (dryRun || options.verify === false) return told(tally.report());
  const manifest = (driver: StorageDriver) =>
    manifestOf(driver, { ...manifestOptions(options, op), names: selection() });
  const copied =
    options.names === undefined && since === undefined ? manifestOf(to, manifestOptions(options, op)) : manifest(to);
  return told(tally.report(await compareManifests(manifest(from), copied, onProgress, total)));
}

/** Runs the work on one prompt; what is this prompt's own fault goes to the report and the others go on. */
export async function guarded(
  tally: Tally,
  name: PromptName,
  work: () => Promise<{ readonly plans: readonly TransferPlan[]; readonly changed: boolean }>,
): Promise<void> {
  try {
    const { plans, changed } = await work();
    tally.prompt(name, plans);
    tally.settled(
      changed,
      plans.some((p) => p.conflicts.length + p.failures.length > 0),
    );
  } catch (error) {
    if (!isOwnFault(error)) throw error;
    tally.prompt(name, [], error);
  }
}

export function changes(plan: Pick<TransferPlan, "add" | "remove" | "restore" | "head">): boolean {
  return plan.add.length + plan.remove.length + plan.restore.length > 0 || plan.head !== undefined;
}

export function operationOf(options: { readonly signal?: AbortSignal | undefined }): Operation {
  const { signal } = options;
  if (signal === undefined) return {};
  // Every request that is on its way listens, and many are: that is no leak for Node to warn of.
  setMaxListeners(0, signal);
  return { signal };
}

export function manifestOptions(options: TransferOptions, op: Operation) {
  const { prefix, concurrency } = options;
  return {
    ...op,
    ...(prefix === undefined ? {} : { prefix }),
    ...(concurrency === undefined ? {} : { concurrency }),
  };
}

export function requireWritable(driver: StorageDriver, dryRun: boolean): void {
  if (dryRun || driver.capabilities.write) return;
  throw new RegistryError("READ_ONLY", `the ${driver.kind} storage ${driver.location} is read-only`, {
    backend: driver.kind,
  });
}

/** Where the feed stands before anything is read; a storage without a feed can't be copied incrementally. */
async function feedCursor(driver: StorageDriver, op: Operation): Promise<Cursor | undefined> {
  try {
    return (await driver.changes({ limit: 1 }, op)).cursor;
  } catch (error) {
    if (isRegistryError(error, "UNSUPPORTED")) return undefined;
    throw error;
  }
}

type Names = () => AsyncIterable<PromptName>;

/** Names in byte order, to be gone through several times. */
function select(
  driver: StorageDriver,
  options: CopyOptions,
  changed: readonly PromptName[] | undefined,
  op: Operation,
): Names {
  const prefix = options.prefix === undefined ? "" : parsePrefix(options.prefix);
  const listed = options.names?.map(parseName);
  if (listed === undefined && changed === undefined) return () => listNames(driver, { prefix, op });
  const moved = changed === undefined ? undefined : new Set(changed);
  const names = [...new Set(listed ?? changed)]
    .filter((n) => n.startsWith(prefix) && (moved === undefined || moved.has(n)))
    .sort();
  return async function* () {
    yield* names;
  };
}
