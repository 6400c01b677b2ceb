import { resolve } from "node:path";
import type { DriverSelector, HeadState, Operation, ReadAnswer, StorageDriver, StoredDocument } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import { formatSelector, type Label, type PromptName, parseRef, type Selector } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { labelTarget } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import { freshly } from "../../transfer/fresh.ts";
import { writeWhole } from "../../whole-file.ts";
import { formatSnapshot, type Snapshot, type SnapshotPrompt } from "./format.ts";

export interface SnapshotOptions {
  /**
   * What goes in: `name` (latest), `name@1.2.0`, `name@^1`, `name@production`. Default: `latest` and every label of every
   * prompt.
   */
  readonly selectors?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The clock, for tests. */
  readonly now?: (() => Date) | undefined;
}

export interface SnapshotReport {
  readonly path: string;
  readonly prompts: number;
  readonly versions: number;
  readonly bytes: number;
  readonly createdAt: string;
}

/** Somebody else may write while a prompt is read; after so many looks that did not agree it is told. */
const LOOKS = 10;

/**
 * Writes pinned prompts to one file that an application can ship, and that `fallback` reads when everything else is down.
 * The file appears whole or not at all.
 *
 * @throws RegistryError INVALID for a selector, NOT_FOUND naming all that are not there, UNAVAILABLE where the storage
 *   could only give old answers
 * @example
 * await writeSnapshot(registry, "./prompts.snapshot", { selectors: ["support/triage@production", "support/reply@^2"] });
 */
export async function writeSnapshot(
  registry: PromptRegistry,
  path: string,
  options: SnapshotOptions = {},
): Promise<SnapshotReport> {
  const snapshot = await readSnapshot(registry, options);
  const text = formatSnapshot(snapshot);
  const target = resolve(path);
  await write(target, text);
  return {
    path: target,
    prompts: snapshot.prompts.length,
    versions: snapshot.prompts.reduce((sum, { documents }) => sum + documents.length, 0),
    bytes: Buffer.byteLength(text),
    createdAt: snapshot.createdAt,
  };
}

/** What {@link writeSnapshot} writes, for those who want to put it elsewhere. */
export async function readSnapshot(registry: PromptRegistry, options: SnapshotOptions = {}): Promise<Snapshot> {
  // What a cache remembers may be gone, and would be in the snapshot for good.
  const asking = new PromptRegistry(freshly(registry.driver));
  const { driver } = asking;
  const op: Operation = options.signal === undefined ? {} : { signal: options.signal };
  const createdAt = (options.now?.() ?? new Date()).toISOString();
  const wanted =
    options.selectors === undefined
      ? await everything(asking, op)
      : await selected(asking, options.selectors, options.signal);
  const prompts: SnapshotPrompt[] = [];
  const missing: string[] = [];
  for (const [name, selectors] of wanted) {
    const prompt = await readPrompt(driver, name, selectors, missing, op);
    if (prompt !== undefined) prompts.push(prompt);
  }
  if (missing.length > 0) {
    throw new RegistryError("NOT_FOUND", `not there, so not in the snapshot: ${missing.join(", ")}`, {
      issues: missing,
    });
  }
  return { createdAt, source: `${driver.kind} ${driver.location}`, prompts };
}

type Wanted = Map<PromptName, DriverSelector[]>;

async function selected(
  registry: PromptRegistry,
  selectors: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Wanted> {
  const wanted: Wanted = new Map();
  for (const text of selectors) {
    const { name, selector } = parseRef(text);
    const list = wanted.get(name) ?? [];
    wanted.set(name, list);
    list.push(await exact(registry, name, selector, signal));
  }
  return wanted;
}

async function exact(
  registry: PromptRegistry,
  name: PromptName,
  selector: Selector,
  signal: AbortSignal | undefined,
): Promise<DriverSelector> {
  if (selector.kind !== "range") return selector;
  const ref = `${name}@${selector.range}`;
  const { version } = await registry.getPrompt(ref, signal === undefined ? undefined : { signal });
  return { kind: "version", version };
}

async function everything(registry: PromptRegistry, op: Operation): Promise<Wanted> {
  const wanted: Wanted = new Map();
  const list = registry.listPrompts({ include: "heads", limit: 1000, ...op });
  for await (const { name, head } of list) {
    const labels = Object.keys(head?.head.labels ?? {}) as Label[];
    const latest = head?.latest === undefined ? [] : [{ kind: "latest" as const }];
    const selectors = [...latest, ...labels.map((label) => ({ kind: "label" as const, label }))];
    if (selectors.length > 0) wanted.set(name, selectors);
  }
  return wanted;
}

async function readPrompt(
  driver: StorageDriver,
  name: PromptName,
  selectors: readonly DriverSelector[],
  missing: string[],
  op: Operation,
): Promise<SnapshotPrompt | undefined> {
  const asks = [{ kind: "head" as const }, ...selectors].map((selector) => ({ name, selector }));
  for (let look = 0; look < LOOKS; look++) {
    const [first, ...answers] = await driver.read(asks, op);
    const gone = selectors.filter((_, i) => answers[i]?.status !== "found");
    if (first?.status !== "head" || gone.length > 0) {
      const refs = (gone.length > 0 ? gone : selectors).map(
        (s) => `${name}@${s.kind === "head" ? "head" : formatSelector(s)}`,
      );
      missing.push(...refs);
      return undefined;
    }
    const documents = new Map<Version, StoredDocument>();
    for (const answer of answers)
      if (answer.status === "found") documents.set(answer.document.version, answer.document);
    if (!agree(first.head, selectors, answers)) continue;
    return { name, state: first.head, documents: [...documents.values()] };
  }
  throw new RegistryError("CONFLICT", `${name} is being changed all the time; try again`, {
    name,
    outcome: "temporary",
  });
}

/** Whether the head and what its pointers brought are of the same moment. */
function agree(state: HeadState, selectors: readonly DriverSelector[], answers: readonly ReadAnswer[]): boolean {
  return selectors.every((selector, i) => {
    const answer = answers[i];
    const version = answer?.status === "found" ? answer.document.version : undefined;
    if (selector.kind === "label") return labelTarget(state.head, selector.label) === version;
    return selector.kind !== "latest" || state.latest === version;
  });
}

async function write(path: string, text: string): Promise<void> {
  try {
    await writeWhole(path, text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const code = (cause as NodeJS.ErrnoException).code;
    const isFull = code === "ENOSPC" || code === "EDQUOT";
    throw new RegistryError(isFull ? "NO_SPACE" : "FORBIDDEN", `the snapshot ${path} can't be written: ${why}`, {
      path,
      cause,
    });
  }
}
