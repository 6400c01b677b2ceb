import { RegistryError, show } from "../../errors.ts";
import { type Label, parseLabel, parseName } from "../../names.ts";
import type { Grant, Principal, Resource, Right } from "../types.ts";

/** Every right, from the least to the most. */
export const RIGHTS = ["read", "write", "promote", "import", "admin"] as const satisfies readonly Right[];

const KNOWN: ReadonlySet<string> = new Set(RIGHTS);

/**
 * Parses a scope: `RIGHT`, `RIGHT:PREFIX` or `promote:PREFIX:LABEL,LABEL`. A prefix is whole segments of names; none stands
 * for every prompt. Labels say which ones may be moved, and take away everything else of `promote`: rollback, yank, deprecate.
 *
 * @throws RegistryError INVALID
 * @example
 * parseScope("read"); // { right: "read", prefix: "" }
 * parseScope("promote:support:production"); // { right: "promote", prefix: "support", labels: ["production"] }
 */
export function parseScope(text: string): Grant {
  const bad = (problem: string) => new RegistryError("INVALID", `scope ${show(text)} ${problem}`, { field: "scope" });
  if (typeof text !== "string") throw bad("is not a string");
  const [right = "", prefix, labels, ...rest] = text.split(":");
  if (!isRight(right)) throw bad(`has no right that is known; write one of ${RIGHTS.join(", ")}`);
  if (rest.length > 0) throw bad("has too many colons; write RIGHT:PREFIX:LABEL,LABEL");
  if (prefix === "" && labels === undefined) throw bad("ends with a colon; leave it out for every prompt");
  if (labels !== undefined && right !== "promote") throw bad("names labels; only promote has them");
  try {
    return Object.freeze({
      right,
      prefix: prefix === undefined || prefix === "" ? "" : parseName(prefix),
      ...(labels === undefined ? {} : { labels: Object.freeze([...new Set(labels.split(",").map(parseLabel))]) }),
    });
  } catch (error) {
    throw bad(`is not RIGHT:PREFIX:LABEL,LABEL: ${(error as Error).message}`);
  }
}

/** Parses several, and drops repeated ones. */
export function parseScopes(texts: readonly string[]): readonly Grant[] {
  const unique = new Map(texts.map(parseScope).map((grant) => [formatScope(grant), grant]));
  return Object.freeze([...unique.values()]);
}

/** The scope that {@link parseScope} reads as this grant. */
export function formatScope({ right, prefix, labels }: Grant): string {
  if (labels !== undefined) return `${right}:${prefix}:${labels.join(",")}`;
  return prefix === "" ? right : `${right}:${prefix}`;
}

export function isRight(text: string): text is Right {
  return KNOWN.has(text);
}

/** Whether the prompts below `prefix` include this name: whole segments, so `team/a` never covers `team/ab`. */
function covers(prefix: string, name: string | undefined): boolean {
  if (prefix === "") return true;
  if (name === undefined || !name.startsWith(prefix)) return false;
  return name.length === prefix.length || name[prefix.length] === "/";
}

const NONE: ReadonlySet<Label> = new Set();

/**
 * Whether these grants hold the right to this resource. Without a name the whole registry is meant, which only a grant
 * without prefix covers. What is not understood grants nothing.
 *
 * @param protectedLabels moved only by a `promote` grant that names them, or by `admin`
 */
export function isGranted(
  grants: readonly Grant[],
  right: Right,
  { name, label }: Resource,
  protectedLabels: ReadonlySet<Label> = NONE,
): boolean {
  if (!KNOWN.has(right)) return false;
  for (const grant of grants) if (holds(grant, right, name, label, protectedLabels)) return true;
  return false;
}

function holds(
  grant: Grant,
  right: Right,
  name: string | undefined,
  label: Label | undefined,
  protectedLabels: ReadonlySet<Label>,
): boolean {
  if (!covers(grant.prefix, name)) return false;
  if (grant.labels !== undefined && grant.right !== "promote") return false;
  if (grant.right === "admin") return true;
  if (grant.right !== right) return false;
  if (right !== "promote") return true;
  if (grant.labels !== undefined) return label !== undefined && grant.labels.includes(label);
  return label === undefined || !protectedLabels.has(label);
}

/** Whether it holds the right to anything at all: what a list or a feed needs before it is filtered prompt by prompt. */
export function isGrantedSomewhere(principal: Principal, right: Right): boolean {
  return principal.grants.some((grant) => {
    const { prefix } = grant;
    const resource = prefix === "" ? {} : { name: prefix as NonNullable<Resource["name"]> };
    if (isGranted([grant], right, resource)) return true;
    return grant.labels?.some((label) => isGranted([grant], right, { ...resource, label })) ?? false;
  });
}
