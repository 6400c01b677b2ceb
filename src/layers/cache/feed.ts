import type { Cursor, Page, StorageDriver } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";

const LIMIT = 1000;

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
  let cursor: Cursor | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isFirst = true;

  async function look(): Promise<void> {
    try {
      for (let empty = 0; ; ) {
        const query = cursor === undefined ? { limit: LIMIT } : { limit: LIMIT, cursor };
        const page: Page<{ readonly name: PromptName }> = await inner.changes(query, { signal: controller.signal });
        if (controller.signal.aborted) return;
        const started = cursor === undefined;
        for (const { name } of page.items) changed(name);
        empty = page.items.length === 0 ? empty + 1 : 0;
        // An empty page need not be the end; one that leads to itself is.
        const isEnd = page.cursor === cursor || empty >= 3;
        cursor = page.cursor;
        // Between the first answers and this first cursor nobody watched.
        if (started && !isFirst) changedAll();
        isFirst = false;
        if (started || isEnd) return;
      }
    } catch (error) {
      if (isRegistryError(error, "INVALID") || isRegistryError(error, "HISTORY_REWRITTEN")) cursor = undefined;
    }
  }

  async function run(): Promise<void> {
    await look();
    if (!controller.signal.aborted) schedule(interval);
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
