import { describe, expect, it } from "vitest";
import { changes, Feed } from "./feed.ts";
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
    let { cursor } = (await changes(storeOf([], time - 3_600_000), keys, { limit: 1 }, undefined)).page;
    const told: string[] = [];
    for (let page = 0; page < 10; page++) {
      const { page: next } = await changes(storeOf(names, time), keys, { limit: 1, cursor }, undefined);
      told.push(...next.items.map(({ name }) => name));
      cursor = next.cursor;
      expect(cursor).not.toMatch(/secret|merger|zzz|team/);
      if (next.items.length === 0) break;
    }
    expect(told.sort()).toEqual(names);
  });

  it("of many prompts is listed less often while nothing happens, and never while there is more to tell", async () => {
    const time = Date.parse("2026-11-24T00:00:00Z");
    const heads = Array.from({ length: 12_000 }, (_, i) => ({
      name: `p${String(i).padStart(5, "0")}`,
      modified: time,
    }));
    let lists = 0;
    const list = async ({ after = "" }: { after?: string }) => {
      lists++;
      const rest = heads.filter(({ name }) => keys.head(name as never) > after);
      const objects = rest
        .slice(0, 1000)
        .map(({ name, modified }) => ({ key: keys.head(name as never), etag: `"${modified}"`, modified }));
      return { objects, more: rest.length > 1000, now: time + 3_600_000 };
    };
    const feedOf = (feedInterval?: number) => new Feed({ list, options: { feedInterval } } as unknown as S3Store, keys);
    const poll = async (feed: Feed, cursor: string, op = {}) => {
      lists = 0;
      const page = await feed.changes({ cursor, limit: 2 }, op);
      return { names: page.items.map(({ name }) => name), cursor: page.cursor as string, lists };
    };
    const feed = feedOf();
    const { cursor } = (await feed.changes({ limit: 2 }, undefined)) as { cursor: string };
    // Where the feed stands is told by its beginning.
    expect(lists).toBe(10);
    expect(await poll(feed, cursor)).toMatchObject({ names: [], cursor, lists: 12 });
    expect(await poll(feed, cursor)).toMatchObject({ names: [], cursor, lists: 0 });
    expect(await poll(feed, cursor, { fresh: true })).toMatchObject({ names: [], lists: 12 });
    for (const i of [1, 2, 3]) heads[i] = { name: `p0000${i}`, modified: time + 3_500_000 };
    // Half of it is told, and the rest at once.
    feed.wake();
    const first = await poll(feed, cursor);
    expect(first).toMatchObject({ names: { length: 2 }, lists: 12 });
    const second = await poll(feed, first.cursor);
    expect(second).toMatchObject({ names: { length: 1 }, lists: 12 });
    expect(await poll(feed, second.cursor)).toMatchObject({ names: [], lists: 0 });
    feed.wake();
    expect(await poll(feed, second.cursor)).toMatchObject({ names: [], lists: 12 });
    const eager = feedOf(0);
    expect(await poll(eager, second.cursor)).toMatchObject({ lists: 12 });
    expect(await poll(eager, second.cursor)).toMatchObject({ lists: 12 });
  });

  it("tells where it stands by the beginning of a long list, and loses nothing that came since or was on its way", async () => {
    const now = Date.parse("2026-11-24T00:00:00Z");
    const heads = Array.from({ length: 12_000 }, (_, i) => ({
      name: `p${String(i).padStart(5, "0")}`,
      modified: now - 3_600_000,
    }));
    const at = (i: number, modified: number) => {
      heads[i] = { name: `p${i}`, modified };
    };
    let clock: number | undefined = now;
    let lists = 0;
    const list = async ({ after = "" }: { after?: string }) => {
      lists++;
      const rest = heads.filter(({ name }) => keys.head(name as never) > after);
      const objects = rest
        .slice(0, 1000)
        .map(({ name, modified }) => ({ key: keys.head(name as never), etag: `"${modified}"`, modified }));
      return { objects, more: rest.length > 1000, now: clock };
    };
    const store = { list, options: {} } as unknown as S3Store;
    at(11_000, now - 30_000);
    const { page } = await changes(store, keys, { limit: 10 }, undefined);
    expect(lists).toBe(10);
    clock = now + 60_000;
    // One that was being written when the cursor was made, and one from after it, in the part that was not listed.
    at(11_001, now - 1000);
    at(11_002, now + 1000);
    const told = await changes(store, keys, { limit: 10, cursor: page.cursor }, undefined);
    expect(told.page.items.map(({ name }) => name)).toEqual(["p11000", "p11001", "p11002"]);
    expect((await changes(store, keys, { limit: 10, cursor: told.page.cursor }, undefined)).page.items).toEqual([]);
    // Without a clock only the heads themselves tell the time.
    clock = undefined;
    lists = 0;
    await changes(store, keys, { limit: 10 }, undefined);
    expect(lists).toBe(12);
  });
});
