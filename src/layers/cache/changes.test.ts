import { describe, expect, it, vi } from "vitest";
import { createLab, gate, holdReplies, MINUTE, publish, settle } from "../../../test/support/cache-lab.ts";
import { outage } from "../../../test/support/outage.ts";
import type { ReadAnswer, StorageDriver } from "../../driver.ts";
import { memory } from "../../drivers/memory.ts";
import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { askOf, count, fault } from "../../testing/index.ts";
import { stack } from "../layer.ts";
import { readonly } from "../readonly.ts";
import { cache } from "./index.ts";

describe("cache: changes", () => {
  it("own writes are seen at once, also those whose reply was lost", async () => {
    const { registry, faults } = createLab();
    await publish(registry, "1.0.0", ["production"]);
    const refs = ["a", "a@production"];
    for (const ref of refs) await registry.getPrompt(ref);
    for (const [i, lost] of [false, true, false, true].entries()) {
      faults.plan(lost ? { method: "commit", call: 1, what: "dropReply" } : []);
      await publish(registry, `1.${i + 1}.0`, ["production"]);
      for (const ref of refs) expect((await registry.getPrompt(ref)).version).toBe(`1.${i + 1}.0`);
    }
    await registry.deletePrompt("a");
    for (const ref of [...refs, "a@1.0.0", "a@^1"]) {
      await expect(registry.getPrompt(ref)).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
  });

  it("an answer that was on its way while the prompt changed is not kept", async () => {
    const { registry, others, faults } = createLab();
    await publish(others, "1.0.0", ["production"]);
    faults.plan({ method: "read", call: 1, what: "delay", wait: () => new Promise((r) => setTimeout(r, 0)) });
    const { pass, release } = holdReplies(faults, ({ selector }) => selector.kind === "label");
    const old = registry.getPrompt("a@production");
    await vi.advanceTimersByTimeAsync(1);
    pass();
    await publish(registry, "1.1.0", ["production"]);
    release();
    await old;
    expect((await registry.getPrompt("a@production")).version).toBe("1.1.0");
  });

  it("a refresh that was on its way while the prompt was invalidated is not kept", async () => {
    const { registry, others, faults, cached } = createLab({ staleWhileRevalidate: 0 });
    await publish(others, "1.0.0", ["production"]);
    await registry.getPrompt("a@production");
    await vi.advanceTimersByTimeAsync(MINUTE + 1);
    await publish(others, "1.0.1", ["production"]);
    const { pass, release } = holdReplies(faults);
    const old = registry.getPrompt("a@production");
    await settle();
    pass();
    await publish(others, "1.1.0", ["production"]);
    cached.invalidate("a");
    release();
    await old;
    expect((await registry.getPrompt("a@production")).version).toBe("1.1.0");
  });

  it("the change feed, read through it or polled by it, makes it ask again", async () => {
    for (const how of ["poll", "read"] as const) {
      const { registry, others, cached } = createLab(how === "poll" ? { poll: 1000 } : {});
      await publish(others, "1.0.0");
      await vi.advanceTimersByTimeAsync(1);
      const { cursor } = await cached.changes({ limit: 10 });
      await registry.getPrompt("a");
      await registry.getPrompt("a@1.0.0");
      await others.storePrompt({ name: "a", version: "1.1.0", text: "new" });
      await others.deleteVersion("a", "1.0.0");
      expect((await registry.getPrompt("a")).version).toBe("1.0.0");
      if (how === "poll") await vi.advanceTimersByTimeAsync(1001);
      else await cached.changes({ limit: 10, cursor: cursor as string });
      expect((await registry.getPrompt("a")).version).toBe("1.1.0");
      await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
      await registry.close();
    }
  });

  it("a range whose version was removed elsewhere is asked for once, and not by everybody until the TTL", async () => {
    const { registry, others, counts } = createLab();
    for (const version of ["1.0.0", "1.1.0"]) await publish(others, version);
    expect((await registry.getPrompt("a@^1")).version).toBe("1.1.0");
    await others.deleteVersion("a", "1.1.0");
    await registry.driver.read([askOf("a", "1.1.0")], { fresh: true });
    counts.reset();
    expect((await registry.getPrompt("a@^1")).version).toBe("1.0.0");
    expect(counts.counts.calls.listVersions).toBe(1);
    counts.reset();
    for (const prompt of await Promise.all(Array.from({ length: 50 }, () => registry.getPrompt("a@^1"))))
      expect(prompt.version).toBe("1.0.0");
    expect(counts.counts.calls.listVersions ?? 0).toBeLessThanOrEqual(1);
  });

  it("polling waits out an outage and loses nothing", async () => {
    const { registry, others, faults } = createLab({ poll: 1000 });
    await publish(others, "1.0.0");
    await vi.advanceTimersByTimeAsync(1);
    await registry.getPrompt("a");
    faults.plan(outage());
    await publish(others, "1.1.0");
    await vi.advanceTimersByTimeAsync(5000);
    faults.plan([]);
    await vi.advanceTimersByTimeAsync(1001);
    expect((await registry.getPrompt("a")).version).toBe("1.1.0");
  });

  it("invalidate() asks again, and in an outage the old one is still there", async () => {
    const { registry, others, cached, faults } = createLab();
    await publish(others, "1.0.0");
    await registry.getPrompt("a");
    await publish(others, "1.1.0");
    cached.invalidate("a");
    faults.plan(outage());
    const old = await registry.getPrompt("a");
    expect([old.version, old.stale]).toEqual(["1.0.0", true]);
    faults.plan([]);
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect((await registry.getPrompt("a")).version).toBe("1.1.0");
    await publish(others, "1.2.0");
    cached.invalidate();
    expect((await registry.getPrompt("a")).version).toBe("1.2.0");
    expect(() => cached.invalidate("A B")).toThrow(/name/);
  });

  it("a write is never planned on an old head", async () => {
    const { registry, others } = createLab();
    await publish(registry, "1.0.0", ["production"]);
    await publish(registry, "1.1.0");
    await registry.getPrompt("a@^1", { status: true });
    await others.setLabel("a", "production", "1.1.0");
    const result = await registry.setLabel("a", "production", "1.0.0");
    expect(result.status).toBe("changed");
    expect((await others.getPrompt("a@production")).version).toBe("1.0.0");
  });

  it("where nobody can write, ranges are answered from memory", async () => {
    const store = memory();
    await publish(new PromptRegistry(store), "1.0.0");
    const counts = count(Object.assign(fault(store), { peek: () => undefined }));
    const registry = new PromptRegistry(stack(counts, [cache(), readonly()]));
    await registry.getPrompt("a@^1");
    counts.reset();
    expect((await registry.getPrompt("a@^1")).version).toBe("1.0.0");
    expect(counts.counts.total).toBe(0);
  });

  it("warm() reads what it is told, and tells what it could not", async () => {
    const { registry, others, cached, counts } = createLab();
    await publish(others, "1.0.0", ["production"]);
    const report = await cached.warm(["a@production", "a@^1", "b", "no name!"]);
    expect(report.warmed).toBe(2);
    expect(report.failed.map(({ selector, error }) => [selector, error.code]).sort()).toEqual([
      ["b", "NOT_FOUND"],
      ["no name!", "INVALID"],
    ]);
    counts.reset();
    await registry.getPrompt("a@production");
    expect(counts.counts.total).toBe(0);
  });

  it("check() brings its figures", async () => {
    const { registry, others } = createLab();
    await publish(others, "1.0.0");
    await registry.getPrompt("a");
    const health = await registry.check();
    expect(health.checks).toContainEqual(
      expect.objectContaining({ name: "cache", ok: true, figures: expect.objectContaining({ misses: 1, entries: 2 }) }),
    );
  });

  it("close() ends all leases and timers", async () => {
    const { registry, others, cached } = createLab({ poll: 1000 });
    await publish(others, "1.0.0");
    await registry.getPrompt("a");
    const { lease } = cached.peek(askOf("a", "latest")) as ReadAnswer;
    await registry.close();
    expect(lease?.until).toBe(0);
    await expect(registry.getPrompt("a")).rejects.toMatchObject({ code: "ABORTED" });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("a page of versions is kept by name", async () => {
    const { registry, others } = createLab();
    await publish(others, "1.0.0");
    await others.storePrompt({ name: "b", version: "2.0.0", text: "b" });
    const versions = async (name: string) => (await registry.listVersions(parseName(name))).items.map((v) => v.version);
    expect([await versions("a"), await versions("b")]).toEqual([["1.0.0"], ["2.0.0"]]);
  });
});

describe("cache: answers that come late", () => {
  /** A store whose read of this index takes long; what it answers is of when it was asked. */
  function slow(store: StorageDriver, index = 0) {
    const { opened, open: release } = gate();
    let calls = 0;
    const late = async <T>(answer: Promise<T>): Promise<T> => {
      const isSlow = calls++ === index;
      const got = await answer;
      if (isSlow) await opened;
      return got;
    };
    const inner: StorageDriver = {
      ...store,
      peek: () => undefined,
      read: (asks, op) => late(store.read(asks, op)),
      listVersions: (name, query) => late(store.listVersions(name, query)),
    };
    return { inner, release };
  }

  it("do not undo what was asked for later", async () => {
    const store = memory();
    const others = new PromptRegistry(store);
    await publish(others, "1.0.0", ["production"]);
    const { inner, release } = slow(store);
    const cached = cache()(inner);
    const ask = askOf("a", "production");
    const first = cached.read([ask]);
    await vi.advanceTimersByTimeAsync(5);
    await publish(others, "1.1.0", ["production"]);
    await cached.read([ask], { fresh: true });
    release();
    expect((await first)[0]).toMatchObject({ document: { version: "1.1.0" } });
    expect((await cached.read([ask]))[0]).toMatchObject({ document: { version: "1.1.0" } });
    await cached.close();
  });

  it("do not bring back what was gone later", async () => {
    const store = memory();
    const others = new PromptRegistry(store);
    await publish(others, "1.0.0", ["production"]);
    await publish(others, "1.1.0");
    const { inner, release } = slow(store);
    const cached = cache()(inner);
    const first = cached.read([askOf("a", "production")]);
    await vi.advanceTimersByTimeAsync(5);
    await others.setLabel("a", "production", "1.1.0");
    await others.deleteVersion("a", "1.0.0");
    const ask = askOf("a", "1.0.0");
    expect((await cached.read([ask]))[0]?.status).toBe("removed");
    release();
    await first;
    expect(cached.peek(ask)).toBeUndefined();
    await cached.close();
  });

  it("pages of versions do neither", async () => {
    const store = memory();
    const others = new PromptRegistry(store);
    await publish(others, "1.0.0");
    const { inner, release } = slow(store, 1);
    const cached = cache()(inner);
    await cached.read([askOf("a", "latest")]);
    const { name } = askOf("a", "latest");
    const controller = new AbortController();
    const first = cached.listVersions(name, { limit: 10 }, { fresh: false, signal: controller.signal });
    await vi.advanceTimersByTimeAsync(5);
    controller.abort();
    await expect(first).rejects.toMatchObject({ code: "ABORTED" });
    await publish(others, "1.1.0");
    expect((await cached.listVersions(name, { limit: 10 }, { fresh: false })).items).toHaveLength(2);
    release();
    await settle();
    expect((await cached.listVersions(name, { limit: 10 }, { fresh: false })).items).toHaveLength(2);
    await cached.close();
  });
});
