import type { Cursor } from "../../driver.ts";
import { feedPages } from "../../feed.ts";
import type { PromptName } from "../../names.ts";
import { readable } from "./authorize.ts";
import type { Call } from "./context.ts";
import type { News } from "./feed.ts";

/** Proxies close what is silent. Milliseconds. */
const HEARTBEAT = 15_000;
/** Names that wait for a reader that is slow; beyond them it reads the feed again from where it is. */
const MAX_WAITING = 10_000;

/**
 * The feed as server-sent events: `change` with `{"name": …}`, and the cursor as their id. Who comes back with the last
 * id misses nothing. Before anything is sent the credentials are asked for again; the stream ends where they end, and
 * where the server stops.
 *
 * @param from a cursor; default: from now on
 * @throws RegistryError INVALID for a cursor that is none; UNAVAILABLE, RATE_LIMITED where too many are open
 */
export async function eventStream(call: Call, from: Cursor | undefined): Promise<ReadableStream<Uint8Array>> {
  const { driver, watcher, access, streams } = call.shared;
  const { address, request } = call;
  const leave = streams.enter(call.principal, address);
  let cursor: Cursor;
  try {
    // A cursor that is none is the caller's mistake, to be told before the stream begins.
    const query = from === undefined ? { limit: 1 } : { limit: 1, cursor: from };
    cursor = from ?? ((await driver.changes(query, { signal: request.signal })).cursor as Cursor);
    if (from !== undefined) await driver.changes(query, { signal: request.signal });
  } catch (error) {
    leave();
    throw error;
  }
  const authorization = request.headers.get("authorization") ?? undefined;
  const ended = new AbortController();
  const waiting = new Waiting();
  const unlisten = watcher.listen((news) => waiting.add(news));
  const close = () => {
    unlisten();
    leave();
    ended.abort();
    waiting.add("end");
    request.signal.removeEventListener("abort", close);
  };
  request.signal.addEventListener("abort", close, { once: true });
  const encoder = new TextEncoder();

  /** Names of what changed; `undefined` after a silence. */
  async function* heard(): AsyncGenerator<readonly PromptName[] | undefined> {
    for (let isBehind = true; ; ) {
      if (isBehind) {
        // What was before the watcher's news is read here, to the end; from then on they are enough.
        for await (const page of feedPages((query) => driver.changes(query, { signal: ended.signal }), cursor)) {
          cursor = page.cursor;
          yield page.names;
        }
        isBehind = false;
        continue;
      }
      const news = await waiting.next(HEARTBEAT);
      if (news === "end") return;
      isBehind = news === "gap";
      if (news === "gap") continue;
      cursor = news?.cursor ?? cursor;
      yield news?.names;
    }
  }

  const isOver = () => ended.signal.aborted || watcher.stopped;

  async function* events(): AsyncGenerator<string> {
    yield `retry: 1000\nid: ${cursor}\nevent: ready\ndata: {}\n\n`;
    if (isOver()) return;
    for await (const names of heard()) {
      const credentials = { authorization, address };
      const principal = access.remembered?.(credentials) ?? (await access.authenticate(credentials));
      if (names === undefined) yield ": still here\n\n";
      else {
        const text = changeEvents([...new Set(names)].filter(readable(access, principal)), cursor);
        if (text !== "") yield text;
      }
      if (isOver()) return;
    }
  }

  const source = events();
  return new ReadableStream({
    async pull(controller) {
      try {
        const next = await source.next();
        if (next.done !== true) return controller.enqueue(encoder.encode(next.value));
      } catch {
        // Whoever reads comes back with its last id, and is told then what is wrong.
      }
      close();
      controller.close();
    },
    cancel: close,
  });
}

function changeEvents(names: readonly PromptName[], cursor: Cursor): string {
  return names
    .map((name, i) => {
      // The id stands with the last one: who breaks off before it is told of all of them again.
      const id = i === names.length - 1 ? `id: ${cursor}\n` : "";
      return `${id}event: change\ndata: ${JSON.stringify({ name })}\n\n`;
    })
    .join("");
}

/** News that the reader has not come to yet. */
class Waiting {
  #news: News[] = [];
  #names = 0;
  #wake: (() => void) | undefined;

  add(news: News): void {
    if (news === "end" || news === "gap") this.#news = [news];
    else {
      this.#news.push(news);
      this.#names += news.names.length;
      if (this.#names > MAX_WAITING) this.#news = ["gap"];
    }
    if (this.#news.length === 1 && typeof this.#news[0] === "string") this.#names = 0;
    this.#wake?.();
  }

  /** `undefined` after so many milliseconds of silence. */
  async next(silence: number): Promise<News | undefined> {
    if (this.#news.length === 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, silence).unref();
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    const news = this.#news.shift();
    if (news !== undefined && typeof news !== "string") this.#names -= news.names.length;
    return news;
  }
}
