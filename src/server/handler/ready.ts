import type { PromptName } from "../../names.ts";
import type { Access, ReadyAnswer, RequestInfo } from "../types.ts";
import { type Coding, codingFor, matches } from "./coding.ts";

interface Variant {
  readonly etag: string;
  readonly full: ReadyAnswer;
  readonly head: ReadyAnswer;
  readonly unchanged: ReadyAnswer;
}

interface Entry {
  readonly target: string;
  readonly name: PromptName;
  readonly tag: string;
  readonly until: number;
  readonly variants: Map<Coding, Variant>;
  bytes: number;
}

/** Documents are looked at again within a day, so that a deletion shows. Seconds; also what clients are told. */
export const DOCUMENT_MAX_AGE = 86_400;

function flat(headers: Readonly<Record<string, string>>): readonly string[] {
  return Object.freeze(Object.entries(headers).flat());
}

/**
 * Whole answers of exact versions, each verified once, by request target. The oldest make room. An entry goes when
 * its prompt is heard to have changed, and a day after it was known to be true.
 */
export class ReadyAnswers {
  readonly #entries = new Map<string, Entry>();
  readonly #byName = new Map<PromptName, Set<string>>();
  readonly #maxBytes: number;
  readonly #access: Access;
  #bytes = 0;

  constructor(maxBytes: number, access: Access) {
    this.#maxBytes = maxBytes;
    this.#access = access;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * @param asked the coding that was negotiated; a body that coding does not pay for is the same for all
   * @param headers of the 200, as they were sent
   * @param since when the storage said so; milliseconds since the epoch
   */
  put(
    { target, name, tag, asked }: { target: string; name: PromptName; tag: string; asked: Coding },
    body: Buffer,
    headers: Readonly<Record<string, string>>,
    since = Date.now(),
  ): void {
    const until = since + DOCUMENT_MAX_AGE * 1000;
    if (until <= Date.now()) return;
    if (body.length > this.#maxBytes / 8) return;
    let entry = this.#entries.get(target);
    if (entry !== undefined && entry.tag !== tag) {
      this.#remove(entry);
      entry = undefined;
    }
    if (entry === undefined) {
      entry = { target, name, tag, until, variants: new Map(), bytes: 0 };
      this.#entries.set(target, entry);
      const targets = this.#byName.get(name) ?? new Set();
      targets.add(target);
      this.#byName.set(name, targets);
    }
    if (entry.variants.has(asked)) return;
    const list = flat(headers);
    const { "Content-Length": _, "Content-Encoding": __, "Content-Digest": ___, ...unchanged } = headers;
    entry.variants.set(asked, {
      etag: headers.ETag as string,
      full: Object.freeze({ status: 200, headers: list, body }),
      head: Object.freeze({ status: 200, headers: list, body: undefined }),
      unchanged: Object.freeze({ status: 304, headers: flat(unchanged), body: undefined }),
    });
    // A server may keep it as text, too, to send it faster.
    const size = 2 * body.length + 1000;
    entry.bytes += size;
    this.#bytes += size;
    for (const [, oldest] of this.#entries) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#remove(oldest);
    }
  }

  get(
    method: string,
    target: string,
    headers: { readonly [name: string]: string | string[] | undefined },
    info: RequestInfo,
  ): ReadyAnswer | undefined {
    const entry = this.#entries.get(target);
    if (entry === undefined || (method !== "GET" && method !== "HEAD")) return undefined;
    if (headers["cache-control"] !== undefined || headers.pragma !== undefined || headers.range !== undefined) {
      return undefined;
    }
    if (entry.until < Date.now()) {
      this.#remove(entry);
      return undefined;
    }
    const variant = entry.variants.get(codingFor(headers["accept-encoding"] as string | undefined));
    if (variant === undefined) return undefined;
    const authorization = headers.authorization as string | undefined;
    const principal = this.#access.remembered?.({ authorization, address: info.address });
    if (principal === undefined || !this.#access.allows(principal, "read", { name: entry.name })) return undefined;
    const known = headers["if-none-match"] as string | undefined;
    if (known !== undefined) {
      if (known === variant.etag || matches(known, entry.tag)) return variant.unchanged;
    }
    return method === "HEAD" ? variant.head : variant.full;
  }

  drop(name: PromptName | undefined): void {
    if (name === undefined) {
      this.#entries.clear();
      this.#byName.clear();
      this.#bytes = 0;
      return;
    }
    for (const target of this.#byName.get(name) ?? []) {
      const entry = this.#entries.get(target);
      if (entry !== undefined) this.#remove(entry);
    }
  }

  #remove(entry: Entry): void {
    if (!this.#entries.delete(entry.target)) return;
    this.#bytes -= entry.bytes;
    const targets = this.#byName.get(entry.name);
    targets?.delete(entry.target);
    if (targets?.size === 0) this.#byName.delete(entry.name);
  }
}
