import type { Health, Operation, StorageDriver } from "../../../driver.ts";
import { isRegistryError, RegistryError, throwIfAborted } from "../../../errors.ts";
import { unlessAborted } from "../../../layers/signal.ts";
import { capabilitiesOf } from "../capabilities.ts";
import { type PostgresNative, postgres } from "./index.ts";
import { type PostgresOptions, resolveOptions } from "./options.ts";

type Driver = StorageDriver<PostgresNative>;

/**
 * {@link postgres} for a process that must start in an outage, too: where the server can't be reached now, it is opened with
 * the first call that reaches it, and until then every call fails with `UNAVAILABLE`, as it would in an outage later on.
 * What is wrong with the options, the password or the schema is still thrown at once, where the server can say so.
 *
 * @throws RegistryError CONFIG, UNAUTHENTICATED, FORBIDDEN
 * @example
 * const driver = stack(await postgresWhenThere({ url }), [cache({ disk: "./.cache" }), fallback([await snapshot({ path })])]);
 */
export async function postgresWhenThere(options: PostgresOptions): Promise<Driver> {
  try {
    return await postgres(options);
  } catch (error) {
    if (!isRegistryError(error) || error.outcome !== "temporary") throw error;
    return later(options);
  }
}

function later(options: PostgresOptions): Driver {
  const { location } = resolveOptions(options);
  let opened: Driver | undefined;
  let opening: Promise<Driver> | undefined;
  let closed = false;

  /** One attempt for all who wait; nobody's deadline ends it for the others. */
  function attempt(): Promise<Driver> {
    opening ??= postgres(options)
      .then((driver) => {
        opened = driver;
        return driver;
      })
      .finally(() => {
        opening = undefined;
      });
    return opening;
  }

  async function use<T>(
    op: Operation | undefined,
    operation: string,
    call: (driver: Driver) => Promise<T>,
  ): Promise<T> {
    if (closed) {
      throw new RegistryError("ABORTED", "the PostgreSQL storage is closed", { backend: "postgres", operation });
    }
    throwIfAborted(op?.signal, operation);
    return await call(opened ?? (await unlessAborted(attempt(), op?.signal, operation)));
  }

  async function check(op?: Operation): Promise<Health> {
    throwIfAborted(op?.signal, "check");
    const started = performance.now();
    const failed = (name: string, detail: string): Health => ({
      ...{ ok: false, kind: "postgres", location, latency: performance.now() - started },
      checks: [{ name, ok: false, detail }],
    });
    if (closed) return failed("open", "closed");
    try {
      return await (opened ?? (await unlessAborted(attempt(), op?.signal, "check"))).check(op);
    } catch (error) {
      if (op?.signal?.aborted === true || !isRegistryError(error)) throw error;
      return failed("reachable", error.message);
    }
  }

  return {
    kind: "postgres",
    location,
    // Of a server that can only be read a commit says so.
    capabilities: capabilitiesOf(true),
    native: {
      get pool() {
        if (opened !== undefined) return opened.native.pool;
        throw new RegistryError("UNAVAILABLE", `${location} was not reached yet`, { backend: "postgres", location });
      },
      listen: (handler) => use(undefined, "listen", (driver) => driver.native.listen(handler)),
    },
    peek: () => undefined,
    read: (asks, op) => use(op, "read", (driver) => driver.read(asks, op)),
    listPrompts: (query, op) => use(op, "listPrompts", (driver) => driver.listPrompts(query, op)),
    listVersions: (name, query, op) => use(op, "listVersions", (driver) => driver.listVersions(name, query, op)),
    history: (name, query, op) => use(op, "history", (driver) => driver.history(name, query, op)),
    changes: (query, op) => use(op, "changes", (driver) => driver.changes(query, op)),
    commit: (commit, op) => use(op, "commit", (driver) => driver.commit(commit, op)),
    repair: (plan, op) => use(op, "repair", (driver) => driver.repair(plan, op)),
    check,
    async close() {
      closed = true;
      const driver = opened ?? (await opening?.catch(() => undefined));
      await driver?.close();
    },
  } satisfies Driver;
}
