import { RegistryError, show } from "../errors.ts";
import { type FrontMatterSplit, MAX_FRONT_MATTER_BYTES, splitFrontMatter } from "../frontmatter.ts";
import { assemble, canonicalSeal, sealDocument } from "./seal.ts";
import { openSealed, REPAIR } from "./sealed.ts";
import { checkText, MAX_SEAL_BYTES, MAX_STORED_BYTES, readAuthorText, sealStart } from "./text.ts";
import type { ExpectedSlot, OpenedDocument, OpenedText, SealedDocument } from "./types.ts";

const DIGEST_LINE = /(?:^|\n)registry\.digest: sha256:[0-9a-f]{64}\r?(?:\n|$)/;

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
