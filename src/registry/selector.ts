import { RegistryError, show } from "../errors.ts";
import { LATEST, type PromptRef, parseLabel, parseName, parseRef } from "../names.ts";
import { parseRange, parseVersion } from "../semver.ts";

/** A selector string (`name`, `name@1.2.0`, `name@^1.2`, `name@production`) or the same in parts, at most one of them. */
export type PromptSelector =
  | string
  | { readonly name: string; readonly version?: string; readonly range?: string; readonly label?: string };

const PARTS = ["version", "range", "label"] as const;

export function refOf(selector: PromptSelector): PromptRef {
  if (typeof selector === "string") return parseRef(selector);
  const bad = (field: string, rule: string) => new RegistryError("INVALID", `selector: ${rule}`, { field });
  if (typeof selector !== "object" || selector === null) {
    throw bad("selector", `${show(selector)} is neither a string such as name@label nor an object`);
  }
  const name = parseName(selector.name);
  const given = Object.keys(selector).filter((key) => key !== "name");
  const [first, second] = given;
  // Left out and undefined must not mean the same: a label from a variable that is not set would become latest.
  for (const key of given) {
    if (!PARTS.includes(key as (typeof PARTS)[number])) throw bad(key, `${show(key)} is none of ${PARTS.join(", ")}`);
    const value: unknown = selector[key as (typeof PARTS)[number]];
    if (typeof value !== "string")
      throw bad(key, `${key} ${show(value)} of ${name} is not a string; leave it out for latest`);
  }
  if (second !== undefined)
    throw bad(second, `give one of version, range and label of ${name}, not ${first} and ${second}`);
  if (selector.version !== undefined)
    return { name, selector: { kind: "version", version: parseVersion(selector.version) } };
  if (selector.range !== undefined) return { name, selector: { kind: "range", range: parseRange(selector.range) } };
  if (selector.label === "latest") return { name, selector: LATEST };
  if (selector.label !== undefined) return { name, selector: { kind: "label", label: parseLabel(selector.label) } };
  return { name, selector: LATEST };
}
