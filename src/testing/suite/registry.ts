import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { createClock, documentOf, tombstoneOf } from "../builders.ts";
import { createRandom } from "../random.ts";
import { ok, rejects, same, sameText } from "./expect.ts";
import { type Case, test } from "./types.ts";

export const registry: readonly Case[] = [
  test("I2 through the registry: the same text again is unchanged, another is ALREADY_EXISTS", async ({
    registry,
    hand,
  }) => {
    const request = { name: "a", version: "1.0.0", text: "one\n" };
    const first = await registry.storePrompt(request);
    const again = await registry.storePrompt({ ...request, author: "somebody else", message: "later" });
    same([first.status, again.status, again.digest], ["created", "unchanged", first.digest], "the same text again");
    await rejects(() => registry.storePrompt({ ...request, text: "two\n" }), "ALREADY_EXISTS", "another text");
    await registry.yank("a", "1.0.0");
    same((await registry.storePrompt(request)).status, "unchanged", "the same text of a yanked version");
    await rejects(
      () => registry.storePrompt({ ...request, text: "two\n" }),
      "ALREADY_EXISTS",
      "another text of a yanked version",
    );
    await registry.deleteVersion("a", "1.0.0");
    for (const text of ["one\n", "two\n"]) {
      await rejects(() => registry.storePrompt({ ...request, text }), "ALREADY_EXISTS", "a removed version");
    }
    await rejects(() => registry.getPrompt("a@1.0.0"), "NOT_FOUND", "a removed version");
    same(await hand.versions("a", { includeRemoved: true }), ["1.0.0"], "the versions");
  }),

  test("I2 through the registry: build metadata in a version is INVALID", async ({ registry, hand }) => {
    await rejects(
      () => registry.storePrompt({ name: "a", version: "1.0.0+build", text: "t" }),
      "INVALID",
      "build metadata",
    );
    same(await hand.names({ includeRemoved: true }), [], "the names");
  }),

  test("I8 through the registry: names that could collide are INVALID, and nothing is written", async ({
    registry,
    hand,
  }) => {
    const names = [
      "A",
      "a/",
      "/a",
      "a//b",
      "a/../b",
      ".a",
      "a.",
      "con",
      "a/nul.txt",
      "a/latest",
      "a/v1.0.0",
      "a/1.0.0",
      "a.md",
      "a b",
      "ä",
      "a\\b",
    ];
    for (const name of names) {
      await rejects(
        () => registry.storePrompt({ name, version: "1.0.0", text: "t" }),
        "INVALID",
        `the name ${JSON.stringify(name)}`,
      );
    }
    same(await hand.names({ includeRemoved: true }), [], "the names");
  }),

  test("I5 through the registry: publish, label, roll back, publish, unpin", async ({ registry }) => {
    const text = (version: string) => `text of ${version}\n`;
    for (const version of ["1.0.0", "1.1.0", "1.2.0"])
      await registry.storePrompt({ name: "a", version, text: text(version) });
    await registry.setLabel("a", "production", "^1.0", { expect: null });
    same((await registry.getPrompt("a@production")).version, "1.2.0", "a range for a label");
    same((await registry.rollback("a")).version, "1.1.0", "rolled back to");
    const stored = await registry.storePrompt({ name: "a", version: "1.3.0", text: text("1.3.0") });
    ok(
      stored.pinned === true || stored.latest === undefined,
      "a publish under a pin says so, where the storage looked",
    );
    same((await registry.getPrompt("a")).version, "1.1.0", "latest under a pin");
    await registry.unpin("a");
    const prompt = await registry.getPrompt("a");
    same([prompt.version, prompt.text], ["1.3.0", text("1.3.0")], "latest without a pin");
    await registry.yank("a", "1.3.0", { message: "wrong" });
    same((await registry.getPrompt("a")).version, "1.2.0", "latest after a yank");
    same((await registry.getPrompt("a@^1.3 || ^1.0")).version, "1.2.0", "a range after a yank");
    same(
      (await registry.getPrompt("a@1.3.0", { status: true })).yanked?.reason,
      "wrong",
      "the yanked version by itself",
    );
  }),

  test("I4 through the registry: a version with a pointer on it can't be deleted until the pointer has moved", async ({
    registry,
  }) => {
    for (const version of ["1.0.0", "1.1.0"]) await registry.storePrompt({ name: "a", version, text: version });
    await registry.setLabel("a", "production", "1.0.0");
    await rejects(() => registry.deleteVersion("a", "1.0.0"), "CONFLICT", "a labelled version");
    await registry.rollback("a", { to: "1.0.0" });
    await registry.removeLabel("a", "production");
    await rejects(() => registry.deleteVersion("a", "1.0.0"), "CONFLICT", "a pinned version");
    await registry.unpin("a");
    same((await registry.deleteVersion("a", "1.0.0")).versions, ["1.0.0"], "what was removed");
    same((await registry.verify("a")).problems, [], "problems");
  }),

  test("I4 through the registry: racing labels and deletions never leave a label without its version", async ({
    registry,
    another,
  }) => {
    const other = new PromptRegistry((await another()).driver);
    for (let round = 0; round < 10; round++) {
      const name = `dangling/r${round}`;
      for (const version of ["1.0.0", "1.1.0"]) await registry.storePrompt({ name, version, text: version });
      const [labelled, deleted] = await Promise.allSettled([
        registry.setLabel(name, "production", "1.0.0"),
        other.deleteVersion(name, "1.0.0"),
      ]);
      ok(labelled.status === "rejected" || deleted.status === "rejected", "one of the two must lose");
      ok(labelled.status === "fulfilled" || deleted.status === "fulfilled", "one of the two must win");
      if (labelled.status === "fulfilled")
        same((await other.getPrompt(`${name}@production`)).version, "1.0.0", "the label");
      same((await other.verify(name)).problems, [], "problems");
    }
  }),

  test("I2 through the registry: deleted prompts come back only with the same digest", async ({ registry, hand }) => {
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n", labels: ["production"] });
    const { document } = await hand.found("a", "1.0.0");
    await registry.deletePrompt("a", { message: "gone" });
    for (const selector of ["a", "a@1.0.0", "a@production"])
      await rejects(() => registry.getPrompt(selector), "NOT_FOUND", selector);
    same((await registry.listPrompts().all()).length, 0, "how many prompts are listed");
    const wrong = documentOf("a", "1.0.0", "other\n");
    await rejects(
      () => registry.restoreVersion({ name: "a", version: "1.0.0", text: wrong.text }),
      "CONFLICT",
      "another digest",
    );
    await registry.restoreVersion({ name: "a", version: "1.0.0", text: document.text });
    same((await registry.getPrompt("a")).text, "one\n", "the restored text");
    same((await registry.verify()).problems, [], "problems");
    const actions = (await registry.history("a").all()).map((e) => e.action);
    same(actions, ["restore", "remove", "unlabel", "label", "publish"], "the history");
  }),

  test("I11 through the registry: a wrong clock is its writer's alone, and answers stay right", async ({ hand }) => {
    let time = Date.UTC(2026, 3, 1);
    const years = 10 * 365 * 86_400_000;
    const tick = () => {
      time += 60_000;
      return time;
    };
    const by = (author: string, off: number) =>
      new PromptRegistry(hand.driver, { author, now: () => new Date(tick() + off) });
    const [right, ahead, behind] = [by("right", 0), by("ahead", years), by("behind", -years)];
    for (const version of ["1.0.0", "1.1.0"]) await right.storePrompt({ name: "a", version, text: `${version}\n` });
    await ahead.setLabel("a", "production", "1.0.0");
    const wrong = time;
    const { ok, warnings } = await right.verify();
    same([ok, warnings.length], [true, 1], "what verify warns of: the time that has not come");
    await right.setLabel("a", "production", "1.1.0");
    await right.rollback("a");
    const moves = (await right.history("a").all()).filter((e) => e.action !== "publish");
    same(
      moves.map((e) => [e.by, e.at]),
      [
        ["ahead", new Date(wrong + years).toISOString()],
        ["right", new Date(time).toISOString()],
        ["right", new Date(time - 60_000).toISOString()],
      ],
      "who moved something, and when, latest first",
    );
    const at = async (when: number) => await right.resolveAt("a", "production", new Date(when));
    same([await at(time), await at(time + years)], ["1.1.0", "1.1.0"], "production, now and when that time has come");
    same(await right.resolveAt("a", "latest", new Date(time)), "1.0.0", "latest after the rollback");
    await behind.setLabel("a", "production", "1.0.0");
    same((await right.getPrompt("a@production")).version, "1.0.0", "production, moved by who is behind");
    same(await at(time + 2 * years), "1.0.0", "production at a time after all of them");
  }),

  test("I5 through the registry: of writers that expect the same latest one wins", async ({ registry, another }) => {
    const other = new PromptRegistry((await another()).driver);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "start\n" });
    const results = await Promise.allSettled(
      Array.from({ length: 6 }, (_, i) =>
        (i % 2 === 0 ? registry : other).storePrompt({
          name: "a",
          version: `1.${i + 1}.0`,
          text: `writer ${i}\n`,
          expect: "1.0.0",
        }),
      ),
    );
    const won = results.filter((r) => r.status === "fulfilled");
    same(won.length, 1, "how many won");
    for (const result of results)
      if (result.status === "rejected") same((result.reason as { code?: string }).code, "CONFLICT", "a loser");
    same((await registry.listVersions("a").all()).length, 2, "how many versions there are");
  }),

  test("I5 through the registry: concurrent bumps give every writer a version of its own", async ({
    registry,
    another,
  }) => {
    const other = new PromptRegistry((await another()).driver);
    const results = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        (i % 2 === 0 ? registry : other).storePrompt({ name: "a", bump: "minor", text: `writer ${i}\n` }),
      ),
    );
    same(new Set(results.map((r) => r.version)).size, 6, "how many different versions");
    same(
      (await registry.listVersions("a").all()).map((e) => e.version),
      ["1.5.0", "1.4.0", "1.3.0", "1.2.0", "1.1.0", "1.0.0"],
      "the versions",
    );
    for (const [i, { version }] of results.entries())
      same((await other.getPrompt({ name: "a", version })).text, `writer ${i}\n`, version);
  }),

  test("I11 through the registry: a copy made with the driver's own words is the same, history included", async ({
    driver,
    hand,
    fresh,
  }) => {
    // Times of their own: of equal times nothing but the store knows which was written first.
    const registry = new PromptRegistry(driver, { now: createClock(), author: "ada" });
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n", author: "ada", message: "first" });
    await registry.storePrompt({ name: "a", version: "1.1.0", text: "two\n", labels: ["production"] });
    await registry.storePrompt({ name: "a", version: "1.2.0", text: "three\n" });
    await registry.rollback("a");
    await registry.unpin("a");
    await registry.deleteVersion("a", "1.0.0");
    const copy = await fresh();
    const { head, latest } = await hand.state("a");
    const log = (await hand.log("a")).filter((e) => e.action !== "publish").reverse();
    const answers = await Promise.all(
      (await hand.versions("a", { includeRemoved: true })).map((v) => hand.ask("a", v)),
    );
    const add = answers.flatMap((a) => (a.status === "found" ? [a.document] : []));
    const remove = answers.flatMap((a) => (a.status === "removed" ? [a.document] : []));
    const { generation: _, ...next } = head;
    const name = parseName("a");
    const digest = tombstoneOf(documentOf("a", "1.0.0")).digest;
    const sealed = (list: typeof add) => list.map((d) => ({ ...d, digest }));
    await copy.done({ name, add: sealed(add), head: { expect: null, next, entries: log }, remove: sealed(remove) });
    same(await copy.log("a"), await hand.log("a"), "the history");
    same((await copy.state("a")).latest, latest, "latest");
    same({ ...(await copy.state("a")).head, generation: 0 }, { ...head, generation: 0 }, "the head");
    for (const answer of answers) {
      if (!("document" in answer)) continue;
      const there = await copy.ask("a", answer.document.version);
      sameText("document" in there ? there.document.text : undefined, answer.document.text, answer.document.version);
    }
  }),

  test("I9 through the registry: verify and doctor find nothing wrong with 30 random prompts", async ({ registry }) => {
    const random = createRandom(11);
    const names = [...new Set(Array.from({ length: 30 }, () => random.name()))];
    for (const name of names) {
      for (let i = 0; i <= random.int(3); i++)
        await registry.storePrompt({
          name,
          bump: random.pick(["major", "minor", "patch"]),
          text: `${i}${random.text()}`,
        });
      if (random.chance()) await registry.setLabel(name, "production", "latest");
      if (random.chance(0.2)) await registry.deletePrompt(name);
    }
    const report = await registry.verify();
    same([report.ok, report.prompts, report.problems], [true, names.length, []], "the report of verify");
    same((await registry.doctor()).findings, [], "the findings of doctor");
  }),
];
