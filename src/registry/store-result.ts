import type { Digest, SealedDocument } from "../document.ts";
import type { RegistryError } from "../errors.ts";
import type { PromptName } from "../names.ts";
import type { PolicyFinding } from "../policy/types.ts";
import type { Version } from "../semver.ts";
import type { Group, Item } from "./store-plan.ts";

export interface StoreResult {
  readonly name: PromptName;
  readonly version: Version;
  /** `name@version` */
  readonly ref: string;
  readonly digest: Digest;
  /** `unchanged`: this version was there with this text already (labels may still have moved). */
  readonly status: "created" | "unchanged";
  /** What `latest` selects afterwards, where the storage had to look. */
  readonly latest?: Version;
  /** `latest` is pinned, so a higher version does not move it; store with `unpin: true`, or call `unpin`. */
  readonly pinned?: true;
  readonly warnings?: readonly string[];
  /** What the policy would have blocked but for `allow`: for an audit log. */
  readonly overridden?: readonly PolicyFinding[];
}

export interface StoreFailure {
  readonly name: PromptName;
  readonly status: "failed";
  readonly error: RegistryError;
}

type Done = NonNullable<Group["outcome"]>;

/** What a store of one version gives, where nothing else is to be said of it than what the storage says. */
export function resultOfDone(
  { name, version, digest }: Pick<SealedDocument, "name" | "version" | "digest">,
  status: StoreResult["status"],
  outcome: Done | undefined,
): StoreResult {
  const head = outcome?.head;
  const warnings = outcome?.warnings;
  return {
    name,
    version,
    ref: `${name}@${version}`,
    digest,
    status,
    ...(head?.latest === undefined ? undefined : { latest: head.latest }),
    ...(head?.head.pin === undefined ? undefined : { pinned: true as const }),
    ...(warnings === undefined || warnings.length === 0 ? undefined : { warnings }),
  };
}

export function resultOf(item: Item, outcome: Done | undefined): StoreResult | StoreFailure {
  const { name } = item.wanted;
  const version = item.version as Version;
  const error = item.error ?? item.twin?.error;
  if (error !== undefined) return { name, status: "failed", error };
  const result = resultOfDone(
    { name, version, digest: digestOf(item) },
    item.created ? "created" : "unchanged",
    outcome,
  );
  const warnings = [...(result.warnings ?? []), ...(item.warnings ?? [])];
  return {
    ...result,
    ...(warnings.length === 0 ? {} : { warnings }),
    ...(item.overridden === undefined ? {} : { overridden: item.overridden }),
  };
}

function digestOf(item: Item): Digest {
  if (item.twin !== undefined) return digestOf(item.twin);
  return item.created ? (item.document as SealedDocument).digest : (item.there as Digest);
}
