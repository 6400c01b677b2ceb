import type { Operation } from "../../driver.ts";
import { Queues } from "./limiter.ts";
import type { Resolved } from "./options.ts";

/** Keeps writers apart where the store does not. */
export interface WriterLock {
  /** @param work is given the operation to go on with: it ends when the lock is lost */
  run<T>(op: Operation | undefined, work: (op: Operation | undefined) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Writers of this process take turns; there must be no other process. */
function alone(): WriterLock {
  const queues = new Queues();
  return { run: (op, work) => queues.run("", () => work(op), op?.signal), close: async () => {} };
}

const FREE: WriterLock = Object.freeze({
  run: <T>(op: Operation | undefined, work: (op: Operation | undefined) => Promise<T>) => work(op),
  close: async () => {},
});

/** @throws RegistryError CONFIG */
export async function openLock({ conditionalWrites, location }: Resolved): Promise<WriterLock> {
  if (conditionalWrites === "required") return FREE;
  if (conditionalWrites === "single-writer") return alone();
  return await (await import("./database-lock.ts")).openDatabaseLock(conditionalWrites.lock, location);
}
