import { RegistryError, show } from "../errors.ts";
import type { FrontMatterSplit } from "../frontmatter.ts";
import { isName, type PromptName } from "../names.ts";
import { isVersion, type Version } from "../semver.ts";
import { type Metadata, parseFrontMatter } from "../yaml.ts";
import { type Digest, isDigest, sha256 } from "./digest.ts";
import { TIME } from "./seal.ts";
import type { ExpectedSlot, OpenedDocument, OpenedText, Removal, Stored } from "./types.ts";

const FIELDS = ["name", "version", "author", "createdAt", "message", "removed", "frontMatter", "digest"];
export const REPAIR = "run `prompt-registry verify`, and restore this version from a copy";

/** Reads and verifies the seal that starts at `start`. */
export function openSealed(text: string, split: FrontMatterSplit, start: number, expected?: ExpectedSlot): OpenedText {
  const slot = expected === undefined ? "this text" : `${expected.name}@${expected.version}`;
  const advice = expected === undefined ? "" : `; ${REPAIR}`;
  const corrupt = (problem: string, cause?: unknown) =>
    new RegistryError("CORRUPT", `${slot} is damaged: ${problem}${advice}`, {
      ...(expected === undefined ? {} : { name: expected.name, version: expected.version }),
      ...(cause === undefined ? {} : { cause }),
    });
  const values: (string | undefined)[] = [];
  let rank = -1;
  let unknown: string | undefined;
  let digestAt = start;
  for (let at = start; at < split.blockEnd; ) {
    const next = text.indexOf("\n", at) + 1;
    const end = next - split.eol.length;
    const colon = text.indexOf(": ", at);
    if (!text.startsWith("registry.", at) || colon < 0 || colon >= end || !text.startsWith(split.eol, end)) {
      throw corrupt("its registry.* lines are not as they were written");
    }
    const key = text.slice(at + 9, colon);
    const found = FIELDS.indexOf(key);
    if (found < 0 && /^[a-zA-Z]{1,64}$/.test(key) && rank < FIELDS.length - 1) unknown = key;
    else if (found <= rank) throw corrupt(`its line registry.${show(key)} is unknown, repeated or out of place`);
    else {
      rank = found;
      values[found] = text.slice(colon + 2, end);
    }
    digestAt = at;
    at = next;
  }
  const [name, version, author, createdAt, message, removed, marker, digest] = values;
  if (name === undefined || version === undefined || !isDigest(digest))
    throw corrupt("its registry.* lines are incomplete");
  const actual = sha256(text.slice(0, digestAt) + text.slice(split.blockEnd));
  if (actual !== digest) throw corrupt(`its bytes have the digest ${actual}, and not ${digest} as they say`);
  // From here on nothing is damaged: who wrote these lines meant them, well or not.
  if (unknown !== undefined) {
    throw new RegistryError(
      "UNSUPPORTED",
      `${slot} has a line registry.${unknown} of a later prompt-registry; update`,
      {
        name,
        version,
      },
    );
  }
  if (
    expected === undefined
      ? !isName(name) || !isVersion(version)
      : name !== expected.name || version !== expected.version
  ) {
    throw corrupt(`it is sealed as ${show(name)} version ${show(version)}, so it is at the wrong place`);
  }
  if (createdAt !== undefined && !TIME.test(createdAt)) throw corrupt("its registry.createdAt is not a time");
  const stored: Stored = {
    name: name as PromptName,
    version: version as Version,
    digest,
    ...(author === undefined ? {} : { author: unquote(author, corrupt) }),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(message === undefined ? {} : { message: unquote(message, corrupt) }),
  };
  const none = marker !== undefined;
  const bom = split.bom ? 1 : 0;
  const bare = 3 + split.eol.length;
  if (none && (marker !== "none" || start !== bom + bare || split.bodyStart !== split.blockEnd + bare)) {
    throw corrupt("its front matter is not as registry.frontMatter says");
  }
  const body = text.slice(split.bodyStart);
  const author0 = none ? text.slice(0, bom) + body : text.slice(0, start) + text.slice(split.blockEnd);
  if (removed !== undefined) {
    if (!none || author0 !== "") throw corrupt("it is the mark of a removed version, and yet has a text");
    return Object.freeze({ kind: "tombstone", ...stored, removed: readRemoval(removed, corrupt) });
  }
  return new OpenedSeal(
    stored,
    author0,
    body,
    none ? bom : split.bodyStart - (split.blockEnd - start),
    text,
    split.blockStart,
    start,
    corrupt,
  );
}

/** As a class: a literal with a getter and parts that may be missing costs as much to make as its digest to compute. */
class OpenedSeal implements OpenedDocument {
  readonly kind = "document";
  readonly sealed = true;
  readonly name: PromptName;
  readonly version: Version;
  readonly digest: Digest;
  declare readonly author?: string;
  declare readonly createdAt?: string;
  declare readonly message?: string;
  readonly text: string;
  readonly body: string;
  readonly bodyStart: number;
  readonly #from: string;
  readonly #start: number;
  readonly #end: number;
  readonly #corrupt: Corrupt;
  #metadata: Metadata | undefined;

  constructor(
    stored: Stored,
    text: string,
    body: string,
    bodyStart: number,
    from: string,
    start: number,
    end: number,
    corrupt: Corrupt,
  ) {
    const { author, createdAt, message } = stored;
    this.name = stored.name;
    this.version = stored.version;
    this.digest = stored.digest;
    if (author !== undefined) this.author = author;
    if (createdAt !== undefined) this.createdAt = createdAt;
    if (message !== undefined) this.message = message;
    this.text = text;
    this.body = body;
    this.bodyStart = bodyStart;
    this.#from = from;
    this.#start = start;
    this.#end = end;
    this.#corrupt = corrupt;
    Object.freeze(this);
  }

  get metadata(): Metadata {
    if (this.#metadata !== undefined) return this.#metadata;
    try {
      this.#metadata = parseFrontMatter(this.#from.slice(this.#start, this.#end));
      return this.#metadata;
    } catch (error) {
      throw this.#corrupt(`its front matter was never valid (${(error as Error).message})`, error);
    }
  }
}

type Corrupt = (problem: string, cause?: unknown) => RegistryError;

function unquote(json: string, corrupt: Corrupt): string {
  const value = parseJson(json);
  if (typeof value === "string") return value;
  throw corrupt(`${show(json, 40)} is not a JSON string`);
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return undefined;
  }
}

function readRemoval(json: string, corrupt: Corrupt): Removal {
  const value = parseJson(json);
  const { digest, at, by, reason } = (typeof value === "object" && value !== null ? value : {}) as Partial<
    Record<string, unknown>
  >;
  const isNote = (note: unknown) => note === undefined || typeof note === "string";
  if (!isDigest(digest) || typeof at !== "string" || !TIME.test(at) || !isNote(by) || !isNote(reason)) {
    throw corrupt("its registry.removed does not say what was removed");
  }
  return Object.freeze({
    digest,
    at,
    ...(by === undefined ? {} : { by: by as string }),
    ...(reason === undefined ? {} : { reason: reason as string }),
  });
}
