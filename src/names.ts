import { RegistryError, show } from "./errors.ts";
import { isRangeLike, isVersionLike, parseRange, parseVersion, type Range, type Version } from "./semver.ts";

declare const brand: unique symbol;

/** A checked prompt name such as `support/triage`. Only {@link parseName} makes one. */
export type PromptName = string & { readonly [brand]: "PromptName" };
/** A checked label such as `production`. Only {@link parseLabel} makes one. */
export type Label = string & { readonly [brand]: "Label" };

/** Which version of a prompt is meant. The kinds never mix: a label is never read as a version or the reverse. */
export type Selector =
  | { readonly kind: "version"; readonly version: Version }
  | { readonly kind: "range"; readonly range: Range }
  | { readonly kind: "label"; readonly label: Label }
  | { readonly kind: "latest" };

export interface PromptRef {
  readonly name: PromptName;
  readonly selector: Selector;
}

export const LATEST: Selector = Object.freeze({ kind: "latest" });

const MAX_NAME = 200;
const MAX_SEGMENTS = 8;
const MAX_LABEL = 64;
const SEGMENT = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;
const LABEL = /^[a-z][a-z0-9._-]*$/;
// https://learn.microsoft.com/windows/win32/fileio/naming-a-file: reserved with any ending too.
const DEVICE = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)/;

function segmentProblem(segment: string): string | undefined {
  if (segment === "") return "has an empty segment";
  if (segment.length > 64) return `has a segment of ${segment.length} characters; at most 64 are allowed`;
  if (!SEGMENT.test(segment)) {
    return `has the segment ${show(segment)}; a segment is lower-case a-z, 0-9, ".", "_", "-", and starts and ends with a letter or digit`;
  }
  if (segment === "latest") return 'has the reserved segment "latest"';
  if (segment.endsWith(".md") || segment.endsWith(".json")) {
    return `has the segment ${show(segment)}; ".md" and ".json" endings are reserved for files`;
  }
  if (DEVICE.test(segment)) return `has the segment ${show(segment)}, which is a Windows device name`;
  if (isVersionLike(segment)) return `has the segment ${show(segment)}, which reads as a version`;
  return undefined;
}

/**
 * Checks a prompt name: 1 to 8 segments joined by `/`, at most 200 bytes, lower-case ASCII, so that two names never
 * fall together on any file system, URL or key space.
 *
 * @throws RegistryError INVALID
 * @example
 * parseName("support/triage");
 */
export function parseName(input: string): PromptName {
  const bad = (problem: string) => new RegistryError("INVALID", `name ${show(input)} ${problem}`, { field: "name" });
  if (typeof input !== "string") throw bad("is not a string");
  if (input === "") throw bad("is empty; write something like support/triage");
  if (input.length > MAX_NAME) throw bad(`is too long; at most ${MAX_NAME} characters are allowed`);
  const segments = input.split("/");
  if (segments.length > MAX_SEGMENTS) throw bad(`has ${segments.length} segments; at most ${MAX_SEGMENTS} are allowed`);
  for (const segment of segments) {
    const problem = segmentProblem(segment);
    if (problem !== undefined) throw bad(problem);
  }
  return input as PromptName;
}

export function isName(input: string): input is PromptName {
  if (input === "" || input.length > MAX_NAME) return false;
  const segments = input.split("/");
  return segments.length <= MAX_SEGMENTS && segments.every((s) => segmentProblem(s) === undefined);
}

/**
 * Checks a name prefix for lists: `""`, a name, or a name followed by `/` or by the start of a segment. It is compared
 * as bytes, so `support/` means "below support" and `sup` also matches `support`.
 *
 * @throws RegistryError INVALID
 */
export function parsePrefix(input: string): string {
  if (input.length <= MAX_NAME && /^[a-z0-9._/-]*$/.test(input)) return input;
  throw new RegistryError("INVALID", `prefix ${show(input)} can't start a name; use a-z, 0-9, ".", "_", "-", "/"`, {
    field: "prefix",
  });
}

/**
 * Checks a label: a letter, then `[a-z0-9._-]`, at most 64 characters; never `latest` (it moves by publishing), never
 * something that reads as a version or range, never a Windows device name.
 *
 * @throws RegistryError INVALID
 * @example
 * parseLabel("production");
 */
export function parseLabel(input: string): Label {
  const bad = (problem: string) => new RegistryError("INVALID", `label ${show(input)} ${problem}`, { field: "label" });
  if (typeof input !== "string") throw bad("is not a string");
  if (input.length > MAX_LABEL) throw bad(`is too long; at most ${MAX_LABEL} characters are allowed`);
  if (!LABEL.test(input)) throw bad('must start with a-z and go on with a-z, 0-9, ".", "_", "-"');
  if (input === "latest") {
    throw bad("is reserved: latest moves by publishing, by rollback (which pins it) and by unpinning");
  }
  if (/[._-]$/.test(input)) throw bad("must end with a letter or digit");
  if (input.endsWith(".md") || input.endsWith(".json")) throw bad('must not end with ".md" or ".json"');
  if (DEVICE.test(input)) throw bad("is a Windows device name");
  if (isVersionLike(input) || isRangeLike(input)) throw bad("reads as a version or range");
  return input as Label;
}

export function isLabel(input: string): input is Label {
  try {
    parseLabel(input);
    return true;
  } catch {
    return false;
  }
}

/** Parses what may follow the `@`: an exact version, an npm range, `latest`, or a label. */
export function parseSelector(input: string): Selector {
  if (input === "latest") return LATEST;
  if (input === "") {
    throw new RegistryError("INVALID", "the selector after @ is empty; leave the @ out for the latest version", {
      field: "selector",
    });
  }
  if (isVersionLike(input)) return { kind: "version", version: parseVersion(input) };
  if (LABEL.test(input) && !isRangeLike(input)) return { kind: "label", label: parseLabel(input) };
  return { kind: "range", range: parseRange(input) };
}

/**
 * Parses `name`, `name@1.2.0`, `name@^1.2` or `name@production`. Without `@` the latest version is meant.
 *
 * @throws RegistryError INVALID
 * @example
 * parseRef("support/triage@^1.2"); // { name: "support/triage", selector: { kind: "range", range: "^1.2" } }
 */
export function parseRef(input: string): PromptRef {
  const at = typeof input === "string" ? input.indexOf("@") : -1;
  if (at < 0) return { name: parseName(input), selector: LATEST };
  return { name: parseName(input.slice(0, at)), selector: parseSelector(input.slice(at + 1)) };
}

export function formatSelector(selector: Selector): string {
  switch (selector.kind) {
    case "version":
      return selector.version;
    case "range":
      return selector.range;
    case "label":
      return selector.label;
    case "latest":
      return "latest";
  }
}

/** UTF-8 byte order; for the ASCII of names this is code-unit order, which `<` gives. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
