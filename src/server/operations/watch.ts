import type { Cursor } from "../../driver.ts";
import { feedPages, refusesCursor } from "../../feed.ts";
import type { PromptName } from "../../names.ts";
import type { PromptRegistry } from "../../registry.ts";

export interface WatchOptions {
  /** Milliseconds between two looks at the feed. Default 500, or 2000 between its calls where the storage calls. */
  readonly poll?: number;
  /** Told of names that may have changed; `undefined`: any may have. */
  readonly changed?: (names: readonly PromptName[] | undefined) => void;
  /** Told when a look fails, and when one succeeds again. */
  readonly trouble?: (error: unknown) => void;
}

/** Where each look is a request, which costs money, a quota, or another server's time. */
export const REQUESTS: ReadonlySet<string> = new Set(["s3", "github", "http"]);
export const POLL_BY_REQUESTS = 5000;

/** Milliseconds between two looks at the feed where nobody says otherwise; `undefined`: looks cost nothing to speak of. */
export function pollOf(registry: PromptRegistry): number | undefined {
  return REQUESTS.has(registry.driver.kind) ? POLL_BY_REQUESTS : undefined;
}

const POLL = 500;
const POLL_WHEN_CALLED = 2000;
const LISTEN_AGAIN = 5000;

type Listen = (handler: (names: readonly string[] | undefined) => void) => Promise<() => Promise<void>>;

/** PostgreSQL calls when something was committed; see its driver. */
function listenOf(registry: PromptRegistry): Listen | undefined {
  const native = registry.driver.native as { readonly listen?: unknown } | null | undefined;
  return typeof native?.listen === "function" ? (native.listen.bind(native) as Listen) : undefined;
}

/**
 * Follows the change feed through the registry, which ends what its cache remembers of the names that come by. So a change
 * made through another server on the same storage is seen here after `poll` at the latest, and where the storage calls,
 * at once. Looks are never lost: a call only brings the next one forward.
 *
 * The handler's own `Watcher` is another one on purpose. That one vouches for what lies ready, so it looks often, only while
 * somebody asks, and gives its place up when the feed is silent; this one never rests and never gives its place up, as the
 * cache must hear of every name, outage or not.
 */
export function watchChanges(registry: PromptRegistry, options: WatchOptions = {}): { stop(): Promise<void> } {
  const { changed, trouble } = options;
  const controller = new AbortController();
  const listen = listenOf(registry);
  let called = false;
  let cursor: Cursor | undefined;
  let isFirst = true;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let stopListening: (() => Promise<void>) | undefined;
  let listening: Promise<void> | undefined;

  async function look(): Promise<void> {
    const { signal } = controller;
    if (cursor === undefined) {
      cursor = (await registry.changes({ limit: 1, signal })).cursor;
      // Between the last cursor and this first one nobody watched.
      if (!isFirst) changed?.(undefined);
      isFirst = false;
      return;
    }
    for await (const page of feedPages((query) => registry.changes({ ...query, signal }), cursor)) {
      cursor = page.cursor;
      if (page.names.length > 0) changed?.(page.names);
      if (signal.aborted) return;
    }
  }

  async function run(): Promise<void> {
    do {
      again = false;
      try {
        await look();
        trouble?.(undefined);
      } catch (error) {
        if (controller.signal.aborted) return;
        if (refusesCursor(error)) cursor = undefined;
        trouble?.(error);
      }
    } while (again && !controller.signal.aborted);
  }

  function wake(): void {
    clearTimeout(timer);
    if (controller.signal.aborted) return;
    if (running !== undefined) {
      again = true;
      return;
    }
    running = run().finally(() => {
      running = undefined;
      if (controller.signal.aborted) return;
      timer = setTimeout(wake, options.poll ?? (called ? POLL_WHEN_CALLED : POLL)).unref();
    });
  }

  async function startListening(call: Listen): Promise<void> {
    try {
      const stop = await call(() => wake());
      if (controller.signal.aborted) return await stop();
      stopListening = stop;
      called = true;
      wake();
    } catch {
      // Until it works, the feed is looked at as often as without.
      if (controller.signal.aborted) return;
      setTimeout(() => {
        if (!controller.signal.aborted) listening = startListening(call);
      }, LISTEN_AGAIN).unref();
    }
  }

  wake();
  if (listen !== undefined) listening = startListening(listen);
  return {
    async stop() {
      controller.abort();
      clearTimeout(timer);
      await listening;
      await stopListening?.().catch(() => {});
      await running;
    },
  };
}
