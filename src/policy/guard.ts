import { type Enforced, enforce, readOverride } from "./enforce.ts";
import type { Publication, PublishPolicy } from "./types.ts";

export interface GuardOptions {
  /** Whether an allowance in a version's message counts. Default `true`. */
  readonly override?: boolean;
  /** Told what was published in spite of the policy, before it is: for an audit log. Where it throws, nothing is published. */
  readonly onOverride?: (publication: Publication, overridden: Enforced["overridden"]) => void | Promise<void>;
}

/**
 * A policy as a guard that throws: for whoever receives documents that were sealed elsewhere, as a server does. An
 * allowance comes with the version, in its message.
 *
 * @throws RegistryError INVALID, field `policy`, from the guard
 * @example
 * const guard = guardOf(createPolicy(), { onOverride: ({ name, version }) => log.warn(`${name}@${version}`) });
 * const handler = createHandler(registry, { access, policy: guard });
 */
export function guardOf(
  policy: PublishPolicy,
  options: GuardOptions = {},
): (publication: Publication) => Promise<void> {
  return async (publication) => {
    const { name, version, message } = publication;
    const allow = options.override === false ? undefined : readOverride(message);
    const { overridden } = enforce(await policy(publication), { name, version, allow });
    if (overridden.length > 0) await options.onOverride?.(publication, overridden);
  };
}
