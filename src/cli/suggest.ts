import type { RegistryError } from "../errors.ts";
import { isName } from "../names.ts";
import type { PromptRegistry } from "../registry.ts";
import { headOf } from "./lookup.ts";
import { nearest } from "./nearest.ts";

// A typing error is not worth a walk through a million names.
const MAX_NAMES = 5000;

/** What was probably meant by a name, version or label that is not there. A help only: it never fails itself. */
export async function suggestionFor(
  error: RegistryError,
  registry: Promise<PromptRegistry>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { name, version, label } = error.context;
  if (name === undefined || !isName(name)) return undefined;
  try {
    const open = await registry;
    const head = await headOf(open, name);
    if (head === undefined) return nearestName(open, name, signal);
    if (label !== undefined) {
      const near = nearest(label, Object.keys(head.head.labels));
      return near === undefined ? undefined : `${name}@${near}`;
    }
    if (version === undefined) return undefined;
    const { items } = await open.listVersions(name, { limit: 1000, signal });
    const versions = items.map((v) => v.version).filter((v) => v !== version);
    const near = nearest(version, versions) ?? versions[0];
    return near === undefined ? undefined : `${name}@${near}`;
  } catch {
    return undefined;
  }
}

async function nearestName(registry: PromptRegistry, name: string, signal: AbortSignal): Promise<string | undefined> {
  const names: string[] = [];
  for await (const entry of registry.listPrompts({ limit: 1000, signal })) {
    names.push(entry.name);
    if (names.length >= MAX_NAMES) break;
  }
  return nearest(name, names);
}
