import { parseName } from "../../names.ts";
import { documentOf, headOf, labelEntry, tombstoneOf } from "../builders.ts";
import { answerIs, ok, outcomeIs, same, sameText } from "./expect.ts";
import { type Case, test } from "./types.ts";

const A = parseName("a");

export const documents: readonly Case[] = [
  test("I1 after done a version is seen by every way of reading, on every handle", async ({ hand, another }) => {
    const document = await hand.put("support/triage", "1.2.0", "Sort this.\n", { by: "ada", message: "first" });
    for (const view of [hand, await another()]) {
      for (const what of ["1.2.0", "latest"]) {
        sameText((await view.found("support/triage", what)).document.text, document.text, what);
      }
      same(await view.names(), ["support/triage"], "the list of prompts");
      same(await view.versions("support/triage"), ["1.2.0"], "the list of versions");
      same(
        (await view.log("support/triage")).map((e) => e.action),
        ["publish"],
        "the history",
      );
      same((await view.state("support/triage")).latest, "1.2.0", "latest in the head");
    }
  }),

  test("I1 what one handle does, every other handle sees at its next read", async ({ hand, another }) => {
    const other = await another();
    for (let i = 0; i < 10; i++) {
      const [writer, reader] = i % 2 === 0 ? [hand, other] : [other, hand];
      answerIs(await reader.ask("a", `1.${i}.0`), "absent", `1.${i}.0 before`);
      const document = await writer.put("a", `1.${i}.0`);
      sameText((await reader.found("a", `1.${i}.0`)).document.text, document.text, `1.${i}.0`);
      sameText((await reader.found("a", "latest")).document.text, document.text, `latest after 1.${i}.0`);
      await writer.move("a", { labels: { production: `1.${i}.0` } });
      same((await reader.found("a", "production")).document.version, `1.${i}.0`, "production");
      same((await reader.state("a")).head.generation, i + 1, "the generation");
    }
  }),

  test("I1 all documents of one change are there", async ({ hand }) => {
    const versions = ["1.0.0", "1.1.0", "2.0.0-rc.1", "0.1.0"];
    const documents = await hand.putAll("a", versions);
    for (const { version, text } of documents) sameText((await hand.found("a", version)).document.text, text, version);
    same(await hand.versions("a"), ["2.0.0-rc.1", "1.1.0", "1.0.0", "0.1.0"], "the list of versions");
  }),

  test("I1 a document and its label of one change are there together", async ({ hand }) => {
    const document = documentOf("a", "1.0.0");
    const head = {
      expect: null,
      next: headOf({ labels: { production: "1.0.0" } }),
      entries: [labelEntry("production", "1.0.0")],
    };
    await hand.done({ name: A, add: [document], head });
    sameText((await hand.found("a", "production")).document.text, document.text, "production");
  }),

  test("I2 write-once: another text at a taken slot is refused", async ({ hand }) => {
    const document = await hand.put("a", "1.0.0", "one\n");
    const outcome = await hand.one({ name: A, add: [documentOf("a", "1.0.0", "two\n")] });
    const { existing } = outcomeIs(outcome, "exists", "another text");
    sameText(existing.text, document.text, "the existing text");
    same([existing.name, existing.version], ["a", "1.0.0"], "whose text it is");
    sameText((await hand.found("a", "1.0.0")).document.text, document.text, "the text afterwards");
  }),

  test("I2 write-once: the same bytes again are exists, with the stored bytes", async ({ hand }) => {
    const document = await hand.put("a", "1.0.0", "one\n");
    const { existing } = outcomeIs(await hand.one({ name: A, add: [document] }), "exists", "the same bytes");
    sameText(existing.text, document.text, "the existing text");
  }),

  test("I2 write-once: a shorter, a longer and an empty text don't get into a taken slot", async ({ hand }) => {
    const document = await hand.put("a", "1.0.0", "0123456789\n");
    for (const text of ["", "0\n", "0123456789\n0123456789\n"]) {
      const outcome = await hand.one({ name: A, add: [documentOf("a", "1.0.0", text)] });
      sameText(outcomeIs(outcome, "exists", "another text").existing.text, document.text, "the existing text");
    }
    sameText((await hand.found("a", "1.0.0")).document.text, document.text, "the text afterwards");
  }),

  test("I2 exists applies nothing of its change where the slot was taken before", async ({ hand }) => {
    await hand.put("a", "1.1.0");
    const before = await hand.state("a");
    const head = {
      expect: null,
      next: headOf({ labels: { production: "1.2.0" } }),
      entries: [labelEntry("production", "1.2.0")],
    };
    const add = [documentOf("a", "1.2.0"), documentOf("a", "1.1.0", "other\n"), documentOf("a", "1.0.0")];
    const { existing } = outcomeIs(await hand.one({ name: A, add, head }), "exists", "a taken slot");
    same(existing.version, "1.1.0", "which slot is taken");
    same(await hand.state("a"), before, "the head");
    same((await hand.log("a")).length, 1, "how many entries the history has");
    same(await hand.versions("a"), ["1.1.0"], "the versions");
    answerIs(await hand.ask("a", "1.2.0"), "absent", "a document before the taken slot");
    answerIs(await hand.ask("a", "1.0.0"), "absent", "a document after the taken slot");
  }),

  test("I2 versions that differ in one character have slots of their own", async ({ hand }) => {
    const versions = ["1.0.0", "1.0.0-0", "1.0.0-a", "1.0.0-a.0", "1.0.0-a-0", "10.0.0", "1.10.0", "1.0.10", "0.0.0"];
    for (const version of versions) await hand.put("a", version, `text of ${version}`);
    for (const version of versions) {
      sameText(
        (await hand.found("a", version)).document.text,
        documentOf("a", version, `text of ${version}`).text,
        version,
      );
    }
  }),

  test("I8 names that look alike have slots of their own", async ({ hand }) => {
    const names = ["a", "a-b", "a.b", "a/b", "a0", "a_b", "ab", "a/b/c", "a/b.c", "a-b/c", "constructor", "prototype"];
    for (const name of names) await hand.put(name, "1.0.0", `text of ${name}`);
    for (const name of names) {
      const { document } = await hand.found(name, "1.0.0");
      sameText(document.text, documentOf(name, "1.0.0", `text of ${name}`).text, name);
      same(document.name, name, "whose text it is");
      same(await hand.versions(name), ["1.0.0"], `the versions of ${name}`);
    }
    for (const absent of ["a/c", "a/b/d", "b", "a/b/c/d", "hasownproperty"]) {
      answerIs(await hand.ask(absent, "1.0.0"), "absent", absent);
    }
  }),

  test("I8 the longest names and versions have slots of their own", async ({ hand }) => {
    const segment = "n".repeat(64);
    const names = [`${segment}/${segment}/${segment}/a`, `${segment}/${segment}/${segment}/b`, "a/b/c/d/e/f/g/h"];
    const long = `1.0.0-${"x".repeat(57)}`;
    const versions = [`${long}y`, `${long}z`, "9007199254740991.9007199254740991.9007199254740991"];
    for (const name of names) for (const version of versions) await hand.put(name, version, `${name} ${version}`);
    for (const name of names) {
      for (const version of versions) {
        const { text } = (await hand.found(name, version)).document;
        sameText(text, documentOf(name, version, `${name} ${version}`).text, `${name}@${version}`);
      }
    }
    same(await hand.names(), [...names].sort(), "the names");
  }),

  test("I3 a name and a version that a driver never saw are absent, without a head", async ({ hand }) => {
    for (const what of ["1.0.0", "latest", "production", "head"]) {
      const answer = answerIs(await hand.ask("nobody", what), "absent", `nobody@${what}`);
      same(answer.head, undefined, `the head of nobody@${what}`);
    }
    await hand.put("a", "1.0.0");
    answerIs(await hand.ask("a", "1.0.1"), "absent", "a version that is not there");
  }),

  test("I3 outcomes are index-aligned with the changes of a commit", async ({ hand, driver }) => {
    await hand.put("taken", "1.0.0", "here first\n");
    await hand.put("moved", "1.0.0");
    const gone = await hand.put("gone", "1.0.0");
    await hand.remove("gone", gone);
    const changes = [
      { name: parseName("new"), add: [documentOf("new", "1.0.0")] },
      { name: parseName("taken"), add: [documentOf("taken", "1.0.0", "too late\n")] },
      { name: parseName("moved"), head: { expect: "no such revision", next: headOf({}), entries: [] } },
      { name: parseName("gone"), add: [documentOf("gone", "1.0.0")] },
      { name: parseName("newer"), add: [documentOf("newer", "1.0.0")] },
    ];
    if (driver.capabilities.maxBatch < changes.length) return;
    const outcomes = await hand.commit(changes);
    same(
      outcomes.map((o) => o.status),
      ["done", "exists", "conflict", "exists", "done"],
      "the outcomes",
    );
    same(await hand.names(), ["moved", "new", "newer", "taken"], "the names");
    const third = outcomeIs(outcomes[3], "exists", "a slot with a tombstone").existing;
    sameText(third.text, tombstoneText(gone), "the tombstone");
  }),

  test("I3 a commit of many prompts stores every one of them", async ({ hand, driver }) => {
    const size = Math.min(100, driver.capabilities.maxBatch);
    const names = Array.from({ length: size }, (_, i) => `many/p${String(i).padStart(3, "0")}`);
    const outcomes = await hand.commit(
      names.map((name) => ({ name: parseName(name), add: [documentOf(name, "1.0.0")] })),
    );
    ok(
      outcomes.every((o) => o.status === "done"),
      "all must be done",
    );
    same(await hand.names(), names, "the names");
    for (const name of names)
      sameText((await hand.found(name, "1.0.0")).document.text, documentOf(name, "1.0.0").text, name);
  }),

  test("I3 a driver keeps no hold on what it was given", async ({ hand }) => {
    const labels: Record<string, string> = { production: "1.0.0" };
    const document = await hand.put("a", "1.0.0");
    const entry = { ...labelEntry("production", "1.0.0") };
    const next = { ...headOf({}), labels } as ReturnType<typeof headOf>;
    await hand.done({ name: A, head: { expect: null, next, entries: [entry] } });
    labels.staging = "1.0.0";
    (entry as { message?: string }).message = "changed afterwards";
    const { head } = await hand.state("a");
    same(head.labels, { production: "1.0.0" }, "the labels");
    same(
      (await hand.log("a")).map((e) => e.message),
      [undefined, undefined],
      "the messages",
    );
    sameText((await hand.found("a", "1.0.0")).document.text, document.text, "the text");
  }),
];

function tombstoneText(document: Parameters<typeof tombstoneOf>[0]): string {
  return tombstoneOf(document, { at: "2026-01-01T00:00:00.000Z", by: "remover", reason: "test" }).text;
}
