import { expect, it, vi } from "vitest";
import { createLab, MINUTE, publish, refusal } from "../../../test/support/cache-lab.ts";

/** A reader that has everything at hand: the first read fills, the second remembers, the third puts it there. */
async function hot(options: Parameters<typeof createLab>[0] = {}) {
  const lab = createLab({ staleWhileRevalidate: 0, ...options });
  await publish(lab.others, "1.0.0", ["production"]);
  await lab.others.storePrompt({ name: "b", version: "1.0.0", text: "b" });
  for (let i = 0; i < 4; i++)
    for (const ref of ["a@production", "a@1.0.0", "a", "b"]) await lab.registry.getPrompt(ref);
  lab.counts.reset();
  const hits = () => lab.cached.stats.hits;
  return { ...lab, hits };
}

it("what is read again and again asks neither the store nor the cache", async () => {
  const { registry, counts, hits } = await hot();
  const before = hits();
  const first = registry.peekPrompt("a@production");
  for (let i = 0; i < 10; i++) expect(await registry.getPrompt("a@production")).toBe(first);
  expect([counts.counts.total, hits()]).toEqual([0, before]);
});

it("ends with its TTL, to the second", async () => {
  const { registry, others, counts } = await hot({ ttl: 10_000 });
  await others.setLabel("a", "production", "1.0.0");
  await publish(others, "2.0.0", ["production"]);
  await vi.advanceTimersByTimeAsync(9000);
  expect((await registry.getPrompt("a@production")).version).toBe("1.0.0");
  expect(counts.counts.total).toBe(0);
  await vi.advanceTimersByTimeAsync(1001);
  expect(registry.peekPrompt("a@production")).toBeUndefined();
  expect((await registry.getPrompt("a@production")).version).toBe("2.0.0");
  expect((await registry.getPrompt("a@1.0.0")).version).toBe("1.0.0");
});

it("ends when the cache is told of a change, for that prompt and for nothing longer", async () => {
  const { registry, others, cached, counts } = await hot();
  await publish(others, "2.0.0", ["production"]);
  expect(registry.peekPrompt("a@production")?.version).toBe("1.0.0");
  cached.invalidate("a");
  expect(registry.peekPrompt("a@production")).toBeUndefined();
  expect(registry.peekPrompt("b")?.text).toBe("b");
  expect(counts.counts.total).toBe(0);
  expect((await registry.getPrompt("a@production")).version).toBe("2.0.0");
});

it("ends with a change made through the cache, with a refusal, and when it is closed", async () => {
  const { registry, cached, faults, others } = await hot();
  await publish(registry, "2.0.0", ["production"]);
  expect((await registry.getPrompt("a@production")).version).toBe("2.0.0");
  for (let i = 0; i < 3; i++) await registry.getPrompt("a@production");
  await others.deletePrompt("b", {});
  for (let i = 0; i < 3; i++) await registry.getPrompt("a");
  faults.plan(refusal("FORBIDDEN"));
  await expect(registry.getPrompt("a@2.0.0", { status: true })).rejects.toMatchObject({ code: "FORBIDDEN" });
  faults.plan([]);
  expect(registry.peekPrompt("a@production")).toBeUndefined();
  await registry.getPrompt("a");
  for (let i = 0; i < 3; i++) registry.peekPrompt("a");
  await cached.close();
  expect(registry.peekPrompt("a")).toBeUndefined();
});

it.each([
  ["before it is sent for", 0],
  ["halfway", MINUTE / 2],
  ["shortly before its end", MINUTE - 1000],
])("is given for its TTL and hardly longer, where the wall clock was set back %s", async (_, after) => {
  const { registry, others } = await hot({ ttl: MINUTE });
  await publish(others, "2.0.0", ["production"]);
  await vi.advanceTimersByTimeAsync(after);
  vi.setSystemTime(Date.now() - 10 * MINUTE);
  const ask = async () => (await registry.getPrompt("a@production")).version;
  for (let i = 0; i < 3; i++) expect(await ask()).toBe("1.0.0");
  await vi.advanceTimersByTimeAsync(MINUTE - after - 500);
  for (let i = 0; i < 3; i++) expect(await ask()).toBe("1.0.0");
  await vi.advanceTimersByTimeAsync(5501);
  expect(await ask()).toBe("2.0.0");
});

it("is given for its TTL and no longer, where the machine slept and the other clock stood still", async () => {
  const { registry, others, counts } = await hot({ ttl: MINUTE });
  await publish(others, "2.0.0", ["production"]);
  vi.setSystemTime(Date.now() + MINUTE / 2);
  await vi.advanceTimersByTimeAsync(MINUTE / 4);
  expect((await registry.getPrompt("a@production")).version).toBe("1.0.0");
  expect(counts.counts.total).toBe(0);
  vi.setSystemTime(Date.now() + MINUTE / 2);
  expect((await registry.getPrompt("a@production")).version).toBe("2.0.0");
});
