import { isRegistryError } from "../errors.ts";
import { compareVersions, isPrerelease, parseVersion, type Version } from "../semver.ts";
import { templateVariables } from "../template.ts";
import { type Contract, type NeededBump, neededBump, readContract, type Step } from "./contract.ts";
import { readParts } from "./text.ts";

const ORDER: readonly Step[] = ["none", "patch", "minor", "major"];

/**
 * What the step from one version to another promises to who asks for a range, as npm reads `^`
 * (https://github.com/npm/node-semver#caret-ranges-123-025-004): below 1.0.0 the first number that is not 0 is the major
 * one, so 0.2.9 → 0.3.0 is `major`, 0.2.9 → 0.2.10 only `patch`, and 0.0.1 → 0.0.2 is `major`. A prerelease promises what
 * its release will.
 */
export function promisedStep(from: Version, to: Version): Step {
  const a = core(from);
  const b = core(to);
  const moved = a.findIndex((n, i) => n !== b[i]);
  if (moved < 0) return "none";
  const first = a.findIndex((n) => n !== 0);
  const leading = first < 0 ? 2 : first;
  if (moved <= leading) return "major";
  return moved === leading + 1 && leading === 0 ? "minor" : "patch";
}

function core(version: Version): number[] {
  return (version.split("-", 1)[0] as string).split(".").map(Number);
}

/** Whether a step keeps what a change needs. Below 1.0.0 there is no minor step: a patch is as good as it gets. */
export function isEnough(from: Version, promised: Step, needed: Step): boolean {
  const wanted = needed === "minor" && (core(from)[0] as number) === 0 ? "patch" : needed;
  return ORDER.indexOf(promised) >= ORDER.indexOf(wanted);
}

/** The lowest version after `from` that promises enough. */
export function nextVersion(from: Version, needed: Step): Version {
  const [major = 0, minor = 0, patch = 0] = core(from);
  const raised = (): string => {
    if (needed === "major") return major > 0 ? `${major + 1}.0.0` : minor > 0 ? `0.${minor + 1}.0` : `0.0.${patch + 1}`;
    if (needed === "minor" && major > 0) return `${major}.${minor + 1}.0`;
    return `${major}.${minor}.${patch + 1}`;
  };
  return parseVersion(raised());
}

/**
 * Which number must be raised for a text that follows another, and why. For a pull request's description, or to propose a
 * version.
 *
 * @returns `undefined` where the front matter of one of them can't be read
 * @example
 * requiredBump("Sort: {{ticket}}", "Sort for {{company}}: {{ticket}}");
 * // { bump: "major", reasons: ['variable "company" is new and required'] }
 */
export function requiredBump(before: string, after: string): NeededBump | undefined {
  try {
    const [a, b] = [readParts(before), readParts(after)];
    return neededBump(contractOf(a), contractOf(b), a.text === b.text);
  } catch (error) {
    if (isRegistryError(error)) return undefined;
    throw error;
  }
}

function contractOf({ metadata, body }: ReturnType<typeof readParts>): Contract {
  return readContract(metadata, templateVariables(body));
}

/** @returns why the version is too low; `undefined` where it is not */
export function bumpProblem(
  version: Version,
  text: string,
  previous: { readonly version: Version; readonly text: string },
): { readonly message: string; readonly needed: NeededBump } | undefined {
  // A prerelease has promised nothing yet; and a fix of an older line does not follow what is higher.
  if (isPrerelease(previous.version) || compareVersions(previous.version, version) >= 0) return undefined;
  const needed = requiredBump(previous.text, text);
  if (needed === undefined) return undefined;
  const promised = promisedStep(previous.version, version);
  if (isEnough(previous.version, promised, needed.bump)) return undefined;
  const [first, ...more] = needed.reasons;
  const why = `${first ?? "the text changed"}${more.length > 0 ? `, and ${more.length} more` : ""}`;
  const next = nextVersion(previous.version, needed.bump);
  const message = `${version} is too low after ${previous.version}: ${why}, which is a ${needed.bump} change; make it ${next}`;
  return { message, needed };
}
