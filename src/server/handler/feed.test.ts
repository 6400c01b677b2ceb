import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import type { StorageDriver } from "../../driver.ts";
import { memory } from "../../drivers/memory.ts";
import { PromptRegistry } from "../../registry.ts";
import { type News, Watcher } from "./feed.ts";

/** A storage that has to list all it holds to say what has changed, and says at once where its feed stands. */
function slowly(driver: StorageDriver, milliseconds: number): { driver: StorageDriver; ended: () => number } {
  let ended = 0;
  return {
    ended: () => ended,
    driver: {
      ...driver,
      async changes(query, op) {
        if (query.cursor !== undefined) {
          await sleep(milliseconds, undefined, op?.signal === undefined ? {} : { signal: op.signal });
          ended++;
        }
        return await driver.changes(query, op);
      },
    },
  };
}

it("a feed that takes longer than it has at first is heard all the same, and is not begun anew each time", async () => {
  const store = memory();
  const { driver, ended } = slowly(store, 300);
  const watcher = new Watcher(driver, 5, () => {}, 40);
  const heard: News[] = [];
  const registry = new PromptRegistry(store);
  let stored = 0;
  const end = watcher.listen((news) => heard.push(news));
  const has = (name: string) => heard.some((news) => typeof news === "object" && news.names.some((n) => n === name));
  for (const name of ["first", "second"]) {
    for (let i = 0; i < 600 && !has(name); i++) {
      // Again and again, as what came before a gap is not told.
      if (i % 60 === 0) await registry.storePrompt({ name, version: `1.0.${stored++}`, text: name });
      await sleep(10);
    }
    expect(has(name), `${ended()} answers`).toBe(true);
  }
  expect(watcher.vouches()).toBe(true);
  end();
  watcher.stop();
});

it("one that never answers is not believed, however long it is waited for", async () => {
  const store = memory();
  let asked = 0;
  const driver: StorageDriver = {
    ...store,
    changes: (query, op) => (query.cursor === undefined ? store.changes(query, op) : new Promise(() => asked++)),
  };
  const watcher = new Watcher(driver, 5, () => {}, 20);
  watcher.listen(() => {});
  for (let i = 0; i < 300 && asked < 4; i++) await sleep(10);
  // 20, 40, 80 ms: each is given up.
  expect(asked).toBeGreaterThanOrEqual(4);
  watcher.stop();
});
