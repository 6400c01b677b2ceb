import type {
  Commit,
  HealthCheck,
  Operation,
  Outcome,
  Page,
  ReadAnswer,
  ReadAsk,
  StorageDriver,
  VersionEntry,
  VersionQuery,
} from "../../driver.ts";
import { isRegistryError, RegistryError, throwIfAborted } from "../../errors.ts";
import { type PromptName, parseName } from "../../names.ts";
import { defineLayer, identityOf, type Layer } from "../layer.ts";
import { DiskTier } from "./disk.ts";
import { followFeed } from "./feed.ts";
import { Keeper } from "./keeper.ts";
import { type CacheDriver, type CacheOptions, type CacheSettings, type CacheStats, cacheSettings } from "./options.ts";
import { Reads } from "./reads.ts";
import { warm } from "./warm.ts";
import { Writes } from "./writes.ts";

export type { CacheDriver, CacheOptions, CacheStats, DiskOptions, WarmReport } from "./options.ts";

/**
 * Keeps answers: versions for as long as there is room (they can't change; see `documentMaxAge`), labels, `latest` and
 * heads for a TTL, and all of them, marked `stale`, through an outage.
 *
 * - A change made through this cache is seen at once; one made elsewhere after `ttl + staleWhileRevalidate` at the latest,
 *   or at once with {@link CacheDriver.invalidate}, and as soon as the storage's feed tells of it with `poll`, or when somebody
 *   reads `changes` through the cache.
 * - What the store says is gone or forbidden is thrown out, and not given in an outage either. An expired credential
 *   (`UNAUTHENTICATED`) is told to the caller and throws nothing out.
 * - One call of the store serves all who ask the same at the same time.
 *
 * Texts that do not match their digest are passed on for the registry to refuse, and never kept.
 *
 * @throws RegistryError CONFIG
 * @example
 * const driver = stack(postgres({ url }), [cache({ ttl: 60_000, disk: { path: "./.cache" } }), retry(), timeout(5_000)]);
 */
export function cache(options: CacheOptions = {}): Layer<CacheDriver> {
  const settings = cacheSettings(options);
  return defineLayer("cache", (inner) => createCache(inner, settings));
}

/** Milliseconds for which a lease may outlive its time where the wall clock is set back. */
const clockLook = (ttl: number) => Math.min(Math.max(ttl / 10, 250), 5000);

function createCache(inner: StorageDriver, settings: CacheSettings): CacheDriver {
  const { disk: diskSettings } = settings;
  const disk =
    diskSettings &&
    new DiskTier(diskSettings.path, JSON.stringify([...identityOf(inner), settings.principal]), diskSettings.maxBytes);
  const keeper = new Keeper(settings.maxBytes, disk);
  const writes = new Writes(keeper, changed);
  const reads = new Reads(inner, keeper, writes, settings);
  const { counts } = reads;
  let closed = false;

  const maxStale = Math.max(settings.staleWhileRevalidate, settings.staleIfError);
  const sweeper = setInterval(() => keeper.sweep(maxStale), Math.min(Math.max(settings.ttl, 1000), 60_000)).unref();
  const clock = setInterval(() => keeper.followClock(), clockLook(settings.ttl)).unref();
  const feed = settings.poll === undefined ? undefined : followFeed(inner, settings.poll, changed, changedAll);

  function changed(name: PromptName): void {
    counts.invalidated++;
    const known = keeper.known(name);
    if (known !== undefined) keeper.expire(known);
  }

  function changedAll(): void {
    for (const name of keeper.names) changed(name);
    reads.expireUnloaded();
  }

  async function commit(commit: Commit, op?: Operation): Promise<readonly Outcome[]> {
    const { changes } = commit;
    writes.begin(changes);
    try {
      const outcomes = await inner.commit(commit, op);
      for (const [i, change] of changes.entries()) writes.settle(change, outcomes[i]);
      return outcomes;
    } catch (error) {
      if (!isRegistryError(error) || error.outcome === "unknown") for (const one of changes) writes.settleUnknown(one);
      throw error;
    } finally {
      writes.end(changes);
    }
  }

  function stats(): CacheStats {
    return { ...counts, dropped: keeper.dropped, entries: keeper.entries, bytes: keeper.bytes };
  }

  function checks(): HealthCheck[] {
    const figures = stats();
    const own: HealthCheck = {
      name: "cache",
      ok: true,
      detail: `${figures.entries} answers, ${figures.hits} hits, ${figures.misses} misses, ${figures.stale} stale`,
      figures: { ...figures },
    };
    if (disk === undefined) return [own];
    const detail = disk.problem ?? `${disk.files} files, ${disk.bytes} bytes`;
    return [
      own,
      {
        name: "cache disk",
        ok: disk.problem === undefined,
        detail,
        figures: { files: disk.files, bytes: disk.bytes },
      },
    ];
  }

  const driver: CacheDriver = {
    kind: inner.kind,
    location: inner.location,
    capabilities: Object.freeze({ ...inner.capabilities, consistency: "session" }),
    native: inner.native,
    get stats() {
      return stats();
    },
    peek: (ask) => (closed ? undefined : reads.peek(ask)),
    async read(asks: readonly ReadAsk[], op?: Operation): Promise<readonly ReadAnswer[]> {
      throwIfAborted(op?.signal, "read");
      return closed ? inner.read(asks, op) : reads.read(asks, op);
    },
    async listPrompts(query, op) {
      const page = await inner.listPrompts(query, op);
      writes.answered();
      return page;
    },
    async listVersions(name: PromptName, query: VersionQuery, op?: Operation): Promise<Page<VersionEntry>> {
      throwIfAborted(op?.signal, "listVersions");
      if (!closed && op?.fresh !== true) return reads.page(name, query, op);
      const page = await inner.listVersions(name, query, op);
      writes.answered(name);
      return page;
    },
    async history(name, query, op) {
      const page = await inner.history(name, query, op);
      writes.answered(name);
      return page;
    },
    async changes(query, op) {
      const page = await inner.changes(query, op);
      // Whoever reads this acts on it, and must not find what was there before.
      for (const { name } of page.items) changed(name);
      return page;
    },
    commit,
    async repair(plan, op) {
      try {
        return await inner.repair(plan, op);
      } finally {
        if (plan.repair.length > 0) plan.name === undefined ? changedAll() : changed(plan.name);
      }
    },
    async check(op) {
      const health = await inner.check(op);
      const own = checks();
      return { ...health, ok: health.ok && own.every((c) => c.ok), checks: [...health.checks, ...own] };
    },
    invalidate(name?: string) {
      if (name === undefined) changedAll();
      else changed(parseName(name));
    },
    async clear() {
      keeper.clear();
      await disk?.clear();
    },
    async warm(selectors) {
      if (closed) throw new RegistryError("ABORTED", `the ${inner.kind} storage is closed`, { backend: inner.kind });
      return warm(driver, selectors);
    },
    async close() {
      closed = true;
      clearInterval(sweeper);
      clearInterval(clock);
      feed?.stop();
      // First what is to be written, then the end of all leases.
      await disk?.flush();
      keeper.clear();
      await inner.close();
    },
  } satisfies CacheDriver;
  return driver;
}
