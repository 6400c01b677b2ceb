import type { Label } from "../../names.ts";
import type { Version } from "../../semver.ts";
import { entryOf, isTemp } from "./layout.ts";

/** What the names in a prompt's folder say. */
export interface Scan {
  /** File of each version; a `v1.0.0.md` hides a `1.0.0.md`. */
  readonly versions: ReadonlyMap<Version, string>;
  /** Labels that have a link, or something that looks like one. */
  readonly links: readonly Label[];
  /** There is a link of a label, or a flat file of old. */
  readonly pages: boolean;
  /** There is a `latest.json`. */
  readonly headFile: boolean;
  /** There are head generations. */
  readonly heads: boolean;
  /** Versions that are marked as removed without the head's knowing. */
  readonly marks: readonly Version[];
  readonly temps: readonly string[];
  /** Files that were won without hard links and are on their way to these names. */
  readonly claims: readonly string[];
}

export const NOTHING: Scan = Object.freeze({
  versions: new Map<Version, string>(),
  links: [],
  pages: false,
  headFile: false,
  heads: false,
  marks: [],
  temps: [],
  claims: [],
});

export function scanOf(files: readonly string[]): Scan {
  const versions = new Map<Version, string>();
  const links: Label[] = [];
  const marks: Version[] = [];
  const temps: string[] = [];
  const claims: string[] = [];
  let pages = false;
  let headFile = false;
  let heads = false;
  for (const file of files) {
    const entry = entryOf(file);
    switch (entry.kind) {
      case "version":
        versions.set(entry.version, file);
        break;
      case "oldVersion":
        if (!versions.has(entry.version)) versions.set(entry.version, file);
        break;
      case "page":
        pages = true;
        if (entry.label !== undefined) links.push(entry.label);
        break;
      case "head":
        headFile = true;
        break;
      case "heads":
        heads = true;
        break;
      case "removedMark":
        marks.push(entry.version);
        break;
      case "temp":
        temps.push(file);
        break;
      case "claim":
        claims.push(entry.file);
        break;
    }
  }
  return { versions, links, pages, headFile, heads, marks, temps, claims };
}

/** Whether two looks at a folder saw the same; temporary files come and go without meaning. */
export function sameNames(a: readonly string[], b: readonly string[]): boolean {
  if (a.length === b.length && a.every((name, i) => name === b[i])) return true;
  const [one, other] = [a, b].map((names) => names.filter((name) => !isTemp(name)).sort());
  return one?.length === other?.length && one?.every((name, i) => name === other?.[i]) === true;
}
