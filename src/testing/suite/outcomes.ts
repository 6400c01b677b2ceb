import { isRegistryError } from "../../errors.ts";
import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { commitOf, documentOf, headOf, labelEntry } from "../builders.ts";
import { fault } from "../layers.ts";
import { answerIs, isOneOf, ok, same, sameText } from "./expect.ts";
import { turn } from "./hand.ts";
import { type Case, test } from "./types.ts";

const A = parseName("a");

export const outcomes: readonly Case[] = [
  test("I7 a commit that was aborted on the way says truly whether it happened", async ({ hand, driver, another }) => {
    const other = await another();
    const never: string[] = [];
    for (let round = 0; round < 24; round++) {
      const name = parseName(`abort/r${round}`);
      const document = documentOf(name, "1.0.0", "x".repeat(2000));
      const head = {
        expect: null,
        next: headOf({ labels: { production: "1.0.0" } }),
        entries: [labelEntry("production", "1.0.0")],
      };
      const controller = new AbortController();
      const running = driver.commit(commitOf({ name, add: [document], head }), { signal: controller.signal });
      const settled = running.then(
        (o) => ({ outcome: o[0], error: undefined }),
        (error: unknown) => ({ outcome: undefined, error }),
      );
      for (let i = 0; i < round % 12; i++) await (round < 12 ? undefined : turn());
      controller.abort();
      const { outcome, error } = await settled;
      const failure = outcome?.status === "failed" ? outcome.error : error;
      for (let i = 0; i < 3; i++) await turn();
      // The label first: where the outcome is unknown, the commit may still be on its way between the two.
      const label = await other.ask(name, "production");
      const version = await other.ask(name, "1.0.0");
      if (outcome?.status === "done") {
        sameText(answerIs(version, "found", "a commit that was done").document.text, document.text, "its text");
        answerIs(label, "found", "its label");
        continue;
      }
      const told = isOneOf(failure, ["ABORTED", "UNAVAILABLE"], "an aborted commit");
      if (told.outcome !== "unknown") {
        answerIs(version, "absent", `round ${round}: ${told.outcome} means that nothing happened`);
        answerIs(label, "absent", `round ${round}: ${told.outcome} means that nothing happened`);
        never.push(name);
        continue;
      }
      if (label.status === "found") answerIs(version, "found", "the version of a label");
      // Whatever happened, it may be done again.
      const again = await hand.one({ name, add: [document] });
      ok(again.status === "done" || again.status === "exists", "publishing again must be safe");
    }
    // Nor may it happen later.
    for (const name of never) answerIs(await other.ask(name, "1.0.0"), "absent", `${name}, in the end`);
  }),

  test("I7 publishing again after an aborted commit is safe", async ({ registry, hand }) => {
    for (let round = 0; round < 12; round++) {
      const controller = new AbortController();
      const request = { name: "a", version: `1.${round}.0`, text: `round ${round}\n`, labels: ["production"] };
      const first = registry.storePrompt(request, { signal: controller.signal }).catch((error: unknown) => error);
      for (let i = 0; i < round; i++) await undefined;
      controller.abort();
      const result = await first;
      if (result instanceof Error) isOneOf(result, ["ABORTED"], "an aborted publish");
      await registry.storePrompt(request);
      same((await hand.found("a", "production")).document.version, request.version, "production");
    }
    same((await hand.versions("a")).length, 12, "how many versions there are");
  }),

  test("I7 a publish whose reply is lost is read back, and not done twice", async ({ driver, hand }) => {
    const faulty = fault(driver);
    const registry = new PromptRegistry(faulty);
    faulty.plan({ method: "commit", call: 1, what: "dropReply" });
    const stored = await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    same([stored.status, faulty.struck.length], ["created", 1], "a lost reply of a publish");
    faulty.plan({ method: "commit", call: 1, what: "dropReply" });
    const bumped = await registry.storePrompt({ name: "a", bump: "minor", text: "two\n" });
    same([bumped.version, bumped.status], ["1.1.0", "created"], "a lost reply of a bump");
    faulty.plan({ method: "commit", call: 1, what: "dropReply" });
    await registry.storePrompt({ name: "a", version: "1.2.0", text: "three\n", labels: ["production"] });
    same(await hand.versions("a"), ["1.2.0", "1.1.0", "1.0.0"], "the versions");
    const labelled = (await hand.log("a")).filter((e) => e.action === "label");
    same(labelled.length, 1, "entries of the label");
  }),

  test("I7 a head whose reply is lost is read back by its commit, and leaves one entry", async ({ driver, hand }) => {
    await hand.putAll("a", ["1.0.0", "1.1.0"]);
    const faulty = fault(driver);
    const registry = new PromptRegistry(faulty);
    const steps: readonly (() => Promise<unknown>)[] = [
      () => registry.setLabel("a", "production", "1.0.0"),
      () => registry.setLabel("a", "production", "1.1.0"),
      () => registry.rollback("a"),
      () => registry.unpin("a"),
      () => registry.yank("a", "1.0.0"),
      () => registry.unyank("a", "1.0.0"),
      () => registry.deprecate("a", "old"),
      () => registry.deleteVersion("a", "1.0.0"),
    ];
    for (const [i, step] of steps.entries()) {
      faulty.plan({ method: "commit", call: 1, what: "dropReply" });
      await step();
      same(faulty.struck.length, i + 1, "the lost replies");
      same((await hand.state("a")).head.generation, i + 1, `the generation after step ${i}`);
    }
    const actions = (await hand.log("a")).map((e) => e.action).filter((action) => action !== "publish");
    same(actions, ["remove", "deprecate", "unyank", "yank", "unpin", "rollback", "label", "label"], "the history");
  }),

  test("I7 a publish that surely failed is told as it is, and leaves nothing", async ({ driver, hand }) => {
    const registry = new PromptRegistry(fault(driver, { method: "commit", what: "fail" }));
    for (const labels of [[], ["production"]]) {
      try {
        await registry.storePrompt({ name: "a", version: "1.0.0", text: "t", labels });
        throw new Error("it must fail");
      } catch (error) {
        ok(isRegistryError(error, "UNAVAILABLE"), `expected UNAVAILABLE, got ${String(error)}`);
        same(error.outcome, "temporary", "the outcome");
      }
    }
    same(await hand.names({ includeRemoved: true }), [], "the names");
  }),

  test("I7 one refused change of a commit does not hold up the others", async ({ hand, driver }) => {
    if (driver.capabilities.maxBatch < 2) return;
    await hand.put("b", "1.0.0", "here first\n");
    const outcomes = await hand.commit(
      ["a", "b", "c"]
        .map((n) => ({ name: parseName(n), add: [documentOf(n, "1.0.0")] }))
        .slice(0, driver.capabilities.maxBatch),
    );
    same(
      outcomes.map((o) => o.status),
      ["done", "exists", "done"].slice(0, outcomes.length),
      "the outcomes",
    );
    await hand.found("a", "1.0.0");
  }),

  test("I7 the same commit sent twice is never applied twice", async ({ driver, hand }) => {
    await hand.put("a", "1.0.0");
    const { revision } = await hand.state("a");
    const head = {
      expect: revision,
      next: headOf({ labels: { production: "1.0.0" } }),
      entries: [labelEntry("production", "1.0.0", { commit: "twice" })],
    };
    const commit = commitOf({ name: A, add: [documentOf("a", "1.1.0")], head }, { id: "twice" });
    const [first] = await driver.commit(commit);
    same(first?.status, "done", "the first time");
    const [second] = await driver.commit(commit);
    // Whether a driver knows the commit again or refuses its parts: nothing may happen twice.
    ok(
      second?.status === "done" || second?.status === "exists" || second?.status === "conflict",
      `the second time: ${second?.status}`,
    );
    same((await hand.log("a")).filter((e) => e.commit === "twice").length, 1, "entries of the commit");
    same((await hand.state("a")).head.generation, 1, "the generation");
  }),
];
