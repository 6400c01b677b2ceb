import { parseName } from "../../names.ts";
import { documentOf, headOf, tombstoneOf } from "../builders.ts";
import { answerIs, ok, outcomeIs, same, sameText } from "./expect.ts";
import { type Case, test } from "./types.ts";

const A = parseName("a");

export const tombstones: readonly Case[] = [
  test("I2 a tombstone takes the place of the document: removed, with its text", async ({ hand }) => {
    const document = await hand.put("a", "1.0.0", "secret\n");
    await hand.put("a", "1.1.0");
    const tombstone = await hand.remove("a", document);
    const answer = answerIs(await hand.ask("a", "1.0.0"), "removed", "a removed version");
    sameText(answer.document.text, tombstone.text, "the tombstone");
    same([answer.document.name, answer.document.version], ["a", "1.0.0"], "whose tombstone it is");
  }),

  test("I2 a tombstone keeps its slot: neither the old nor a new text gets in", async ({ hand }) => {
    const document = await hand.put("a", "1.0.0");
    const tombstone = await hand.remove("a", document);
    for (const add of [document, documentOf("a", "1.0.0", "other\n")]) {
      const { existing } = outcomeIs(await hand.one({ name: A, add: [add] }), "exists", "a slot with a tombstone");
      sameText(existing.text, tombstone.text, "the tombstone in exists");
    }
    sameText(
      answerIs(await hand.ask("a", "1.0.0"), "removed", "afterwards").document.text,
      tombstone.text,
      "the tombstone",
    );
  }),

  test("I2 a tombstone stays as it is when another comes", async ({ hand }) => {
    const document = await hand.put("a", "1.0.0");
    const tombstone = await hand.remove("a", document);
    await hand.done({ name: A, remove: [tombstoneOf(document, { by: "somebody else", reason: "again" })] });
    sameText(
      answerIs(await hand.ask("a", "1.0.0"), "removed", "afterwards").document.text,
      tombstone.text,
      "the first tombstone",
    );
  }),

  test("I2 a tombstone takes an empty slot, of a prompt and of a name never seen", async ({ hand }) => {
    await hand.put("a", "1.0.0");
    for (const name of ["a", "never/seen"]) {
      const tombstone = tombstoneOf(documentOf(name, "0.9.0"), { reason: "copied" });
      await hand.done({ name: parseName(name), remove: [tombstone] });
      const answer = answerIs(await hand.ask(name, "0.9.0"), "removed", "a tombstone from elsewhere");
      sameText(answer.document.text, tombstone.text, "the tombstone");
      outcomeIs(await hand.one({ name: parseName(name), add: [documentOf(name, "0.9.0")] }), "exists", "its slot");
    }
    answerIs(await hand.ask("never/seen", "head"), "head", "a prompt that has a tombstone only");
    same(await hand.names(), ["a"], "the names");
  }),

  test("I2 a removed version is no longer listed, latest or counted, unless asked for", async ({ hand }) => {
    await hand.put("a", "1.0.0");
    const document = await hand.put("a", "2.0.0");
    await hand.remove("a", document);
    same(await hand.versions("a"), ["1.0.0"], "the versions");
    same((await hand.found("a", "latest")).document.version, "1.0.0", "latest");
    const entries = await hand.entries("a", { includeRemoved: true });
    same(
      entries.map((e) => [e.version, e.removed]),
      [
        ["2.0.0", true],
        ["1.0.0", undefined],
      ],
      "with removed ones",
    );
  }),

  test("I2 a tombstone alone takes a version away from latest", async ({ hand, another }) => {
    await hand.put("a", "1.0.0");
    const document = await hand.put("a", "2.0.0");
    const other = await another();
    same((await other.found("a", "latest")).document.version, "2.0.0", "latest before");
    await hand.done({ name: A, remove: [tombstoneOf(document)] });
    for (const view of [hand, other]) {
      same((await view.found("a", "latest")).document.version, "1.0.0", "latest after");
      same((await view.state("a")).latest, "1.0.0", "latest in the head");
    }
  }),

  test("I2 racing creates and a tombstone end with the tombstone, and nothing gets in later", async ({
    hand,
    another,
  }) => {
    const other = await another();
    for (let round = 0; round < 10; round++) {
      const name = parseName(`race/r${round}`);
      const original = await hand.put(name, "1.0.0");
      const tombstone = tombstoneOf(original);
      const creates = Array.from({ length: 6 }, (_, i) => {
        const add = [documentOf(name, "1.0.0", `racer ${i}\n`)];
        return (i % 2 === 0 ? hand : other).one({ name, add });
      });
      const [removed, ...created] = await Promise.all([other.one({ name, remove: [tombstone] }), ...creates]);
      outcomeIs(removed, "done", "the removal");
      for (const outcome of created) {
        const { existing } = outcomeIs(outcome, "exists", "a racing create");
        ok([original.text, tombstone.text].includes(existing.text), "exists must bring what was at the slot");
      }
      const answer = answerIs(await hand.ask(name, "1.0.0"), "removed", "in the end");
      sameText(answer.document.text, tombstone.text, "the tombstone");
    }
  }),

  test("I2 restore brings back the document with the same digest, byte for byte", async ({ hand }) => {
    const document = await hand.put("a", "1.0.0", "back again\r\n");
    await hand.remove("a", document);
    const change = await hand.headChange("a", {});
    await hand.done({ ...change, restore: [document] });
    sameText((await hand.found("a", "1.0.0")).document.text, document.text, "the restored text");
    same((await hand.found("a", "latest")).document.version, "1.0.0", "latest");
    same(await hand.versions("a"), ["1.0.0"], "the versions");
    same(await hand.names(), ["a"], "the names");
    outcomeIs(await hand.one({ name: A, add: [documentOf("a", "1.0.0", "other\n")] }), "exists", "its slot");
  }),

  test("I2 restore of another digest is exists, with the tombstone, and changes nothing", async ({ hand }) => {
    const document = await hand.put("a", "1.0.0", "right\n");
    const tombstone = await hand.remove("a", document);
    const before = await hand.state("a");
    const change = { ...(await hand.headChange("a", {})), restore: [documentOf("a", "1.0.0", "wrong\n")] };
    const { existing } = outcomeIs(await hand.one(change), "exists", "another digest");
    sameText(existing.text, tombstone.text, "the tombstone in exists");
    sameText(
      answerIs(await hand.ask("a", "1.0.0"), "removed", "afterwards").document.text,
      tombstone.text,
      "the tombstone",
    );
    same((await hand.state("a")).revision, before.revision, "the revision");
  }),

  test("I2 restore over a live document is exists, with that document", async ({ hand }) => {
    const document = await hand.put("a", "1.0.0", "alive\n");
    for (const restore of [document, documentOf("a", "1.0.0", "other\n")]) {
      const { existing } = outcomeIs(await hand.one({ name: A, restore: [restore] }), "exists", "a live document");
      sameText(existing.text, document.text, "the document in exists");
    }
    sameText((await hand.found("a", "1.0.0")).document.text, document.text, "afterwards");
  }),

  test("I2 restore takes an empty slot, of a prompt and of a name never seen", async ({ hand, another }) => {
    await hand.put("a", "1.0.0");
    const other = await another();
    for (const name of ["a", "never/seen"]) {
      const document = documentOf(name, "1.1.0", "from elsewhere\n", { by: "ada", message: "copied" });
      await hand.done({ name: parseName(name), restore: [document] });
      for (const view of [hand, other]) {
        sameText((await view.found(name, "1.1.0")).document.text, document.text, "the restored text");
        same((await view.found(name, "latest")).document.version, "1.1.0", "latest");
        same((await view.versions(name))[0], "1.1.0", "the versions");
        const published = (await view.log(name)).filter((e) => e.to === "1.1.0").map((e) => e.message);
        same(published, ["copied"], "its entries");
      }
      const late = documentOf(name, "1.1.0", "other\n");
      const { existing } = outcomeIs(await hand.one({ name: parseName(name), add: [late] }), "exists", "its slot");
      sameText(existing.text, document.text, "the document in exists");
    }
    same(await hand.names(), ["a", "never/seen"], "the names");
  }),

  test("I4 a refused head keeps the documents of its change from being restored", async ({ hand, another }) => {
    const [document] = await hand.putAll("a", ["1.0.0", "1.1.0"]);
    ok(document !== undefined, "a document");
    const stale = (await hand.state("a")).revision;
    const tombstone = await hand.remove("a", document);
    const before = await hand.state("a");
    for (const expect of [stale, "no such revision"]) {
      const head = { expect, next: headOf({ labels: { production: "1.0.0" } }), entries: [] };
      outcomeIs(await hand.one({ name: A, head, restore: [document] }), "conflict", `expecting ${expect}`);
      for (const view of [hand, await another()]) {
        const answer = answerIs(await view.ask("a", "1.0.0"), "removed", "a version whose restore was refused");
        sameText(answer.document.text, tombstone.text, "the tombstone");
        same(await view.versions("a"), ["1.1.0"], "the versions");
        same(await view.state("a"), before, "the head");
      }
    }
  }),

  test("I2 a version may be removed, restored and removed again", async ({ hand, another }) => {
    const document = await hand.put("a", "1.0.0");
    const other = await another();
    for (let i = 0; i < 3; i++) {
      const tombstone = tombstoneOf(document, { reason: `removal ${i}` });
      await hand.done({ name: A, remove: [tombstone] });
      sameText(
        answerIs(await other.ask("a", "1.0.0"), "removed", `removal ${i}`).document.text,
        tombstone.text,
        "the tombstone",
      );
      await other.done({ name: A, restore: [document] });
      sameText((await hand.found("a", "1.0.0")).document.text, document.text, `restored text ${i}`);
    }
  }),

  test("I2 of racing restores with right and wrong digests only the right one gets in", async ({ hand, another }) => {
    const other = await another();
    for (let round = 0; round < 5; round++) {
      const name = parseName(`restore/r${round}`);
      const document = await hand.put(name, "1.0.0", "right\n");
      await hand.done({ name, remove: [tombstoneOf(document)] });
      const wrong = Array.from({ length: 4 }, (_, i) => documentOf(name, "1.0.0", `wrong ${i}\n`));
      const [right, ...others] = await Promise.all([
        hand.one({ name, restore: [document] }),
        ...wrong.map((d) => other.one({ name, restore: [d] })),
      ]);
      outcomeIs(right, "done", "the right digest");
      for (const outcome of others) outcomeIs(outcome, "exists", "a wrong digest");
      sameText((await other.found(name, "1.0.0")).document.text, document.text, "in the end");
    }
  }),

  test("I4 pointers go before what they point at: a removal moves its label in the same change", async ({ hand }) => {
    const [first, second] = await hand.putAll("a", ["1.0.0", "1.1.0"]);
    await hand.move("a", { labels: { production: "1.1.0" } });
    ok(first !== undefined && second !== undefined, "two documents");
    await hand.remove("a", second, { labels: { production: "1.0.0" } });
    sameText((await hand.found("a", "production")).document.text, first.text, "production");
    answerIs(await hand.ask("a", "1.1.0"), "removed", "the removed version");
  }),

  test("I4 a refused head keeps the tombstones of its change from being put", async ({ hand }) => {
    const document = await hand.put("a", "1.0.0");
    await hand.move("a", { labels: { production: "1.0.0" } });
    const outcome = await hand.one({
      name: A,
      head: { expect: "no such revision", next: headOf({}), entries: [] },
      remove: [tombstoneOf(document)],
    });
    outcomeIs(outcome, "conflict", "a wrong revision");
    sameText((await hand.found("a", "1.0.0")).document.text, document.text, "the document");
    sameText((await hand.found("a", "production")).document.text, document.text, "the label");
  }),

  test("I2 when every version is removed the prompt is gone from the list, and its head stays", async ({ hand }) => {
    const [first, second] = await hand.putAll("a", ["1.0.0", "2.0.0"]);
    ok(first !== undefined && second !== undefined, "two documents");
    await hand.remove("a", first);
    await hand.remove("a", second);
    same(await hand.names(), [], "the names");
    same(
      await hand.prompts({ includeRemoved: true }).then((p) => p.map((e) => [e.name, e.removed])),
      [["a", true]],
      "with removed ones",
    );
    const answer = answerIs(await hand.ask("a", "latest"), "absent", "latest");
    ok(answer.head !== undefined, "the prompt exists, so its head must come with absent");
    same(Object.keys((await hand.state("a")).head.yanked).sort(), ["1.0.0", "2.0.0"], "the marks in the head");
    await hand.put("a", "3.0.0");
    same(await hand.names(), ["a"], "the names after a new version");
  }),
];
