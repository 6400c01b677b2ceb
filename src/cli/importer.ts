import { join } from "node:path";
import { isSealed } from "../document.ts";
import { isRegistryError, type RegistryError } from "../errors.ts";
import { findingLine } from "../policy/enforce.ts";
import type { Allowance } from "../policy/types.ts";
import type { StoreRequest } from "../registry/request.ts";
import type { PromptRegistry } from "../registry.ts";
import type { Bump } from "../semver.ts";
import { isOwnFault } from "../transfer/own-fault.ts";
import type { Context } from "./command.ts";
import type { FoundFile } from "./files.ts";
import { Forecast } from "./forecast.ts";
import { readTextFile } from "./input.ts";

/** What became of a file. */
export interface FileResult {
  readonly file: string;
  /** `not-tried`: the import ended before it. */
  readonly status: "created" | "unchanged" | "failed" | "skipped" | "not-tried";
  readonly name?: string;
  readonly version?: string;
  /** Why it failed or was skipped. */
  readonly reason?: string;
  readonly error?: RegistryError;
}

export interface ImportOptions {
  readonly folder: string;
  readonly bump: Bump;
  readonly dryRun: boolean;
  readonly author?: string;
  readonly message?: string;
  readonly allow?: Allowance;
}

export interface ImportOutcome {
  readonly results: readonly FileResult[];
  /** Why the import ended early. */
  readonly error?: unknown;
}

/** Big enough for few round trips, small enough to show progress and to stop soon. */
const BATCH = 50;

/** What became of a batch. */
interface Stored {
  readonly results: readonly FileResult[];
  /** Why no other batch is tried. */
  readonly stopped?: { readonly error: unknown } | undefined;
}

interface Item {
  readonly found: FoundFile & { readonly name: string };
  readonly request: StoreRequest;
}

/** Stores files batch by batch. What was stored stays stored, so an import that ended early is continued by repeating it. */
export async function importFiles(
  context: Context,
  registry: PromptRegistry,
  files: readonly FoundFile[],
  options: ImportOptions,
): Promise<ImportOutcome> {
  const results: FileResult[] = [];
  const forecast = options.dryRun ? new Forecast(registry, context.signal) : undefined;
  for (let i = 0; i < files.length; ) {
    const batch = nextBatch(files, i);
    context.terminal.progress(batch[0]?.file ?? "", i, files.length);
    let stopped: Stored["stopped"];
    try {
      context.signal.throwIfAborted();
      const stored = await importBatch(context, registry, batch, options, forecast);
      results.push(...stored.results);
      i += batch.length;
      stopped = stored.stopped;
    } catch (error) {
      stopped = { error };
    }
    if (stopped !== undefined) return { results: [...results, ...files.slice(i).map(notTried)], error: stopped.error };
  }
  return { results };
}

function notTried({ file, name }: FoundFile): FileResult {
  return { file, status: "not-tried", ...(name && { name }) };
}

/** A file whose version is chosen by what is there must find the versions before it stored: it begins a batch. */
function nextBatch(files: readonly FoundFile[], start: number): readonly FoundFile[] {
  let end = start + 1;
  while (end < Math.min(files.length, start + BATCH)) {
    const { name, version } = files[end] as FoundFile;
    if (name !== undefined && version === undefined && files[end - 1]?.name === name) break;
    end++;
  }
  return files.slice(start, end);
}

async function importBatch(
  context: Context,
  registry: PromptRegistry,
  batch: readonly FoundFile[],
  options: ImportOptions,
  forecast: Forecast | undefined,
): Promise<Stored> {
  const read = await Promise.all(batch.map((found) => prepare(context, found, options)));
  const items = read.filter((r): r is Item => "request" in r);
  const { results, stopped } =
    forecast === undefined ? await store(context, registry, items, options) : await foresee(forecast, items);
  const byFile = new Map(items.map((item, i) => [item.found.file, results[i] as FileResult]));
  return { results: read.map((r) => ("request" in r ? (byFile.get(r.found.file) as FileResult) : r)), stopped };
}

async function prepare(context: Context, found: FoundFile, options: ImportOptions): Promise<Item | FileResult> {
  const { file, name, version } = found;
  if (found.skipped !== undefined) return { file, status: "skipped", reason: found.skipped };
  if (name === undefined) return { file, status: "failed", reason: found.problem ?? "it has no name" };
  try {
    const text = await readTextFile(context, join(options.folder, file));
    const own = version !== undefined ? { version } : isSealed(text) ? {} : { bump: options.bump };
    return {
      found: { ...found, name },
      request: { name, text, ...own, ...(options.allow && { allow: options.allow }) },
    };
  } catch (error) {
    return failure({ file, name }, error);
  }
}

/** @throws what is not the fault of the file */
function failure(of: Pick<FileResult, "file" | "name" | "version">, error: unknown): FileResult {
  if (!isOwnFault(error)) throw error;
  return { ...of, status: "failed", reason: error.message, error };
}

async function store(
  context: Context,
  registry: PromptRegistry,
  items: readonly Item[],
  options: ImportOptions,
): Promise<Stored> {
  const { signal } = context;
  const { author, message } = options;
  const how = { signal, ...(author === undefined ? {} : { author }), ...(message === undefined ? {} : { message }) };
  try {
    const outcomes = await registry.storePrompts(
      items.map((item) => item.request),
      how,
    );
    let stopped: Stored["stopped"];
    const results = outcomes.map((outcome, i) => {
      const { found } = items[i] as Item;
      const { file } = found;
      if (outcome.status !== "failed") {
        for (const warning of outcome.warnings ?? []) context.terminal.warn(`${file}: ${warning}`);
        for (const found of outcome.overridden ?? []) context.terminal.warn(`${file}: allowed: ${findingLine(found)}`);
        return { file, name: outcome.name, version: outcome.version, status: outcome.status };
      }
      if (isOwnFault(outcome.error)) return failure({ file, name: outcome.name }, outcome.error);
      // Others of the batch may be stored all the same, and are told as that.
      stopped ??= { error: outcome.error };
      return notTried(found);
    });
    return { results, stopped };
  } catch (error) {
    // A batch is refused as a whole for one invalid request. One by one, that one is told from the others.
    if (!isRegistryError(error, "INVALID")) throw error;
    if (items.length === 1)
      return { results: items.map(({ found: { file, name } }) => failure({ file, name }, error)) };
    const results: FileResult[] = [];
    for (const [i, item] of items.entries()) {
      const stored = await store(context, registry, [item], options).catch((stop: unknown): Stored => {
        return { results: [notTried(item.found)], stopped: { error: stop } };
      });
      results.push(...stored.results);
      if (stored.stopped === undefined) continue;
      return {
        results: [...results, ...items.slice(i + 1).map(({ found }) => notTried(found))],
        stopped: stored.stopped,
      };
    }
    return { results };
  }
}

async function foresee(forecast: Forecast, items: readonly Item[]): Promise<Stored> {
  const results: FileResult[] = [];
  for (const { found, request } of items) {
    const { file, name } = found;
    try {
      results.push({ file, name, ...(await forecast.store(request)) });
    } catch (error) {
      results.push(failure({ file, name }, error));
    }
  }
  return { results };
}
