import { openStored } from "../document.ts";
import type { Change, Operation } from "../driver.ts";
import { isRegistryError } from "../errors.ts";
import { enforce, findingLine } from "../policy/enforce.ts";
import type { Publication } from "../policy/types.ts";
import type { Act } from "../rules/plan.ts";
import { compareVersions, isPrerelease, type Version } from "../semver.ts";
import { allVersions } from "./asks.ts";
import type { Context } from "./context.ts";
import { type Group, type Item, saidOf } from "./store-plan.ts";

/**
 * Asks the publish policy about what a change is about to create. What is there already was published once and is not
 * asked about again.
 *
 * @returns whether something was refused, so that the group must be planned again without it
 */
export async function refuses(
  context: Context,
  act: Act,
  group: Group,
  change: Change,
  op: Operation,
): Promise<boolean> {
  const { policy } = context;
  if (policy === undefined) return false;
  const added = group.items.filter((i) => i.document !== undefined && change.add?.includes(i.document) === true);
  let refused = false;
  for (const item of added) {
    if (item.judged === item.document) continue;
    const { name, text, allow } = item.wanted;
    const version = item.version as Version;
    const { by: author, message } = saidOf(item.wanted, act);
    // A sealed document was published elsewhere, under this very number.
    const previous =
      item.wanted.sealed === undefined ? await previousRelease(context, version, group, item, op) : undefined;
    const publication: Publication = {
      ...{ name, version, text },
      ...(author === undefined ? {} : { author }),
      ...(message === undefined ? {} : { message }),
      ...(previous === undefined ? {} : { previous }),
    };
    try {
      const { warnings, overridden } = enforce(await policy(publication), { name, version, allow });
      if (warnings.length > 0) item.warnings = warnings.map(findingLine);
      if (overridden.length > 0) item.overridden = overridden;
      if (item.document !== undefined) item.judged = item.document;
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      item.error = error;
      refused = true;
    }
  }
  return refused;
}

/** The highest release below a version that ranges can select, of the storage or of the same call. */
async function previousRelease(
  context: Context,
  version: Version,
  group: Group,
  item: Item,
  op: Operation,
): Promise<Publication["previous"]> {
  const { name } = group;
  const isBelow = (other: Version) => !isPrerelease(other) && compareVersions(other, version) < 0;
  const stored = (await allVersions(context, name, op)).find((e) => e.yanked === undefined && isBelow(e.version));
  let best: Publication["previous"];
  for (const { version: own, wanted, error } of group.items.slice(0, group.items.indexOf(item))) {
    if (own === undefined || error !== undefined || !isBelow(own)) continue;
    if (best === undefined || compareVersions(own, best.version as Version) > 0)
      best = { version: own, text: wanted.text };
  }
  if (stored === undefined || (best !== undefined && compareVersions(best.version as Version, stored.version) >= 0)) {
    return best;
  }
  const ask = { name, selector: { kind: "version" as const, version: stored.version } };
  const [answer] = await context.driver.read([ask], op);
  if (answer?.status !== "found") return undefined;
  try {
    const opened = openStored(answer.document.text, { name, version: stored.version });
    return opened.kind === "document" ? { version: stored.version, text: opened.text } : undefined;
  } catch (error) {
    // A damaged version is no reason to hold up the one that replaces it.
    if (isRegistryError(error)) return undefined;
    throw error;
  }
}
