import { type Digest, openStored } from "../../document.ts";
import type { Head, Timestamp } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import { encodeHead, type HeadRecord } from "../../head.ts";
import type { Version } from "../../semver.ts";
import type { PromptState, States } from "./state.ts";

export interface Writing {
  readonly at: Timestamp;
  readonly by?: string | undefined;
}

/** Versions that a reader of `latest.json` alone may come to. */
export function named({ labels, pin }: Pick<Head, "labels" | "pin">, latest: Version | undefined): Set<Version> {
  return new Set([...Object.values(labels), pin, latest].filter((version) => version !== undefined));
}

/**
 * `latest.json` of a prompt, with what readers of this file alone need: `latest`, and digests of what it names. A digest that
 * stood in it before is taken over where the text is not at hand, as versions never change.
 */
export async function headText(
  states: States,
  { prompt, versions, state: { latest } }: PromptState,
  record: Pick<HeadRecord, "name" | "head" | "history" | "digests">,
  { at, by }: Writing,
): Promise<string> {
  const { name, head, history } = record;
  const wanted = [...named(head, latest)].filter((version) => versions.has(version));
  const unknown = wanted.filter((version) => record.digests?.[version] === undefined);
  await states.blobs.load(unknown.flatMap((version) => versions.get(version) ?? []));
  const digests: Record<Version, Digest> = {};
  for (const version of wanted) {
    const isAtHand = states.blobs.has(versions.get(version) as string);
    const digest = isAtHand ? await digestOf(states, prompt, version) : record.digests?.[version];
    if (digest !== undefined) digests[version] = digest;
  }
  return encodeHead({
    ...{ name, head, history, digests },
    ...(latest === undefined ? {} : { latest }),
    written: { at, ...(by === undefined ? {} : { by }) },
  });
}

/** `undefined` for a tombstone, and for what is damaged. */
export async function digestOf(
  states: States,
  prompt: PromptState["prompt"],
  version: Version,
): Promise<Digest | undefined> {
  try {
    const stored = await states.version(prompt, version);
    if (stored === undefined || stored.tombstone) return undefined;
    return openStored(stored.document.text, stored.document).digest;
  } catch (error) {
    if (isRegistryError(error, "CORRUPT") || isRegistryError(error, "INVALID")) return undefined;
    throw error;
  }
}
