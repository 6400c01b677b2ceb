import { documentOf } from "../builders.ts";
import { rejects, same } from "./expect.ts";
import { type Case, test } from "./types.ts";

export const search: readonly Case[] = [
  test("I13 search finds a word of the latest text or of the name; undeclared it throws UNSUPPORTED", async ({
    hand,
    driver,
  }) => {
    await hand.put("support/triage", "1.0.0", "Sort the tickets by urgency.\n");
    await hand.put("support/triage", "1.1.0", "Order the tickets by importance.\n");
    await hand.put("sales/letter", "1.0.0", "Write a letter about 100% of_our tickets.\n");
    await hand.put("other", "1.0.0", "Nothing of the kind.\n");
    if (!driver.capabilities.search) {
      await rejects(() => driver.listPrompts({ limit: 10, text: "tickets" }), "UNSUPPORTED", "a search");
      return;
    }
    const found = (text: string, limit = 1) => hand.names({ text, limit });
    same(await found("tickets"), ["sales/letter", "support/triage"], "a word of two texts");
    same(await found("importance"), ["support/triage"], "a word of the latest text");
    same(await found("urgency"), [], "a word of an older text");
    same(await found("TICKETS"), ["sales/letter", "support/triage"], "a word in the other case");
    same(await found("triage"), ["support/triage"], "a part of a name");
    same(await found("100%"), ["sales/letter"], "a percent sign is no wildcard");
    same(await found("of_our"), ["sales/letter"], "an underscore is no wildcard");
    same(await found("a%e"), [], "a percent sign is no wildcard");
    same(await found("nowhere-to-be-found"), [], "a word that is nowhere");
    same(await hand.names({ text: "tickets", prefix: "support/" }), ["support/triage"], "a search below a prefix");
  }),

  test("I13 search goes together with heads, removed prompts and pages", async ({ hand, driver }) => {
    // What an undeclared one does is another test's.
    if (!driver.capabilities.search) return;
    const names = ["news/a", "news/b", "news/c", "other/news", "plain"];
    for (const name of names) await hand.put(name, "1.0.0", name === "plain" ? "No word of it.\n" : "The day.\n");
    await hand.move("news/b", { labels: { production: "1.0.0" } });
    for (const name of ["news/c", "plain"]) await hand.remove(name, documentOf(name, "1.0.0"));
    for (const limit of [1, 2, 100]) {
      const found = await hand.prompts({ text: "news", include: "heads", limit });
      same(
        found.map((e) => e.name),
        ["news/a", "news/b", "other/news"],
        `the names with heads, limit ${limit}`,
      );
      for (const { name, head } of found) same(head, await hand.state(name), `the head of ${name}`);
      const removed = await hand.prompts({ text: "news", includeRemoved: true, limit });
      same(
        removed.map((e) => [e.name, e.removed]),
        [
          ["news/a", undefined],
          ["news/b", undefined],
          ["news/c", true],
          ["other/news", undefined],
        ],
        `with removed ones, limit ${limit}`,
      );
      const both = await hand.prompts({
        ...{ text: "news", prefix: "news/c", include: "heads" as const, includeRemoved: true, limit },
      });
      same(
        both.map((e) => [e.name, e.removed, e.head]),
        [["news/c", true, await hand.state("news/c")]],
        `everything at once, limit ${limit}`,
      );
      same(
        await hand.names({ text: "day", includeRemoved: true, limit }),
        names.slice(0, 2).concat("other/news"),
        "a text",
      );
    }
  }),
];
