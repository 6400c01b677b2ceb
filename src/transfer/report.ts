import type { Cursor } from "../driver.ts";
import type { RegistryError } from "../errors.ts";
import type { PromptName } from "../names.ts";
import type { Version } from "../semver.ts";
import type { TransferConflict, TransferPlan } from "./plan.ts";

export interface TransferProgress {
  /** `count` only when there is somebody to tell; `check` reads an archive before anything is written. */
  readonly phase: "count" | "check" | "copy" | "verify";
  /** Prompts done in this phase. */
  readonly done: number;
  /** Prompts there are, where it is known. */
  readonly total?: number;
  /** The prompt that was done last. */
  readonly name?: PromptName;
}

/** A version, or a whole prompt, that could not be copied. */
export interface TransferFailure {
  readonly name: PromptName;
  readonly version?: Version;
  readonly error: RegistryError;
}

/** What the verify pass at the end found. */
export interface VerifyCounts {
  /** No prompt of the source is missing or different. */
  readonly ok: boolean;
  readonly equal: number;
  /** Names, at most {@link MAX_LISTED}; the counts are whole. */
  readonly different: readonly PromptName[];
  readonly differentCount: number;
  readonly missing: readonly PromptName[];
  readonly missingCount: number;
  /** Prompts that only the target has; no fault of a copy. */
  readonly extra: number;
  readonly documents: number;
  readonly tombstones: number;
  readonly entries: number;
}

/** What was done; in a dry run, what would be done. */
export interface TransferReport {
  readonly dryRun: boolean;
  /** Nothing is in conflict, nothing failed, and the verify pass, where there was one, found everything equal. */
  readonly ok: boolean;
  /** Prompts looked at. */
  readonly prompts: number;
  readonly changed: number;
  /** Prompts that needed no write; those in conflict are not among them. */
  readonly unchanged: number;
  /** Documents created. */
  readonly added: number;
  /** UTF-8 bytes of the documents created. */
  readonly bytes: number;
  /** Tombstones put. */
  readonly removed: number;
  /** Documents brought back in the place of a tombstone. */
  readonly restored: number;
  readonly heads: number;
  /** History entries appended. */
  readonly entries: number;
  /** `name@version` of documents that had no seal at the source and were stored with their canonical one. */
  readonly sealed: readonly string[];
  readonly sealedCount: number;
  /** At most {@link MAX_LISTED}; the count is whole. */
  readonly conflicts: readonly TransferConflict[];
  readonly conflictCount: number;
  readonly failures: readonly TransferFailure[];
  readonly failureCount: number;
  /**
   * `since` of the next, incremental run: where the source's feed stood before the first read. Where not all is `ok`, and
   * in a dry run, that is the `since` of this run, or absent, so that what failed is seen again.
   */
  readonly cursor?: Cursor;
  readonly verify?: VerifyCounts;
}

/** Lists in a report hold no more, so that a report of a million prompts stays small. */
export const MAX_LISTED = 1000;

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

/** Adds up a report. */
export class Tally {
  readonly #report: Mutable<Omit<TransferReport, "ok" | "verify" | "cursor">>;

  constructor(dryRun: boolean) {
    this.#report = {
      ...{ dryRun, prompts: 0, changed: 0, unchanged: 0, added: 0, bytes: 0, removed: 0, restored: 0, heads: 0 },
      ...{ entries: 0, sealed: [], sealedCount: 0, conflicts: [], conflictCount: 0, failures: [], failureCount: 0 },
    };
  }

  prompt(name: PromptName, plans: readonly TransferPlan[], error?: RegistryError): void {
    const report = this.#report;
    report.prompts++;
    const failures: TransferFailure[] = plans.flatMap((p) => p.failures.map((f) => ({ name, ...f })));
    for (const failure of unique(failures, (f) => f.version ?? "")) this.#fail(failure);
    if (error !== undefined) this.#fail({ name, error });
    const conflicts = unique(
      plans.flatMap((p) => p.conflicts),
      (c) => `${c.kind} ${c.version}`,
    );
    for (const conflict of conflicts) {
      report.conflictCount++;
      if (report.conflicts.length < MAX_LISTED) report.conflicts.push(conflict);
    }
  }

  settled(changed: boolean, troubled: boolean): void {
    if (changed) this.#report.changed++;
    else if (!troubled) this.#report.unchanged++;
  }

  done(plan: Pick<TransferPlan, "name" | "add" | "remove" | "restore" | "head">): void {
    const report = this.#report;
    for (const slot of [...plan.add, ...plan.restore]) {
      if (slot.unsealed !== true) continue;
      report.sealedCount++;
      if (report.sealed.length < MAX_LISTED) report.sealed.push(`${plan.name}@${slot.version}`);
    }
    report.added += plan.add.length;
    for (const slot of plan.add) report.bytes += slot.size;
    report.removed += plan.remove.length;
    report.restored += plan.restore.length;
    if (plan.head !== undefined) {
      report.heads++;
      report.entries += plan.head.entries.length;
    }
  }

  report(verify?: VerifyCounts): TransferReport {
    const report = this.#report;
    const ok = report.conflictCount === 0 && report.failureCount === 0 && (verify === undefined || verify.ok);
    return {
      ...report,
      ok,
      ...(verify === undefined ? {} : { verify }),
    };
  }

  #fail(failure: TransferFailure): void {
    this.#report.failureCount++;
    if (this.#report.failures.length < MAX_LISTED) this.#report.failures.push(failure);
  }
}

function unique<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}
