import { RegistryError } from "../../errors.ts";
import type { AuditEntry, AuditLog } from "../types.ts";

/** An entry and when it was made. */
export interface Timed {
  readonly at: string;
  readonly entry: AuditEntry;
}

/** Where entries go. Never called twice at a time. */
export interface AuditStore {
  /** All of them, in order; durable when it resolves. */
  write(entries: readonly Timed[]): Promise<void>;
  /** Throws where they can't be written now. */
  probe(): Promise<void>;
  close(): Promise<void>;
}

interface Waiting extends Timed {
  resolve(): void;
  reject(error: unknown): void;
}

const MAX_BATCH = 256;
/** Milliseconds for which a success is believed. */
const READY = 250;

/** Entries that come while others are being made durable wait, and are then made durable together. */
export function groupedLog(store: AuditStore, now: () => number = Date.now): AuditLog {
  let waiting: Waiting[] = [];
  let running: Promise<void> | undefined;
  let closed = false;
  let readyUntil = Number.NEGATIVE_INFINITY;
  let probing: Promise<void> | undefined;
  /** Entries that could not be written, until one could. */
  let missed = 0;

  const at = () => new Date(now()).toISOString();

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MAX_BATCH);
      waiting = waiting.slice(batch.length);
      try {
        await store.write(batch);
        readyUntil = performance.now() + READY;
        missed = 0;
        for (const one of batch) one.resolve();
      } catch (error) {
        readyUntil = Number.NEGATIVE_INFINITY;
        missed += batch.length;
        for (const one of batch) one.reject(error);
      }
    }
    running = undefined;
  }

  function append(entry: AuditEntry): Promise<void> {
    if (closed) return Promise.reject(new RegistryError("ABORTED", "the audit log is closed"));
    return new Promise((resolve, reject) => {
      waiting.push({ at: at(), entry, resolve, reject });
      running ??= run();
    });
  }

  async function probe(): Promise<void> {
    await store.probe();
    // What failed once is believed to work again only when it has worked.
    if (missed > 0)
      await append({
        action: "audit.resume",
        outcome: "done",
        note: `${missed} entries may be missing before this one`,
      });
    readyUntil = performance.now() + READY;
  }

  return {
    async ready() {
      if (closed) throw new RegistryError("ABORTED", "the audit log is closed");
      if (performance.now() < readyUntil) return;
      probing ??= probe().finally(() => {
        probing = undefined;
      });
      await probing;
    },
    append,
    async close() {
      if (closed) return;
      closed = true;
      await running;
      await store.close();
    },
  };
}
