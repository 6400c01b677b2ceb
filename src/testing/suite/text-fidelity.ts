import { openStored } from "../../document.ts";
import { parseName } from "../../names.ts";
import { documentOf } from "../builders.ts";
import { createRandom } from "../random.ts";
import { texts } from "../texts.ts";
import { isOneOf, ok, rejects, same, sameText } from "./expect.ts";
import { type Case, test } from "./types.ts";

const NOTES = [
  "",
  "a: b # c",
  'quote " and \\ and \n and \r\n',
  "\u2028\u202e\u200b",
  "日本 🙂",
  "---",
  "x".repeat(200),
];

export const textFidelity: readonly Case[] = [
  ...texts.map(({ title, text }) =>
    test(`I3 text comes back byte for byte: ${title}`, async ({ hand, another, registry }) => {
      const document = await hand.put("a", "1.0.0", text);
      for (const view of [hand, await another()]) {
        for (const what of ["1.0.0", "latest"]) {
          sameText((await view.found("a", what)).document.text, document.text, `the stored text of ${what}`);
        }
      }
      const opened = openStored((await hand.found("a", "1.0.0")).document.text, document);
      ok(opened.kind === "document", "it must be a document");
      sameText(opened.text, text, "the author's text");
      sameText((await registry.getPrompt("a@1.0.0")).text, text, "the text through the registry");
      await registry.storePrompt({ name: "b", version: "1.0.0", text });
      sameText((await registry.getPrompt("b")).text, text, "the text stored through the registry");
      same(
        (await registry.storePrompt({ name: "b", version: "1.0.0", text })).status,
        "unchanged",
        "the same text again",
      );
    }),
  ),

  test("I3 text comes back byte for byte: 200 random texts", async ({ hand }) => {
    const random = createRandom(1);
    const documents = Array.from({ length: 200 }, (_, i) => documentOf("a", `1.${i}.0`, random.text(400)));
    for (let i = 0; i < documents.length; i += 20)
      await hand.done({ name: parseName("a"), add: documents.slice(i, i + 20) });
    for (const { version, text } of documents) sameText((await hand.found("a", version)).document.text, text, version);
  }),

  test("I3 authors and messages come back as they were", async ({ registry }) => {
    for (const [i, note] of NOTES.entries()) {
      const message = `${note}!`;
      await registry.storePrompt({ name: "a", version: `1.${i}.0`, text: "t", author: note, message });
      const prompt = await registry.getPrompt(`a@1.${i}.0`);
      same([prompt.author, prompt.message], [note, message], `note ${i}`);
    }
    const entries = await registry.history("a").all();
    const published = new Map(entries.map((e) => [e.to as string, [e.by, e.message]]));
    for (const [i, note] of NOTES.entries())
      same(published.get(`1.${i}.0`), [note, `${note}!`], `the entry of note ${i}`);
  }),

  test("I3 a text that is too large or is no text is INVALID, and nothing is stored", async ({ registry, hand }) => {
    const half = "\ud83d";
    for (const text of ["x".repeat(2 ** 20 + 1), "🙂".repeat(262_145), "a\0b", `a${half}b`]) {
      await rejects(
        () => registry.storePrompt({ name: "a", version: "1.0.0", text }),
        "INVALID",
        "a text that is not allowed",
      );
    }
    same(await hand.names({ includeRemoved: true }), [], "the names");
    same(await hand.log("a"), [], "the history");
  }),

  test("I3 a stored text above maxDocumentBytes is refused with INVALID or kept whole, never cut", async ({
    hand,
    driver,
  }) => {
    const { maxDocumentBytes } = driver.capabilities;
    if (maxDocumentBytes > 2 ** 26) return;
    // No document of the registry is as large; copies of damaged or foreign registries may be.
    const { digest, ...document } = documentOf("a", "1.0.0");
    const large = { ...document, digest, text: `${document.text}${"x".repeat(maxDocumentBytes)}` };
    let refused = false;
    try {
      const outcome = await hand.one({ name: document.name, add: [large] });
      if (outcome.status === "failed") throw outcome.error;
      same(outcome.status, "done", "the outcome");
    } catch (error) {
      isOneOf(error, "INVALID", "a text above maxDocumentBytes");
      refused = true;
    }
    const answer = await hand.ask("a", "1.0.0");
    if (refused) same(answer.status, "absent", "a refused text");
    else sameText("document" in answer ? answer.document.text : undefined, large.text, "a text that was taken");
  }),
];
