import type { StorageDriver } from "../driver.ts";
import { throwIfAborted } from "../errors.ts";
import { compareNames, type PromptName, parseName, parsePrefix } from "../names.ts";
import { applyPrompt, Committer, textsOf } from "./apply.ts";
import {
  changes,
  DEFAULT_CONCURRENCY,
  guarded,
  manifestOptions,
  operationOf,
  requireWritable,
  type TransferOptions,
} from "./copy.ts";
import { forEachOf, merge } from "./flow.ts";
import { freshly } from "./fresh.ts";
import { manifestOf } from "./manifest.ts";
import { countNames, listNames } from "./names.ts";
import { planTransfer } from "./plan.ts";
import { Tally, type TransferReport } from "./report.ts";
import { readState } from "./state.ts";
import { compareManifests } from "./verify.ts";

export interface SyncReport extends TransferReport {
  /** What was written to the first and to the second storage. */
  readonly toFirst: SideCounts;
  readonly toSecond: SideCounts;
}

export interface SideCounts {
  readonly added: number;
  readonly removed: number;
  readonly restored: number;
  readonly heads: number;
}

const KEEP = 2 * 2 ** 20;

/**
 * Makes two storages equal: the union of the documents, and of each head the one whose history goes on from the other's.
 * Where both went on to the same, such as the removal of a version, the two histories are joined. Where they went on to
 * something else, or a version has other bytes on each side, that is listed and left as it is.
 *
 * @throws RegistryError READ_ONLY; ABORTED; what the storages have to say. Running it again goes on where it stopped
 * @example
 * const { conflicts } = await syncStorages(laptop, server);
 */
export async function syncStorages(
  one: StorageDriver,
  other: StorageDriver,
  options: TransferOptions = {},
): Promise<SyncReport> {
  const [first, second] = [freshly(one), freshly(other)];
  const { dryRun = false, concurrency = DEFAULT_CONCURRENCY, onProgress, author } = options;
  const op = operationOf(options);
  requireWritable(first, dryRun);
  requireWritable(second, dryRun);
  const names = () => bothNames(first, second, options);
  const total = onProgress === undefined ? undefined : await countNames(names());
  const tally = new Tally(dryRun);
  let done = 0;
  const sides = {
    first: { added: 0, removed: 0, restored: 0, heads: 0 },
    second: { added: 0, removed: 0, restored: 0, heads: 0 },
  };
  const committerOf = (driver: StorageDriver, other: StorageDriver) =>
    new Committer(driver, { author, message: `sync with ${other.kind}`, op, width: concurrency });
  const committers = { first: committerOf(first, second), second: committerOf(second, first) };
  await forEachOf(names(), concurrency, async (name) => {
    throwIfAborted(op.signal, "sync");
    await guarded(tally, name, async () => {
      const [a, b] = await Promise.all([
        readState(first, name, { keep: KEEP, op }),
        readState(second, name, { keep: KEEP, op }),
      ]);
      const there = planTransfer(a, b, { mode: "sync", maxDocumentBytes: second.capabilities.maxDocumentBytes });
      const back = planTransfer(b, a, { mode: "sync", maxDocumentBytes: first.capabilities.maxDocumentBytes });
      // What one side can't give, the other must not answer by half.
      const plans = [there, back];
      if (plans.some((p) => p.conflicts.some((c) => c.kind !== "head"))) return { plans, changed: false };
      const how = { mode: "sync" as const, dryRun, op };
      const forth = await applyPrompt({ state: a, texts: textsOf(first, a, op) }, second, b, committers.second, how);
      const home = await applyPrompt({ state: b, texts: textsOf(second, b, op) }, first, a, committers.first, how);
      for (const [side, { done: written }] of [
        ["second", forth],
        ["first", home],
      ] as const) {
        tally.done(written);
        sides[side].added += written.add.length;
        sides[side].removed += written.remove.length;
        sides[side].restored += written.restore.length;
        if (written.head !== undefined) sides[side].heads++;
      }
      return { plans: [forth.plan, home.plan], changed: changes(forth.done) || changes(home.done) };
    });
    onProgress?.({ phase: "copy", done: ++done, ...(total === undefined ? {} : { total }), name });
  });
  const counts = { toFirst: sides.first, toSecond: sides.second };
  if (dryRun || options.verify === false) return { ...tally.report(), ...counts };
  const narrow = manifestOptions(options, op);
  const manifest = (driver: StorageDriver) => manifestOf(driver, { ...narrow, names: names() });
  return { ...tally.report(await compareManifests(manifest(first), manifest(second), onProgress, total)), ...counts };
}

async function* bothNames(
  first: StorageDriver,
  second: StorageDriver,
  options: TransferOptions,
): AsyncGenerator<PromptName, void, undefined> {
  const prefix = options.prefix === undefined ? "" : parsePrefix(options.prefix);
  if (options.names !== undefined) {
    yield* [...new Set(options.names.map(parseName))].filter((name) => name.startsWith(prefix)).sort(compareNames);
    return;
  }
  const op = operationOf(options);
  for await (const [a, b] of merge(listNames(first, { prefix, op }), listNames(second, { prefix, op }), compareNames)) {
    yield (a ?? b) as PromptName;
  }
}
