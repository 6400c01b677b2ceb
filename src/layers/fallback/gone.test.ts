import { describe, expect, it } from "vitest";
import { lab } from "../../../test/support/fallback-lab.ts";
import { outage } from "../../../test/support/outage.ts";
import type { Cursor, Page, StorageDriver } from "../../driver.ts";
import { memory } from "../../drivers/memory.ts";
import { PromptRegistry } from "../../registry.ts";
import { askOf, fault, seedPrompts } from "../../testing/index.ts";
import { fallback } from "../fallback.ts";

describe("a label that was removed through a fallback", () => {
  it("is not brought back by it: in no answer, no head, no list", async () => {
    const { registry, driver, faulty } = await lab();
    await registry.removeLabel("a", "production");
    faulty.plan(outage());
    await expect(registry.getPrompt("a@production")).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: "a has no label production; it has no labels",
    });
    const [head, latest] = await driver.read([askOf("a", "head"), askOf("a", "latest")]);
    expect([head, latest]).toMatchObject([{ head: { head: { labels: {} } } }, { head: { head: { labels: {} } } }]);
    const { items } = await driver.listPrompts({ limit: 9, include: "heads" });
    expect(items.find(({ name }) => name === "a")?.head?.head.labels).toEqual({});
  });

  it("stays away whatever else is stored, and is there again when it is set again, by whomever", async () => {
    for (const others of [false, true]) {
      const { registry, main, faulty, second } = await lab();
      await new PromptRegistry(second).setLabel("a", "staging", "1.0.0");
      await registry.setLabel("a", "staging", "1.0.0");
      await registry.removeLabel("a", "production");
      await registry.storePrompt({ name: "a", version: "1.2.0", text: "" });
      await registry.yank("a", "1.2.0");
      faulty.plan(outage());
      await expect(registry.getPrompt("a@production")).rejects.toMatchObject({
        code: "NOT_FOUND",
        message: "a has no label production; its labels are staging",
      });
      expect((await registry.getPrompt("a@staging")).source).toBe("fallback:memory");
      faulty.plan([]);
      await (others ? main : registry).setLabel("a", "production", "1.1.0");
      // Of what others did, any head tells.
      if (others) await registry.getPrompt("a");
      faulty.plan(outage());
      const { version, source, labels } = await registry.getPrompt("a@production");
      expect([version, source, labels]).toEqual(["1.0.0", "fallback:memory", ["production", "staging"]]);
    }
  });

  it("is hidden also where the main storage did not tell the head after it", async () => {
    const { second, faulty } = await lab();
    const driver = fallback([second])({
      ...faulty,
      commit: async (commit, op) =>
        (await faulty.commit(commit, op)).map((o) => (o.status === "done" ? { status: "done" } : o)),
    });
    const registry = new PromptRegistry(driver);
    await registry.removeLabel("a", "production");
    faulty.plan(outage());
    await expect(registry.getPrompt("a@production")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(await driver.read([askOf("a", "head")])).toMatchObject([{ head: { head: { labels: {} } } }]);
  });
});

describe("a head of a fallback", () => {
  it("points at nothing that was removed", async () => {
    const { registry, driver, faulty, second } = await lab();
    const copy = new PromptRegistry(second);
    await copy.storePrompt({ name: "a", version: "1.1.0", text: "main\n", labels: ["beta"] });
    await copy.rollback("a", { to: "1.1.0" });
    await registry.removeLabel("a", "production");
    await registry.deleteVersion("a", "1.1.0");
    faulty.plan(outage());
    const [answer] = await driver.read([askOf("a", "head")]);
    expect(answer).toMatchObject({ status: "head", head: { latest: "1.0.0", head: { labels: {} } } });
    expect(JSON.stringify(answer)).not.toContain("1.1.0");
    expect((await registry.getPrompt("a@1.0.0", { status: true })).labels).toEqual([]);
  });

  it("is none where the fallback can't say what is left", async () => {
    const { registry, second, faulty } = await lab();
    await new PromptRegistry(second).storePrompt({ name: "a", version: "1.1.0", text: "main\n" });
    const sick = fallback([fault(second, { method: "listVersions", what: "fail" })])(faulty);
    await registry.removeLabel("a", "production");
    await new PromptRegistry(sick).deleteVersion("a", "1.1.0");
    faulty.plan(outage());
    await expect(sick.read([askOf("a", "head")])).rejects.toMatchObject({ code: "UNAVAILABLE", message: "down" });
  });
});

describe("a main storage that answers from a fallback of its own", () => {
  const seeded = async (...names: string[]) => {
    const driver = memory();
    await seedPrompts(new PromptRegistry(driver), Object.fromEntries(names.map((n) => [n, { "1.0.0": "" }])));
    return driver;
  };
  const dead = () => Object.assign(fault(memory(), outage()), { peek: () => undefined });
  const all = ["a", "b", "c", "d", "e", "f"];

  // Layers of two processes: what lies between them is a driver like any other.
  const remote = (inner: StorageDriver): StorageDriver => ({ ...inner });

  async function listed(driver: StorageDriver): Promise<string[]> {
    const names: string[] = [];
    let page: Page<{ readonly name: string }> | undefined;
    do {
      const cursor: { cursor?: Cursor } = page?.cursor === undefined ? {} : { cursor: page.cursor };
      page = await driver.listPrompts({ limit: 2, ...cursor });
      names.push(...page.items.map(({ name }) => name));
    } while (page.cursor !== undefined);
    return names;
  }

  it("is the one that goes on with its pages, however deep", async () => {
    const own = await seeded("c", "zz");
    const server = fallback([await seeded(...all)])(dead());
    const client = fallback([own])(remote(server));
    expect(await listed(client)).toEqual(all);
    expect(await listed(fallback([])(remote(client)))).toEqual(all);
    expect(await listed(fallback([own, own])(remote(fallback([])(remote(client)))))).toEqual(all);
  });

  it("tells its own error when it is gone before the next page", async () => {
    const faulty = fault(fallback([await seeded(...all)])(dead()));
    const client = fallback([await seeded("c")])(faulty);
    const { cursor } = await client.listPrompts({ limit: 2 });
    faulty.plan(outage());
    await expect(client.listPrompts({ limit: 2, cursor: cursor as Cursor })).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
  });
});
