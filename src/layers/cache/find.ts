import type { StorageDriver } from "../../driver.ts";
import { layersOf } from "../layer.ts";
import type { CacheDriver } from "./options.ts";

/**
 * The cache in a stack, for its figures and for push invalidation.
 *
 * @example
 * cacheOf(registry.driver)?.invalidate("support/triage");
 */
export function cacheOf(driver: StorageDriver): CacheDriver | undefined {
  return layersOf(driver).find(({ layer }) => layer === "cache")?.driver as CacheDriver | undefined;
}
