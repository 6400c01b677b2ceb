import { describe, expect, it, vi } from "vitest";
import { gate } from "../../../test/support/cache-lab.ts";
import type { Outcome, ReadAnswer, ReadAsk, StorageDriver } from "../../driver.ts";
import { memory } from "../../drivers/memory.ts";
import { RegistryError } from "../../errors.ts";
import { PromptRegistry } from "../../registry.ts";
import { askOf, commitOf, documentOf } from "../../testing/index.ts";
import { cache } from "./index.ts";

const LATEST = askOf("a", "latest");
const LABEL = askOf("a", "production");
const EXACT = askOf("a", "1.0.0");

/** A store that made a change and has not said so yet; 1.0.0 with its label and `latest` is in the cache. */
async function createLab(outcome?: Outcome) {
  const store = memory();
  await new PromptRegistry(store).storePrompt({ name: "a", version: "1.0.0", text: "1", labels: ["production"] });
  const { opened, open } = gate();
  const asked: string[] = [];
  const inner: StorageDriver = {
    ...store,
    peek: () => undefined,
    read: async (asks, op) => {
      asked.push(...asks.map(({ selector }) => selector.kind));
      return store.read(asks, op);
    },
    commit: async (commit, op) => {
      const outcomes = outcome === undefined ? await store.commit(commit, op) : [outcome];
      await opened;
      return outcomes;
    },
  };
  const driver = cache()(inner);
  for (const ask of [LATEST, LABEL, EXACT]) await driver.read([ask]);
  asked.length = 0;
  const committed = driver.commit(commitOf({ name: LATEST.name, add: [documentOf("a", "2.0.0", "2")] }));
  if (outcome === undefined)
    await vi.waitFor(async () => expect(versionOf((await store.read([askOf("a", "2.0.0")]))[0])).toBe("2.0.0"));
  const read = async (ask: ReadAsk) => versionOf(driver.peek(ask) ?? (await driver.read([ask]))[0]);
  return { driver, asked, open, committed, read };
}

const versionOf = (answer: ReadAnswer | undefined) =>
  answer?.status === "found" ? answer.document.version : answer?.status;

describe("cache: while a change is on its way", () => {
  it("what is kept is given until something was answered; from then on the store is asked", async () => {
    const { driver, asked, open, committed, read } = await createLab();
    expect([await read(LATEST), await read(LABEL)]).toEqual(["1.0.0", "1.0.0"]);
    expect(asked).toEqual([]);
    expect(await read(askOf("a", "2.0.0"))).toBe("2.0.0");
    expect([await read(LATEST), await read(LATEST), await read(LABEL)]).toEqual(["2.0.0", "2.0.0", "1.0.0"]);
    expect(asked).toEqual(["version", "latest", "latest", "label"]);
    open();
    await committed;
    for (let i = 0; i < 2; i++) expect(await read(LATEST)).toBe("2.0.0");
    expect(asked.filter((kind) => kind === "latest")).toHaveLength(3);
    await driver.close();
  });

  it.each(["listPrompts", "listVersions", "history"] as const)("an answer of %s counts, too", async (method) => {
    const { driver, open, committed, read } = await createLab();
    if (method === "listPrompts") await driver.listPrompts({ limit: 10, include: "heads" });
    else await driver[method](LATEST.name, { limit: 10 });
    expect(await read(LATEST)).toBe("2.0.0");
    open();
    await committed;
    await driver.close();
  });

  it("a version that the change does not touch stays as it is", async () => {
    const { driver, asked, open, committed, read } = await createLab();
    await read(askOf("a", "2.0.0"));
    asked.length = 0;
    expect(await read(EXACT)).toBe("1.0.0");
    expect(asked).toEqual([]);
    open();
    await committed;
    await driver.close();
  });

  it("after a change that surely was not made all goes on as before", async () => {
    const error = new RegistryError("FORBIDDEN", "no");
    const { driver, asked, open, committed, read } = await createLab({ status: "failed", error });
    open();
    expect(await committed).toMatchObject([{ status: "failed" }]);
    expect([await read(LATEST), await read(LABEL), await read(EXACT)]).toEqual(["1.0.0", "1.0.0", "1.0.0"]);
    expect(asked).toEqual([]);
    await driver.close();
  });
});
