import type { PromptName } from "../names.ts";
import type { Version } from "../semver.ts";
import type { Metadata } from "../yaml.ts";
import type { Digest } from "./digest.ts";

/** A version as it is stored. */
export interface SealedDocument {
  readonly name: PromptName;
  readonly version: Version;
  /** The stored text, seal included. */
  readonly text: string;
  readonly digest: Digest;
}

export interface SealInput {
  readonly name: PromptName;
  readonly version: Version;
  /** The author's text; see {@link checkText}. */
  readonly text: string;
  /** At most {@link MAX_AUTHOR} UTF-16 units. */
  readonly author?: string | undefined;
  /** ISO 8601 in UTC with milliseconds, as `Date.prototype.toISOString` writes it. */
  readonly createdAt: string;
  /** At most {@link MAX_MESSAGE} UTF-16 units. */
  readonly message?: string | undefined;
}

/** What was removed, when, by whom and why. */
export interface Removal {
  /** Of the document that stood here. */
  readonly digest: Digest;
  readonly at: string;
  /** At most {@link MAX_AUTHOR} UTF-16 units. */
  readonly by?: string;
  /** At most {@link MAX_MESSAGE} UTF-16 units. */
  readonly reason?: string;
}

export interface TombstoneInput {
  readonly name: PromptName;
  readonly version: Version;
  readonly digest: Digest;
  readonly at: string;
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
  /** Those of the removed document, so that its history stays readable. */
  readonly author?: string | undefined;
  readonly createdAt?: string | undefined;
  readonly message?: string | undefined;
}

/** What documents and tombstones both say. */
export interface Stored {
  readonly name: PromptName;
  readonly version: Version;
  readonly digest: Digest;
  readonly author?: string;
  readonly createdAt?: string;
  readonly message?: string;
}

/** A whole, checked version. Frozen. */
export interface OpenedDocument extends Stored {
  readonly kind: "document";
  /** `false` for a text without seal, dropped in by hand: its digest is that of its {@link canonicalSeal}. */
  readonly sealed: boolean;
  /** The author's text, as it was before it was sealed. */
  readonly text: string;
  /** What follows the front matter (and a byte order mark). */
  readonly body: string;
  /** Where the body starts in `text`, in UTF-16 units. */
  readonly bodyStart: number;
  /**
   * The author's front matter, parsed at first use and kept; `registry.*` is no part of it.
   *
   * @throws RegistryError CORRUPT where a sealed text has front matter that no version of this package would have sealed
   */
  readonly metadata: Metadata;
}

/** The mark that keeps the slot of a removed version. Frozen. */
export interface Tombstone extends Stored {
  readonly kind: "tombstone";
  readonly removed: Removal;
}

export type OpenedText = OpenedDocument | Tombstone;

export interface ExpectedSlot {
  readonly name: PromptName;
  readonly version: Version;
}
