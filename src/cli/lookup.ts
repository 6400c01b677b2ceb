import type { HeadState, VersionEntry } from "../driver.ts";
import { RegistryError } from "../errors.ts";
import { type PromptName, parseName } from "../names.ts";
import type { PromptRegistry } from "../registry.ts";

/** The head of a prompt, or `undefined` when there is no such prompt. */
export async function headOf(
  registry: PromptRegistry,
  name: PromptName,
  signal?: AbortSignal,
): Promise<HeadState | undefined> {
  const op = signal === undefined ? {} : { signal };
  const [answer] = await registry.driver.read([{ name, selector: { kind: "head" } }], op);
  return answer?.status === "head" ? answer.head : undefined;
}

/** @throws RegistryError NOT_FOUND */
export async function requireHead(registry: PromptRegistry, name: string, signal: AbortSignal): Promise<HeadState> {
  const parsed = parseName(name);
  const head = await headOf(registry, parsed, signal);
  if (head !== undefined) return head;
  throw new RegistryError("NOT_FOUND", `there is no prompt ${parsed}`, { name: parsed });
}

/** All versions, highest first. */
export function versionsOf(
  registry: PromptRegistry,
  name: string,
  options: { readonly includeRemoved?: boolean; readonly signal: AbortSignal },
): Promise<VersionEntry[]> {
  return registry.listVersions(name, { ...options, limit: 1000 }).all();
}
