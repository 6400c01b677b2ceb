import type { Provenance, StorageDriver } from "../../driver.ts";
import type { PromptName } from "../../names.ts";
import type { PromptRegistry } from "../../registry.ts";
import type { WebPage } from "../../web/page.ts";
import type { PathParams } from "../protocol/path.ts";
import type { RouteSpec } from "../protocol/routes.ts";
import type { Access, AuditEntry, AuditLog, Principal, PublishPolicy, RequestEvent } from "../types.ts";
import type { Turns } from "./diff.ts";
import type { Watcher } from "./feed.ts";
import type { Streams } from "./streams.ts";

export interface HandlerOptions {
  /** Who may do what. There is no default: see `openAccess` for a server that lets everybody do everything. */
  readonly access: Access;
  /** Where mutations and denials are written. Default: nowhere. */
  readonly audit?: AuditLog | undefined;
  /** Told once per request, when its reply is known. */
  readonly observe?: ((event: RequestEvent) => void) | undefined;
  /** Asked before each publish. */
  readonly policy?: PublishPolicy | undefined;
  /** Of a `POST` of commits or reads. Default 16 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** Of answers that lie ready in memory; each body counts twice, as a server may keep it in two forms. Default 64 MiB. */
  readonly readyBytes?: number | undefined;
  /** How often the change feed is looked at while somebody needs to know. Milliseconds; default 250. */
  readonly pollInterval?: number | undefined;
  /** Event streams at once; one caller gets a tenth of them at most, and all without credentials half. Default 1000. */
  readonly maxStreams?: number | undefined;
  /** Served at `/` and below `/web/`; see `loadWebPage` of `prompt-registry/web`. Default: no page. */
  readonly web?: WebPage | undefined;
  /** Version of the server, for discovery. */
  readonly version?: string | undefined;
  /** The clock; for tests. */
  readonly now?: (() => Date) | undefined;
}

/** What all requests share. */
export interface Shared {
  readonly registry: PromptRegistry;
  readonly driver: StorageDriver;
  readonly options: HandlerOptions;
  readonly access: Access;
  readonly watcher: Watcher;
  readonly streams: Streams;
  /** Of comparisons. */
  readonly turns: Turns;
  readonly now: () => Date;
  readonly maxBodyBytes: number;
  /** A prompt was changed, or may have been, by this server. */
  changed(name: PromptName): void;
}

/** What the audit log is told beyond who asked for what. */
export type Note = Partial<Writable<AuditEntry>>;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** One request on its way. */
export interface Call {
  readonly shared: Shared;
  readonly request: Request;
  readonly route: RouteSpec;
  readonly requestId: string;
  readonly address: string | undefined;
  readonly principal: Principal;
  readonly params: PathParams;
  /** Checked against the route's schema. */
  readonly query: Readonly<Record<string, unknown>>;
  /** Checked JSON, or the text of a document. */
  readonly body: unknown;
  readonly note: Note;
  /** Where it is several things: an entry for each, with what the note says and its own. */
  readonly parts: Note[];
}

export interface Result {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON value. */
  readonly json?: unknown;
  readonly document?: DocumentResult;
  readonly stream?: ReadableStream<Uint8Array>;
}

export interface DocumentResult {
  readonly text: string;
  /** ETag without quotes and coding. */
  readonly tag: string;
  readonly cache: "exact" | "moving";
  /** Where it is not what the storage itself just said. */
  readonly provenance?: Provenance;
}

export type RouteHandler = (call: Call) => Promise<Result>;
