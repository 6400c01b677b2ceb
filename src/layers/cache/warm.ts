import type { StorageDriver } from "../../driver.ts";
import { PromptRegistry } from "../../registry.ts";
import { asRegistryError } from "../outage.ts";
import type { WarmReport } from "./options.ts";

/** At the same time; enough to hide a network, few enough for a store that counts calls. */
const PARALLEL = 8;

/** Reads through a registry of its own, so that whatever a selector needs is asked the way it will be asked later. */
export async function warm(driver: StorageDriver, selectors: readonly string[]): Promise<WarmReport> {
  const registry = new PromptRegistry(driver);
  const failed: WarmReport["failed"][number][] = [];
  const todo = selectors[Symbol.iterator]();
  let warmed = 0;
  const work = async () => {
    for (const selector of todo) {
      try {
        await registry.getPrompt(selector);
        warmed++;
      } catch (error) {
        failed.push({ selector, error: asRegistryError(error, driver.kind) });
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return { warmed, failed };
}
