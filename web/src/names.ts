/** The rules for names, labels and versions that the page can tell without asking; the server checks them all again. */

const SEGMENT = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;
const VERSION = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9a-z-]+(?:\.[0-9a-z-]+)*))?$/;
const VERSION_LIKE = /^v?\d+\.\d+\.\d+(?:-.*)?$/;

/** What is wrong with a name, in words; `undefined` where nothing is. */
export function nameProblem(name: string): string | undefined {
  if (name === "") return "Write a name such as support/triage.";
  if (name.length > 200) return "A name has at most 200 characters.";
  const segments = name.split("/");
  if (segments.length > 8) return "A name has at most 8 segments.";
  for (const segment of segments) {
    if (segment === "") return "A name has no empty segments; it neither starts nor ends with a slash.";
    if (!SEGMENT.test(segment)) {
      return `“${segment}” can't be a segment: use a-z, 0-9, “.”, “_” and “-”, with a letter or digit at both ends, at most 64 characters.`;
    }
    if (segment === "latest" || /\.(md|json)$/.test(segment) || VERSION_LIKE.test(segment)) {
      return `“${segment}” is reserved.`;
    }
  }
  return undefined;
}

export function labelProblem(label: string): string | undefined {
  if (label === "") return "Write a label such as production.";
  if (label === "latest") return "latest moves by publishing, rolling back and unpinning; it can't be set.";
  if (label.length > 64 || !/^[a-z](?:[a-z0-9._-]*[a-z0-9])?$/.test(label)) {
    return `“${label}” can't be a label: a-z first, then a-z, 0-9, “.”, “_” and “-”, with a letter or digit at the end, at most 64 characters.`;
  }
  if (/^v\d+(\.|$)/.test(label) || label === "x") return `“${label}” reads as a version.`;
  return undefined;
}

export function isVersion(text: string): boolean {
  return text.length <= 64 && VERSION.test(text);
}

export type Bump = "patch" | "minor" | "major";

/** The version that a bump makes, as npm counts: a prerelease is bumped to its own release first. None yet: 1.0.0. */
export function bumped(highest: string | undefined, bump: Bump): string {
  const match = highest === undefined ? null : VERSION.exec(highest);
  if (match === null) return "1.0.0";
  const [major, minor, patch] = match.slice(1, 4).map(Number) as [number, number, number];
  const isPrerelease = match[4] !== undefined;
  if (bump === "patch") return `${major}.${minor}.${isPrerelease ? patch : patch + 1}`;
  if (bump === "minor") return `${major}.${isPrerelease && patch === 0 ? minor : minor + 1}.0`;
  return `${isPrerelease && minor === 0 && patch === 0 ? major : major + 1}.0.0`;
}

/** The selectors that a person may type into an address: which resource of the protocol has the document. */
export function documentPath(selector: string): string {
  if (selector === "latest") return "latest";
  return isVersion(selector) ? `versions/${selector}` : `labels/${selector}`;
}
