import { createHash } from "node:crypto";
import type { Operation } from "../../driver.ts";
import { abortError, isRegistryError, RegistryError, throwIfAborted } from "../../errors.ts";
import { unlessAborted } from "../../layers/signal.ts";
import { errorFrom, PROBLEM_TYPE } from "../../server/protocol/problem.ts";
import type { Place } from "./options.ts";

/** What zod's schemas can do, for those who only check with them. */
export interface Checker<T> {
  safeParse(value: unknown): { readonly success: true; readonly data: T } | { readonly success: false };
}

export interface Ask<T> {
  readonly method: "GET" | "POST";
  /** Below the base, with its query. */
  readonly path: string;
  readonly body?: string;
  readonly reply: Checker<T>;
  /** Of the driver, for errors. */
  readonly operation: string;
  /** It changes something: where the reply is lost, nobody knows whether it was done. */
  readonly mutates?: boolean;
  readonly op?: Operation | undefined;
}

/** Bytes of a reply, decoded. A server sends 8 MiB of documents at a time; who sends more than this means no good. */
const MAX_REPLY = 32 * 2 ** 20;
/** Milliseconds for one exchange: longer than a server takes to give it up. */
const DEADLINE = 60_000;

/** Failures of a connection that was never made: nothing was sent. */
const NOT_SENT: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

export interface ClientOptions {
  readonly token?: string | undefined;
  /** Why a token that is there is not sent, in words; told where the server wants one. */
  readonly withheld?: string | undefined;
  /** Default: the global one. */
  readonly fetch?: ((request: Request) => Promise<Response>) | undefined;
  /** Milliseconds for one exchange. Default 60,000. */
  readonly deadline?: number | undefined;
}

/** With the signal again: of a request that is collected Node forgets it, and waits for ever (https://github.com/nodejs/node/issues/55428). */
function globalFetch(request: Request, signal: AbortSignal): Promise<Response> {
  return fetch(request, { signal });
}

/** Asks one server, and believes only what is surely its own word. */
export class Client {
  readonly place: Place;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #fetch: (request: Request, signal: AbortSignal) => Promise<Response>;
  readonly #running = new Set<AbortController>();
  readonly #deadline: number;
  readonly #withheld: string | undefined;
  #closed = false;

  constructor(place: Place, { token, withheld, fetch, deadline = DEADLINE }: ClientOptions) {
    this.place = place;
    this.#fetch = fetch === undefined ? globalFetch : (request) => fetch(request);
    this.#deadline = deadline;
    this.#withheld = withheld;
    this.#headers = {
      Accept: "application/json",
      // On one machine coding costs more than it saves.
      "Accept-Encoding": place.isLocal ? "identity" : "gzip",
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    };
  }

  get context(): { readonly backend: "http"; readonly location: string } {
    return { backend: "http", location: this.place.base };
  }

  async ask<T>(ask: Ask<T>): Promise<T> {
    const { operation, op } = ask;
    if (this.#closed) throw this.#ended(operation);
    throwIfAborted(op?.signal, operation);
    const controller = new AbortController();
    const stop = () => controller.abort(op?.signal?.reason);
    op?.signal?.addEventListener("abort", stop, { once: true });
    this.#running.add(controller);
    const timer = setTimeout(() => {
      controller.abort(new DOMException(`no reply within ${this.#deadline} ms`, "TimeoutError"));
    }, this.#deadline);
    try {
      // A `fetch` that does not end with its signal ends with it here.
      return await unlessAborted(this.#exchange(ask, controller.signal), controller.signal, operation);
    } catch (error) {
      if (controller.signal.aborted || !isRegistryError(error)) throw this.#broken(ask, error, controller.signal);
      throw error;
    } finally {
      clearTimeout(timer);
      this.#running.delete(controller);
      op?.signal?.removeEventListener("abort", stop);
    }
  }

  /** Ends what is under way; what it did is then unknown. */
  close(): void {
    this.#closed = true;
    for (const controller of this.#running) controller.abort(this.#ended("close"));
  }

  #ended(operation: string): RegistryError {
    return new RegistryError("ABORTED", `the connection to ${this.place.base} is closed`, {
      ...this.context,
      operation,
    });
  }

  async #exchange<T>(ask: Ask<T>, signal: AbortSignal): Promise<T> {
    const { method, path, body, op } = ask;
    const headers = {
      ...this.#headers,
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      // A body says so itself.
      ...(body === undefined && op?.fresh === true ? { "Cache-Control": "no-cache" } : {}),
    };
    const response = await this.#fetch(
      new Request(`${this.place.base}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
        // A redirect would take the credentials to whoever it names.
        redirect: "manual",
        signal,
      }),
      signal,
    );
    const bytes = await readAll(response.body);
    if (bytes === undefined) throw this.#foreign(ask, `its reply is larger than ${MAX_REPLY} bytes, so it is not read`);
    if (response.status >= 300 && response.status < 400) throw this.#redirected(ask, response);
    const json = isWhole(response.headers, bytes) ? jsonOf(response.headers, bytes) : undefined;
    if (response.ok) {
      const reply = ask.reply.safeParse(json);
      if (reply.success) return reply.data;
    } else {
      const error = isProblem(response.headers) ? errorFrom(json, this.context) : undefined;
      if (error !== undefined) throw this.#explained(error.with({ operation: ask.operation }));
    }
    throw this.#foreign(
      ask,
      `what answers there (status ${response.status}) is no prompt-registry that this one understands`,
    );
  }

  #explained(error: RegistryError): RegistryError {
    if (this.#withheld === undefined || error.code !== "UNAUTHENTICATED") return error;
    return new RegistryError(error.code, `${error.message}; ${this.#withheld}`, {
      ...{ ...error.context, outcome: error.outcome, cause: error.cause },
    });
  }

  #foreign(ask: Ask<unknown>, why: string): RegistryError {
    return new RegistryError("UNAVAILABLE", `${this.place.base}: ${why}`, {
      ...this.context,
      operation: ask.operation,
      outcome: ask.mutates === true ? "unknown" : "temporary",
    });
  }

  #redirected(ask: Ask<unknown>, response: Response): RegistryError {
    const outcome = ask.mutates === true ? ("unknown" as const) : ("final" as const);
    const to = originOf(response.headers.get("location"), this.place.base);
    const what = to === undefined ? "elsewhere" : `to ${to}`;
    return new RegistryError(
      "CONFIG",
      `${this.place.base} redirects ${what}; redirects are not followed: write the location that answers itself`,
      { ...this.context, operation: ask.operation, outcome },
    );
  }

  #broken(ask: Ask<unknown>, cause: unknown, signal: AbortSignal): RegistryError {
    const { operation, mutates } = ask;
    const told = codeOf(cause);
    if (signal.aborted) {
      const error = abortError(signal, operation);
      if (mutates !== true) return error;
      return new RegistryError(error.code, error.message, {
        ...error.context,
        ...this.context,
        outcome: "unknown",
        cause,
      });
    }
    const isUnknown = mutates === true && !NOT_SENT.has(told);
    const why = told === undefined ? "the connection broke" : `the connection failed (${told})`;
    return new RegistryError("UNAVAILABLE", `${this.place.base}: ${why}`, {
      ...this.context,
      operation,
      outcome: isUnknown ? "unknown" : "temporary",
      cause,
    });
  }
}

/** @returns `undefined` for more than may come; the rest of it is not waited for */
async function readAll(body: ReadableStream<Uint8Array> | null): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = body?.getReader();
  for (let next = await reader?.read(); next !== undefined && !next.done; next = await reader?.read()) {
    length += next.value.byteLength;
    if (length > MAX_REPLY) {
      await reader?.cancel().catch(() => {});
      return undefined;
    }
    chunks.push(next.value);
  }
  return Buffer.concat(chunks, length);
}

/** The code of the innermost cause that has one. */
function codeOf(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const { code } = at as { code?: unknown };
    if (typeof code === "string" && /^[A-Z_]{1,40}$/.test(code)) return code;
    const [first] = at instanceof AggregateError ? (at.errors as unknown[]) : [];
    if (first !== undefined) return codeOf(first);
  }
  return undefined;
}

function originOf(location: string | null, base: string): string | undefined {
  try {
    return location === null ? undefined : new URL(location, base).origin;
  } catch {
    return undefined;
  }
}

/** Whether the bytes are those the server sent, as far as it said which these are (RFC 9530). */
function isWhole(headers: Headers, bytes: Buffer): boolean {
  // `fetch` has undone the coding, which the other digest is of.
  const isCoded = headers.get("content-encoding") !== null;
  const told = headers.get("repr-digest") ?? (isCoded ? null : headers.get("content-digest"));
  const digest = told === null ? undefined : /(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):/.exec(told)?.[1];
  return digest === undefined || digest === createHash("sha256").update(bytes).digest("base64");
}

function isProblem(headers: Headers): boolean {
  return (headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase() === PROBLEM_TYPE;
}

function jsonOf(headers: Headers, bytes: Buffer): unknown {
  if (!/json\s*(?:;|$)/i.test(headers.get("content-type") ?? "")) return undefined;
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)) as unknown;
  } catch {
    return undefined;
  }
}
