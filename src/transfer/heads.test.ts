import { describe, expect, it } from "vitest";
import type { HistoryEntry, StorageDriver } from "../driver.ts";
import { memory } from "../drivers/memory.ts";
import { isRegistryError } from "../errors.ts";
import { parseName } from "../names.ts";
import { PromptRegistry } from "../registry.ts";
import { createRandom } from "../testing/index.ts";
import { joinHeads, relate } from "./heads.ts";
import { hashManifest, headJson, manifestOf } from "./manifest.ts";
import { type PromptState, readState } from "./state.ts";
import { syncStorages } from "./sync.ts";

const NAME = parseName("p");

/** Two registries that have had the same until now, with a clock that both see and that tests set. */
async function twins() {
  const clock = { now: Date.parse("2026-03-01T00:00:00.000Z") };
  const open = (author: string) => new PromptRegistry(memory(), { author, now: () => new Date(clock.now) });
  const [a, b] = [open("Ada"), open("Bob")];
  for (const version of ["1.0.0", "2.0.0", "3.0.0"]) {
    await a.storePrompt({ name: NAME, version, text: `${version}\n` });
  }
  await a.setLabel(NAME, "production", "3.0.0");
  await syncStorages(a.driver, b.driver);
  clock.now += 1000;
  return { a, b, clock };
}

type Twins = Awaited<ReturnType<typeof twins>>;
type Step = (registry: PromptRegistry) => Promise<unknown>;

async function states({ a, b }: Twins): Promise<[PromptState, PromptState]> {
  return [await readState(a.driver, NAME), await readState(b.driver, NAME)];
}

const yank =
  (version: string, message: string): Step =>
  (r) =>
    r.yank(NAME, version, { message });
const remove =
  (version: string, message: string): Step =>
  (r) =>
    r.deleteVersion(NAME, version, { message });
const label =
  (name: string, version: string): Step =>
  (r) =>
    r.setLabel(NAME, name, version);

describe("two heads that both went on", () => {
  it.each<[string, Step[], Step[], string | undefined]>([
    ["removed the same", [remove("1.0.0", "one")], [remove("1.0.0", "two")], "same"],
    ["yanked the same", [yank("2.0.0", "one")], [yank("2.0.0", "two")], "same"],
    ["deprecated alike", [(r) => r.deprecate(NAME, "old")], [(r) => r.deprecate(NAME, "old")], "same"],
    ["moved a label to the same", [label("staging", "2.0.0")], [label("staging", "2.0.0")], "same"],
    ["and back again", [label("x1", "1.0.0"), (r) => r.removeLabel(NAME, "x1")], [yank("1.0.0", "x")], "target-newer"],
    ["one did more", [remove("1.0.0", "one"), label("staging", "2.0.0")], [remove("1.0.0", "two")], "source-newer"],
    ["the other did more", [remove("1.0.0", "x")], [remove("1.0.0", "y"), remove("2.0.0", "y")], "target-newer"],
    ["moved another label each", [label("staging", "2.0.0")], [label("beta", "2.0.0")], undefined],
    ["moved a label elsewhere", [label("production", "2.0.0")], [label("production", "1.0.0")], undefined],
    ["removed another version each", [remove("1.0.0", "one")], [remove("2.0.0", "two")], undefined],
    ["yanked here, removed there", [yank("1.0.0", "one")], [remove("1.0.0", "two")], undefined],
    ["deprecated otherwise", [(r) => r.deprecate(NAME, "old")], [(r) => r.deprecate(NAME, "older")], undefined],
    ["pinned elsewhere", [(r) => r.rollback(NAME)], [(r) => r.rollback(NAME, { to: "1.0.0" })], undefined],
  ])("%s", async (_, here, there, expected) => {
    const both = await twins();
    for (const step of here) await step(both.a);
    both.clock.now += 1000;
    for (const step of there) await step(both.b);
    const [a, b] = await states(both);
    expect([relate(a, b), relate(b, a)]).toEqual(["diverged", "diverged"]);
    const [forth, back] = [joinHeads(a, b), joinHeads(b, a)];
    expect(forth?.relation).toBe(expected);
    const mirrored = { "source-newer": "target-newer", "target-newer": "source-newer", same: "same" } as const;
    expect(back?.relation).toBe(forth === undefined ? undefined : mirrored[forth.relation]);
    if (forth !== undefined && back !== undefined) {
      expect(headJson(NAME, forth.head, [])).toBe(headJson(NAME, back.head, []));
    }
  });

  it("keep the earlier record, whoever asks, and the later time", async () => {
    const both = await twins();
    await both.b.yank(NAME, "1.0.0", { message: "earlier" });
    both.clock.now += 1000;
    await both.a.yank(NAME, "1.0.0", { message: "later" });
    const [a, b] = await states(both);
    for (const joined of [joinHeads(a, b), joinHeads(b, a)]) {
      expect(Object.values(joined?.head.yanked ?? {})).toMatchObject([{ by: "Bob", reason: "earlier" }]);
      expect(joined?.head.updatedAt).toBe(a.head.updatedAt);
    }
  });

  it("are not joined where no entry tells of what differs", async () => {
    const both = await twins();
    await both.a.yank(NAME, "1.0.0");
    await both.b.yank(NAME, "1.0.0");
    const [a, b] = await states(both);
    expect(joinHeads(a, b)?.relation).toBe("same");
    const strange: PromptState = { ...a, head: { ...a.head, labels: {} } };
    expect(joinHeads(strange, b)).toBeUndefined();
    expect(joinHeads(b, strange)).toBeUndefined();
  });

  it("are not joined where the histories would still differ afterwards", async () => {
    const both = await twins();
    await both.a.yank(NAME, "1.0.0");
    await both.b.yank(NAME, "1.0.0");
    // Within one commit the order is kept, and these two have another one.
    const [x, y] = ["1", "2"].map(
      (message): HistoryEntry => ({ at: "2026-01-01T00:00:00Z", action: "unpin", message }),
    );
    const [a, b] = await states(both);
    const with2 = (state: PromptState, entries: (HistoryEntry | undefined)[]): PromptState => ({
      ...state,
      entries: [...(entries as HistoryEntry[]), ...state.entries],
    });
    expect(joinHeads(with2(a, [x, y]), with2(b, [x, y]))).toBeDefined();
    expect(joinHeads(with2(a, [x, y]), with2(b, [y, x]))).toBeUndefined();
  });
});

describe("sync of two registries at work", () => {
  const hashOf = (driver: StorageDriver) => hashManifest(manifestOf(driver));

  it("loses no entry, and settles at once", async () => {
    const random = createRandom(17);
    let joined = 0;
    let conflicts = 0;
    for (let round = 0; round < 300; round++) {
      const both = await twins();
      const { a, b, clock } = both;
      const text = { "1.0.0": await stored(a, "1.0.0"), "2.0.0": await stored(a, "2.0.0") };
      for (let i = 0; i < 5; i++) {
        const side = random.chance() ? a : b;
        const version = random.pick(["1.0.0", "2.0.0"] as const);
        const step = random.int(10);
        // Often in the same instant, since that is when an order is hard to keep.
        clock.now += random.int(2);
        try {
          if (step < 4) await side.deleteVersion(NAME, version);
          else if (step < 5) await side.restoreVersion({ name: NAME, version, text: text[version] });
          else if (step < 7) await side.yank(NAME, version);
          else if (step < 9) await side.setLabel(NAME, random.pick(["staging", "beta"]), "3.0.0");
          else await side.deprecate(NAME, "old");
        } catch (error) {
          if (!isRegistryError(error)) throw error;
        }
      }
      const before = (await states(both)).map((state) => state.entries);
      const how = random.chance() ? [a.driver, b.driver] : [b.driver, a.driver];
      const report = await syncStorages(how[0] as StorageDriver, how[1] as StorageDriver);
      const after = (await states(both)).map((state) => state.entries.map((e) => JSON.stringify(e)));
      if (report.ok) {
        if (report.toFirst.heads > 0 && report.toSecond.heads > 0) joined++;
        expect(await hashOf(a.driver)).toEqual(await hashOf(b.driver));
        for (const entry of before.flat()) for (const kept of after) expect(kept).toContain(JSON.stringify(entry));
      } else {
        conflicts++;
        expect(after).toEqual(before.map((entries) => entries.map((e) => JSON.stringify(e))));
      }
      const again = await syncStorages(a.driver, b.driver);
      expect(again).toMatchObject({ ok: report.ok, changed: 0, conflictCount: report.conflictCount });
      for (const side of [a, b]) expect(await side.verify()).toMatchObject({ ok: true });
    }
    expect(Math.min(joined, conflicts)).toBeGreaterThan(20);
  });

  async function stored({ driver }: PromptRegistry, version: string): Promise<string> {
    for (const [of, slot] of (await readState(driver, NAME, { keep: 10_000 })).slots) {
      if (of === version && slot.text !== undefined) return slot.text;
    }
    throw new Error(`there is no ${version}`);
  }
});

it("a yank that one side lifted and made anew keeps its new reason", async () => {
  const world = await twins();
  const { a, b, clock } = world;
  await a.yank(NAME, "1.0.0", { message: "a typo" });
  await a.deprecate(NAME, "old");
  await syncStorages(a.driver, b.driver);
  clock.now += 1000;
  await a.unyank(NAME, "1.0.0");
  await a.yank(NAME, "1.0.0", { message: "leaks customer data" });
  await b.setLabel(NAME, "staging", "2.0.0");
  clock.now += 1000;
  expect(await syncStorages(b.driver, a.driver)).toMatchObject({ ok: true, conflicts: [] });
  for (const state of await states(world)) {
    expect(state.head.yanked).toMatchObject({ "1.0.0": { reason: "leaks customer data" } });
    expect(state.head.labels).toMatchObject({ staging: "2.0.0" });
  }
});
