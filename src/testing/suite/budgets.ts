import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { askOf, documentOf } from "../builders.ts";
import { count } from "../layers.ts";
import { ok, same } from "./expect.ts";
import { type Case, test } from "./types.ts";

const FIFTY = Array.from({ length: 50 }, (_, i) => `p${String(i).padStart(2, "0")}`);

/** What the registry may ask of any driver, and (with `budgets`) what the driver may ask of its store. */
export const budgets: readonly Case[] = [
  test("budget: getPrompt is a peek or one read of one ask, whatever the selector", async ({ driver, hand }) => {
    await hand.putAll("a", ["1.0.0", "1.1.0"]);
    await hand.move("a", { labels: { production: "1.0.0" } });
    for (const selector of ["a@1.0.0", "a", "a@production"]) {
      const counting = count(driver);
      await new PromptRegistry(counting).getPrompt(selector);
      const { calls, total, asks } = counting.counts;
      ok(total <= 1 && asks <= 1 && calls.peek <= 2, `${selector}: ${total} calls, ${asks} asks, ${calls.peek} peeks`);
    }
  }),

  test("budget: getPrompts of many is one read", async ({ driver, hand }) => {
    for (const name of FIFTY) await hand.put(name, "1.0.0");
    const counting = count(driver);
    await new PromptRegistry(counting).getPrompts(FIFTY);
    const reads = Math.ceil(50 / driver.capabilities.maxBatch);
    same([counting.counts.total, counting.counts.asks], [reads, 50], "calls and asks");
  }),

  test("budget: a plain publish is one commit and nothing else", async ({ driver }) => {
    const counting = count(driver);
    const registry = new PromptRegistry(counting);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "t" });
    same([counting.counts.calls.commit, counting.counts.total], [1, 1], "commits and calls");
  }),

  test("budget: storePrompts of many prompts is one commit", async ({ driver }) => {
    const counting = count(driver);
    await new PromptRegistry(counting).storePrompts(FIFTY.map((name) => ({ name, version: "1.0.0", text: name })));
    const commits = Math.ceil(50 / driver.capabilities.maxBatch);
    same([counting.counts.total, counting.counts.changes], [commits, 50], "calls and changes");
  }),

  test("budget: a page of the list with heads is one call: no N+1", async ({ driver, hand }) => {
    for (const name of FIFTY) await hand.put(name, "1.0.0");
    const counting = count(driver);
    const page = await new PromptRegistry(counting).listPrompts({ limit: 1000, include: "heads" });
    ok(
      page.items.every((e) => e.head?.latest === "1.0.0"),
      "every entry has its head",
    );
    same(counting.counts.total, 1, "calls");
  }),

  test("budget: setting a label is at most two reads and one commit", async ({ driver, hand }) => {
    await hand.put("a", "1.0.0");
    const counting = count(driver);
    await new PromptRegistry(counting).setLabel("a", "production", "1.0.0");
    const { calls, total } = counting.counts;
    ok(
      calls.commit === 1 && calls.read <= 2 && total <= 3,
      `${calls.commit} commits, ${calls.read} reads, ${total} calls`,
    );
  }),

  test(
    "budget: reading takes no more calls of the store than allowed",
    async ({ driver, hand, budget }) => {
      for (const name of FIFTY) await hand.put(name, "1.0.0");
      await hand.move("p07", { labels: { production: "1.0.0" } });
      await budget("readVersion", () => driver.read([askOf("p01", "1.0.0")]));
      await budget("readLatest", () => driver.read([askOf("p02", "latest")]));
      await budget("readLabel", () => driver.read([askOf("p07", "production")]));
      await budget("readMany", () =>
        driver.read(FIFTY.map((name) => askOf(name, "1.0.0")).slice(0, driver.capabilities.maxBatch)),
      );
    },
    "budgets",
  ),

  test(
    "budget: listing takes no more calls of the store than allowed",
    async ({ driver, hand, budget }) => {
      for (const name of FIFTY) await hand.put(`a/${name}`, "1.0.0");
      for (const name of FIFTY) await hand.put(`b/${name}`, "1.0.0");
      for (let i = 1; i < 20; i++) await hand.put("a/p00", `1.${i}.0`);
      for (let i = 0; i < 5; i++) await hand.move("a/p00", { labels: { production: `1.${i}.0` } });
      const name = parseName("a/p00");
      await budget("listPrompts", () => driver.listPrompts({ limit: 100 }));
      await budget("listPromptsWithHeads", () => driver.listPrompts({ limit: 100, include: "heads" }));
      await budget("listVersions", () => driver.listVersions(name, { limit: 100 }));
      await budget("history", () => driver.history(name, { limit: 100 }));
      const cursor = await hand.now();
      await budget("changes", () => driver.changes({ cursor, limit: 100 }));
    },
    "budgets",
  ),

  test(
    "budget: writing takes no more calls of the store than allowed",
    async ({ driver, hand, budget }) => {
      await hand.put("a", "1.0.0");
      await budget("publish", () => hand.put("a", "1.1.0"));
      const change = await hand.headChange("a", { labels: { production: "1.0.0" } });
      await budget("moveHead", () => hand.done(change));
      const many = FIFTY.slice(0, driver.capabilities.maxBatch);
      await budget("publishMany", () =>
        hand.commit(many.map((name) => ({ name: parseName(name), add: [documentOf(name, "1.0.0")] }))),
      );
    },
    "budgets",
  ),
];
