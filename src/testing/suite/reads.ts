import type { ReadAnswer } from "../../driver.ts";
import { parseName } from "../../names.ts";
import { askOf, documentOf, tombstoneOf } from "../builders.ts";
import { answerIs, ok, plain, same, sameText } from "./expect.ts";
import { type Hand, keep } from "./hand.ts";
import { type Case, test } from "./types.ts";

const A = parseName("a");
const WHATS = ["1.0.0", "2.0.0", "latest", "production", "head"];

function revisionOf(answer: ReadAnswer): string | undefined {
  return "revision" in answer ? answer.revision : undefined;
}

/** What a caller acts on; the head in an answer to an exact version is a gift that may be there or not. */
function essence(answer: ReadAnswer): string {
  const latest = "head" in answer ? answer.head?.latest : undefined;
  const document = "document" in answer ? answer.document : undefined;
  const head = "head" in answer ? answer.head?.head : undefined;
  return JSON.stringify(
    plain({ status: answer.status, document, head, latest: document === undefined ? latest : undefined }),
  );
}

/** An answer, and what a reader remembers of its lease. */
interface Leased {
  readonly what: string;
  readonly answer: ReadAnswer;
  readonly until: number;
  readonly changes: number | undefined;
}

function leasedAnswers(what: string, answer: ReadAnswer | undefined): Leased[] {
  if (answer?.lease === undefined) return [];
  const { until, store } = answer.lease;
  return [{ what, answer, until, changes: store?.changes }];
}

/** By the lease itself, or by the count of those that were ended. */
function stands({ answer: { lease }, until, changes }: Leased): boolean {
  if ((lease?.until ?? 0) > Date.now()) return true;
  return changes !== undefined && until > Date.now() && lease?.store?.changes === changes;
}

async function prepare(hand: Hand): Promise<void> {
  await hand.putAll("a", ["1.0.0", "2.0.0"]);
  await hand.move("a", { labels: { production: "1.0.0" } });
}

export const reads: readonly Case[] = [
  test("I3 answers are index-aligned with mixed asks, and the same ask may come twice", async ({ hand }) => {
    await prepare(hand);
    const removed = await hand.put("b", "1.0.0");
    await hand.remove("b", removed);
    const asks = [
      askOf("b", "1.0.0"),
      askOf("a", "production"),
      askOf("nobody", "latest"),
      askOf("a", "2.0.0"),
      askOf("a", "head"),
      askOf("a", "2.0.0"),
      askOf("a", "9.9.9"),
      askOf("a", "latest"),
      askOf("b", "latest"),
      askOf("a", "staging"),
    ];
    const answers = await hand.driver.read(asks);
    same(
      answers.map((a) => [a.status, "document" in a ? `${a.document.name}@${a.document.version}` : undefined]),
      [
        ["removed", "b@1.0.0"],
        ["found", "a@1.0.0"],
        ["absent", undefined],
        ["found", "a@2.0.0"],
        ["head", undefined],
        ["found", "a@2.0.0"],
        ["absent", undefined],
        ["found", "a@2.0.0"],
        ["absent", undefined],
        ["absent", undefined],
      ],
      "the answers",
    );
    for (const i of [7, 8, 9])
      ok((answers[i] as { head?: unknown }).head !== undefined, `answer ${i} must bring the head`);
  }),

  test("I3 no asks get no answers", async ({ hand }) => {
    same(await hand.driver.read([]), [], "the answers");
    same(await hand.driver.commit({ id: "empty", at: "2026-01-01T00:00:00.000Z", changes: [] }), [], "the outcomes");
  }),

  test("I3 a read of many asks answers every one of them", async ({ hand, driver }) => {
    const count = Math.min(200, driver.capabilities.maxBatch);
    const names = Array.from({ length: count }, (_, i) => `many/p${i}`);
    for (const name of names) await hand.put(name, "1.0.0");
    const order = [...names].reverse();
    const answers = await driver.read(order.map((name, i) => askOf(name, i % 2 === 0 ? "1.0.0" : "latest")));
    ok(answers.length === count, `${count} asks got ${answers.length} answers`);
    answers.forEach((answer, i) => {
      const name = order[i] as string;
      sameText(answerIs(answer, "found", name).document.text, documentOf(name, "1.0.0").text, name);
    });
  }),

  test("I3 known: unchanged is answered, with the revision, while nothing changed", async ({ hand, another }) => {
    await prepare(hand);
    const other = await another();
    for (const what of WHATS) {
      const revision = revisionOf(await hand.ask("a", what));
      ok(revision !== undefined, `the answer to ${what} has no revision`);
      for (const view of [hand, hand, other]) {
        same(await view.ask("a", what, revision), { status: "unchanged", revision }, `${what} with a known revision`);
      }
    }
  }),

  test("I3 known: a foreign revision gets a full answer", async ({ hand }) => {
    await prepare(hand);
    for (const what of WHATS) {
      const full = essence(await hand.ask("a", what));
      for (const known of ["", "0", "no such revision"]) {
        same(
          essence(await hand.ask("a", what, known)),
          full,
          `${what} with the foreign revision ${JSON.stringify(known)}`,
        );
      }
    }
    answerIs(await hand.ask("nobody", "latest", "1"), "absent", "a prompt that is not there");
    answerIs(await hand.ask("a", "9.9.9", "1"), "absent", "a version that is not there");
    answerIs(await hand.ask("a", "staging", "1"), "absent", "a label that is not set");
  }),

  test("I3 known and lease: neither holds when the answer would be another", async ({ hand, another }) => {
    await prepare(hand);
    const other = await another();
    const steps: (() => Promise<unknown>)[] = [
      () => hand.put("a", "2.1.0"),
      () => hand.put("a", "0.1.0"),
      async () => hand.move("a", { labels: { production: "2.0.0" } }),
      async () => hand.move("a", { labels: { production: "1.0.0" } }),
      async () => hand.move("a", { labels: { production: "1.0.0" }, pin: "1.0.0" }),
      async () => hand.move("a", { labels: { production: "1.0.0" } }),
      async () =>
        hand.move("a", { labels: { production: "1.0.0" }, yanked: { "2.1.0": { at: "2026-01-01T00:00:00.000Z" } } }),
      async () => hand.done({ name: A, add: [documentOf("a", "2.2.0")], guard: (await hand.state("a")).revision }),
      () => hand.done({ name: A, remove: [tombstoneOf(documentOf("a", "2.2.0"))] }),
      () => hand.done({ name: A, restore: [documentOf("a", "2.2.0")] }),
      () => hand.done({ name: A, remove: [tombstoneOf(documentOf("a", "2.0.0"))] }),
      // A store may refuse to remove what a label is on, so the label goes with it.
      async () =>
        hand.done({
          ...(await hand.headChange("a", { ...keep((await hand.state("a")).head), labels: {} })),
          remove: [tombstoneOf(documentOf("a", "1.0.0"))],
        }),
      () => hand.done({ name: A, restore: [documentOf("a", "1.0.0")] }),
      async () => hand.move("a", { ...keep((await hand.state("a")).head), labels: { production: "1.0.0" } }),
      async () => hand.move("a", { ...keep((await hand.state("a")).head), labels: {} }),
    ];
    for (const [i, step] of steps.entries()) {
      const before = new Map<string, ReadAnswer>();
      for (const what of WHATS) before.set(what, await hand.ask("a", what));
      const leased = [...WHATS, ...WHATS].flatMap((what) => leasedAnswers(what, hand.driver.peek(askOf("a", what))));
      for (const what of WHATS) leased.push(...leasedAnswers(what, await hand.ask("a", what)));
      await step();
      for (const one of leased) {
        if (!stands(one)) continue;
        const { what } = one;
        same(
          essence(one.answer),
          essence(await hand.ask("a", what)),
          `step ${i}: the lease of ${what} holds, the answer does not`,
        );
      }
      for (const view of [hand, other]) {
        for (const what of WHATS) {
          const old = before.get(what) as ReadAnswer;
          const known = revisionOf(old);
          if (known === undefined) continue;
          const fresh = await view.ask("a", what);
          const answer = await view.ask("a", what, known);
          if (answer.status !== "unchanged") same(essence(answer), essence(fresh), `step ${i}, ${what}`);
          else same(essence(old), essence(fresh), `step ${i}: unchanged was answered to ${what}`);
        }
      }
    }
  }),

  test("I3 peek agrees with read, before and after every kind of change", async ({ hand, another }) => {
    const other = await another();
    const document = documentOf("a", "1.0.0");
    const steps: (() => Promise<unknown>)[] = [
      async () => {},
      () => hand.done({ name: A, add: [document] }),
      () => other.put("a", "2.0.0"),
      () => other.move("a", { labels: { production: "2.0.0" } }),
      () => hand.move("a", { labels: { production: "1.0.0" }, pin: "1.0.0" }),
      () =>
        other.move("a", { labels: { production: "2.0.0" }, yanked: { "1.0.0": { at: "2026-01-01T00:00:00.000Z" } } }),
      () => other.done({ name: A, remove: [tombstoneOf(document)] }),
      () => hand.done({ name: A, restore: [document] }),
      () => other.move("a", { deprecated: { at: "2026-01-01T00:00:00.000Z", message: "old" } }),
    ];
    for (const [i, step] of steps.entries()) {
      await step();
      for (const view of [hand, other]) {
        // Twice: the second time from what the first one remembered.
        for (const what of [...WHATS, ...WHATS]) {
          const peeked = view.driver.peek(askOf("a", what));
          const read = await view.ask("a", what);
          if (peeked !== undefined) same(essence(peeked), essence(read), `step ${i}: peek and read of ${what}`);
        }
      }
    }
  }),

  test("I3 lease and provenance: have a time, and a lease for ever ends with close", async ({ hand, driver }) => {
    await prepare(hand);
    const answers = await Promise.all(WHATS.map((what) => hand.ask("a", what)));
    answers.push(...WHATS.flatMap((what) => driver.peek(askOf("a", what)) ?? []));
    for (const { lease, provenance } of answers) {
      ok(lease === undefined || lease.until >= 0, "a lease has a time in until");
      if (provenance === undefined) continue;
      const { source, fetchedAt, stale } = provenance;
      ok(source !== "" && Number.isFinite(fetchedAt) && typeof stale === "boolean", "a provenance says where and when");
    }
    await driver.close();
    for (const { lease } of answers) {
      ok(lease === undefined || lease.until !== Number.POSITIVE_INFINITY, "a lease for ever ends with close");
    }
  }),

  test("I3 peek never throws, whatever it is asked", async ({ hand, driver }) => {
    await prepare(hand);
    for (const name of ["a", "nobody", "constructor"]) {
      for (const what of [...WHATS, "9.9.9", "constructor"]) {
        for (const known of [undefined, "", "no such revision"]) driver.peek(askOf(name, what, known));
      }
    }
    await driver.close();
    for (const what of WHATS) driver.peek(askOf("a", what));
  }),

  test("I3 what was answered once does not change in the caller's hands", async ({ hand }) => {
    await prepare(hand);
    const answers = await Promise.all(WHATS.map((what) => hand.ask("a", what)));
    const peeked = WHATS.map((what) => hand.driver.peek(askOf("a", what)));
    const shown = () => [...answers, ...peeked].map((answer) => answer && essence(answer));
    const before = shown();
    await hand.move("a", { labels: { production: "2.0.0", staging: "1.0.0" }, pin: "1.0.0" });
    await hand.put("a", "3.0.0");
    await hand.remove("a", documentOf("a", "3.0.0"));
    same(shown(), before, "the old answers");
  }),

  test("I4 head: a prompt with a document, a tombstone or a head has one, and no other", async ({ hand }) => {
    await hand.put("document", "1.0.0");
    await hand.done({ name: parseName("tombstone"), remove: [tombstoneOf(documentOf("tombstone", "1.0.0"))] });
    await hand.move("head", { deprecated: { at: "2026-01-01T00:00:00.000Z", message: "soon" } });
    for (const name of ["document", "tombstone", "head"]) answerIs(await hand.ask(name, "head"), "head", name);
    answerIs(await hand.ask("documents", "head"), "absent", "a name that only starts like one");
    answerIs(await hand.ask("document/1", "head"), "absent", "a name below one");
  }),
];
