import type { StorageDriver } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import { checkCount, checkDuration } from "../signal.ts";

export interface CacheOptions {
  /** Milliseconds for which a label, `latest` or head is answered without asking. Default 60,000. */
  readonly ttl?: number | undefined;
  /** Milliseconds after the TTL in which the old answer is given at once while it is refreshed. Default 30,000. */
  readonly staleWhileRevalidate?: number | undefined;
  /**
   * Milliseconds after the TTL in which the old answer, marked `stale`, is given when the store can't be asked. Default
   * 7 days.
   */
  readonly staleIfError?: number | undefined;
  /**
   * Milliseconds after which a version, though it can't change, is asked for again, so that a deleted one disappears; the
   * change feed and `invalidate` do that at once. Default a day.
   */
  readonly documentMaxAge?: number | undefined;
  /** Milliseconds for which "not there" is remembered. Default 0: never. */
  readonly negativeTtl?: number | undefined;
  /** What is kept in memory at most, in characters of text and some for each entry. Default 64 MiB. */
  readonly maxBytes?: number | undefined;
  /**
   * Milliseconds between two looks at the change feed; default: none. What it tells of is asked for again at once; S3's tells
   * later where there are many prompts (`feedInterval`).
   */
  readonly poll?: number | undefined;
  /** A second tier in a folder; survives a restart, also one in an outage. Default: none. */
  readonly disk?: DiskOptions | undefined;
  /**
   * Who reads: answers on disk are never shared between principals. Not needed in memory, where each cache wraps one
   * storage with one identity. Default `""`.
   */
  readonly principal?: string | undefined;
  /** 0 to 1, for tests. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

export interface DiskOptions {
  /** The folder; created with mode 0700, its files with 0600. Several processes may share it. */
  readonly path: string;
  /** What lies there at most, in bytes. Default 256 MiB. */
  readonly maxBytes?: number | undefined;
}

/** With a value for every option. */
type Filled<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> };

export interface CacheSettings extends Filled<Omit<CacheOptions, "poll" | "disk">> {
  readonly poll: number | undefined;
  readonly disk: Filled<DiskOptions> | undefined;
}

const DAY = 86_400_000;

export function cacheSettings(options: CacheOptions): CacheSettings {
  const { disk } = options;
  if (disk?.path === "") throw new RegistryError("CONFIG", "cache.disk.path is empty", { field: "cache.disk.path" });
  return {
    ttl: checkDuration("cache.ttl", options.ttl ?? 60_000, { zero: true }),
    staleWhileRevalidate: checkDuration("cache.staleWhileRevalidate", options.staleWhileRevalidate ?? 30_000, {
      zero: true,
    }),
    staleIfError: checkDuration("cache.staleIfError", options.staleIfError ?? 7 * DAY, { zero: true }),
    documentMaxAge: checkDuration("cache.documentMaxAge", options.documentMaxAge ?? DAY, { zero: true }),
    negativeTtl: checkDuration("cache.negativeTtl", options.negativeTtl ?? 0, { zero: true }),
    maxBytes: checkCount("cache.maxBytes", options.maxBytes ?? 64 * 2 ** 20, 0),
    poll: options.poll === undefined ? undefined : checkDuration("cache.poll", options.poll),
    disk:
      disk === undefined
        ? undefined
        : { path: disk.path, maxBytes: checkCount("cache.disk.maxBytes", disk.maxBytes ?? 256 * 2 ** 20, 0) },
    principal: options.principal ?? "",
    random: options.random ?? Math.random,
  };
}

/** Figures since the cache was made. What a lease answered is not among them: nobody asked the cache. */
export interface CacheStats {
  /** Answered within the TTL. */
  readonly hits: number;
  /** The store had to be asked first. */
  readonly misses: number;
  /** Asks that waited for a call that was under way already. */
  readonly joined: number;
  /** Old answers given while they were refreshed. */
  readonly revalidating: number;
  /** Old answers given because the store could not be asked. */
  readonly stale: number;
  /** Answers that the store confirmed or replaced. */
  readonly refreshes: number;
  readonly refreshFailures: number;
  /** Thrown out because the store said that they are gone or forbidden. */
  readonly evicted: number;
  /** Thrown out for lack of space. */
  readonly dropped: number;
  /** Names that were told to have changed. */
  readonly invalidated: number;
  readonly entries: number;
  readonly bytes: number;
}

export interface WarmReport {
  readonly warmed: number;
  readonly failed: readonly { readonly selector: string; readonly error: RegistryError }[];
}

export interface CacheDriver extends StorageDriver {
  readonly stats: CacheStats;
  /**
   * Asks again before anything of this prompt, or of all prompts, is answered; push notices end here. What the store
   * can't be asked for is still given, marked `stale`.
   */
  invalidate(name?: string): void;
  /** Forgets everything, in memory and on disk. */
  clear(): Promise<void>;
  /**
   * Reads these prompts, so that they are there when they are needed; never throws for one that can't be read.
   *
   * @example
   * await cacheOf(registry.driver)?.warm(["support/triage@production", "support/reply@^2"]);
   */
  warm(selectors: readonly string[]): Promise<WarmReport>;
}
