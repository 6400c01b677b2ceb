// What is asked of a store, and what it answers.

export interface Stored {
  readonly bytes: Buffer;
  /** Without quotes. */
  readonly etag: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** `false`: twice the same bytes came, and they are not those that were written. */
  readonly sound: boolean;
  /** The store's own clock, milliseconds since the epoch. */
  readonly modified: number;
}

export interface Listed {
  readonly key: string;
  readonly etag: string;
  /** The store's own clock, milliseconds since the epoch. */
  readonly modified: number;
}

export interface Listing {
  readonly objects: readonly Listed[];
  readonly folders: readonly string[];
  /** Whether there is more after these. */
  readonly more: boolean;
  /** The store's clock when it answered, where it said so. */
  readonly now: number | undefined;
}

export interface Put {
  readonly key: string;
  readonly body: string;
  readonly contentType: string;
  readonly cacheControl: string;
  /** Created only, or replaced only where this is what stands there. Absent: whatever stands there. */
  readonly expect?: { readonly etag: string | null };
  readonly metadata?: Readonly<Record<string, string>>;
  readonly storageClass?: string | undefined;
  /** Sent at once, whatever else is under way: a race is none where its racers queue. */
  readonly atOnce?: true;
}

export type PutResult =
  | { readonly status: "stored"; readonly etag: string }
  /** `raced`: the store did not even look, since somebody else wrote at the same time (409). */
  | { readonly status: "refused"; readonly raced?: true };

export interface ListAsk {
  readonly prefix: string;
  readonly after?: string;
  readonly limit?: number;
  /** Keys below a further slash are told as one folder. */
  readonly folders?: boolean;
}
