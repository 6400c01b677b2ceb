import { parseName } from "../../names.ts";
import { documentOf, tombstoneOf } from "../builders.ts";
import { ok, rejects, same } from "./expect.ts";
import { during } from "./hand.ts";
import { type Case, test } from "./types.ts";

const A = parseName("a");

export const feed: readonly Case[] = [
  test("I6 without a cursor the feed gives an empty page and the cursor of now", async ({ hand }) => {
    const first = await hand.now();
    same((await hand.since(first)).names, [], "nothing happened yet");
    await hand.put("a", "1.0.0");
    const second = await hand.now();
    // What happened just before may be told again; what never happened may not.
    same(
      [...new Set((await hand.since(second)).names)].filter((name) => name !== "a"),
      [],
      "what never happened",
    );
    ok((await hand.since(first)).names.includes("a"), "what happened after the first cursor");
  }),

  test("I6 every kind of change is an event, also one that came by another handle", async ({ hand, another }) => {
    const other = await another();
    const document = documentOf("a", "1.0.0");
    const steps: readonly (readonly [string, () => Promise<unknown>])[] = [
      ["publish", () => other.done({ name: A, add: [document] })],
      ["another version", () => hand.put("a", "1.1.0")],
      ["a head", () => other.move("a", { labels: { production: "1.0.0" } })],
      ["an empty head", () => hand.move("a", {})],
      [
        "a guarded publish",
        async () => other.done({ name: A, add: [documentOf("a", "1.2.0")], guard: (await other.state("a")).revision }),
      ],
      ["a tombstone", () => other.done({ name: A, remove: [tombstoneOf(document)] })],
      ["a restore", () => hand.done({ name: A, restore: [document] })],
    ];
    for (const [what, step] of steps) {
      const cursor = await hand.now();
      await step();
      same([...new Set((await hand.since(cursor)).names)], ["a"], what);
    }
  }),

  test("I6 a cursor may be used again, and by another handle: its events don't go away", async ({ hand, another }) => {
    const other = await another();
    const start = await hand.now();
    for (const name of ["a", "b", "c"]) await hand.put(name, "1.0.0");
    for (const view of [hand, other, hand]) {
      same([...new Set((await view.since(start)).names)].sort(), ["a", "b", "c"], "the events since the start");
    }
  }),

  test("I6 pages of every size give every event", async ({ hand }) => {
    const start = await hand.now();
    const names = Array.from({ length: 15 }, (_, i) => `p${String(i).padStart(2, "0")}`);
    for (const name of names) await hand.put(name, "1.0.0");
    for (const limit of [1, 2, 7, 1000]) {
      same([...new Set((await hand.since(start, limit)).names)].sort(), names, `limit ${limit}`);
    }
  }),

  test("I6 every prompt of a large commit is an event, on small pages too", async ({ hand, driver }) => {
    const start = await hand.now();
    const size = Math.min(30, driver.capabilities.maxBatch);
    const names = Array.from({ length: size }, (_, i) => `p${String(i).padStart(2, "0")}`);
    await hand.commit(names.map((name) => ({ name: parseName(name), add: [documentOf(name, "1.0.0")] })));
    for (const limit of [4, 1000])
      same([...new Set((await hand.since(start, limit)).names)].sort(), names, `limit ${limit}`);
  }),

  test("I6 no event is lost between cursors while several handles write", async ({ hand, another }) => {
    const other = await another();
    const start = await hand.now();
    const written: string[] = [];
    const write = async (writer: number) => {
      for (let i = 0; i < 12; i++) {
        const name = `feed/w${writer}-${i}`;
        await (writer % 2 === 0 ? hand : other).put(name, "1.0.0");
        written.push(name);
      }
    };
    const seen = new Set<string>();
    let cursor = start;
    await during(
      () => Promise.all([0, 1, 2, 3].map(write)),
      async () => {
        const page = await other.driver.changes({ cursor, limit: 3 });
        ok(page.cursor !== undefined, "every page of the feed must have a cursor");
        for (const { name } of page.items) seen.add(name);
        cursor = page.cursor;
      },
    );
    for (const name of (await other.since(cursor)).names) seen.add(name);
    same([...seen].sort(), [...written].sort(), "the names that were seen");
    same([...new Set((await hand.since(start)).names)].sort(), [...written].sort(), "the names since the start");
  }),

  test("I6 what an event says can be read when it is seen", async ({ hand, another }) => {
    const other = await another();
    let cursor = await other.now();
    for (let i = 0; i < 10; i++) {
      await hand.put("a", `1.${i}.0`);
      const next = await other.since(cursor);
      ok(next.names.includes("a"), "the event");
      same((await other.found("a", "latest")).document.version, `1.${i}.0`, "latest, read after the event");
      cursor = next.cursor;
    }
  }),

  test("I8 a cursor that no feed gave is INVALID", async ({ hand, driver }) => {
    await hand.put("a", "1.0.0");
    for (const cursor of ["", "no cursor at all!", "\u0000", "../../etc", "🙂"]) {
      await rejects(() => driver.changes({ cursor, limit: 10 }), "INVALID", `the cursor ${JSON.stringify(cursor)}`);
    }
  }),
];
