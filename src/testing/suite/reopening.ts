import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { documentOf, headOf, labelEntry, tombstoneOf } from "../builders.ts";
import { texts } from "../texts.ts";
import { answerIs, ok, outcomeIs, rejects, same, sameText } from "./expect.ts";
import { type Case, test } from "./types.ts";

const A = parseName("a");

export const reopening: readonly Case[] = [
  test(
    "I1 documents are there after the storage was closed and opened",
    async ({ hand, reopen }) => {
      const small = texts.filter(({ text }) => text.length < 10_000);
      const documents = small.map(({ text }, i) => documentOf("a", `1.${i}.0`, text));
      for (const document of documents) await hand.done({ name: A, add: [document] });
      await hand.put("a/b", "1.0.0");
      await hand.put("constructor", "1.0.0-rc.1");
      const before = await hand.versions("a");
      const again = await reopen();
      for (const { version, text } of documents)
        sameText((await again.found("a", version)).document.text, text, version);
      same(await again.versions("a"), before, "the versions");
      same(await again.names(), ["a", "a/b", "constructor"], "the names");
      same((await again.found("a", "latest")).document.version, before[0], "latest");
      await rejects(() => hand.ask("a", "1.0.0"), "ABORTED", "the handle of before");
    },
    "reopen",
  ),

  test(
    "I1 heads are there after the storage was closed and opened, and go on from where they were",
    async ({ hand, reopen }) => {
      await hand.putAll("a", ["1.0.0", "1.1.0", "1.2.0"]);
      await hand.move("a", { labels: { production: "1.0.0" } });
      await hand.move("a", {
        labels: { production: "1.1.0", constructor: "1.0.0" },
        pin: "1.1.0",
        yanked: { "1.2.0": { at: "2026-01-01T00:00:00.000Z", by: "ada", reason: "wrong" } },
        deprecated: { at: "2026-01-01T00:00:00.000Z", message: "old" },
        updatedAt: "2026-01-01T00:00:00.000Z",
      });
      const before = await hand.state("a");
      let again = await reopen();
      same(await again.state("a"), before, "the head");
      same((await again.found("a", "production")).document.version, "1.1.0", "production");
      outcomeIs(
        await again.one({ name: A, head: { expect: null, next: headOf({}), entries: [] } }),
        "conflict",
        "expecting no head",
      );
      const change = {
        name: A,
        head: { expect: before.revision, next: headOf({ labels: { production: "1.2.0" } }), entries: [] },
      };
      await again.done(change);
      again = await reopen(again);
      const after = await again.state("a");
      same([after.head.generation, after.latest], [3, "1.2.0"], "generation and latest");
      outcomeIs(await again.one(change), "conflict", "the revision of before");
    },
    "reopen",
  ),

  test(
    "I2 slots stay taken after the storage was closed and opened, by documents and by tombstones",
    async ({ hand, reopen }) => {
      const [kept, removed] = await hand.putAll("a", ["1.0.0", "1.1.0"]);
      ok(kept !== undefined && removed !== undefined, "two documents");
      const tombstone = await hand.remove("a", removed);
      const again = await reopen();
      for (const [version, text] of [
        ["1.0.0", kept.text],
        ["1.1.0", tombstone.text],
      ] as const) {
        const { existing } = outcomeIs(
          await again.one({ name: A, add: [documentOf("a", version, "other\n")] }),
          "exists",
          version,
        );
        sameText(existing.text, text, `what is at ${version}`);
      }
      sameText(
        answerIs(await again.ask("a", "1.1.0"), "removed", "1.1.0").document.text,
        tombstone.text,
        "the tombstone",
      );
      same(
        (await again.entries("a", { includeRemoved: true })).map((e) => [e.version, e.removed]),
        [
          ["1.1.0", true],
          ["1.0.0", undefined],
        ],
        "the versions",
      );
      await again.done({ name: A, restore: [removed] });
      sameText((await (await reopen(again)).found("a", "1.1.0")).document.text, removed.text, "the restored text");
    },
    "reopen",
  ),

  test(
    "I11 the history is there after the storage was closed and opened, in its order",
    async ({ hand, reopen }) => {
      await hand.put("a", "1.0.0", "x", { at: "2026-01-05T00:00:00.000Z", by: "ada", message: "first" });
      for (let i = 0; i < 8; i++) {
        await hand.move("a", {}, [
          labelEntry(`l${i}`, "1.0.0", {
            at: `2026-01-0${1 + (i % 3)}T00:00:00.000Z`,
            message: `${i}`,
            commit: `c${i}`,
          }),
        ]);
      }
      await hand.done({
        name: A,
        remove: [
          tombstoneOf(documentOf("a", "1.0.0", "x", { at: "2026-01-05T00:00:00.000Z", by: "ada", message: "first" })),
        ],
      });
      const before = await hand.log("a");
      const again = await reopen();
      same(await again.log("a"), before, "the history");
      same(await again.log("a", 2), before, "the history in pages");
    },
    "reopen",
  ),

  test(
    "I6 a cursor of the feed outlives the handle that gave it: nothing since then is lost",
    async ({ hand, reopen }) => {
      const cursor = await hand.now();
      await hand.put("a", "1.0.0");
      const again = await reopen();
      await again.put("b", "1.0.0");
      same([...new Set((await again.since(cursor)).names)].sort(), ["a", "b"], "the events since the cursor");
    },
    "reopen",
  ),

  test(
    "I1 everything done by concurrent writers is there after the storage was closed and opened",
    async ({ hand, another, reopen }) => {
      const other = await another();
      const done: string[] = [];
      await Promise.all(
        Array.from({ length: 8 }, async (_, writer) => {
          for (let i = 0; i < 5; i++) {
            const name = `w${writer % 4}`;
            const outcome = await (writer % 2 === 0 ? hand : other).one({
              name: parseName(name),
              add: [documentOf(name, `1.${i}.${writer}`)],
            });
            if (outcome.status === "done") done.push(`${name}@1.${i}.${writer}`);
          }
        }),
      );
      same(done.length, 40, "how many were done");
      const again = await reopen();
      for (const ref of done) {
        const [name, version] = ref.split("@") as [string, string];
        sameText((await again.found(name, version)).document.text, documentOf(name, version).text, ref);
      }
    },
    "reopen",
  ),

  test(
    "I1 a registry goes on after the storage was closed and opened",
    async ({ registry, hand, reopen }) => {
      await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n", labels: ["production"] });
      await registry.storePrompt({ name: "a", bump: "minor", text: "two\n" });
      await registry.rollback("a");
      const next = new PromptRegistry((await reopen(hand)).driver);
      same((await next.getPrompt("a")).version, "1.0.0", "latest, pinned");
      await next.unpin("a");
      same(
        (await next.storePrompt({ name: "a", bump: "minor", text: "three\n" })).version,
        "1.2.0",
        "the next version",
      );
      same((await next.getPrompt("a")).text, "three\n", "latest");
      same((await next.verify()).problems, [], "problems");
    },
    "reopen",
  ),
];
