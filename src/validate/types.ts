import type { PolicyRule, PublishPolicy, Severity } from "../policy/types.ts";

/**
 * What a folder is checked for beside the policy.
 *
 * - `name` a file or folder whose name is none of a prompt, version or label
 * - `layout` something that is not where, or not what, a registry expects
 * - `document` a version that would not be served: damaged, sealed for another place, or not valid as a text
 * - `immutable` a published version that was changed or removed
 * - `pointer` a label, pin or `latest` that selects what is not there
 * - `head` a `latest.json` that is none, or that disagrees with the files
 * - `unsealed` a version that was put there by hand
 * - `configuration` the change also changes what is checked
 */
export type ValidateRule =
  | "name"
  | "layout"
  | "document"
  | "immutable"
  | "pointer"
  | "head"
  | "unsealed"
  | "configuration"
  | PolicyRule;

export interface ValidateFinding {
  readonly rule: ValidateRule;
  /** Only `block` makes the check fail. */
  readonly severity: Severity;
  /** Relative to the folder that was checked, with `/`. */
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  /** 1-based, in UTF-16 units. */
  readonly column: number;
  /** One line; never a secret. */
  readonly message: string;
}

export interface ValidateReport {
  /** No finding blocks. */
  readonly ok: boolean;
  /** The commit that was compared with. */
  readonly base?: string;
  readonly prompts: number;
  /** Version files, removed ones included. */
  readonly versions: number;
  /** Of these, how many are not in the base; all of them without one. */
  readonly fresh: number;
  /** By path and position. */
  readonly findings: readonly ValidateFinding[];
}

export interface ValidateOptions {
  /** A commit, branch or tag: versions that it has must be as they are there. */
  readonly base?: string | undefined;
  /** Asked about the versions that are not in the base. Default: none. */
  readonly policy?: PublishPolicy | undefined;
  /** The folder of the prompts below the one that is checked. Default `prompts`. */
  readonly dir?: string | undefined;
  /** Files whose change is worth a word, absolute: the configuration. */
  readonly watched?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (files: number) => void;
}

/** Collects findings. */
export type Say = (
  rule: ValidateRule,
  severity: Severity,
  path: string,
  message: string,
  at?: { readonly line?: number | undefined; readonly column?: number | undefined },
) => void;
