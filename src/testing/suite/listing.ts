import { parseName } from "../../names.ts";
import { documentOf } from "../builders.ts";
import { createRandom } from "../random.ts";
import { answerIs, isOneOf, ok, rejects, same } from "./expect.ts";
import { all, during, type Hand } from "./hand.ts";
import { type Case, test } from "./types.ts";

// In byte order: "-" (2d) and "." (2e) come before "/" (2f), digits, "_" (5f) and letters.
const ORDER = [
  "a",
  "a-b",
  "a-b/c",
  "a.b",
  "a.b/c",
  "a/b",
  "a/b-c",
  "a/b.c",
  "a/b/c",
  "a/b0",
  "a/b_c",
  "a0",
  "a_b",
  "aa",
  "b",
  "b/a",
  "z",
];

async function put(hand: Hand, names: readonly string[]): Promise<void> {
  for (const name of createRandom(3).shuffle(names)) await hand.put(name, "1.0.0");
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `list/p${String(i).padStart(4, "0")}`);

export const listing: readonly Case[] = [
  test("I8 an empty storage lists nothing", async ({ hand }) => {
    same(await hand.driver.listPrompts({ limit: 10 }), { items: [] }, "the page");
    same(await hand.names({ prefix: "a", includeRemoved: true, include: "heads" }), [], "the names");
  }),

  test("I8 names come in byte order, on pages of every size", async ({ hand, another }) => {
    await put(hand, ORDER);
    for (const view of [hand, await another()]) {
      for (const limit of [1, 2, 3, 5, ORDER.length - 1, ORDER.length, ORDER.length + 1, 1000]) {
        same(await view.names({ limit }), ORDER, `the names with limit ${limit}`);
      }
    }
  }),

  test("I8 a page has at most as many names as asked for, and the last one has no cursor", async ({ hand }) => {
    await put(hand, ORDER);
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page = await hand.driver.listPrompts({ limit: 4, ...(cursor === undefined ? {} : { cursor }) });
      ok(page.items.length <= 4, `a page has ${page.items.length} names; at most 4 were asked for`);
      ok(page.cursor === undefined || page.cursor !== cursor, "a page must not lead to itself");
      cursor = page.cursor;
    } while (cursor !== undefined && ++pages < 100);
    ok(pages < 100, "the list does not end");
  }),

  test("I8 a prefix is compared as bytes, on pages of every size", async ({ hand }) => {
    await put(hand, ORDER);
    const prefixes = [
      "",
      "a",
      "a-",
      "a.",
      "a/",
      "a/b",
      "a/b/",
      "a/b/c",
      "a0",
      "b",
      "z",
      "zz",
      "c",
      "a/z",
      "a-b/c",
      "0",
      "__proto__",
      "a/b/c/d",
    ];
    for (const prefix of prefixes) {
      const expected = ORDER.filter((name) => name.startsWith(prefix));
      for (const limit of [1, 2, 100])
        same(await hand.names({ prefix, limit }), expected, `prefix ${prefix}, limit ${limit}`);
    }
  }),

  test("I8 no character of a prefix stands for others: it is neither a pattern nor folded", async ({ hand }) => {
    const names = ["a-b", "a.b", "a0b/c", "a_b", "a_b/c", "a_c", "ab", "ab/a_b"];
    await put(hand, names);
    for (const prefix of ["_", "__", "a_", "a_b", "a_b/", "a_b/_", "ab/a_", "ab_", "a.", "a.b", ".", "a-", "-"]) {
      const expected = names.filter((name) => name.startsWith(prefix));
      for (const limit of [1, 100]) {
        same(await hand.names({ prefix, limit }), expected, `prefix ${prefix}, limit ${limit}`);
      }
    }
    for (const prefix of ["%", "a%", "a_%", "%b", "*", "a*", "a?b", "[a]", "a\\_", "^a", "A", "A_B", "'", '"', " "]) {
      const what = `the prefix ${JSON.stringify(prefix)}, which no name has`;
      const found = await hand.names({ prefix }).catch((error: unknown) => isOneOf(error, "INVALID", what));
      if (!(found instanceof Error)) same(found, [], what);
    }
  }),

  test("I8 a cursor is a place in the order: names that come and go meanwhile neither repeat nor hide others", async ({
    hand,
  }) => {
    const names = Array.from({ length: 20 }, (_, i) => `p${String(i * 2).padStart(2, "0")}`);
    await put(hand, names);
    const seen: string[] = [];
    let cursor: string | undefined;
    for (let pages = 0; pages < 100; pages++) {
      const page = await hand.driver.listPrompts({ limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      seen.push(...page.items.map((e) => e.name));
      cursor = page.cursor;
      if (cursor === undefined) break;
      const last = seen.at(-1) ?? "p00";
      // Two before the cursor, one at the end; and the name of the cursor itself goes away.
      for (const before of ["a", "b"]) await hand.put(`${last}-before`.replace(/^p/, before), "1.0.0");
      await hand.put(`p39-late-${pages}`, "1.0.0");
      await hand.remove(last, documentOf(last, "1.0.0"));
    }
    ok(cursor === undefined, "the list does not end");
    same(new Set(seen).size, seen.length, "how many different names were seen");
    same(
      seen.filter((name) => names.includes(name)),
      names,
      "names that were there from the start",
    );
    same([...seen].sort(), seen, "the order");
    ok(seen.includes("p39-late-0"), "a name that came after the cursor must be seen");
  }),

  test("I8 limits of 1 and of 1000 both work", async ({ hand, driver }) => {
    const names = numbered(130);
    const size = Math.min(65, driver.capabilities.maxBatch);
    for (let i = 0; i < names.length; i += size) {
      await hand.commit(
        names.slice(i, i + size).map((name) => ({ name: parseName(name), add: [documentOf(name, "1.0.0")] })),
      );
    }
    same(await hand.names({ limit: 1000 }), names, "limit 1000");
    same(await hand.names({ limit: 1 }), names, "limit 1");
    const page = await hand.driver.listPrompts({ limit: 1 });
    same(page.items.length <= 1, true, "a page of one");
  }),

  test("I8 a cursor that no list gave is INVALID", async ({ hand, driver }) => {
    await put(hand, ORDER);
    for (const cursor of ["", "no cursor at all!", "\u0000", "../../etc", "🙂"]) {
      await rejects(() => driver.listPrompts({ limit: 10, cursor }), "INVALID", `the cursor ${JSON.stringify(cursor)}`);
    }
  }),

  test("I8 a cursor works on every handle to the same storage", async ({ hand, another }) => {
    await put(hand, ORDER);
    const other = await another();
    const first = await hand.driver.listPrompts({ limit: 5 });
    ok(first.cursor !== undefined, "there must be a second page");
    const cursor = first.cursor;
    const rest = await all((next) => other.driver.listPrompts({ limit: 4, cursor, ...next }));
    same(
      [...first.items, ...rest].map((e) => e.name),
      ORDER,
      "the names of both handles",
    );
  }),

  test("I2 removed prompts are listed only with includeRemoved, and marked", async ({ hand }) => {
    await put(hand, ["a", "b", "c"]);
    await hand.put("b", "1.1.0");
    for (const [name, version] of [
      ["a", "1.0.0"],
      ["b", "1.0.0"],
    ] as const) {
      await hand.remove(name, documentOf(name, version));
    }
    for (const limit of [1, 100]) {
      same(await hand.names({ limit }), ["b", "c"], "the names");
      const entries = await hand.prompts({ includeRemoved: true, limit });
      same(
        entries.map((e) => [e.name, e.removed]),
        [
          ["a", true],
          ["b", undefined],
          ["c", undefined],
        ],
        "with removed ones",
      );
      same(await hand.names({ includeRemoved: true, prefix: "a", limit }), ["a"], "with removed ones and a prefix");
    }
  }),

  test("I2 a prompt that has a head only is listed with includeRemoved only, and marked", async ({ hand }) => {
    await put(hand, ["a", "c"]);
    await hand.move("b", { deprecated: { at: "2026-01-01T00:00:00.000Z", message: "soon" } });
    same(await hand.names(), ["a", "c"], "the names");
    for (const limit of [1, 100]) {
      const entries = await hand.prompts({ includeRemoved: true, include: "heads", limit });
      same(
        entries.map((e) => [e.name, e.removed, e.head?.head.deprecated?.message]),
        [
          ["a", undefined, undefined],
          ["b", true, "soon"],
          ["c", undefined, undefined],
        ],
        "with removed ones",
      );
      same(await hand.names({ includeRemoved: true, limit }), ["a", "b", "c"], "their names");
    }
  }),

  test("I4 include heads: every entry has its head, the same that a head ask gets", async ({ hand }) => {
    await put(hand, ["a", "b", "c"]);
    await hand.put("b", "2.0.0");
    await hand.move("b", { labels: { production: "1.0.0" }, yanked: { "2.0.0": { at: "2026-01-01T00:00:00.000Z" } } });
    for (const limit of [1, 100]) {
      for (const { name, head } of await hand.prompts({ include: "heads", limit })) {
        same(head, await hand.state(name), `the head of ${name}`);
      }
    }
  }),

  test("I4 every prompt that is listed can be read, while others are published and removed", async ({
    hand,
    another,
  }) => {
    const other = await another();
    const stay = numbered(5);
    await put(hand, stay);
    const write = async () => {
      for (let i = 0; i < 15; i++) {
        const document = await other.put(`list/q${i}`, "1.0.0");
        await other.remove(`list/q${i}`, document);
      }
    };
    await during(write, async () => {
      const names = await hand.names({ limit: 3 });
      const stayed = names.filter((name) => name.startsWith("list/p"));
      same(stayed, stay, "the prompts that stay");
      for (const name of names) ok((await hand.ask(name, "head")).status === "head", `${name} is listed and not there`);
    });
    same(await hand.names(), stay, "in the end");
    for (const name of stay) answerIs(await hand.ask(name, "latest"), "found", name);
  }),
];
