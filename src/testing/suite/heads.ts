import { EMPTY_HEAD, type ReadAnswer } from "../../driver.ts";
import { parseName } from "../../names.ts";
import { askOf, documentOf, headOf, labelEntry } from "../builders.ts";
import { answerIs, ok, outcomeIs, same, sameText } from "./expect.ts";
import { keep } from "./hand.ts";
import { type Case, test } from "./types.ts";

const A = parseName("a");
const YANK = { at: "2025-12-31T23:59:59.999Z", by: "ada", reason: 'leaks: "a"\n- b' };

export const heads: readonly Case[] = [
  test("I4 a prompt without head behaves as if it had the empty one, with revision null", async ({ hand }) => {
    await hand.put("a", "1.0.0");
    const state = await hand.state("a");
    same(state.head, EMPTY_HEAD, "the head");
    same([state.revision, state.latest], [null, "1.0.0"], "revision and latest");
  }),

  test("I4 a head comes back field for field", async ({ hand, another }) => {
    await hand.putAll("a", ["1.0.0", "1.1.0", "1.2.0", "1.3.0"]);
    const next = headOf({
      labels: { production: "1.0.0", staging: "1.1.0", "a-b.c_d": "1.0.0", constructor: "1.2.0" },
      pin: "1.1.0",
      yanked: { "1.2.0": YANK, "1.3.0": { at: "2026-01-01T00:00:00.000Z" } },
      deprecated: { at: "2026-01-02T00:00:00.000Z", by: "", message: "use b ⚠️\r\n  instead" },
      updatedAt: "2026-01-03T00:00:00.001Z",
    });
    await hand.done({ name: A, head: { expect: null, next, entries: [] } });
    for (const view of [hand, await another()])
      same((await view.state("a")).head, { ...next, generation: 1 }, "the head");
    const fewer = headOf({ labels: { staging: "1.0.0" } });
    await hand.move("a", { labels: { staging: "1.0.0" } });
    same((await hand.state("a")).head, { ...fewer, generation: 2 }, "a head with less in it");
  }),

  test("I4 a large head stays whole: 40 labels and 40 yanks", async ({ hand, driver, another }) => {
    const versions = Array.from({ length: 41 }, (_, i) => `1.${i}.0`);
    await hand.putAll("a", versions);
    const labels = Object.fromEntries(versions.slice(0, 40).map((version, i) => [`label-${i}`, version]));
    const yanked = Object.fromEntries(
      versions.slice(1).map((version, i) => [version, { at: YANK.at, reason: `reason ${i}` }]),
    );
    const next = headOf({ labels, yanked });
    await hand.move("a", { labels, yanked });
    const asks = Object.keys(labels).map((label) => askOf("a", label));
    const size = Math.min(asks.length, driver.capabilities.maxBatch);
    for (const view of [hand, await another()]) {
      same((await view.state("a")).head, { ...next, generation: 1 }, "the head");
      const answers: ReadAnswer[] = [];
      for (let i = 0; i < asks.length; i += size) answers.push(...(await view.driver.read(asks.slice(i, i + size))));
      const found = answers.map((answer) => answerIs(answer, "found", "a label").document.version);
      same(found, Object.values(labels), "the versions of the labels");
      same((await view.found("a", "latest")).document.version, "1.0.0", "latest, with all others yanked");
      same((await view.entries("a")).filter((e) => e.yanked !== undefined).length, 40, "yanked versions in the list");
    }
  }),

  test("I4 two labels of 64 characters that differ in the last one are two", async ({ hand, another }) => {
    const [one, other] = [`${"l".repeat(63)}a`, `${"l".repeat(63)}b`];
    await hand.putAll("a", ["1.0.0", "1.1.0"]);
    const labels = { [one]: "1.0.0", [other]: "1.1.0" };
    const entries = [labelEntry(one, "1.0.0"), labelEntry(other, "1.1.0")];
    await hand.move("a", { labels }, entries);
    for (const view of [hand, await another()]) {
      same((await view.state("a")).head.labels, labels, "the labels");
      for (const [label, version] of Object.entries(labels)) {
        same((await view.found("a", label)).document.version, version, label);
      }
      answerIs(await view.ask("a", "l".repeat(63)), "absent", "what both begin with");
      same((await view.log("a")).flatMap((e) => e.label ?? []).sort(), [one, other], "the labels in the history");
    }
  }),

  test("I4 generation grows by one with every head that is written", async ({ hand }) => {
    await hand.put("a", "1.0.0");
    for (let i = 1; i <= 12; i++) {
      const state = await hand.move("a", { labels: i % 2 === 0 ? {} : { production: "1.0.0" } });
      same(state.head.generation, i, "the generation");
    }
    await hand.put("a", "1.1.0");
    same((await hand.state("a")).head.generation, 12, "the generation after a plain publish");
  }),

  test("I4 done brings the head after the change, where the driver looked", async ({ hand }) => {
    await hand.putAll("a", ["1.0.0", "2.0.0"]);
    const head = await hand.done(await hand.headChange("a", { labels: { production: "1.0.0" } }));
    if (head !== undefined) same(head, await hand.state("a"), "the head in done");
    const published = await hand.done({ name: A, add: [documentOf("a", "3.0.0")] });
    if (published !== undefined) same(published, await hand.state("a"), "the head in done of a publish");
  }),

  test("I4 compare-and-set: a revision of before is refused, and nothing moves", async ({ hand }) => {
    await hand.put("a", "1.0.0");
    const old = await hand.state("a");
    const now = await hand.move("a", { labels: { production: "1.0.0" } }, [labelEntry("production", "1.0.0")]);
    for (const expect of [old.revision, "", "0", "no such revision"]) {
      const change = { name: A, head: { expect, next: headOf({}), entries: [labelEntry("lost", "1.0.0")] } };
      outcomeIs(await hand.one(change), "conflict", `expecting ${expect}`);
      same(await hand.state("a"), now, "the head");
      same(
        (await hand.log("a")).map((e) => e.label),
        ["production", undefined],
        "the history",
      );
    }
  }),

  test("I4 compare-and-set: expecting a head where there is none is a conflict", async ({ hand }) => {
    await hand.put("a", "1.0.0");
    for (const name of ["a", "nobody"]) {
      const change = { name: parseName(name), head: { expect: "1", next: headOf({}), entries: [] } };
      outcomeIs(await hand.one(change), "conflict", `a head of ${name}`);
    }
    same((await hand.state("a")).revision, null, "the revision");
    answerIs(await hand.ask("nobody", "head"), "absent", "nobody");
  }),

  test("I4 compare-and-set: a state that comes back does not bring its revision back (ABA)", async ({ hand }) => {
    await hand.putAll("a", ["1.0.0", "1.1.0"]);
    const first = await hand.move("a", { labels: { production: "1.0.0" } });
    await hand.move("a", { labels: { production: "1.1.0" } });
    const again = await hand.move("a", { labels: { production: "1.0.0" } });
    ok(first.revision !== again.revision, "a revision must never come back");
    const change = { name: A, head: { expect: first.revision, next: headOf({}), entries: [] } };
    outcomeIs(await hand.one(change), "conflict", "the revision of the first time");
    same((await hand.found("a", "production")).document.version, "1.0.0", "production");
  }),

  test("I4 compare-and-set: no revision ever comes back", async ({ hand }) => {
    await hand.putAll("a", ["1.0.0", "1.1.0"]);
    const seen = new Set<string | null>([null]);
    for (let i = 0; i < 20; i++) {
      const { revision } = await hand.move("a", {
        labels: i % 2 === 0 ? {} : { production: i % 4 === 1 ? "1.0.0" : "1.1.0" },
      });
      ok(!seen.has(revision), `revision ${revision} came back`);
      seen.add(revision);
    }
  }),

  test("I7 conflict says honestly whether the documents were added", async ({ hand, driver }) => {
    await hand.put("a", "1.0.0");
    const before = await hand.state("a");
    const documents = [documentOf("a", "1.1.0"), documentOf("a", "1.2.0")];
    const change = {
      name: A,
      add: documents,
      head: { expect: "no such revision", next: headOf({ labels: { production: "1.1.0" } }), entries: [] },
    };
    const { added } = outcomeIs(await hand.one(change), "conflict", "a wrong revision");
    for (const { version, text } of documents) {
      const answer = await hand.ask("a", version);
      if (added) sameText(answerIs(answer, "found", `added: ${version}`).document.text, text, version);
      else answerIs(answer, "absent", `not added: ${version}`);
    }
    if (driver.capabilities.atomicity === "batch") ok(!added, "everything moves together, so nothing may be added");
    same((await hand.state("a")).head, before.head, "the head");
    answerIs(await hand.ask("a", "production"), "absent", "the label");
  }),

  test("I4 a label brings the version that the head it brings says", async ({ hand }) => {
    const documents = await hand.putAll("a", ["1.0.0", "1.1.0", "1.2.0"]);
    for (const { version, text } of [...documents, ...documents]) {
      await hand.move("a", { labels: { production: version, other: "1.0.0" } });
      const { document, head } = await hand.found("a", "production");
      sameText(document.text, text, "production");
      same([document.version, head?.head.labels["production" as never]], [version, version], "label and head");
      same(head, await hand.state("a"), "the head that comes with the label");
    }
  }),

  test("I4 latest brings the version that the head it brings says", async ({ hand }) => {
    await hand.putAll("a", ["1.0.0", "1.1.0"]);
    await hand.move("a", { pin: "1.0.0" });
    const { document, head } = await hand.found("a", "latest");
    same([document.version, head?.latest, head?.head.pin], ["1.0.0", "1.0.0", "1.0.0"], "latest, head.latest and pin");
    same(head, await hand.state("a"), "the head that comes with latest");
  }),

  test("I4 a label that is not set is absent, with the head of the prompt", async ({ hand }) => {
    await hand.put("a", "1.0.0");
    await hand.move("a", { labels: { production: "1.0.0" } });
    for (const label of ["staging", "constructor", "prod", "production-2"]) {
      const { head } = answerIs(await hand.ask("a", label), "absent", label);
      same(head?.head.labels, { production: "1.0.0" }, `the head that comes with ${label}`);
    }
  }),

  test("I4 a label may be called constructor, and a prompt too", async ({ hand }) => {
    const document = await hand.put("constructor", "1.0.0");
    answerIs(await hand.ask("constructor", "constructor"), "absent", "before it is set");
    await hand.move("constructor", { labels: { constructor: "1.0.0" } });
    sameText((await hand.found("constructor", "constructor")).document.text, document.text, "after it is set");
    await hand.move("constructor", { labels: {} });
    answerIs(await hand.ask("constructor", "constructor"), "absent", "after it is lifted");
  }),

  test("I4 a label on a yanked version still resolves, and the head says so", async ({ hand }) => {
    const [document] = await hand.putAll("a", ["1.0.0", "1.1.0"]);
    await hand.move("a", { labels: { production: "1.0.0" }, yanked: { "1.0.0": YANK } });
    const answer = await hand.found("a", "production");
    sameText(answer.document.text, document?.text as string, "production");
    same(answer.head?.head.yanked, { "1.0.0": YANK }, "the yank");
    await hand.found("a", "1.0.0");
  }),

  test("I4 the head of one prompt is no other prompt's business", async ({ hand }) => {
    for (const name of ["a", "a/b", "a-b"]) await hand.put(name, "1.0.0");
    await hand.move("a/b", { labels: { production: "1.0.0" }, yanked: { "1.0.0": YANK } });
    for (const name of ["a", "a-b"]) {
      same(await hand.state(name), { head: EMPTY_HEAD, revision: null, latest: "1.0.0" }, `the head of ${name}`);
    }
  }),

  test("I4 a head may come before any document, and is not listed until one comes", async ({ hand }) => {
    await hand.move("a", { deprecated: { at: "2026-01-01T00:00:00.000Z", message: "soon" } });
    const { head } = answerIs(await hand.ask("a", "latest"), "absent", "latest");
    same(head?.head.deprecated?.message, "soon", "the head that comes with absent");
    same(await hand.names(), [], "the names");
    await hand.put("a", "1.0.0");
    same(await hand.names(), ["a"], "the names");
    same((await hand.state("a")).head.deprecated?.message, "soon", "the head");
  }),

  test("I4 of concurrent compare-and-sets on one revision exactly one is done", async ({ hand, another }) => {
    const other = await another();
    for (let round = 0; round < 8; round++) {
      const name = parseName(`cas/r${round}`);
      await hand.put(name, "1.0.0");
      if (round % 2 === 1) await hand.move(name, {});
      const { revision, head } = await hand.state(name);
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, (_, i) => {
          const next = headOf({ ...keep(head), labels: { [`racer-${i}`]: "1.0.0" } });
          const entries = [labelEntry(`racer-${i}`, "1.0.0")];
          return (i % 2 === 0 ? hand : other).one({ name, head: { expect: revision, next, entries } });
        }),
      );
      const winners = outcomes.flatMap((o, i) => (o.status === "done" ? [`racer-${i}`] : []));
      ok(winners.length === 1, `${winners.length} of 8 writers with the same revision were done`);
      for (const o of outcomes) if (o.status !== "done") outcomeIs(o, "conflict", "a loser");
      const after = await other.state(name);
      same(Object.keys(after.head.labels), winners, "the labels");
      same(after.head.generation, head.generation + 1, "the generation");
      same(
        (await hand.log(name)).flatMap((e) => e.label ?? []),
        winners,
        "the history",
      );
    }
  }),
];
