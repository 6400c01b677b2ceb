import semver from "semver";
import { RegistryError, show } from "./errors.ts";

declare const brand: unique symbol;

/** A canonical SemVer 2.0.0 version without `v` and without build metadata. Only {@link parseVersion} makes one. */
export type Version = string & { readonly [brand]: "Version" };
/** A checked npm range such as `^1.2`. Only {@link parseRange} makes one. */
export type Range = string & { readonly [brand]: "Range" };

export type Bump = "major" | "minor" | "patch";

const MAX_LENGTH = 64;
// SemVer 2.0.0 §2, §9 (https://semver.org); no build metadata here.
const VERSION =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?$/;
const VERSION_SHAPE = /^v?\d+\.\d+\.\d+(?:[-+]\S*)?$/i;
const RANGE_CHARS = /^[0-9a-zA-Z.^~<>=|* \-+]+$/;
const RANGE_WORD = /^(?:v?(?:\d+|[x*])(?:\.(?:\d+|[x*])){0,2}(?:-.*)?|x|v)$/i;

/** Whether a word reads as a full version, with or without `v`, valid or not; such words are refused as names and labels. */
export function isVersionLike(input: string): boolean {
  return VERSION_SHAPE.test(input);
}

/** Whether a word that could be a label reads as a range to npm (`x`, `v1`, `v1.x`). */
export function isRangeLike(input: string): boolean {
  return RANGE_WORD.test(input);
}

/**
 * Checks a version: SemVer 2.0.0, at most 64 characters, an optional leading `v`, no build metadata (two versions that
 * differ only in it have the same precedence, so one of them could never be "latest").
 *
 * @throws RegistryError INVALID
 * @example
 * parseVersion("v1.2.0"); // "1.2.0"
 */
export function parseVersion(input: string): Version {
  const bad = (problem: string) =>
    new RegistryError("INVALID", `version ${show(input)} ${problem}`, { field: "version" });
  if (typeof input !== "string") throw bad("is not a string");
  if (input.length > MAX_LENGTH) throw bad(`is too long; at most ${MAX_LENGTH} characters are allowed`);
  const text = input.startsWith("v") ? input.slice(1) : input;
  if (text.includes("+")) throw bad("has build metadata (+…), which is not allowed");
  if (!VERSION.test(text)) throw bad("is not a semantic version such as 1.2.0 or 2.0.0-beta.1");
  if (hasHugeNumber(text)) throw bad("has a number that is too large");
  // File systems that fold case must not fold two versions together (I8).
  if (text !== text.toLowerCase()) throw bad("must be lower-case");
  return text as Version;
}

export function isVersion(input: string): input is Version {
  return input.length <= MAX_LENGTH && VERSION.test(input) && input === input.toLowerCase() && !hasHugeNumber(input);
}

/** Whether a numeric identifier of a version can't be compared exactly. */
function hasHugeNumber(version: string): boolean {
  // 2^53 - 1 has 16 digits.
  if (!/\d{16}/.test(version)) return false;
  const dash = version.indexOf("-");
  const [core, pre] = dash < 0 ? [version, ""] : [version.slice(0, dash), version.slice(dash + 1)];
  return [...core.split("."), ...pre.split(".")].some((id) => /^\d+$/.test(id) && Number(id) > Number.MAX_SAFE_INTEGER);
}

/**
 * Checks an npm range (https://github.com/npm/node-semver#ranges), at most 64 characters.
 *
 * @throws RegistryError INVALID
 */
export function parseRange(input: string): Range {
  const bad = (problem: string) =>
    new RegistryError("INVALID", `selector ${show(input)} ${problem}`, { field: "selector" });
  if (typeof input !== "string") throw bad("is not a string");
  if (input.length > MAX_LENGTH) throw bad(`is too long; at most ${MAX_LENGTH} characters are allowed`);
  if (input.trim() === "" || !RANGE_CHARS.test(input) || semver.validRange(input) === null) {
    throw bad("is neither a version (1.2.0), a range (^1.2), nor a label (production)");
  }
  return input as Range;
}

interface Parsed {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  readonly pre: readonly string[];
}

function split(version: Version): Parsed {
  const dash = version.indexOf("-");
  const core = dash < 0 ? version : version.slice(0, dash);
  const [major = "0", minor = "0", patch = "0"] = core.split(".");
  return {
    major: Number(major),
    minor: Number(minor),
    patch: Number(patch),
    pre: dash < 0 ? [] : version.slice(dash + 1).split("."),
  };
}

/**
 * SemVer precedence (§11): negative when `a` is lower. Written out for canonical versions, since it orders every listing;
 * a property test holds it to the semver package.
 */
export function compareVersions(a: Version, b: Version): number {
  if (a === b) return 0;
  const one = split(a);
  const other = split(b);
  return (
    one.major - other.major ||
    one.minor - other.minor ||
    one.patch - other.patch ||
    comparePrereleases(one.pre, other.pre)
  );
}

function comparePrereleases(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length;
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const one = a[i] as string;
    const other = b[i] as string;
    if (one === other) continue;
    const isNumber = /^\d+$/.test(one);
    if (isNumber !== /^\d+$/.test(other)) return isNumber ? -1 : 1;
    if (isNumber) return Number(one) - Number(other);
    return one < other ? -1 : 1;
  }
  return a.length - b.length;
}

export function isPrerelease(version: Version): boolean {
  return version.includes("-");
}

/** The highest version that satisfies the range; prereleases only where the range names one, as npm does. */
export function maxSatisfying(versions: Iterable<Version>, range: Range): Version | undefined {
  return (semver.maxSatisfying([...versions], range) as Version | null) ?? undefined;
}

/** The version after `version`; a prerelease is bumped to its own release first, as npm does. */
export function bumpVersion(version: Version, bump: Bump): Version {
  const next = semver.inc(version, bump);
  if (next === null) throw new RegistryError("INTERNAL", `can't bump ${version}`);
  return parseVersion(next);
}

/** Digits whose byte order is that of the numbers: the length goes first. */
function sortable(digits: string): string {
  return String.fromCharCode(0x41 + digits.length) + digits;
}

/**
 * A string whose byte order is SemVer precedence, for stores that sort by key. Numbers are length-prefixed, a release
 * sorts after its prereleases, and numeric identifiers before alphanumeric ones (§11).
 */
export function versionSortKey(version: Version): string {
  const { major, minor, patch, pre } = split(version);
  const core = `${sortable(String(major))}.${sortable(String(minor))}.${sortable(String(patch))}`;
  if (pre.length === 0) return `${core}~`;
  const ids = pre.map((id) => (/^\d+$/.test(id) ? `0${sortable(id)}` : `1${id}`));
  // "!" ends the list below every identifier character, so that a shorter list sorts first.
  return `${core}-${ids.join("!,")}!`;
}
