import type { Digest, OpenedDocument } from "../document.ts";
import type { Deprecation, HeadState, Provenance, Timestamp, Yank } from "../driver.ts";
import type { Label, PromptName } from "../names.ts";
import { labelTarget } from "../rules/latest.ts";
import type { Version } from "../semver.ts";
import { type CompiledTemplate, compileTemplate, type TemplateValues } from "../template.ts";

/**
 * One version of a prompt, as `getPrompt` answers it. Frozen, and the same object may be handed out many times.
 *
 * `labels`, `yanked` and `deprecated` are there when the head was read: for a label, `latest` or a range, or on
 * `{status: true}`.
 */
export class Prompt {
  readonly name: PromptName;
  readonly version: Version;
  /** The author's text, byte for byte as it was stored. */
  readonly text: string;
  /** `sha256:<hex>` of the stored document; for an unsealed one, of its canonical seal. */
  readonly digest: Digest;
  readonly author: string | undefined;
  /** `undefined` for a file that was dropped in by hand. */
  readonly createdAt: Timestamp | undefined;
  readonly message: string | undefined;
  /** `false` for a file that was dropped in by hand: nothing vouches for its bytes. */
  readonly sealed: boolean;
  /** The storage that answered: a driver's kind, or what a cache or fallback layer calls itself. */
  readonly source: string;
  /** Milliseconds since the epoch at which these bytes were read from the store. */
  readonly fetchedAt: number;
  /** Every label that is on this version, sorted. */
  readonly labels?: readonly Label[];
  /** Set when this version is yanked: it is still served by exact version and by label. */
  readonly yanked?: Yank;
  /** Set when the prompt is deprecated. */
  readonly deprecated?: Deprecation;

  readonly #opened: OpenedDocument;
  readonly #provenance: Provenance | undefined;
  #template: CompiledTemplate | undefined;

  constructor(
    opened: OpenedDocument,
    at: {
      readonly name: PromptName;
      readonly version: Version;
      readonly source: string;
      readonly fetchedAt: number;
      readonly head?: HeadState | undefined;
      readonly provenance?: Provenance | undefined;
    },
  ) {
    this.#opened = opened;
    this.#provenance = at.provenance;
    this.name = at.name;
    this.version = at.version;
    this.text = opened.text;
    this.digest = opened.digest;
    this.author = opened.author;
    this.createdAt = opened.createdAt;
    this.message = opened.message;
    this.sealed = opened.sealed;
    this.source = at.source;
    this.fetchedAt = at.fetchedAt;
    if (at.head !== undefined) {
      const { head } = at.head;
      this.labels = Object.freeze(
        (Object.keys(head.labels) as Label[]).filter((label) => labelTarget(head, label) === at.version).sort(),
      );
      const yank = head.yanked[at.version];
      if (yank !== undefined) this.yanked = yank;
      if (head.deprecated !== undefined) this.deprecated = head.deprecated;
    }
    Object.freeze(this);
  }

  /** `name@version` */
  get ref(): string {
    return `${this.name}@${this.version}`;
  }

  /** The text after the front matter. */
  get body(): string {
    return this.#opened.body;
  }

  /** The author's front matter as plain, frozen, prototype-free data; `{}` when there is none. Parsed when first asked for. */
  get metadata(): Readonly<Record<string, unknown>> {
    return this.#opened.metadata;
  }

  /** Names of the `{{variables}}` in the body, in order of first appearance. */
  get variables(): readonly string[] {
    return this.#compiled().variables;
  }

  /** Milliseconds since this answer was last known to be true; 0 when the store itself answered. */
  get age(): number {
    return this.#provenance === undefined ? 0 : Math.max(0, Date.now() - this.#provenance.fetchedAt);
  }

  /** The answer is older than it was allowed to get, because the store could not be asked. */
  get stale(): boolean {
    return this.#provenance?.stale ?? false;
  }

  /**
   * Puts values into the `{{variables}}` of the body. Substitution only: nothing is evaluated, a value is never
   * expanded again, and only own properties of `values` count.
   *
   * @throws RegistryError INVALID listing every missing and every unknown variable
   * @example
   * prompt.render({ customer: "Ada" });
   */
  render(values: TemplateValues = {}): string {
    return this.#compiled().render(values);
  }

  toJSON(): Record<string, unknown> {
    const { name, version, text, digest, author, createdAt, message, sealed, source } = this;
    const { body, metadata, labels, yanked, deprecated, age, stale } = this;
    const fetchedAt = new Date(this.fetchedAt).toISOString();
    return {
      ...{ name, version, text, body, metadata, digest, author, createdAt, message, sealed },
      ...{ labels, yanked, deprecated, source, fetchedAt, age, stale },
    };
  }

  #compiled(): CompiledTemplate {
    this.#template ??= compileTemplate(this.body);
    return this.#template;
  }
}
