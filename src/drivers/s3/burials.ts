import type { Version } from "../../semver.ts";

/**
 * Removals whose tombstone may still be on its way, by version: the id of each try and when it began, by the time its
 * requests are signed with (milliseconds since the epoch). A document that comes back has the ETag that it had before, so a tombstone that was held
 * up would bury it again: the head names each try before its tombstone is sent, and it is taken out once the store has
 * answered it. The condition of the write cannot tell.
 */
export type Burials = Readonly<Record<Version, Readonly<Record<string, number>>>>;

const MINUTE_MS = 60_000;
/** A remover that was held up for longer sends no tombstone any more. */
export const LATEST_SEND_MS = 5 * MINUTE_MS;
/**
 * After that no tombstone arrives. The store takes a request whose time differs from its own by no more than 15 minutes,
 * and that is how much the time of whoever looks may differ, too; 5 minutes are for what waits to be signed.
 */
export const HELD_UP_MS = LATEST_SEND_MS + 2 * 15 * MINUTE_MS + 5 * MINUTE_MS;

/** With one try more; those that are over are left out. */
export function withBurial(burials: Burials, versions: readonly Version[], attempt: string, at: number): Burials {
  const next: Record<Version, Readonly<Record<string, number>>> = {};
  for (const version of new Set([...(Object.keys(burials) as Version[]), ...versions])) {
    const open = Object.entries(burials[version] ?? {}).filter(([, began]) => at - began < HELD_UP_MS);
    const all = versions.includes(version) ? [...open, [attempt, at] as const] : open;
    if (all.length > 0) next[version] = Object.fromEntries(all);
  }
  return next;
}

/** Without the tries whose requests were all answered. */
export function withoutBurials(burials: Burials, answered: { get(attempt: string): unknown }): Burials {
  const left = Object.entries(burials).map(([version, tries]) => {
    const open = Object.entries(tries).filter(([attempt]) => answered.get(attempt) === undefined);
    return [version, Object.fromEntries(open)] as const;
  });
  return Object.fromEntries(left.filter(([, tries]) => Object.keys(tries).length > 0));
}

/** Tries on this version that may still bury it. */
export function openBurials(burials: Burials, version: Version, now: number): string[] {
  const tries = Object.entries(burials[version] ?? {});
  return tries.filter(([, began]) => Math.abs(now - began) < HELD_UP_MS).map(([attempt]) => attempt);
}

export function isBurials(value: unknown): value is Burials {
  const isRecord = (one: unknown) => typeof one === "object" && one !== null && !Array.isArray(one);
  if (!isRecord(value)) return false;
  const tries = Object.values(value as object);
  return tries.every((one) => isRecord(one) && Object.values(one).every((at) => Number.isSafeInteger(at)));
}
