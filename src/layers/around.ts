import type { Operation, StorageDriver } from "../driver.ts";

/** The methods of a driver that are waited for, `close` apart. */
export type CallMethod =
  | "read"
  | "listPrompts"
  | "listVersions"
  | "history"
  | "changes"
  | "commit"
  | "repair"
  | "check";

/** Makes a call: as it is, with another signal, more than once, or not at all. */
export type RunCall = <T>(
  method: CallMethod,
  op: Operation | undefined,
  call: (op: Operation | undefined) => Promise<T>,
) => Promise<T>;

/**
 * A driver whose calls go to another one, through `run`. `peek`, which is memory or one small local read, and `close` go
 * there as they are. A layer is made of it and of what it does otherwise.
 *
 * @param run default: makes the call
 * @example
 * return { ...around(inner, (method, op, call) => timed(method, () => call(op))), kind: "timed" };
 */
export function around(inner: StorageDriver, run: RunCall = (_, op, call) => call(op)): StorageDriver {
  return {
    kind: inner.kind,
    location: inner.location,
    capabilities: inner.capabilities,
    native: inner.native,
    peek: (ask) => inner.peek(ask),
    read: (asks, op) => run("read", op, (o) => inner.read(asks, o)),
    listPrompts: (query, op) => run("listPrompts", op, (o) => inner.listPrompts(query, o)),
    listVersions: (name, query, op) => run("listVersions", op, (o) => inner.listVersions(name, query, o)),
    history: (name, query, op) => run("history", op, (o) => inner.history(name, query, o)),
    changes: (query, op) => run("changes", op, (o) => inner.changes(query, o)),
    commit: (commit, op) => run("commit", op, (o) => inner.commit(commit, o)),
    repair: (plan, op) => run("repair", op, (o) => inner.repair(plan, o)),
    check: (op) => run("check", op, (o) => inner.check(o)),
    close: () => inner.close(),
  };
}
