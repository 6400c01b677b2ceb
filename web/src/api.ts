import { asFailure, Failure, failureOf } from "./failure.ts";
import { documentPath } from "./names.ts";
import { SHAPES, type Shape } from "./shapes.ts";
import type {
  Comparison,
  HeadState,
  HistoryEntry,
  Page,
  PointerResult,
  PromptDocument,
  PromptEntry,
  Service,
  StoreResult,
  VersionEntry,
} from "./types.ts";

/** A browser may wait for ever; a person does not. The server answers within 30 s or says that it could not. */
const PATIENCE = 45_000;

interface Send {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
}

/** Protocol v1 as the page uses it. */
export class Api {
  readonly #base: URL;
  readonly #token: string | undefined;
  readonly #onUnauthenticated: () => void;

  constructor(base: URL, token: string | undefined, onUnauthenticated: () => void = () => {}) {
    this.#base = base;
    this.#token = token;
    this.#onUnauthenticated = onUnauthenticated;
  }

  async #fetch(path: string, send: Send): Promise<Response> {
    const { method = "GET", headers = {}, query = {}, body, signal } = send;
    const url = new URL(this.#base);
    const target = `${this.#base.pathname}${path}`;
    url.pathname = target;
    // Parts of it come from the address of the page: dot segments in them must not lead to another resource.
    if (url.pathname !== target) {
      throw new Failure("problem", "What the address of this page names can’t be in the registry.", {
        status: 404,
        outcome: "final",
      });
    }
    for (const [key, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(key, String(value));
    const changes = method !== "GET" && path !== "/reads";
    try {
      return await fetch(url, {
        method,
        headers: {
          ...headers,
          ...(this.#token === undefined ? {} : { Authorization: `Bearer ${this.#token}` }),
        },
        ...(body === undefined ? {} : { body }),
        ...(signal === undefined ? {} : { signal }),
        // The browser's cache may hold what another principal was answered with; documents are kept in memory instead.
        cache: "no-store",
        credentials: "same-origin",
        redirect: "error",
        referrerPolicy: "no-referrer",
      });
    } catch (error) {
      if (signal?.aborted && signal.reason?.name !== "TimeoutError") throw error;
      throw new Failure("network", "There was no answer. Is the server running, and this machine online?", {
        outcome: changes ? "unknown" : "temporary",
      });
    }
  }

  async #json<T>(shape: Shape, path: string, send: Send = {}): Promise<T> {
    const signal = AbortSignal.any([AbortSignal.timeout(PATIENCE), ...(send.signal ? [send.signal] : [])]);
    const changes = send.method !== undefined && send.method !== "GET";
    const reply = await this.#fetch(path, { ...send, signal });
    if (!reply.ok) throw await this.#failure(reply, changes);
    try {
      const body: unknown = await reply.json();
      if (SHAPES[shape](body)) return body as T;
      throw new Error("another shape");
    } catch (error) {
      if (send.signal?.aborted) throw error;
      throw new Failure("foreign", "The answer was cut off, or is not one of the registry.", {
        status: reply.status,
        outcome: changes ? "unknown" : "temporary",
      });
    }
  }

  async #failure(reply: Response, changes: boolean): Promise<Failure> {
    const failure = await failureOf(reply, changes);
    if (failure.problem?.code === "UNAUTHENTICATED") this.#onUnauthenticated();
    return failure;
  }

  service = (signal?: AbortSignal): Promise<Service> => this.#json<Service>("service", "", { signal });

  prompts(query: { prefix?: string; text?: string; cursor?: string; limit?: number }, signal?: AbortSignal) {
    const given = { ...query, prefix: query.prefix || undefined, text: query.text || undefined, include: "heads" };
    return this.#json<Page<PromptEntry>>("prompts", "/prompts", { query: given, signal });
  }

  head(name: string, signal?: AbortSignal): Promise<HeadState> {
    return this.#json<HeadState>("head", `/prompts/${name}/-/head`, { headers: FRESH, signal });
  }

  /** @param fresh where what is decided hangs on it: the store itself is asked */
  document(name: string, selector: string, fresh = false, signal?: AbortSignal): Promise<PromptDocument> {
    const path = `/prompts/${name}/-/${documentPath(selector)}`;
    return this.#json<PromptDocument>("document", path, {
      query: { form: "json" },
      ...(fresh ? { headers: FRESH } : {}),
      signal,
    });
  }

  versions(name: string, cursor?: string, limit = 100, signal?: AbortSignal): Promise<Page<VersionEntry>> {
    const query = { includeRemoved: "true", limit, cursor };
    return this.#json<Page<VersionEntry>>("versions", `/prompts/${name}/-/versions`, { query, headers: FRESH, signal });
  }

  history(name: string, cursor?: string, limit = 100, signal?: AbortSignal): Promise<Page<HistoryEntry>> {
    return this.#json<Page<HistoryEntry>>("history", `/prompts/${name}/-/history`, {
      query: { limit, cursor },
      signal,
    });
  }

  diff(name: string, from: string, to: string, signal?: AbortSignal): Promise<Comparison> {
    return this.#json<Comparison>("comparison", `/prompts/${name}/-/diff`, { query: { from, to }, signal });
  }

  /** A version is written once, so the same request may be sent again whatever became of the first. */
  publish(
    name: string,
    version: string,
    text: string,
    query: { message?: string; labels?: string; expect?: string },
  ): Promise<StoreResult> {
    return this.#json<StoreResult>("result", `/prompts/${name}/-/versions/${version}`, {
      method: "PUT",
      headers: { "Content-Type": "text/markdown; charset=utf-8", "If-None-Match": "*" },
      query,
      body: text,
    });
  }

  /** @param digest of the document that the label was seen on; `undefined` where it was seen not to be set */
  moveLabel(name: string, label: string, version: string, digest: string | undefined, message?: string) {
    const guard = digest === undefined ? { "If-None-Match": "*" } : { "If-Match": `"${digest}"` };
    return this.#json<PointerResult>("result", `/prompts/${name}/-/labels/${label}`, {
      method: "PUT",
      headers: { "Content-Type": "application/json", ...guard },
      body: JSON.stringify({ version, message }),
    });
  }

  removeLabel(name: string, label: string, digest: string, message?: string) {
    return this.#json<PointerResult>("result", `/prompts/${name}/-/labels/${label}`, {
      method: "DELETE",
      headers: { "If-Match": `"${digest}"` },
      query: { message },
    });
  }

  /** @param key the same for every attempt at the same rollback */
  rollback(name: string, to: string, key: string, message?: string) {
    return this.#json<PointerResult>("result", `/prompts/${name}/-/rollback`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body: JSON.stringify({ to, message }),
    });
  }

  unpin(name: string, message?: string) {
    return this.#json<PointerResult>("result", `/prompts/${name}/-/pin`, { method: "DELETE", query: { message } });
  }

  yank(name: string, version: string, isYanked: boolean, message?: string) {
    const method = isYanked ? "PUT" : "DELETE";
    return this.#json<PointerResult>("result", `/prompts/${name}/-/versions/${version}/yank`, {
      method,
      query: { message },
    });
  }

  deprecate(name: string, message: string | undefined) {
    const path = `/prompts/${name}/-/deprecation`;
    if (message === undefined) return this.#json<PointerResult>("result", path, { method: "DELETE" });
    const headers = { "Content-Type": "application/json" };
    return this.#json<PointerResult>("result", path, { method: "PUT", headers, body: JSON.stringify({ message }) });
  }

  changes(cursor: string | undefined, signal: AbortSignal): Promise<Page<{ readonly name: string }>> {
    return this.#json<Page<{ readonly name: string }>>("changes", "/changes", { query: { cursor }, signal });
  }

  async changeStream(cursor: string | undefined, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const headers = { Accept: "text/event-stream", ...(cursor === undefined ? {} : { "Last-Event-ID": cursor }) };
    const reply = await this.#fetch("/changes", { headers, signal });
    if (!reply.ok) throw await this.#failure(reply, false);
    if (!reply.headers.get("Content-Type")?.startsWith("text/event-stream") || reply.body === null) {
      throw new Failure("foreign", "This is no event stream.", { status: reply.status });
    }
    return reply.body;
  }

  /** The raw document as a file of this page's origin: a plain link could send no token. */
  async raw(name: string, version: string): Promise<Blob> {
    const reply = await this.#fetch(`/prompts/${name}/-/versions/${version}`, {});
    if (!reply.ok) throw await this.#failure(reply, false);
    return await reply.blob().catch((error) => {
      throw asFailure(error);
    });
  }
}

const FRESH = { "Cache-Control": "no-cache" };
