import type { Bump } from "../../semver.ts";

/** A prompt version that a foreign text describes, ready for `storePrompt`. */
export interface ImportedPrompt {
  readonly name: string;
  /** Exact version; where the format has none, `bump` says how to choose one. */
  readonly version?: string;
  readonly bump?: Bump;
  readonly text: string;
  /** Pointers that the other side has on it; put only when asked for. */
  readonly labels: readonly string[];
  readonly author?: string;
  /** UTC, with milliseconds. */
  readonly createdAt?: string;
  readonly message?: string;
}

export interface ImportContext {
  /** Where the text came from, relative to what is imported, with `/`: some formats name prompts by it. */
  readonly path?: string | undefined;
  /** The name to take, for a text that holds one prompt. */
  readonly name?: string | undefined;
  /** Put before every name, e.g. `langfuse/`. */
  readonly prefix?: string | undefined;
  /** For prompts without a version. Default `minor`; a new prompt gets 1.0.0 in any case. */
  readonly bump?: Bump | undefined;
}

export interface ImportResult {
  readonly prompts: readonly ImportedPrompt[];
  /** What the registry can't hold, one readable line each. */
  readonly lost: readonly string[];
}

/** A prompt version as it is exported. */
export interface ExportablePrompt {
  readonly name: string;
  readonly version: string;
  /** The author's text, without seal. */
  readonly text: string;
  readonly labels?: readonly string[];
  readonly author?: string;
  readonly createdAt?: string;
  readonly message?: string;
}

export interface ExportedFile {
  /** Relative, with `/`. */
  readonly path: string;
  readonly text: string;
}

export interface ExportResult {
  readonly files: readonly ExportedFile[];
  /** What the format can't say, one readable line each. */
  readonly lost: readonly string[];
}

/** A foreign format: pure functions of texts. Nothing is evaluated, fetched, or read from disk or environment. */
export interface PromptFormat {
  /** As the command line calls it. */
  readonly name: string;
  readonly title: string;
  /** Whether a text looks like this format. Never throws. */
  detect(text: string, path?: string): boolean;
  /** @throws RegistryError INVALID, saying where and what */
  import(text: string, context?: ImportContext): ImportResult;
  /** @throws RegistryError INVALID for a text that is no prompt */
  export(prompts: readonly ExportablePrompt[]): ExportResult;
}
