import { sealStart } from "../document/text.ts";
import { unseal } from "../document.ts";
import { isRegistryError } from "../errors.ts";
import { MAX_FRONT_MATTER_BYTES, splitFrontMatter } from "../frontmatter.ts";
import { type Metadata, parseFrontMatter } from "../yaml.ts";

export interface Parts {
  /** The author's text. */
  readonly text: string;
  readonly metadata: Metadata;
  readonly body: string;
}

// A seal may make the block longer than an author's can be.
const MAX_BLOCK = MAX_FRONT_MATTER_BYTES + 32 * 1024;

/**
 * Front matter and body of a text, sealed or not.
 *
 * @throws RegistryError INVALID with `line` and `column` for front matter that is not allowed
 */
export function readParts(stored: string): Parts {
  const text = authorText(stored);
  const split = splitFrontMatter(text, MAX_BLOCK);
  if (split === "none") return { text, metadata: parseFrontMatter(""), body: text.replace(/^\ufeff/, "") };
  const start = sealStart(text, split);
  const end = start < 0 ? split.blockEnd : start;
  return { text, metadata: parseFrontMatter(text.slice(split.blockStart, end)), body: text.slice(split.bodyStart) };
}

/** The text before it was sealed; a text whose seal does not hold is taken as it is. */
export function authorText(stored: string): string {
  if (!stored.includes("\nregistry.digest: ")) return stored;
  try {
    const opened = unseal(stored);
    return opened.kind === "document" ? opened.text : "";
  } catch (error) {
    if (isRegistryError(error)) return stored;
    throw error;
  }
}
