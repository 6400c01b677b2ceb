import { readFile } from "node:fs/promises";
import type { ChangeEvent, Cursor, HealthCheck, Operation, Page, StorageDriver } from "../driver.ts";
import { type ErrorCode, isRegistryError, RegistryError } from "../errors.ts";
import type { PromptName } from "../names.ts";
import type { TransferReport } from "../transfer/report.ts";
import { defineLayer, type Layer } from "./layer.ts";
import { asRegistryError } from "./outage.ts";
import { checkDuration, sleep } from "./signal.ts";
import { writeWhole } from "./whole-file.ts";

/** Copies one prompt exactly; running it again does nothing. A report with `ok: false` says that it was not copied whole. */
export type CopyPrompt = (
  from: StorageDriver,
  to: StorageDriver,
  name: PromptName,
  options: { readonly signal?: AbortSignal },
) => Promise<unknown>;

/** Where the place in the feed is kept up to which everything is in the mirror. */
export interface CursorStore {
  load(): Promise<Cursor | undefined>;
  save(cursor: Cursor): Promise<void>;
}

export interface MirrorOptions {
  /** Default: a file is not kept, and every start compares all prompts. See {@link cursorFile}. */
  readonly cursor?: CursorStore;
  /** Milliseconds between two looks at the feed, for changes that others made. Default 30,000; 0: only own changes. */
  readonly poll?: number;
  /** Milliseconds until a copy that failed is tried again; doubles up to a minute. Default 1,000. */
  readonly retryDelay?: number;
  /** Default: `copyPrompt` of `prompt-registry/transfer`. */
  readonly copy?: CopyPrompt;
}

export interface MirrorStats {
  readonly pending: number;
  readonly copied: number;
  readonly failed: number;
  /** Why the last copy failed, until one succeeds; else the first of `problems`. */
  readonly problem: string | undefined;
  /** Prompts that are not in the mirror as they are in the main storage, and why. They are tried again. */
  readonly problems: Readonly<Record<PromptName, string>>;
}

export interface MirrorDriver extends StorageDriver {
  readonly mirrorStats: MirrorStats;
  /** Resolves when everything that changed up to now is in the mirror, or among the `problems`. */
  caughtUp(op?: Operation): Promise<void>;
}

/**
 * Keeps a second storage equal: writes go to the main storage, and what changed is copied afterwards. The mirror can
 * neither fail nor delay a write. At start it catches up with what changed while nobody copied. The mirror is for this
 * layer alone to write: a prompt that somebody else stored there differently is left as it is, told by `mirrorStats` and
 * `check()`, and tried again; the others go on.
 *
 * @param target closed with this layer
 * @throws RegistryError CONFIG where the target can't be written
 * @example
 * stack(postgres({ url }), [mirror(fs({ path: "./mirror" }), { cursor: cursorFile("./mirror.cursor") }), retry()]);
 */
export function mirror(target: StorageDriver, options: MirrorOptions = {}): Layer<MirrorDriver> {
  if (!target.capabilities.write) {
    throw new RegistryError("CONFIG", `the mirror ${target.kind} ${target.location} can't be written`, {
      field: "mirror",
    });
  }
  const poll = checkDuration("mirror.poll", options.poll ?? 30_000, { zero: true });
  const retryDelay = checkDuration("mirror.retryDelay", options.retryDelay ?? 1000);
  return defineLayer("mirror", (inner) => createMirror(inner, target, { ...options, poll, retryDelay }));
}

/**
 * Keeps the cursor of a mirror in a file, so that a restart copies only what changed since.
 *
 * @example
 * mirror(target, { cursor: cursorFile("./mirror.cursor") });
 */
export function cursorFile(path: string): CursorStore {
  return {
    load: async () => {
      try {
        return await readFile(path, "utf8");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    },
    save: (cursor) => writeWhole(path, cursor),
  };
}

const LIMIT = 500;
const MAX_DELAY = 60_000;
/** Problems named by `check`. */
const TOLD = 5;
/** What is the matter with one prompt, and no reason to keep the others waiting. */
const OWN_FAULT: ReadonlySet<ErrorCode> = new Set([
  ...(["CORRUPT", "INVALID", "CONFLICT", "ALREADY_EXISTS", "UNSUPPORTED", "FORBIDDEN", "NOT_FOUND"] as const),
]);

/** What of a report of `copyPrompt` says that the prompt is not there as it is here. */
function problemOf(report: unknown): string | undefined {
  const { ok, conflicts, failures } = (report ?? {}) as Partial<TransferReport>;
  if (ok !== false) return undefined;
  const failure = failures?.[0]?.error.message;
  const conflict = conflicts?.[0];
  return failure ?? conflict?.detail ?? "was not copied whole";
}

/** What goes to the mirror is what the storage says now: nothing remembered, nothing from elsewhere. */
function fresh(inner: StorageDriver): StorageDriver {
  const now = (op: Operation | undefined): Operation => ({ ...op, fresh: true });
  return {
    kind: inner.kind,
    location: inner.location,
    capabilities: inner.capabilities,
    native: inner.native,
    peek: () => undefined,
    read: (asks, op) => inner.read(asks, now(op)),
    listPrompts: (query, op) => inner.listPrompts(query, now(op)),
    listVersions: (name, query, op) => inner.listVersions(name, query, now(op)),
    history: (name, query, op) => inner.history(name, query, now(op)),
    changes: (query, op) => inner.changes(query, now(op)),
    commit: (commit, op) => inner.commit(commit, op),
    repair: (plan, op) => inner.repair(plan, op),
    check: (op) => inner.check(op),
    close: () => inner.close(),
  } satisfies StorageDriver;
}

function createMirror(
  inner: StorageDriver,
  target: StorageDriver,
  options: MirrorOptions & { readonly poll: number; readonly retryDelay: number },
): MirrorDriver {
  const controller = new AbortController();
  const { signal } = controller;
  const pending = new Set<PromptName>();
  let copied = 0;
  let failed = 0;
  let problem: string | undefined;
  const problems = new Map<PromptName, string>();
  let retryAt = 0;
  const main = fresh(inner);
  let isLoaded = false;
  let cursor: Cursor | undefined;
  let looked = false;
  let wake: (() => void) | undefined;
  let waiters: (() => void)[] = [];

  const copy: CopyPrompt =
    options.copy ??
    (async (from, to, name, op) =>
      (await import("../transfer/copy.ts")).copyPrompt(from, to, name, { ...op, verify: false }));

  function nudge(): void {
    wake?.();
    wake = undefined;
  }

  function changed(names: Iterable<PromptName>): void {
    for (const name of names) pending.add(name);
    nudge();
  }

  /** Reads the feed to its end. Without a cursor of before, everything may differ. */
  async function look(): Promise<Cursor> {
    // Only once: a cursor that was refused must not come back.
    if (!isLoaded) cursor = await options.cursor?.load();
    isLoaded = true;
    if (cursor === undefined) {
      const now = await main.changes({ limit: LIMIT }, { signal });
      await all();
      return now.cursor as Cursor;
    }
    for (let empty = 0; ; ) {
      const page: Page<ChangeEvent> = await main.changes({ cursor, limit: LIMIT }, { signal });
      for (const { name } of page.items) pending.add(name);
      empty = page.items.length === 0 ? empty + 1 : 0;
      // An empty page need not be the end; one that leads to itself is.
      const isEnd = page.cursor === cursor || empty >= 3;
      cursor = page.cursor as Cursor;
      if (isEnd) return cursor;
    }
  }

  async function all(): Promise<void> {
    let at: Cursor | undefined;
    do {
      const query = { limit: LIMIT, includeRemoved: true, ...(at === undefined ? {} : { cursor: at }) };
      const page = await main.listPrompts(query, { signal });
      for (const { name } of page.items) pending.add(name);
      at = page.cursor;
    } while (at !== undefined);
  }

  /** A cursor that the feed refuses says nothing: everything is compared instead. */
  async function lookAgain(): Promise<Cursor> {
    try {
      return await look();
    } catch (error) {
      const isRefused = isRegistryError(error, "INVALID") || isRegistryError(error, "HISTORY_REWRITTEN");
      if (!isRefused || cursor === undefined) throw error;
      cursor = undefined;
      return look();
    }
  }

  async function copyOne(name: PromptName): Promise<void> {
    // Out first: a change that comes while it is copied puts it in again.
    pending.delete(name);
    let why: string | undefined;
    try {
      why = problemOf(await copy(main, target, name, { signal }));
    } catch (error) {
      if (!isRegistryError(error) || error.outcome !== "final" || !OWN_FAULT.has(error.code)) {
        pending.add(name);
        throw error;
      }
      why = error.message;
    }
    if (why === undefined) {
      copied++;
      problems.delete(name);
      return;
    }
    failed++;
    problems.set(name, why);
  }

  async function round(): Promise<void> {
    let upTo: Cursor | undefined;
    if (!looked || options.poll > 0) {
      upTo = await lookAgain();
      looked = true;
    }
    if (performance.now() >= retryAt) for (const name of problems.keys()) pending.add(name);
    for (const name of pending) await copyOne(name);
    if (upTo === undefined) return;
    cursor = upTo;
    // Only now is everything up to there in the mirror; after a restart, what is not must be found again.
    if (problems.size === 0) await options.cursor?.save(upTo);
  }

  async function run(): Promise<void> {
    let delay = options.retryDelay;
    while (!signal.aborted) {
      try {
        await round();
        problem = undefined;
        if (problems.size === 0) delay = options.retryDelay;
        if (pending.size > 0) continue;
        for (const resolve of waiters.splice(0)) resolve();
        await idle(problems.size === 0 ? options.poll : pause());
      } catch (error) {
        if (signal.aborted) return;
        failed++;
        problem = asRegistryError(error, target.kind).message;
        await idle(delay, false);
        delay = Math.min(MAX_DELAY, delay * 2);
      }
    }

    /** Prompts with a problem are not tried with every change of others. */
    function pause(): number {
      const now = performance.now();
      if (now >= retryAt) {
        retryAt = now + delay;
        delay = Math.min(MAX_DELAY, delay * 2);
      }
      const wait = Math.max(1, Math.ceil(retryAt - now));
      return options.poll === 0 ? wait : Math.min(wait, options.poll);
    }
  }

  /** Waits without keeping the process alive; a change of this process ends it at once. */
  function idle(ms: number, listen = true): Promise<void> {
    return new Promise((resolve) => {
      // It may have fired during the round, and then never does again.
      if (signal.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = ms === 0 ? undefined : setTimeout(done, ms).unref();
      if (listen) wake = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }

  const running = run();

  return {
    kind: inner.kind,
    location: inner.location,
    capabilities: inner.capabilities,
    native: inner.native,
    get mirrorStats() {
      const [first] = problems;
      return {
        ...{ pending: pending.size, copied, failed },
        problem: problem ?? (first === undefined ? undefined : `${first[0]}: ${first[1]}`),
        problems: Object.fromEntries(problems),
      };
    },
    async caughtUp(op) {
      if (signal.aborted) return;
      const done = new Promise<void>((resolve) => waiters.push(resolve));
      nudge();
      if (op?.signal === undefined) return done;
      const never = sleep(2 ** 31 - 1, op.signal, "caughtUp");
      await Promise.race([done, never]);
    },
    peek: (ask) => inner.peek(ask),
    read: (asks, op) => inner.read(asks, op),
    listPrompts: (query, op) => inner.listPrompts(query, op),
    listVersions: (name, query, op) => inner.listVersions(name, query, op),
    history: (name, query, op) => inner.history(name, query, op),
    changes: (query, op) => inner.changes(query, op),
    async commit(commit, op) {
      try {
        return await inner.commit(commit, op);
      } finally {
        // Whatever came of it: copying what did not change does nothing.
        changed(commit.changes.map(({ name }) => name));
      }
    },
    async repair(plan, op) {
      const report = await inner.repair(plan, op);
      changed(report.findings.flatMap((finding) => (finding.repaired && finding.name ? [finding.name] : [])));
      return report;
    },
    async check(op) {
      const [health, own] = await Promise.all([inner.check(op), target.check(op)]);
      const told = [...problems].slice(0, TOLD).map(([name, why]) => `${name}: ${why}`);
      if (problems.size > TOLD) told.push(`${problems.size - TOLD} more prompts`);
      const wrong = [...(problem === undefined ? [] : [problem]), ...told];
      const figures = { copied, pending: pending.size, failed, problems: problems.size };
      const state = `${target.kind} ${target.location}: ${copied} copied, ${pending.size} waiting`;
      const mine: HealthCheck = {
        name: "mirror",
        ok: own.ok && wrong.length === 0,
        detail: [state, ...wrong].join("; "),
        figures,
      };
      return {
        ...health,
        ok: health.ok && mine.ok,
        checks: [...health.checks, mine],
        inner: [...(health.inner ?? []), own],
      };
    },
    async close() {
      controller.abort();
      await running;
      for (const resolve of waiters.splice(0)) resolve();
      waiters = [];
      await Promise.all([inner.close(), target.close()]);
    },
  } satisfies MirrorDriver;
}
