import { parseName } from "../../names.ts";
import { compareVersions, parseVersion } from "../../semver.ts";
import { documentOf } from "../builders.ts";
import { createRandom } from "../random.ts";
import { answerIs, ok, same } from "./expect.ts";
import { during, type Hand } from "./hand.ts";
import { type Case, test } from "./types.ts";

const YANK = { at: "2026-01-01T00:00:00.000Z" };

/** Latest by every way there is to ask for it. */
async function latestIs(hand: Hand, name: string, version: string | undefined, what: string): Promise<void> {
  const answer = await hand.ask(name, "latest");
  if (version === undefined) {
    const { head } = answerIs(answer, "absent", what);
    ok(head !== undefined, `${what}: the prompt exists, so its head must come with absent`);
    same(head.latest, undefined, `${what}: latest in the head that comes with absent`);
  } else {
    const { document, head } = answerIs(answer, "found", what);
    same([document.version, head?.latest], [version, version], what);
  }
  same((await hand.state(name)).latest, version, `${what}: latest in the head`);
  const [entry] = await hand.prompts({ prefix: name, include: "heads", includeRemoved: true });
  same(entry?.head?.latest, version, `${what}: latest in the list`);
}

export const latest: readonly Case[] = [
  test("I5 latest never moves back: 1.0.1 after 2.0.0", async ({ hand }) => {
    await hand.put("a", "2.0.0", undefined, { at: "2026-01-01T00:00:00.000Z" });
    await hand.put("a", "1.0.1", undefined, { at: "2026-06-01T00:00:00.000Z" });
    await latestIs(hand, "a", "2.0.0", "after 1.0.1");
    await hand.put("a", "2.0.1", undefined, { at: "2020-01-01T00:00:00.000Z" });
    await latestIs(hand, "a", "2.0.1", "after 2.0.1 with an older time");
  }),

  test("I5 latest compares numbers as numbers", async ({ hand }) => {
    await hand.putAll("a", ["1.9.0", "1.10.0", "1.2.0"]);
    await latestIs(hand, "a", "1.10.0", "9, 10 and 2");
    await hand.put("a", "1.9007199254740991.0");
    await latestIs(hand, "a", "1.9007199254740991.0", "a big number");
    await hand.put("a", "9.0.0");
    await hand.put("a", "10.0.0");
    await latestIs(hand, "a", "10.0.0", "9 and 10");
  }),

  test("I5 latest is a prerelease only where nothing stable is left", async ({ hand }) => {
    await hand.put("a", "2.0.0-rc.1");
    await latestIs(hand, "a", "2.0.0-rc.1", "one prerelease");
    await hand.putAll("a", ["2.0.0-rc.2", "2.0.0-rc.10", "2.0.0-alpha", "2.0.0-1"]);
    await latestIs(hand, "a", "2.0.0-rc.10", "the highest prerelease");
    await hand.put("a", "1.0.0");
    await latestIs(hand, "a", "1.0.0", "a stable version");
    await hand.put("a", "3.0.0-rc.1");
    await latestIs(hand, "a", "1.0.0", "a higher prerelease");
    await hand.move("a", { yanked: { "1.0.0": YANK } });
    await latestIs(hand, "a", "3.0.0-rc.1", "the stable version yanked");
  }),

  test("I5 latest passes over yanked versions, and comes back when they are unyanked", async ({ hand, another }) => {
    await hand.putAll("a", ["1.0.0", "1.1.0", "1.2.0"]);
    const other = await another();
    await hand.move("a", { yanked: { "1.2.0": YANK } });
    for (const view of [hand, other]) await latestIs(view, "a", "1.1.0", "1.2.0 yanked");
    await hand.move("a", { yanked: { "1.2.0": YANK, "1.1.0": YANK } });
    for (const view of [hand, other]) await latestIs(view, "a", "1.0.0", "1.1.0 yanked too");
    await hand.move("a", { yanked: { "1.1.0": YANK } });
    for (const view of [hand, other]) await latestIs(view, "a", "1.2.0", "1.2.0 unyanked");
    same((await hand.found("a", "1.1.0")).document.version, "1.1.0", "a yanked version by itself");
  }),

  test("I5 latest is absent, with the head, when every version is yanked", async ({ hand }) => {
    await hand.putAll("a", ["1.0.0", "2.0.0-rc.1"]);
    await hand.move("a", { yanked: { "1.0.0": YANK, "2.0.0-rc.1": YANK } });
    await latestIs(hand, "a", undefined, "all yanked");
    same(await hand.names(), ["a"], "the names: yanked versions are live");
    await hand.put("a", "0.1.0");
    await latestIs(hand, "a", "0.1.0", "a new version");
  }),

  test("I5 latest is absent, with the head, when every version is removed", async ({ hand }) => {
    const [first, second] = await hand.putAll("a", ["1.0.0", "1.1.0"]);
    ok(first !== undefined && second !== undefined, "two documents");
    await hand.remove("a", second);
    await latestIs(hand, "a", "1.0.0", "one removed");
    await hand.remove("a", first);
    await latestIs(hand, "a", undefined, "both removed");
  }),

  test("I5 latest stays where it is pinned until it is unpinned", async ({ hand, another }) => {
    await hand.putAll("a", ["1.0.0", "1.1.0"]);
    const other = await another();
    await hand.move("a", { pin: "1.0.0" });
    await hand.put("a", "1.2.0");
    await hand.put("a", "2.0.0");
    for (const view of [hand, other]) await latestIs(view, "a", "1.0.0", "pinned");
    await other.move("a", {});
    for (const view of [hand, other]) await latestIs(view, "a", "2.0.0", "unpinned");
  }),

  test("I5 concurrent publishers converge on the highest version", async ({ hand, another }) => {
    const other = await another();
    for (let round = 0; round < 5; round++) {
      const name = parseName(`converge/r${round}`);
      const versions = createRandom(round).shuffle(Array.from({ length: 12 }, (_, i) => `1.${i}.0`));
      await Promise.all(versions.map((v, i) => (i % 2 === 0 ? hand : other).put(name, v)));
      for (const view of [hand, other]) await latestIs(view, name, "1.11.0", "the highest");
      same((await other.versions(name)).length, 12, "how many versions there are");
    }
  }),

  test("I5 latest never moves back while versions are published in order", async ({ hand, another }) => {
    const reader = await another();
    let last = 0;
    let seen = 0;
    const write = async () => {
      for (let i = 1; i <= 40; i++) {
        await hand.put("a", `1.${i}.0`);
        last = i;
      }
    };
    await during(write, async () => {
      const floor = last;
      const answer = await reader.ask("a", "latest");
      const minor = answer.status === "found" ? parseMinor(answer.document.version) : 0;
      ok(minor >= floor, `latest is 1.${minor}.0 after 1.${floor}.0 was done`);
      ok(minor >= seen, `latest went back from 1.${seen}.0 to 1.${minor}.0`);
      seen = minor;
    });
    same((await reader.found("a", "latest")).document.version, "1.40.0", "in the end");
  }),

  test("I5 latest is the highest stable version whatever the order of publishing (40 random orders)", async ({
    hand,
  }) => {
    const random = createRandom(2026);
    for (let round = 0; round < 40; round++) {
      const name = parseName(`order/r${round}`);
      const versions = [...new Set(Array.from({ length: 6 }, () => random.version()))].map(parseVersion);
      for (const version of versions) await hand.done({ name, add: [documentOf(name, version)] });
      const sorted = [...versions].sort(compareVersions);
      const expected = sorted.filter((v) => !v.includes("-")).at(-1) ?? sorted.at(-1);
      same((await hand.found(name, "latest")).document.version, expected, `latest of ${versions.join(", ")}`);
      same(await hand.versions(name), sorted.reverse(), "the versions");
    }
  }),
];

function parseMinor(version: string): number {
  return Number(version.split(".")[1]);
}
