import { parseName } from "../../names.ts";
import { documentOf } from "../builders.ts";
import { createRandom } from "../random.ts";
import { ok, rejects, same } from "./expect.ts";
import { all } from "./hand.ts";
import { type Case, test } from "./types.ts";

// Descending precedence; the prereleases are the example of SemVer 2.0.0, §11.
const ORDER = [
  ...["10.0.0", "9.0.0", "2.9007199254740991.0", "2.1000.0", "2.999.9", "2.11.0", "2.2.0", "2.0.0"],
  ...["1.0.0", "1.0.0-rc.1", "1.0.0-beta.11", "1.0.0-beta.2", "1.0.0-beta", "1.0.0-alpha.beta", "1.0.0-alpha.1"],
  ...[
    "1.0.0-alpha",
    "1.0.0-a-b",
    "1.0.0-a.b",
    "1.0.0-a",
    "1.0.0--",
    "1.0.0-11",
    "1.0.0-2.1",
    "1.0.0-2",
    "0.0.1",
    "0.0.0",
  ],
];
// Ascending, of 10 to 16 digits up to 2^53 - 1: what pads to some width, or counts in 32 bits, takes one for another.
const BIG = [
  ...["2147483648", "4294967296", "9999999999", "10000000000", "99999999999", "100000000000", "9999999999999"],
  ...["10000000000000", "999999999999999", "1000000000000000", "9007199254740990", "9007199254740991"],
];
const A = parseName("a");
const YANKED_AT = "2026-01-01T00:00:00.000Z";

export const versions: readonly Case[] = [
  test("I5 versions come in descending SemVer precedence, on pages of every size", async ({ hand, another }) => {
    for (const version of createRandom(5).shuffle(ORDER)) await hand.put("a", version);
    for (const view of [hand, await another()]) {
      for (const limit of [1, 2, 3, 7, ORDER.length - 1, ORDER.length, ORDER.length + 1, 1000]) {
        same(await view.versions("a", { limit }), ORDER, `the versions with limit ${limit}`);
      }
    }
  }),

  test("I5 numbers of up to 16 digits are compared as numbers, in the list and in latest", async ({ hand }) => {
    const shapes: readonly ((n: string) => string)[] = [
      (n) => `${n}.0.0`,
      (n) => `1.${n}.0`,
      (n) => `1.0.${n}`,
      (n) => `1.0.0-${n}`,
      (n) => `1.0.0-rc.${n}`,
    ];
    for (const [i, shape] of shapes.entries()) {
      const name = `shape${i}`;
      const ascending = BIG.map(shape);
      await hand.putAll(name, createRandom(i).shuffle(ascending));
      const expected = [...ascending].reverse();
      for (const limit of [1, 100])
        same(await hand.versions(name, { limit }), expected, `the versions, limit ${limit}`);
      same((await hand.found(name, "latest")).document.version, expected[0], "latest");
      // Each of them once the highest that is left.
      for (const [j, highest] of expected.slice(1, 4).entries()) {
        const above = expected.slice(0, j + 1).map((version) => [version, { at: YANKED_AT }] as const);
        await hand.move(name, { yanked: Object.fromEntries(above) });
        same((await hand.found(name, "latest")).document.version, highest, "latest, with those above it yanked");
      }
    }
  }),

  test("I5 a page has at most as many versions as asked for", async ({ hand }) => {
    await hand.putAll("a", ["1.0.0", "1.1.0", "1.2.0"]);
    for (const limit of [1, 2]) {
      const page = await hand.driver.listVersions(A, { limit });
      ok(page.items.length <= limit, `a page has ${page.items.length} versions; at most ${limit} were asked for`);
      ok(page.cursor !== undefined, "more versions must be announced");
    }
  }),

  test("I5 a prompt that is not there has no versions", async ({ hand }) => {
    await hand.put("a/b", "1.0.0");
    for (const name of ["a", "a/b/c", "nobody"]) {
      same(await hand.driver.listVersions(parseName(name), { limit: 10 }), { items: [] }, name);
      same(await hand.entries(name, { includeRemoved: true }), [], name);
    }
  }),

  test("I5 yanked versions are listed with their yank", async ({ hand }) => {
    await hand.putAll("a", ["1.0.0", "1.1.0"]);
    const yank = { at: "2026-01-01T00:00:00.000Z", by: "ada", reason: "wrong" };
    await hand.move("a", { yanked: { "1.0.0": yank } });
    same(
      await hand.entries("a", { limit: 1 }),
      [{ version: "1.1.0" }, { version: "1.0.0", yanked: yank }],
      "the entries",
    );
  }),

  test("I2 removed versions are listed only with includeRemoved, with their mark", async ({ hand }) => {
    await hand.putAll("a", ["1.0.0", "1.1.0", "1.2.0"]);
    await hand.remove("a", documentOf("a", "1.1.0"));
    for (const limit of [1, 2, 100]) {
      same(await hand.versions("a", { limit }), ["1.2.0", "1.0.0"], "the versions");
      const entries = await hand.entries("a", { limit, includeRemoved: true });
      same(
        entries.map((e) => [e.version, e.removed, e.yanked?.removed]),
        [
          ["1.2.0", undefined, undefined],
          ["1.1.0", true, true],
          ["1.0.0", undefined, undefined],
        ],
        "with removed ones",
      );
    }
  }),

  test("I5 a cursor is a place in the order: versions that come and go meanwhile neither repeat nor hide others", async ({
    hand,
  }) => {
    const base = Array.from({ length: 12 }, (_, i) => `1.${11 - i}.0`);
    await hand.putAll("a", base);
    let round = 0;
    const seen = await all(async (cursor) => {
      const page = await hand.driver.listVersions(A, { limit: 2, ...cursor });
      round++;
      const last = page.items.at(-1)?.version;
      // A list that begins again must fail as that, not where no version is left to put.
      ok(round < 20, "the list does not end");
      // Above everything, below everything; and the version of the cursor itself goes away.
      await hand.put("a", `9.${round}.0`);
      await hand.put("a", `0.${20 - round}.0`);
      if (last?.startsWith("1.")) await hand.remove("a", documentOf("a", last));
      return page;
    });
    const found = seen.map((e) => e.version as string);
    same(new Set(found).size, found.length, "how many different versions were seen");
    same(
      found.filter((v) => base.includes(v)),
      base,
      "versions that were there from the start",
    );
    same(
      found.filter((v) => v.startsWith("9.")),
      [],
      "versions above the first page",
    );
    ok(found.includes("0.19.0"), "a version that came below the cursor must be seen");
  }),

  test("I5 a cursor works on every handle to the same storage", async ({ hand, another }) => {
    for (const version of ORDER) await hand.put("a", version);
    const other = await another();
    const first = await hand.driver.listVersions(A, { limit: 9 });
    const { cursor } = first;
    ok(cursor !== undefined, "there must be a second page");
    const rest = await all((next) => other.driver.listVersions(A, { limit: 4, cursor, ...next }));
    same(
      [...first.items, ...rest].map((e) => e.version),
      ORDER,
      "the versions of both handles",
    );
  }),

  test("I8 a cursor that no list of versions gave is INVALID", async ({ hand, driver }) => {
    await hand.putAll("a", ["1.0.0", "1.1.0"]);
    for (const cursor of ["", "no cursor at all!", "\u0000", "../../etc", "🙂"]) {
      await rejects(
        () => driver.listVersions(A, { limit: 10, cursor }),
        "INVALID",
        `the cursor ${JSON.stringify(cursor)}`,
      );
    }
  }),

  test("I5 300 versions are listed whole and in order", async ({ hand }) => {
    const many = Array.from({ length: 300 }, (_, i) => `${Math.floor(i / 100)}.${i % 100}.0`);
    for (let i = 0; i < many.length; i += 100) {
      await hand.done({
        name: A,
        add: createRandom(i)
          .shuffle(many.slice(i, i + 100))
          .map((v) => documentOf("a", v)),
      });
    }
    const expected = [...many].reverse();
    for (const limit of [17, 1000]) same(await hand.versions("a", { limit }), expected, `limit ${limit}`);
    same((await hand.found("a", "latest")).document.version, "2.99.0", "latest");
  }),
];
