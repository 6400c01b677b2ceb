import { RegistryError, show } from "../errors.ts";
import { type FrontMatterSplit, MAX_FRONT_MATTER_BYTES, splitFrontMatter } from "../frontmatter.ts";
import { isName, type PromptName } from "../names.ts";
import { isVersion, type Version } from "../semver.ts";
import { type Metadata, parseFrontMatter } from "../yaml.ts";
import {
  assemble,
  canonicalSeal,
  checkText,
  type Digest,
  type ExpectedSlot,
  isDigest,
  MAX_SEAL_BYTES,
  MAX_STORED_BYTES,
  type OpenedDocument,
  type OpenedText,
  type Removal,
  readAuthorText,
  type SealedDocument,
  type Stored,
  sealDocument,
  sealStart,
  sha256,
  TIME,
} from "./seal.ts";

const FIELDS = ["name", "version", "author", "createdAt", "message", "removed", "frontMatter", "digest"];
const DIGEST_LINE = /(?:^|\n)registry\.digest: sha256:[0-9a-f]{64}\r?(?:\n|$)/;
const REPAIR = "run `prompt-registry verify`, and restore this version from a copy";

/** Reads and verifies the seal that starts at `start`. */
function openSealed(text: string, split: FrontMatterSplit, start: number, expected?: ExpectedSlot): OpenedText {
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

/**
 * Reads a stored text and verifies it, whether document or tombstone. A text that has no seal and shows no trace of one
 * was dropped in by hand: it is checked as {@link sealDocument} would, front matter included.
 *
 * @throws RegistryError CORRUPT where the bytes are not those that were sealed, are sealed under another name or version,
 *   or are what a damaged seal looks like; INVALID for a text without seal that is not allowed; UNSUPPORTED for a seal
 *   with lines that this version does not know
 * @example
 * const opened = openStored(text, { name, version });
 * if (opened.kind === "document") console.log(opened.body, opened.metadata.model);
 */
export function openStored(stored: string, expected: ExpectedSlot): OpenedText {
  const { name, version } = expected;
  const slot = `${name}@${version}`;
  const corrupt = (problem: string) =>
    new RegistryError("CORRUPT", `${slot} is damaged: ${problem}; ${REPAIR}`, { name, version });
  let split: FrontMatterSplit | "none" | undefined;
  let failure: unknown;
  try {
    split = splitFrontMatter(stored, MAX_FRONT_MATTER_BYTES + MAX_SEAL_BYTES);
  } catch (error) {
    failure = error;
  }
  if (split !== undefined && split !== "none") {
    const start = sealStart(stored, split);
    if (start >= 0) return openSealed(stored, split, start, expected);
  }
  // No seal. What is left of a sealed text that was hit must not pass for an author's: a first line that lost its dashes,
  // a block that ends too early or never (I3, I9).
  if (stored === "") throw corrupt("the file is empty");
  if (/^\ufeff?(?:-{0,2}|---[ \t]*\r?)$/.test(stored)) throw corrupt("the file is cut off");
  if (stored.includes("\0")) throw corrupt("it has NUL characters");
  if (DIGEST_LINE.test(stored.slice(0, MAX_FRONT_MATTER_BYTES + MAX_SEAL_BYTES + 256))) {
    throw corrupt("it has the digest of a seal, but not in its front matter (if that line is your own, indent it)");
  }
  try {
    if (failure !== undefined) throw failure;
    checkText(stored);
    const { split: own, metadata } = readAuthorText(stored);
    const bodyStart = own === "none" ? (stored.charCodeAt(0) === 0xfeff ? 1 : 0) : own.bodyStart;
    const { digest } = assemble({ name, version, text: stored }, own, {});
    const body = stored.slice(bodyStart);
    return Object.freeze({
      kind: "document",
      sealed: false,
      name,
      version,
      digest,
      text: stored,
      body,
      bodyStart,
      metadata,
    });
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    throw new RegistryError(
      "INVALID",
      `not served: ${slot} is not sealed, and as a text it is not valid: ${error.message}`,
      {
        ...error.context,
        name,
        version,
        cause: error,
      },
    );
  }
}

/**
 * {@link openStored} for a slot that must hold a document.
 *
 * @throws RegistryError as {@link openStored}, and NOT_FOUND for a tombstone
 * @example
 * const { body, metadata } = openDocument(text, { name, version });
 */
export function openDocument(stored: string, expected: ExpectedSlot): OpenedDocument {
  const opened = openStored(stored, expected);
  if (opened.kind === "document") return opened;
  const { name, version, removed } = opened;
  const why = removed.reason === undefined ? "" : ` (${show(removed.reason)})`;
  throw new RegistryError("NOT_FOUND", `${name}@${version} was removed at ${removed.at}${why}`, { name, version });
}

/**
 * Opens a sealed text of which the name and version are not known beforehand; they are in the answer.
 *
 * @throws RegistryError CORRUPT for a text that is not sealed, or whose seal does not hold; UNSUPPORTED
 * @example
 * unseal(sealDocument({ name, version, text, createdAt }).text).text === text;
 */
export function unseal(stored: string): OpenedText {
  let split: FrontMatterSplit | "none" = "none";
  try {
    split = splitFrontMatter(stored, MAX_FRONT_MATTER_BYTES + MAX_SEAL_BYTES);
  } catch {
    // No seal can be where there is no front matter.
  }
  const start = split === "none" ? -1 : sealStart(stored, split);
  if (split === "none" || start < 0)
    throw new RegistryError("CORRUPT", "this text is not sealed, or its front matter is damaged");
  return openSealed(stored, split, start);
}

/**
 * Takes a text that is a whole sealed document, byte for byte what {@link sealDocument} or {@link canonicalSeal} writes,
 * as it is: a copy, to be stored under its own name and version.
 *
 * @throws RegistryError INVALID for anything else, tombstones included
 * @example
 * const { name, version } = readSeal(copy);
 */
export function readSeal(text: string): SealedDocument {
  let problem = "it is the mark of a removed version";
  let cause: unknown;
  try {
    checkText(text, MAX_STORED_BYTES);
    const opened = unseal(text);
    if (opened.kind === "document") {
      const { createdAt } = opened;
      const again = createdAt === undefined ? canonicalSeal(opened) : sealDocument({ ...opened, createdAt });
      if (again.text === text) return again;
      problem = "its registry.* lines are not as this version writes them";
    }
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    problem = error.message;
    cause = error;
  }
  throw new RegistryError("INVALID", `text is not a whole sealed document: ${problem}`, { field: "text", cause });
}

/**
 * Whether {@link readSeal} takes a text.
 *
 * @example
 * const document = isSealed(text) ? readSeal(text) : sealDocument({ name, version, text, createdAt });
 */
export function isSealed(text: string): boolean {
  // Most texts that are asked about are an author's, and an error is dear.
  if (typeof text !== "string" || !text.includes("\nregistry.digest: ")) return false;
  try {
    readSeal(text);
    return true;
  } catch (error) {
    if (error instanceof RegistryError) return false;
    throw error;
  }
}

/**
 * Whether two texts, sealed or not, are the same to their author.
 *
 * @example
 * sameText(sealDocument({ name, version, text, createdAt }).text, text); // true
 */
export function sameText(a: string, b: string): boolean {
  return a === b || authorText(a) === authorText(b);
}

function authorText(text: string): string {
  try {
    const opened = unseal(text);
    return opened.kind === "document" ? opened.text : text;
  } catch {
    return text;
  }
}
