import type { Cursor, StorageDriver } from "../../driver.ts";
import { feedPages, refusesCursor } from "../../feed.ts";
import type { PromptName } from "../../names.ts";

/**
 * Looks at the change feed every `interval` milliseconds, without keeping the process alive. An outage is waited out: the
 * cursor stays, and nothing is lost. Where the cursor is refused, everything may have changed.
 */
export function followFeed(
  inner: StorageDriver,
  interval: number,
  changed: (name: PromptName) => void,
  changedAll: () => void,
): { stop(): void } {
  const controller = new AbortController();
  const { signal } = controller;
  let cursor: Cursor | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isFirst = true;

  async function look(): Promise<void> {
    try {
      if (cursor === undefined) {
        const now = await inner.changes({ limit: 1 }, { signal });
        if (signal.aborted) return;
        cursor = now.cursor;
        // Between the first answers and this first cursor nobody watched.
        if (!isFirst) changedAll();
        isFirst = false;
        return;
      }
      for await (const page of feedPages((query) => inner.changes(query, { signal }), cursor)) {
        if (signal.aborted) return;
        for (const name of page.names) changed(name);
        cursor = page.cursor;
      }
    } catch (error) {
      if (refusesCursor(error)) cursor = undefined;
    }
  }

  async function run(): Promise<void> {
    await look();
    if (!signal.aborted) schedule(interval);
  }

  function schedule(ms: number): void {
    timer = setTimeout(() => void run(), ms).unref();
  }

  schedule(0);
  return {
    stop() {
      clearTimeout(timer);
      controller.abort();
    },
  };
}
