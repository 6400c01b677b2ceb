import type { HistoryEntry } from "../../driver.ts";
import { mergeHistory, publishEntry } from "../../history.ts";
import { parseName } from "../../names.ts";
import { documentOf, headOf, labelEntry, tombstoneOf } from "../builders.ts";
import { ok, outcomeIs, rejects, same } from "./expect.ts";
import { all } from "./hand.ts";
import { type Case, test } from "./types.ts";

const A = parseName("a");
const day = (n: number) => `2026-02-${String(n).padStart(2, "0")}T00:00:00.000Z`;

const minute = (n: number) => new Date(Date.UTC(2026, 2, 1) + n * 60_000).toISOString();

/** Entries as other registries and other years may have written them. */
const ENTRIES = [
  { at: "1999-12-31T23:59:59.999Z", action: "label", label: "production", to: "1.0.0" },
  {
    at: day(1),
    by: "ada",
    action: "label",
    label: "production",
    from: "1.0.0",
    to: "1.1.0",
    message: "go",
    commit: "c1",
  },
  { at: day(2), by: "", action: "unlabel", label: "production", from: "1.1.0", message: "" },
  { at: day(3), action: "rollback", from: "1.1.0", to: "1.0.0", commit: "c2" },
  { at: day(4), action: "unpin", from: "1.0.0", message: "line\r\nline\n" },
  { at: day(5), action: "yank", to: "1.1.0", message: '"quoted" \\ 🙂 \u2028 日本' },
  { at: day(6), action: "unyank", to: "1.1.0", by: "constructor" },
  { at: day(7), action: "deprecate", message: "__proto__", commit: "c3" },
  { at: day(8), action: "undeprecate" },
  { at: day(9), action: "remove", from: "1.1.0", commit: "c4" },
  { at: day(9), action: "restore", to: "1.1.0", commit: "c4" },
  { at: "2999-01-01T00:00:00.000Z", action: "label", label: "constructor", to: "1.0.0" },
] as unknown as readonly HistoryEntry[];

export const history: readonly Case[] = [
  test("I11 entries come back field for field, with the times they were given", async ({ hand, another }) => {
    await hand.putAll("a", ["1.0.0", "1.1.0"]);
    await hand.move("a", {}, ENTRIES);
    for (const view of [hand, await another()]) {
      const entries = (await view.log("a")).filter((e) => e.action !== "publish");
      same(entries, [...ENTRIES].reverse(), "the entries, newest first");
    }
  }),

  test("I11 entries of several heads stay in the order of their writing", async ({ hand }) => {
    await hand.put("a", "1.0.0");
    for (let i = 0; i < ENTRIES.length; i += 2) await hand.move("a", {}, ENTRIES.slice(i, i + 2));
    const entries = (await hand.log("a")).filter((e) => e.action !== "publish");
    same(entries, [...ENTRIES].reverse(), "the entries, newest first");
  }),

  test("I11 a prompt that is not there has no history", async ({ hand }) => {
    await hand.put("a/b", "1.0.0");
    for (const name of ["a", "nobody"]) same(await hand.log(name), [], name);
  }),

  test("I11 publish entries are read off the documents", async ({ hand }) => {
    const documents = [
      documentOf("a", "1.0.0", "one", { at: day(1), by: "ada", message: "first" }),
      documentOf("a", "2.0.0", "two", { at: day(2) }),
      documentOf("a", "1.0.1", "three", { at: "1970-01-01T00:00:00.000Z", by: 'grace: "g"\n' }),
    ];
    for (const document of documents) await hand.done({ name: A, add: [document] });
    same(
      await hand.log("a"),
      [documents[1], documents[0], documents[2]].map((d) => publishEntry(d as (typeof documents)[number])),
      "the history",
    );
  }),

  test("I11 documents and head entries are merged by time, newest first", async ({ hand }) => {
    const documents = [documentOf("a", "1.0.0", "x", { at: day(1) }), documentOf("a", "1.1.0", "x", { at: day(5) })];
    await hand.done({ name: A, add: documents });
    const entries = [2, 3, 8].map((n) => labelEntry("production", "1.0.0", { at: day(n), message: `on day ${n}` }));
    for (const entry of entries) await hand.move("a", {}, [entry]);
    same(await hand.log("a"), mergeHistory(documents, entries), "the history");
  }),

  test("I11 of equal times publishes come first, then what was written first", async ({ hand }) => {
    const document = documentOf("a", "1.0.0", "x", { at: day(1) });
    await hand.done({ name: A, add: [document] });
    const entries = Array.from({ length: 6 }, (_, i) => labelEntry(`l${i}`, "1.0.0", { at: day(1) }));
    await hand.move("a", {}, entries.slice(0, 3));
    await hand.move("a", {}, entries.slice(3));
    // Newest first turns the order of writing round.
    same(await hand.log("a"), [...[...entries].reverse(), publishEntry(document)], "the history");
    same(await hand.log("a", 2), [...[...entries].reverse(), publishEntry(document)], "the history in pages");
  }),

  test("I11 of equal times publishes stand in the order of precedence, not of writing", async ({ hand, another }) => {
    for (const version of ["1.10.0", "2.0.0-rc.1", "1.0.0", "2.0.0", "1.9.0"]) {
      await hand.put("a", version, undefined, { at: day(1) });
    }
    const newestFirst = ["2.0.0", "2.0.0-rc.1", "1.10.0", "1.9.0", "1.0.0"];
    for (const view of [hand, await another()]) {
      for (const limit of [1, 2, 100]) {
        const published = (await view.log("a", limit)).map((e) => e.to);
        same(published, newestFirst, `the versions of one moment, limit ${limit}`);
      }
    }
  }),

  test("I11 a long history stays whole: 300 entries and 120 publishes of one prompt", async ({ hand, another }) => {
    const documents = Array.from({ length: 120 }, (_, i) => documentOf("a", `1.${i}.0`, "x", { at: minute(2 * i) }));
    for (let i = 0; i < documents.length; i += 60) await hand.done({ name: A, add: documents.slice(i, i + 60) });
    const entries = Array.from({ length: 300 }, (_, i) =>
      labelEntry("production", "1.0.0", { at: minute(i), message: `${i}` }),
    );
    // Few heads, so that this costs few requests; what is cut is cut all the same.
    for (let i = 0; i < entries.length; i += 50) await hand.move("a", {}, entries.slice(i, i + 50));
    const expected = mergeHistory(documents, entries);
    for (const view of [hand, await another()]) {
      const log = await view.log("a", 1000);
      same(
        [log.length, log.filter((e) => e.action === "publish").length],
        [420, 120],
        "entries, and publishes of them",
      );
      same(log, expected, "the history");
    }
    same((await hand.log("a", 150)).length, 420, "entries on pages of 150");
  }),

  test("I11 a removed version keeps its publish entry, and a restored one has it once", async ({ hand }) => {
    const document = documentOf("a", "1.0.0", "x", { at: day(1), by: "ada", message: "first" });
    await hand.done({ name: A, add: [document] });
    await hand.done({ name: A, remove: [tombstoneOf(document)] });
    same(await hand.log("a"), [publishEntry(document)], "after the removal");
    await hand.done({ name: A, restore: [document] });
    same(await hand.log("a"), [publishEntry(document)], "after the restore");
  }),

  test("I7 what was refused leaves no entry", async ({ hand }) => {
    await hand.put("a", "1.0.0");
    await hand.move("a", { labels: { production: "1.0.0" } }, [labelEntry("production", "1.0.0")]);
    const before = await hand.log("a");
    const next = headOf({});
    const entries = [labelEntry("refused", "1.0.0")];
    const { revision } = await hand.state("a");
    outcomeIs(
      await hand.one({ name: A, head: { expect: "no such revision", next, entries } }),
      "conflict",
      "a conflict",
    );
    outcomeIs(
      await hand.one({
        name: A,
        add: [documentOf("a", "1.0.0", "other\n")],
        head: { expect: revision, next, entries },
      }),
      "exists",
      "a taken slot",
    );
    same(await hand.log("a"), before, "the history");
  }),

  test("I11 pages of every size give the whole history", async ({ hand, another }) => {
    const documents = Array.from({ length: 7 }, (_, i) => documentOf("a", `1.${i}.0`, "x", { at: day(i + 1) }));
    for (const document of documents) await hand.done({ name: A, add: [document] });
    const entries = Array.from({ length: 14 }, (_, i) =>
      labelEntry("production", "1.0.0", { at: day(1 + i), message: `${i}` }),
    );
    for (let i = 0; i < entries.length; i += 5) await hand.move("a", {}, entries.slice(i, i + 5));
    const expected = mergeHistory(documents, entries);
    for (const view of [hand, await another()]) {
      for (const limit of [1, 2, 3, 20, 21, 22, 1000]) same(await view.log("a", limit), expected, `limit ${limit}`);
    }
    const page = await hand.driver.history(A, { limit: 3 });
    ok(page.items.length <= 3 && page.cursor !== undefined, "a page of three, and more to come");
  }),

  test("I11 entries that arrive meanwhile neither repeat nor hide others", async ({ hand }) => {
    await hand.done({ name: A, add: [documentOf("a", "1.0.0", "x", { at: day(1) })] });
    const entries = Array.from({ length: 10 }, (_, i) =>
      labelEntry("production", "1.0.0", { at: day(2 + i), message: `old ${i}` }),
    );
    await hand.move("a", {}, entries);
    let round = 0;
    const seen = await all(async (cursor) => {
      const page = await hand.driver.history(A, { limit: 2, ...cursor });
      round++;
      ok(round < 50, "the history does not end");
      await hand.move("a", {}, [labelEntry("late", "1.0.0", { at: day(20), message: `late ${round}` })]);
      return page;
    });
    const messages = seen.map((e) => e.message);
    same(
      messages.filter((m) => m?.startsWith("old")),
      [...entries].reverse().map((e) => e.message),
      "the old entries",
    );
    same(
      messages.filter((m) => m?.startsWith("late")),
      [],
      "entries newer than the first page",
    );
    same(seen.length, 11, "how many entries were seen");
  }),

  test("I8 a cursor that no history gave is INVALID", async ({ hand, driver }) => {
    await hand.put("a", "1.0.0");
    for (const cursor of ["", "no cursor at all!", "\u0000", "../../etc", "-1", "🙂"]) {
      await rejects(() => driver.history(A, { limit: 10, cursor }), "INVALID", `the cursor ${JSON.stringify(cursor)}`);
    }
  }),

  test("I11 concurrent changes of the head lose no entry", async ({ hand, another }) => {
    const other = await another();
    await hand.put("a", "1.0.0");
    const writers = Array.from({ length: 6 }, (_, writer) => (writer % 2 === 0 ? hand : other));
    await Promise.all(
      writers.map(async (view, writer) => {
        for (let i = 0; i < 5; i++) {
          for (let tries = 0; ; tries++) {
            ok(tries < 1000, "a writer never gets through");
            const change = await view.headChange("a", {}, [labelEntry(`w${writer}`, "1.0.0", { message: `${i}` })]);
            if ((await view.one(change)).status === "done") break;
            await new Promise((resolve) => setImmediate(resolve));
          }
        }
      }),
    );
    const log = await other.log("a");
    for (let writer = 0; writer < 6; writer++) {
      const messages = log.filter((e) => e.label === `w${writer}`).map((e) => e.message);
      same(messages, ["4", "3", "2", "1", "0"], `the entries of writer ${writer}`);
    }
    same((await hand.state("a")).head.generation, 30, "the generation");
  }),
];
