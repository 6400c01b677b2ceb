import { resolve } from "node:path";
import type { Capabilities, Operation, Outcome, ReadAnswer, ReadAsk, StorageDriver } from "../../driver.ts";
import { abortable, RegistryError, show, throwIfAborted } from "../../errors.ts";
import { answer, quickAnswer } from "./answers.ts";
import { check } from "./check.ts";
import { commitAll } from "./commit.ts";
import { failure } from "./failure.ts";
import { changes, SLACK_MS } from "./feed.ts";
import { type CallName, nodeIo } from "./io.ts";
import { listPrompts } from "./listing.ts";
import { history, listVersions } from "./log.ts";
import { Lru } from "./lru.ts";
import { repair } from "./repair.ts";
import { Replaced } from "./root.ts";
import type { FsOptions, Store } from "./store.ts";
import { type AsyncOptions, allOrThrow, runAsync, runSync, type Task } from "./task.ts";

export type { FsOptions } from "./store.ts";

const CAPABILITIES: Capabilities = Object.freeze({
  write: true,
  atomicity: "prompt",
  listing: "scan",
  search: false,
  maxDocumentBytes: 2 ** 21,
  maxBatch: 1000,
  consistency: "linearizable",
});
const CACHE_BYTES = 64 * 2 ** 20;
// Syncs of several files overlap in the kernel, up to the size of the thread pool and a little more.
const WIDTH = 32;

function openStore(options: FsOptions): Store {
  const { path, dir = "prompts", mode = "embedded", links = "auto", hardLinks = "auto" } = options;
  const bad = (field: string, problem: string) => new RegistryError("CONFIG", `fs: ${field} ${problem}`, { field });
  if (typeof path !== "string" || path === "" || path.includes("\0")) throw bad("path", "must name a folder");
  if (dir.includes("\0") || dir.split(/[/\\]/).includes("..")) throw bad("dir", `${show(dir)} must lie within path`);
  if (mode !== "embedded" && mode !== "server") throw bad("mode", `${show(mode)} is neither embedded nor server`);
  const cacheBytes = options.cacheBytes ?? CACHE_BYTES;
  return {
    io: options.io ?? nodeIo,
    base: resolve(path, dir === "" ? "." : dir.replace(/^[/\\]+/, "")),
    mode,
    root: undefined,
    place: undefined,
    inhabited: false,
    git: undefined,
    procFd: undefined,
    symlinks: links === "auto" ? undefined : links === "symlink",
    hardLinks: hardLinks === "never" ? false : undefined,
    documents: new Lru(cacheBytes),
    states: new Lru(cacheBytes / 4),
    known: new Map(),
    durable: new Map(),
    folders: new Map(),
  };
}

/**
 * A folder of Markdown files: `prompts/support/triage/v1.0.0.md`, with links beside them for people and other tools.
 * Any number of processes on one machine may write it. Opening does no writing.
 *
 * @example
 * const registry = new PromptRegistry(fs({ path: "./registry" }));
 */
export function fs(options: FsOptions): StorageDriver<{ readonly root: string }> {
  const store = openStore(options);
  const embedded = store.mode === "embedded";
  const hops: AsyncOptions = { width: WIDTH, inline: isKnown };
  // All but the syncs: those are what takes long, and what several of can go on at once.
  const syncsOnly: AsyncOptions = { width: WIDTH, inline: (name: CallName) => name !== "fsync" };
  let closed = false;

  function enter(op: Operation | undefined, operation: string): void {
    if (closed) throw new RegistryError("ABORTED", "the fs storage is closed", { backend: "fs", operation });
    throwIfAborted(op?.signal, operation);
  }

  /** Runs what only looks. Its result may be waited for in vain, so an abort need not wait. */
  async function look<T>(make: () => Task<T>, op: Operation | undefined, operation: string): Promise<T> {
    enter(op, operation);
    const run = () =>
      embedded ? runSync(make(), store.io) : abortable(runAsync(make(), store.io, hops), op, operation);
    try {
      try {
        return await run();
      } catch (error) {
        if (!(error instanceof Replaced)) throw error;
        return await run();
      }
    } catch (error) {
      throw failure(error, `${operation} failed`, { operation, location: store.base });
    }
  }

  return {
    kind: "fs",
    location: store.base,
    capabilities: CAPABILITIES,
    native: Object.freeze({ root: store.base }),
    peek(ask) {
      if (closed || !embedded || ask.known !== undefined) return undefined;
      try {
        return quickAnswer(store, ask) ?? runSync(answer(store, ask), store.io);
      } catch {
        return undefined;
      }
    },
    async read(asks, op) {
      if (embedded && asks.length === 1) {
        const [ask] = asks as readonly [ReadAsk];
        enter(op, "read");
        const quick = ask.known === undefined ? quickAnswer(store, ask) : undefined;
        if (quick !== undefined) return [quick];
      }
      return await look(() => allOrThrow(asks.map((ask): Task<ReadAnswer> => answer(store, ask))), op, "read");
    },
    async listPrompts(query, op) {
      if (query.text !== undefined) {
        throw new RegistryError("UNSUPPORTED", "the fs storage has no text search", { backend: "fs" });
      }
      return await look(() => listPrompts(store, query), op, "listPrompts");
    },
    async listVersions(name, query, op) {
      return await look(() => listVersions(store, name, query), op, "listVersions");
    },
    async history(name, query, op) {
      return await look(() => history(store, name, query), op, "history");
    },
    async changes(query, op) {
      enter(op, "changes");
      // What was done before the first cursor must lie behind it, by more than a tick of the file system's clock.
      if (query.cursor === undefined) await new Promise((resolve) => setTimeout(resolve, SLACK_MS + 5));
      return await look(() => changes(store, query), op, "changes");
    },
    async commit(commit, op) {
      enter(op, "commit");
      const { changes: list, atomic } = commit;
      if (atomic === true && list.length > 1) {
        throw new RegistryError("UNSUPPORTED", "the fs storage can't change several prompts atomically", {
          backend: "fs",
        });
      }
      if (list.length > CAPABILITIES.maxBatch) {
        throw new RegistryError("INVALID", `${list.length} changes in one commit; at most ${CAPABILITIES.maxBatch}`, {
          backend: "fs",
        });
      }
      if (list.length === 0) return [];
      const task: Task<Outcome[]> = commitAll(store, commit);
      const single = list.length === 1 && (list[0]?.add?.length ?? 0) <= 1;
      try {
        if (embedded && single) return runSync(task, store.io);
        return await runAsync(task, store.io, embedded ? syncsOnly : hops);
      } catch (error) {
        throw failure(error, "commit failed", { operation: "commit", location: store.base });
      }
    },
    async repair(plan, op) {
      enter(op, "repair");
      try {
        const task = repair(store, plan);
        return embedded ? runSync(task, store.io) : await runAsync(task, store.io, hops);
      } catch (error) {
        throw failure(error, "repair failed", { operation: "repair", location: store.base });
      }
    },
    async check(op) {
      throwIfAborted(op?.signal, "check");
      const started = performance.now();
      const task = check(store, closed);
      const checks = embedded ? runSync(task, store.io) : await runAsync(task, store.io, hops);
      return {
        ok: checks.every((one) => one.ok),
        kind: "fs",
        location: store.base,
        latency: performance.now() - started,
        checks,
      };
    },
    async close() {
      closed = true;
      store.documents.clear();
      store.states.clear();
      store.known.clear();
      store.durable.clear();
      store.folders.clear();
    },
  };
}

/** What the kernel knows of a file that was just opened, it tells from memory: nothing to wait for in another thread. */
function isKnown(name: CallName, [file]: readonly unknown[]): boolean {
  if (name === "fstat") return true;
  return name === "readlink" && typeof file === "string" && /^\/proc\/self\/fd\/\d+$/.test(file);
}
