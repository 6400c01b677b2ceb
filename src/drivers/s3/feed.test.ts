import { describe, expect, it } from "vitest";
import { changes } from "./feed.ts";
import { layout } from "./keys.ts";
import type { S3Store } from "./store.ts";

const keys = layout("");

function storeOf(names: readonly string[], modified: number): S3Store {
  const objects = names.map((name) => ({ key: keys.head(name as never), etag: `"${name}"`, modified, size: 1 }));
  return { list: async () => ({ objects, more: false, now: modified }) } as unknown as S3Store;
}

describe("the feed of a bucket", () => {
  it("its cursors name no prompt, also where many heads bear one time", async () => {
    const time = 1_000_000_000_000;
    const names = ["secret/merger-acme", "secret/zzz", "team/a"];
    let { cursor } = await changes(storeOf([], time - 3_600_000), keys, { limit: 1 }, undefined);
    const told: string[] = [];
    for (let page = 0; page < 10; page++) {
      const next = await changes(storeOf(names, time), keys, { limit: 1, cursor: cursor as string }, undefined);
      told.push(...next.items.map(({ name }) => name));
      cursor = next.cursor;
      expect(cursor).not.toMatch(/secret|merger|zzz|team/);
      if (next.items.length === 0) break;
    }
    expect(told.sort()).toEqual(names);
  });
});
