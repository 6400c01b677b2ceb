/** What protocol v1 answers, as far as the page reads it. Written by hand: the page shares no code with the server. */

export type Right = "read" | "write" | "promote" | "import" | "admin";

export interface Grant {
  readonly right: Right;
  /** Whole segments; `""` stands for every prompt. */
  readonly prefix: string;
  readonly labels?: readonly string[];
}

export interface Principal {
  readonly id: string;
  readonly name: string;
  readonly grants: readonly Grant[];
}

export interface Service {
  readonly capabilities: { readonly write: boolean; readonly search: boolean };
  readonly limits: { readonly documentBytes: number };
  readonly principal: Principal;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly cursor?: string;
}

export interface Yank {
  readonly at: string;
  readonly by?: string;
  readonly reason?: string;
  /** It was removed, too. */
  readonly removed?: true;
}

export interface Deprecation {
  readonly at: string;
  readonly by?: string;
  readonly message: string;
}

export interface Head {
  readonly labels: Readonly<Record<string, string>>;
  readonly pin?: string;
  readonly yanked: Readonly<Record<string, Yank>>;
  readonly deprecated?: Deprecation;
  readonly updatedAt?: string;
  readonly generation: number;
}

export interface HeadState {
  readonly head: Head;
  readonly revision: string | null;
  readonly latest?: string;
}

export interface PromptEntry {
  readonly name: string;
  readonly head?: HeadState;
  readonly removed?: true;
}

export interface VersionEntry {
  readonly version: string;
  readonly yanked?: Yank;
  readonly removed?: true;
}

export interface HistoryEntry {
  readonly at: string;
  readonly by?: string;
  readonly action: string;
  readonly label?: string;
  readonly from?: string;
  readonly to?: string;
  readonly message?: string;
  readonly commit?: string;
}

export interface PromptDocument {
  readonly name: string;
  readonly version: string;
  readonly text: string;
  readonly digest: string;
  readonly author?: string;
  readonly createdAt?: string;
  readonly message?: string;
  readonly sealed: boolean;
  readonly labels?: readonly string[];
  readonly yanked?: Yank;
  readonly deprecated?: Deprecation;
  readonly fetchedAt?: string;
  readonly stale?: boolean;
}

export interface Comparison {
  readonly name: string;
  readonly from: PromptDocument;
  readonly to: PromptDocument;
  readonly identical: boolean;
  readonly unified?: string;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly coarse?: true;
  readonly tooLarge?: true;
}

export interface StoreResult {
  readonly name: string;
  readonly version: string;
  readonly status: "created" | "unchanged";
  readonly latest?: string;
  readonly pinned?: true;
  readonly warnings?: readonly string[];
}

export interface PointerResult {
  readonly name: string;
  readonly status: "changed" | "unchanged";
  readonly version?: string;
  readonly label?: string;
  readonly from?: string;
}

/** RFC 9457, with what this protocol adds. */
export interface Problem {
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly outcome: "temporary" | "unknown" | "final";
  readonly context?: {
    readonly issues?: readonly string[];
    readonly field?: string;
    readonly line?: number;
    readonly column?: number;
    readonly retryAfter?: number;
  };
  readonly requestId?: string;
}
