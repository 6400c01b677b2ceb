/**
 * Request targets. Names stand in them as literal segments: nothing is ever decoded, mended or guessed, so there is one
 * spelling of every resource, and what a proxy in front reads is what is read here.
 */

import { show } from "../../errors.ts";
import { isLabel, isName, type Label, type PromptName } from "../../names.ts";
import { isVersion, type Version } from "../../semver.ts";
import { StatusError } from "./problem.ts";

export const MAX_TARGET = 8192;
const PATH = /^(?:\/[A-Za-z0-9._~-]+)+$/;

/**
 * Checks a request target as it stands on the request line, before anything parses it: URL parsers mend paths.
 *
 * @throws StatusError INVALID (400 or 414)
 */
export function checkTarget(target: string): void {
  const bad = (problem: string) =>
    new StatusError(400, "INVALID", `the request target ${show(target)} ${problem}`, { field: "path" });
  if (target.length > MAX_TARGET) {
    throw new StatusError(414, "INVALID", `the request target is longer than ${MAX_TARGET} characters`, {
      field: "path",
    });
  }
  const question = target.indexOf("?");
  const path = question < 0 ? target : target.slice(0, question);
  if (path === "/") return;
  if (path.includes("%")) throw bad("has %: names stand in a path as they are, never encoded");
  if (!PATH.test(path)) throw bad('is not made of segments of A-Z, a-z, 0-9, ".", "_", "~", "-"');
  if (/\/\.{1,2}(?:\/|$)/.test(path)) throw bad("has a dot segment");
  // Raw spaces, controls and bytes above ASCII are no part of a query either.
  if (question >= 0 && !/^[\x21-\x7e]*$/.test(target.slice(question))) throw bad("has a query that is not ASCII");
  if (target.includes("#")) throw bad("has a fragment");
}

/** What a path pattern matched. */
export interface PathParams {
  readonly name?: PromptName;
  readonly version?: Version;
  readonly label?: Label;
}

/**
 * Matches a checked path with a pattern such as `/v1/prompts/{name}/-/versions/{version}`; `{name}` takes all segments
 * up to `/-/` or the end.
 *
 * @returns the parts as texts, unchecked; `undefined` where it does not match
 */
export function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split("/");
  const given = path.split("/");
  const found: Record<string, string> = {};
  let at = 0;
  for (const part of wanted) {
    if (part === "{name}") {
      const end = given.indexOf("-", at);
      const stop = end < 0 ? given.length : end;
      if (stop === at) return undefined;
      found.name = given.slice(at, stop).join("/");
      at = stop;
    } else if (part.startsWith("{")) {
      const value = given[at++];
      if (value === undefined) return undefined;
      found[part.slice(1, -1)] = value;
    } else if (given[at++] !== part) return undefined;
  }
  return at === given.length ? found : undefined;
}

/** @throws StatusError INVALID (400) for a part that can't be one */
export function checkParams(found: Readonly<Record<string, string>>): PathParams {
  const bad = (field: string, value: string | undefined) =>
    new StatusError(400, "INVALID", `the path has ${show(value)} where a ${field} must stand`, { field });
  const { name, version, label } = found;
  if (name !== undefined && !isName(name)) throw bad("name", name);
  if (version !== undefined && !isVersion(version)) throw bad("version", version);
  if (label !== undefined && !isLabel(label)) throw bad("label", label);
  return found as PathParams;
}
