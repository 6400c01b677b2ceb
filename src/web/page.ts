/** A file of the web page, in every form that it is sent in. */
export interface WebFile {
  /** `Content-Type`. */
  readonly type: string;
  /** Of its bytes: SHA-256, in hex. */
  readonly digest: string;
  /** Its name changes with its bytes, so whoever has it never needs to ask again. */
  readonly lasting: boolean;
  readonly bytes: Uint8Array;
  /** The same by content coding, where coding pays. */
  readonly coded: Readonly<Partial<Record<"br" | "gzip", Uint8Array>>>;
}

/** The web page, for `web` of `createHandler` and `serve`. */
export interface WebPage {
  /** By the path that it is asked for at: `/`, and what stands below `/web/`. */
  readonly files: Readonly<Record<string, WebFile>>;
}

/** What `scripts/build-web.mjs` writes of each file into `page.json`. */
export interface Listed {
  readonly path: string;
  readonly file: string;
  readonly type: string;
  readonly digest: string;
  /** Digests of the coded forms. */
  readonly coded?: Readonly<Partial<Record<"br" | "gzip", string>>>;
}

/** Endings of the coded forms' file names. */
export const ENDINGS = { br: ".br", gzip: ".gz" } as const;
