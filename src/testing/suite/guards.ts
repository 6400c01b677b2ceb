import { parseName } from "../../names.ts";
import { documentOf, headOf, labelEntry } from "../builders.ts";
import { answerIs, ok, outcomeIs, same } from "./expect.ts";
import { type Case, test } from "./types.ts";

const A = parseName("a");

export const guards: readonly Case[] = [
  test("I5 guard: with the revision of now the documents are added and the generation advances", async ({ hand }) => {
    await hand.put("a", "1.0.0");
    for (const version of ["1.1.0", "1.2.0"]) {
      const before = await hand.state("a");
      await hand.done({ name: A, add: [documentOf("a", version)], guard: before.revision });
      const after = await hand.state("a");
      same(after.head, { ...before.head, generation: before.head.generation + 1 }, "the head");
      ok(after.revision !== before.revision, "the revision must change, or the next writer is not held up");
      same(after.latest, version, "latest");
    }
  }),

  test("I5 guard: with another revision nothing is added", async ({ hand }) => {
    await hand.put("a", "1.0.0");
    const old = await hand.state("a");
    const now = await hand.move("a", { labels: { production: "1.0.0" } });
    for (const guard of [old.revision, "", "no such revision"]) {
      const outcome = await hand.one({ name: A, add: [documentOf("a", "1.1.0")], guard });
      same(outcomeIs(outcome, "conflict", `guard ${guard}`).added, false, "added");
      answerIs(await hand.ask("a", "1.1.0"), "absent", "the document");
      same(await hand.state("a"), now, "the head");
    }
    same(await hand.versions("a"), ["1.0.0"], "the versions");
  }),

  test("I5 guard: null lets one writer in, and no second", async ({ hand }) => {
    await hand.done({ name: A, add: [documentOf("a", "1.0.0")], guard: null });
    const outcome = await hand.one({ name: A, add: [documentOf("a", "1.1.0")], guard: null });
    same(outcomeIs(outcome, "conflict", "guard null again").added, false, "added");
    same(await hand.versions("a"), ["1.0.0"], "the versions");
    ok((await hand.state("a")).head.generation >= 1, "the generation must have advanced");
  }),

  test("I5 guard: a taken slot does not let the rest in", async ({ hand }) => {
    await hand.put("a", "1.0.0");
    const { revision } = await hand.state("a");
    const add = [documentOf("a", "1.0.0", "other\n"), documentOf("a", "1.1.0")];
    outcomeIs(await hand.one({ name: A, add, guard: revision }), "exists", "a taken slot");
    answerIs(await hand.ask("a", "1.1.0"), "absent", "the other document");
  }),

  test("I5 guard: works together with a head of the same change", async ({ hand }) => {
    await hand.put("a", "1.0.0");
    const before = await hand.state("a");
    const head = {
      expect: before.revision,
      next: headOf({ labels: { production: "1.1.0" } }),
      entries: [labelEntry("production", "1.1.0")],
    };
    await hand.done({ name: A, add: [documentOf("a", "1.1.0")], guard: before.revision, head });
    same((await hand.found("a", "production")).document.version, "1.1.0", "production");
    const again = await hand.one({ name: A, add: [documentOf("a", "1.2.0")], guard: before.revision, head });
    same(outcomeIs(again, "conflict", "the same guard again").added, false, "added");
    answerIs(await hand.ask("a", "1.2.0"), "absent", "what the loser wanted to add");
    same(
      (await hand.log("a")).flatMap((e) => e.label ?? []),
      ["production"],
      "the history",
    );
  }),

  test("I5 guard: of concurrent writers with the same guard exactly one adds, the others add nothing", async ({
    hand,
    another,
  }) => {
    const other = await another();
    for (let round = 0; round < 8; round++) {
      const name = parseName(`guard/r${round}`);
      await hand.put(name, "1.0.0");
      if (round % 2 === 1) await hand.move(name, { labels: { production: "1.0.0" } });
      const { revision } = await hand.state(name);
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, (_, i) => {
          const add = [documentOf(name, `2.${i}.0`), documentOf(name, `3.${i}.0`)];
          return (i % 2 === 0 ? hand : other).one({ name, add, guard: revision });
        }),
      );
      const winners = outcomes.flatMap((o, i) => (o.status === "done" ? [i] : []));
      ok(winners.length === 1, `${winners.length} of 8 writers with the same guard were done`);
      for (const outcome of outcomes) {
        if (outcome.status !== "done") same(outcomeIs(outcome, "conflict", "a loser").added, false, "added of a loser");
      }
      same(await other.versions(name), [`3.${winners[0]}.0`, `2.${winners[0]}.0`, "1.0.0"], "the versions");
    }
  }),

  test("I5 guard: a head that moved meanwhile keeps a guarded writer out", async ({ hand, another }) => {
    const other = await another();
    for (let round = 0; round < 8; round++) {
      const name = parseName(`guard-head/r${round}`);
      await hand.put(name, "1.0.0");
      const { revision } = await hand.state(name);
      const [moved, added] = await Promise.all([
        hand.one({ name, head: { expect: revision, next: headOf({ labels: { production: "1.0.0" } }), entries: [] } }),
        other.one({ name, add: [documentOf(name, "2.0.0")], guard: revision }),
      ]);
      const statuses = [moved.status, added.status].sort();
      same(statuses, ["conflict", "done"], "one of the two");
      const { head } = await hand.state(name);
      same(head.generation, 1, "the generation");
      same(Object.keys(head.labels), moved.status === "done" ? ["production"] : [], "the labels");
      same(await other.versions(name), added.status === "done" ? ["2.0.0", "1.0.0"] : ["1.0.0"], "the versions");
    }
  }),

  test("I5 guard: a plain publish neither needs nor moves the head", async ({ hand }) => {
    await hand.put("a", "1.0.0");
    const before = await hand.move("a", { labels: { production: "1.0.0" } });
    await hand.put("a", "1.1.0");
    const after = await hand.state("a");
    same([after.head, after.revision], [before.head, before.revision], "the head");
    await hand.done({ name: A, add: [documentOf("a", "1.2.0")], guard: before.revision });
  }),
];
