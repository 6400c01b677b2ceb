import type { Cursor } from "../../driver.ts";
import { StatusError } from "../protocol/problem.ts";
import { readable } from "./authorize.ts";
import type { Call } from "./context.ts";

const LIMIT = 1000;
/** Proxies close what is silent. Milliseconds. */
const HEARTBEAT = 15_000;
/** How often it is asked again whether the credentials still hold. Milliseconds. */
const RECHECK = 60_000;

let open = 0;

/**
 * The feed as server-sent events: `change` with `{"name": …}`, and the cursor as their id. Who comes back with the last
 * id misses nothing. Ends where the credentials end, and where the server stops.
 *
 * @param from a cursor; default: from now on
 */
export async function eventStream(call: Call, from: Cursor | undefined): Promise<ReadableStream<Uint8Array>> {
  const { driver, watcher, access, options } = call.shared;
  if (open >= (options.maxStreams ?? 1000)) {
    throw new StatusError(503, "UNAVAILABLE", "too many event streams are open; try again later", {
      retryAfter: 10_000,
    });
  }
  const authorization = call.request.headers.get("authorization") ?? undefined;
  const ended = new AbortController();
  const end = () => ended.abort();
  call.request.signal.addEventListener("abort", end, { once: true });
  // A cursor that is none is the caller's mistake, to be told before the stream begins.
  let cursor = (await driver.changes(from === undefined ? { limit: 1 } : { limit: 1, cursor: from })).cursor;
  if (from !== undefined) cursor = from;
  let principal = call.principal;
  let checked = Date.now();
  open++;
  const encoder = new TextEncoder();

  async function* events(): AsyncGenerator<string> {
    yield `retry: 1000\nid: ${cursor}\nevent: ready\ndata: {}\n\n`;
    while (!ended.signal.aborted && !watcher.stopped) {
      if (Date.now() - checked > RECHECK) {
        principal = await access.authenticate({ authorization, address: call.address });
        checked = Date.now();
      }
      const heard = watcher.wait(ended.signal, HEARTBEAT);
      const page = await driver.changes({ limit: LIMIT, ...(cursor === undefined ? {} : { cursor }) });
      const isReadable = readable(access, principal);
      const names = [...new Set(page.items.map(({ name }) => name))].filter(isReadable);
      const moved = page.cursor !== cursor;
      cursor = page.cursor;
      if (names.length > 0) {
        yield names
          .map((name, i) => {
            // The id stands with the last one: who breaks off before it is told of all of them again.
            const id = i === names.length - 1 ? `id: ${cursor}\n` : "";
            return `${id}event: change\ndata: ${JSON.stringify({ name })}\n\n`;
          })
          .join("");
      }
      if (moved && page.items.length > 0) continue;
      if ((await heard) === "silence") yield ": still here\n\n";
    }
  }

  const source = events();
  let closed = false;
  const close = () => {
    if (closed) return;
    closed = true;
    open--;
    ended.abort();
    call.request.signal.removeEventListener("abort", end);
  };
  return new ReadableStream({
    async pull(controller) {
      try {
        const next = await source.next();
        if (next.done === true) {
          close();
          controller.close();
        } else controller.enqueue(encoder.encode(next.value));
      } catch {
        // Whoever reads comes back with its last id, and is told then what is wrong.
        close();
        controller.close();
      }
    },
    cancel() {
      close();
    },
  });
}
