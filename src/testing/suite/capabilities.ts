import type { StorageDriver } from "../../driver.ts";
import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { commitOf, documentOf, headOf } from "../builders.ts";
import { count } from "../layers.ts";
import { answerIs, ok, outcomeIs, rejects, same } from "./expect.ts";
import { type Case, test } from "./types.ts";

const add = (name: string, text?: string) => ({ name: parseName(name), add: [documentOf(name, "1.0.0", text)] });

/** The same driver, that says less of itself. */
function claiming(inner: StorageDriver, less: Partial<StorageDriver["capabilities"]>): StorageDriver {
  return {
    kind: inner.kind,
    location: inner.location,
    capabilities: { ...inner.capabilities, ...less },
    native: inner.native,
    peek: (ask) => inner.peek(ask),
    read: (asks, op) => inner.read(asks, op),
    listPrompts: (query, op) => inner.listPrompts(query, op),
    listVersions: (name, query, op) => inner.listVersions(name, query, op),
    history: (name, query, op) => inner.history(name, query, op),
    changes: (query, op) => inner.changes(query, op),
    commit: (commit, op) => inner.commit(commit, op),
    repair: (plan, op) => inner.repair(plan, op),
    check: (op) => inner.check(op),
    close: () => inner.close(),
  } satisfies StorageDriver;
}

export const capabilities: readonly Case[] = [
  test("I13 atomic: one change alone is always allowed", async ({ hand }) => {
    const [outcome] = await hand.commit([add("a")], { atomic: true });
    outcomeIs(outcome, "done", "one change");
    const [taken] = await hand.commit([add("a", "other\n")], { atomic: true });
    outcomeIs(taken, "exists", "a taken slot");
  }),

  test("I13 atomic: several changes are all done, or UNSUPPORTED where that is not claimed", async ({
    hand,
    driver,
  }) => {
    const changes = [add("a"), add("b"), add("c")];
    if (driver.capabilities.atomicity !== "batch") {
      await rejects(
        () => driver.commit(commitOf(changes, { atomic: true })),
        "UNSUPPORTED",
        "an atomic commit of three",
      );
      same(await hand.names({ includeRemoved: true }), [], "the names");
      return;
    }
    const outcomes = await hand.commit(changes, { atomic: true });
    same(
      outcomes.map((o) => o.status),
      ["done", "done", "done"],
      "the outcomes",
    );
    same(await hand.names(), ["a", "b", "c"], "the names");
  }),

  test("I13 atomic: one refused change keeps all from happening, and the others are skipped", async ({
    hand,
    driver,
  }) => {
    if (driver.capabilities.atomicity !== "batch") return;
    await hand.put("b", "1.0.0", "here first\n");
    await hand.move("d", { labels: {} });
    const stale = { name: parseName("d"), head: { expect: null, next: headOf({}), entries: [] } };
    const cases = [
      { changes: [add("a"), add("b"), add("c")], expected: ["skipped", "exists", "skipped"] },
      { changes: [add("b"), add("a")], expected: ["exists", "skipped"] },
      { changes: [add("a"), stale], expected: ["skipped", "conflict"] },
      { changes: [add("a"), add("b"), stale], expected: ["skipped", "exists", "conflict"] },
    ];
    const before = await hand.state("d");
    const cursor = await hand.now();
    for (const { changes, expected } of cases) {
      const outcomes = await hand.commit(changes, { atomic: true });
      // One refusal is enough to stop at; the others need not be found.
      outcomes.forEach((outcome, i) => {
        ok(
          outcome.status === expected[i] || outcome.status === "skipped",
          `change ${i}: ${outcome.status}, not ${expected[i]}`,
        );
        if (outcome.status === "conflict") same(outcome.added, false, "added");
      });
      ok(
        outcomes.some((o) => o.status !== "skipped"),
        "somebody must be told why",
      );
      for (const name of ["a", "c"]) answerIs(await hand.ask(name, "head"), "absent", name);
      same(await hand.state("d"), before, "the head of d");
    }
    same(
      (await hand.since(cursor)).names.filter((name) => name !== "b" && name !== "d"),
      [],
      "the feed",
    );
  }),

  test("I13 atomic: of racing atomic commits that overlap one is done whole, the other not at all", async ({
    hand,
    another,
    driver,
  }) => {
    if (driver.capabilities.atomicity !== "batch") return;
    const other = await another();
    for (let round = 0; round < 8; round++) {
      const names = ["a", "b", "c", "d"].map((n) => `r${round}/${n}`);
      const [one, two] = await Promise.all([
        hand.commit(
          names.slice(0, 3).map((n) => add(n, "one\n")),
          { atomic: true },
        ),
        other.commit(
          names
            .slice(1)
            .reverse()
            .map((n) => add(n, "two\n")),
          { atomic: true },
        ),
      ]);
      const done = [one, two].map((outcomes) => outcomes.every((o) => o.status === "done"));
      same([...done].sort(), [false, true], "which of the two is done");
      for (const outcomes of [one, two]) {
        ok(outcomes.every((o) => o.status === "done") || outcomes.every((o) => o.status !== "done"), "all or nothing");
      }
      same(await hand.names({ prefix: `r${round}/` }), done[0] ? names.slice(0, 3) : names.slice(1), "the names");
    }
  }),

  test("I13 write: a driver that does not claim it throws READ_ONLY", async ({ driver, hand }) => {
    if (!driver.capabilities.write) {
      await rejects(() => driver.commit(commitOf(add("a"))), "READ_ONLY", "a commit");
      same(await hand.names({ includeRemoved: true }), [], "the names");
    }
    const counting = count(claiming(driver, { write: false }));
    const registry = new PromptRegistry(counting);
    await rejects(() => registry.storePrompt({ name: "a", version: "1.0.0", text: "t" }), "READ_ONLY", "storePrompt");
    same(counting.counts.calls.commit, 0, "commits of a registry over a driver that can't write");
  }),

  test("I13 the registry asks no atomic commit of a driver that does not claim it", async ({ driver }) => {
    const counting = count(claiming(driver, { atomicity: "prompt" }));
    const registry = new PromptRegistry(counting);
    const requests = ["a", "b"].map((name) => ({ name, version: "1.0.0", text: "t" }));
    await rejects(
      () => registry.storePrompts(requests, { atomic: true }),
      "UNSUPPORTED",
      "an atomic store of two prompts",
    );
    same(counting.counts.calls.commit, 0, "commits");
  }),

  test("I13 the registry keeps within maxBatch", async ({ driver }) => {
    const counting = count(claiming(driver, { maxBatch: 3 }));
    const registry = new PromptRegistry(counting);
    const requests = Array.from({ length: 8 }, (_, i) => ({ name: `p${i}`, version: "1.0.0", text: `text ${i}` }));
    const stored = await registry.storePrompts(requests);
    ok(
      stored.every((s) => s.status === "created"),
      "all must be created",
    );
    same([counting.counts.calls.commit, counting.counts.changes], [3, 8], "commits and changes");
    const prompts = await registry.getPrompts(requests.map((r) => r.name));
    same(
      prompts.map((p) => p.text),
      requests.map((r) => r.text),
      "the texts",
    );
    same([counting.counts.calls.read, counting.counts.asks], [3, 8], "reads and asks");
  }),

  test("I13 a commit and a read of maxBatch work, as far as 500", async ({ hand, driver }) => {
    const size = Math.min(500, driver.capabilities.maxBatch);
    const names = Array.from({ length: size }, (_, i) => `batch/p${String(i).padStart(3, "0")}`);
    const outcomes = await hand.commit(names.map((name) => add(name)));
    ok(
      outcomes.every((o) => o.status === "done"),
      "all must be done",
    );
    const answers = await driver.read(names.map((name) => ({ name: parseName(name), selector: { kind: "latest" } })));
    same(
      answers.map((a) => ("document" in a ? a.document.name : a.status)),
      names,
      "the answers",
    );
  }),
];
