/** What the parts of the publish policy say to each other, and to who applies it. Nothing here does any work. */

/**
 * Every rule there is.
 *
 * - `invisible/tags` tag characters, U+E0000 to U+E007F: ASCII that nobody sees and models read
 * - `invisible/selectors` variation selectors 17 to 256, or several selectors in a row: bytes that nobody sees
 * - `invisible/bidi` bidirectional controls, U+202A to U+202E and U+2066 to U+2069: the eye reads another order
 * - `invisible/run` eight or more zero-width characters in a row: bits that nobody sees
 * - `invisible/zero-width` a zero-width or filler character where no script or emoji needs it
 * - `invisible/control` control characters other than tab and line ends
 * - `secret/…` credentials, by whom they are for; `secret/url` is a password in a URL
 * - `front-matter` a required key is missing
 * - `size` the text is longer than allowed here
 * - `bump` the version promises more than the variables keep
 */
export const POLICY_RULES = [
  "invisible/tags",
  "invisible/selectors",
  "invisible/bidi",
  "invisible/run",
  "invisible/zero-width",
  "invisible/control",
  "secret/aws",
  "secret/github",
  "secret/openai",
  "secret/anthropic",
  "secret/google",
  "secret/slack",
  "secret/stripe",
  "secret/registry",
  "secret/api-key",
  "secret/private-key",
  "secret/jwt",
  "secret/url",
  "front-matter",
  "size",
  "bump",
] as const;

export type PolicyRule = (typeof POLICY_RULES)[number];

/** `block`: not published. `warn` and `info`: published, and said. */
export type Severity = "block" | "warn" | "info";

/** Something the policy has to say about a publication. Never holds a secret, nor a character that acts on a terminal. */
export interface PolicyFinding {
  readonly rule: PolicyRule;
  readonly severity: Severity;
  /** What it is and what to do; one line. */
  readonly message: string;
  /** 1-based; of `text`, or of the note in `field`. */
  readonly line: number;
  /** 1-based, in UTF-16 units. */
  readonly column: number;
  /** What stands there: escaped, or masked to its first four characters and its length. Empty where nothing does. */
  readonly shown: string;
  /** Where it stands. Default: the text. */
  readonly field?: "author" | "message";
}

/** A version that somebody wants to publish. */
export interface Publication {
  readonly name: string;
  readonly version: string;
  /** The author's text, or the stored one with its seal: positions are those of the text that is given. */
  readonly text: string;
  readonly author?: string;
  readonly message?: string;
  /** The highest published release below `version`, which `bump` compares with. Absent: nothing to compare with. */
  readonly previous?: { readonly version: string; readonly text: string };
}

export interface PolicyOptions {
  /** Other severities than the defaults ({@link DEFAULT_SEVERITIES}); `off` says nothing. */
  readonly rules?: { readonly [R in PolicyRule]?: Severity | "off" };
  /** Front matter keys that must be there: `description`, or `input.schema` for one inside another. Default: none. */
  readonly required?: readonly string[];
  /** Most UTF-8 bytes of the author's text. Default: the hard limit, 1 MiB. */
  readonly maxBytes?: number;
}

/** Leave to publish in spite of these rules. It goes into the version's message, and so into the history. */
export interface Allowance {
  readonly rules: readonly PolicyRule[];
  /** At most 500 characters. */
  readonly reason: string;
}

/** Tells what is wrong with a publication. Made by {@link createPolicy}, or anything else that answers alike. */
export type PublishPolicy = (publication: Publication) => readonly PolicyFinding[] | Promise<readonly PolicyFinding[]>;

export const DEFAULT_SEVERITIES: Readonly<Record<PolicyRule, Severity>> = Object.freeze({
  ...(Object.fromEntries(POLICY_RULES.map((rule) => [rule, "block"])) as Record<PolicyRule, Severity>),
  "invisible/zero-width": "warn",
  "invisible/control": "warn",
  // Words that stand for a password are many; a real one is rare in a prompt.
  "secret/url": "warn",
});
