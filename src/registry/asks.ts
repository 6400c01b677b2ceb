import type {
  DriverSelector,
  HeadState,
  HistoryEntry,
  Operation,
  Provenance,
  ReadAnswer,
  ReadAsk,
  VersionEntry,
} from "../driver.ts";
import { RegistryError } from "../errors.ts";
import type { PromptName } from "../names.ts";
import type { Context } from "./context.ts";
import { Listing } from "./pages.ts";

/** For reads: a remembered answer is as good, unless told otherwise. */
export function operation(options: ReadOptions): Operation {
  const fresh = options.fresh === true;
  return options.signal === undefined ? { fresh } : { signal: options.signal, fresh };
}

interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  readonly fresh?: boolean | undefined;
}

/** For what a write is planned on, and for checks of the store itself. */
export function freshOperation(options: { readonly signal?: AbortSignal | undefined }): Operation {
  return { ...operation(options), fresh: true };
}

/** Reads any number of asks in batches that the driver takes. */
export async function readAll(context: Context, asks: readonly ReadAsk[], op: Operation): Promise<ReadAnswer[]> {
  const { driver } = context;
  const size = driver.capabilities.maxBatch;
  const answers: ReadAnswer[] = [];
  for (let i = 0; i < asks.length; i += size) {
    const batch = asks.slice(i, i + size);
    const got = await driver.read(batch, op);
    if (got.length !== batch.length) {
      throw new RegistryError(
        "INTERNAL",
        `the ${driver.kind} driver gave ${got.length} answers to ${batch.length} asks`,
      );
    }
    answers.push(...got);
  }
  return answers;
}

export async function readOne(
  context: Context,
  name: PromptName,
  selector: DriverSelector,
  op: Operation,
): Promise<ReadAnswer> {
  const ask: ReadAsk = { name, selector };
  const ready = op.fresh === true ? undefined : context.driver.peek(ask);
  return ready ?? ((await readAll(context, [ask], op))[0] as ReadAnswer);
}

/** The head of a prompt, or `undefined` when the prompt isn't there at all. */
export async function readHead(context: Context, name: PromptName, op: Operation): Promise<HeadState | undefined> {
  const answer = await readOne(context, name, { kind: "head" }, op);
  return answer.status === "head" ? answer.head : undefined;
}

/** Every version, descending; removed ones too when asked. */
export async function allVersions(
  context: Context,
  name: PromptName,
  op: Operation,
  includeRemoved = false,
): Promise<readonly VersionEntry[]> {
  return (await versionPages(context, name, op, includeRemoved)).entries;
}

export async function versionPages(
  context: Context,
  name: PromptName,
  op: Operation,
  includeRemoved: boolean,
): Promise<{ readonly entries: readonly VersionEntry[]; readonly provenance: Provenance | undefined }> {
  const entries: VersionEntry[] = [];
  let provenance: Provenance | undefined;
  let cursor: string | undefined;
  do {
    const query = { limit: 1000, includeRemoved, ...(cursor === undefined ? {} : { cursor }) };
    const page = await context.driver.listVersions(name, query, op);
    entries.push(...page.items);
    provenance = older(provenance, page.provenance);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return { entries, provenance };
}

/** The history of a prompt, newest first. */
export function historyOf({ driver }: Context, name: PromptName, op: Operation, limit = 100): Listing<HistoryEntry> {
  return new Listing((cursor) => driver.history(name, { limit, ...(cursor === undefined ? {} : { cursor }) }, op));
}

/** The one that says the less about now; `undefined` is the store's own word. */
export function older(a: Provenance | undefined, b: Provenance | undefined): Provenance | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.stale !== b.stale) return a.stale ? a : b;
  return a.fetchedAt <= b.fetchedAt ? a : b;
}
