import type { LifecycleRule } from "@aws-sdk/client-s3";
import { layout } from "../../drivers/s3/keys.ts";

export interface LifecycleWish {
  /** Where the registry lies in the bucket. */
  readonly prefix: string;
  /** After so many days a replaced head is gone for good. */
  readonly headDays: number;
  /** After so many days a file of old history moves to {@link historyClass}. */
  readonly historyDays: number;
  /** `none`: history stays where it is. */
  readonly historyClass: string;
}

/** Classes from which an object is read at once: from the others a history could not be shown. */
export const HISTORY_CLASSES = ["STANDARD_IA", "ONEZONE_IA", "GLACIER_IR", "INTELLIGENT_TIERING", "none"] as const;

/** Rules of other makers are left alone; these are known by how their ids start. */
const OURS = "prompt-registry: ";
/** What is smaller costs more in a colder class, where it is billed as if it had this size. */
const COLD_BYTES = 131_072;

/** The rules a registry wants. No rule touches current documents: they never expire. */
export function wantedRules({ prefix, headDays, historyDays, historyClass }: LifecycleWish): LifecycleRule[] {
  const { root, heads, probes } = layout(prefix);
  const rule = (id: string, Prefix: string, more: Partial<LifecycleRule>): LifecycleRule => ({
    ...{ ID: `${OURS}${id}${root === "" ? "" : ` of ${root}`}`, Status: "Enabled", Filter: { Prefix } },
    ...more,
  });
  return [
    rule("unfinished uploads", root, { AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 } }),
    rule("replaced heads", heads, { NoncurrentVersionExpiration: { NoncurrentDays: headDays } }),
    rule("probes", probes, { Expiration: { Days: 1 }, NoncurrentVersionExpiration: { NoncurrentDays: 1 } }),
    ...(historyClass === "none"
      ? []
      : [
          rule("old history", `${root}history/`, {
            Filter: { And: { Prefix: `${root}history/`, ObjectSizeGreaterThan: COLD_BYTES - 1 } },
            Transitions: [{ Days: historyDays, StorageClass: historyClass as "STANDARD_IA" }],
          }),
        ]),
  ];
}

export interface LifecycleDifference {
  /** All rules that the bucket is to have: those of others as they are, and the wanted ones. */
  readonly rules: LifecycleRule[];
  /** Ids of rules that are missing, or not as they should be, or no longer wanted. */
  readonly changed: readonly string[];
  /** Ids of rules of others that make documents, heads or history of the registry disappear, or unreadable. */
  readonly dangers: readonly string[];
}

export function compareRules(
  there: readonly LifecycleRule[],
  wanted: readonly LifecycleRule[],
  prefix: string,
): LifecycleDifference {
  const { root } = layout(prefix);
  // Several registries may share a bucket: only the rules of this one are its own.
  const isOurs = ({ ID = "" }: LifecycleRule) =>
    ID.startsWith(OURS) && (root === "" ? !ID.includes(" of ") : ID.endsWith(` of ${root}`));
  const others = there.filter((rule) => !isOurs(rule));
  const own = there.filter(isOurs);
  const stale = own.filter((rule) => !wanted.some((one) => one.ID === rule.ID));
  const changed = wanted.filter((one) => {
    const found = own.find(({ ID }) => ID === one.ID);
    return found === undefined || meaning(found) !== meaning(one);
  });
  return {
    rules: [...others, ...wanted],
    changed: [...stale, ...changed].map(({ ID = "" }) => ID),
    dangers: others.filter((rule) => isDangerous(rule, prefix)).map(({ ID = "(without an id)" }) => ID),
  };
}

/** Servers give a rule back in another order, or with the prefix in another place. */
function meaning(rule: LifecycleRule): string {
  const { AbortIncompleteMultipartUpload: abort, NoncurrentVersionExpiration: old, Expiration, Transitions } = rule;
  return JSON.stringify([
    rule.Status,
    prefixOf(rule),
    rule.Filter?.And?.ObjectSizeGreaterThan ?? rule.Filter?.ObjectSizeGreaterThan ?? 0,
    abort?.DaysAfterInitiation ?? 0,
    old?.NoncurrentDays ?? 0,
    Expiration?.Days ?? 0,
    (Transitions ?? []).map(({ Days, StorageClass }) => [Days ?? 0, StorageClass ?? ""]),
  ]);
}

function prefixOf({ Filter, Prefix }: LifecycleRule): string {
  return Filter?.And?.Prefix ?? Filter?.Prefix ?? Prefix ?? "";
}

/** Whether it removes current objects of the registry, or puts them where a plain GET fails. */
function isDangerous(rule: LifecycleRule, prefix: string): boolean {
  const { Tag, And } = rule.Filter ?? {};
  // Objects of a registry have no tags.
  if (rule.Status !== "Enabled" || Tag !== undefined || (And?.Tags ?? []).length > 0) return false;
  const { root, probes } = layout(prefix);
  const at = prefixOf(rule);
  const touches = root.startsWith(at) || (at.startsWith(root) && !at.startsWith(probes));
  const expires = rule.Expiration?.Days !== undefined || rule.Expiration?.Date !== undefined;
  const freezes = (rule.Transitions ?? []).some(({ StorageClass }) =>
    ["GLACIER", "DEEP_ARCHIVE"].includes(StorageClass ?? ""),
  );
  return touches && (expires || freezes);
}
