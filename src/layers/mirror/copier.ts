import type { Cursor, StorageDriver } from "../../driver.ts";
import type { PromptName } from "../../names.ts";
import { isOwnFault } from "../../transfer/own-fault.ts";
import type { TransferReport } from "../../transfer/report.ts";
import { around } from "../around.ts";
import { asRegistryError } from "../outage.ts";
import { between, type CursorStore } from "./cursor.ts";
import { Differing } from "./differing.ts";

/** Copies one prompt exactly; running it again does nothing. A report with `ok: false` says that it was not copied whole. */
export type CopyPrompt = (
  from: StorageDriver,
  to: StorageDriver,
  name: PromptName,
  options: { readonly signal?: AbortSignal },
) => Promise<unknown>;

export interface CopierOptions {
  readonly cursor?: CursorStore;
  readonly poll: number;
  readonly retryDelay: number;
  readonly copy?: CopyPrompt;
}

const MAX_DELAY = 60_000;
/** Copies what differs, in the background, until it is closed. */
export class Copier {
  copied = 0;
  failed = 0;
  /** Why the last round ended early, until one succeeds. */
  problem: string | undefined;
  readonly problems = new Map<PromptName, string>();
  readonly #main: StorageDriver;
  readonly #target: StorageDriver;
  readonly #options: CopierOptions;
  readonly #copy: CopyPrompt;
  readonly #differing: Differing;
  readonly #controller = new AbortController();
  readonly #signal = this.#controller.signal;
  readonly #pending = new Set<PromptName>();
  readonly #waiters: (() => void)[] = [];
  readonly #running: Promise<void>;
  #retryAt = 0;
  #delay: number;
  #looked = false;
  #wake: (() => void) | undefined;

  constructor(inner: StorageDriver, target: StorageDriver, options: CopierOptions) {
    this.#main = fresh(inner);
    this.#target = target;
    this.#options = options;
    this.#copy = options.copy ?? copyWhole;
    this.#delay = options.retryDelay;
    const kept = options.cursor && between(inner, target, options.cursor, this.#signal);
    this.#differing = new Differing(this.#main, kept, this.#signal, (name) => this.#pending.add(name));
    this.#running = this.#run();
  }

  get pending(): number {
    return this.#pending.size;
  }

  changed(names: Iterable<PromptName>): void {
    for (const name of names) this.#pending.add(name);
    this.#nudge();
  }

  /** Resolves at the end of a round after which nothing waits. */
  async caughtUp(): Promise<void> {
    if (this.#signal.aborted) return;
    const done = new Promise<void>((resolve) => this.#waiters.push(resolve));
    this.#nudge();
    await done;
  }

  async close(): Promise<void> {
    this.#controller.abort();
    await this.#running;
    this.#tell();
  }

  #tell(asked = this.#waiters.length): void {
    for (const resolve of this.#waiters.splice(0, asked)) resolve();
  }

  #nudge(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  async #run(): Promise<void> {
    const { poll, retryDelay } = this.#options;
    while (!this.#signal.aborted) {
      try {
        // Who asks from here on is told by the next round, as this one looks for what is there now.
        const asked = this.#waiters.length;
        await this.#round(asked > 0);
        this.problem = undefined;
        if (this.problems.size === 0) this.#delay = retryDelay;
        if (this.#pending.size > 0) continue;
        this.#tell(asked);
        if (this.#waiters.length > 0) continue;
        await this.#idle(this.problems.size === 0 ? poll : this.#pause());
      } catch (error) {
        if (this.#signal.aborted) return;
        this.failed++;
        this.problem = asRegistryError(error, this.#target.kind).message;
        await this.#idle(this.#delay, false);
        this.#delay = Math.min(MAX_DELAY, this.#delay * 2);
      }
    }
  }

  async #round(isAsked: boolean): Promise<void> {
    let upTo: Cursor | undefined;
    if (!this.#looked || this.#options.poll > 0) {
      upTo = await this.#differing.look(isAsked || !this.#looked);
      this.#looked = true;
    }
    if (performance.now() >= this.#retryAt) for (const name of this.problems.keys()) this.#pending.add(name);
    for (const name of this.#pending) await this.#copyOne(name);
    if (upTo === undefined) return;
    this.#differing.reached(upTo);
    // Only now is everything up to there in the mirror; after a restart, what is not must be found again.
    if (this.problems.size === 0) await this.#differing.save(upTo);
  }

  async #copyOne(name: PromptName): Promise<void> {
    // Out first: a change that comes while it is copied puts it in again.
    this.#pending.delete(name);
    let why: string | undefined;
    try {
      why = problemOf(await this.#copy(this.#main, this.#target, name, { signal: this.#signal }));
    } catch (error) {
      if (!isOwnFault(error)) {
        this.#pending.add(name);
        throw error;
      }
      why = error.message;
    }
    if (why === undefined) {
      this.copied++;
      this.problems.delete(name);
      return;
    }
    this.failed++;
    this.problems.set(name, why);
  }

  /** Prompts with a problem are not tried with every change of others. */
  #pause(): number {
    const { poll } = this.#options;
    const now = performance.now();
    if (now >= this.#retryAt) {
      this.#retryAt = now + this.#delay;
      this.#delay = Math.min(MAX_DELAY, this.#delay * 2);
    }
    const wait = Math.max(1, Math.ceil(this.#retryAt - now));
    return poll === 0 ? wait : Math.min(wait, poll);
  }

  /** Waits without keeping the process alive; a change of this process ends it at once. */
  #idle(ms: number, listen = true): Promise<void> {
    const signal = this.#signal;
    return new Promise((resolve) => {
      // It may have fired during the round, and then never does again.
      if (signal.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = ms === 0 ? undefined : setTimeout(done, ms).unref();
      if (listen) this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

const copyWhole: CopyPrompt = async (from, to, name, op) =>
  (await import("../../transfer/copy.ts")).copyPrompt(from, to, name, { ...op, verify: false });

/** What of a report of `copyPrompt` says that the prompt is not there as it is here. */
function problemOf(report: unknown): string | undefined {
  const { ok, conflicts, failures } = (report ?? {}) as Partial<TransferReport>;
  if (ok !== false) return undefined;
  const failure = failures?.[0]?.error.message;
  const conflict = conflicts?.[0];
  return failure ?? conflict?.detail ?? "was not copied whole";
}

/**
 * What goes to the mirror is what the storage says now: nothing remembered, nothing from elsewhere. A look at the feed says
 * for itself whether it is to be one.
 */
function fresh(inner: StorageDriver): StorageDriver {
  return {
    ...around(inner, (method, op, call) => call(method === "changes" ? op : { ...op, fresh: true })),
    peek: () => undefined,
  } satisfies StorageDriver;
}
