import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { trace as otel } from "@opentelemetry/api";
import { describe, expect, it } from "vitest";
import type { Operation, StorageDriver } from "../driver.ts";
import { memory } from "../drivers/memory.ts";
import { RegistryError } from "../errors.ts";
import type { PromptName } from "../names.ts";
import { PromptRegistry } from "../registry.ts";
import { commitOf, documentOf, fault, seedPrompts } from "../testing/index.ts";
import { fallback } from "./fallback.ts";
import { identityOf, stack } from "./layer.ts";
import { type CopyPrompt, cursorFile, mirror } from "./mirror.ts";
import { retry } from "./retry.ts";
import { route } from "./route.ts";
import { type SpanTracer, type TraceEvent, type TraceSpan, trace } from "./trace.ts";

describe("mirror", () => {
  it("copies what changes, catches up at start, and keeps its place", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mirror-"));
    const cursor = cursorFile(join(folder, "cursor"));
    const [main, target] = [memory(), memory()];
    await seedPrompts(new PromptRegistry(main), { a: { "1.0.0": "one\n" } });
    const driver = mirror(target, { cursor })(Object.assign(main, {}));
    const registry = new PromptRegistry(driver);
    await driver.caughtUp();
    const copy = new PromptRegistry(target);
    expect((await copy.getPrompt("a")).text).toBe("one\n");
    await registry.storePrompt({ name: "a", version: "1.1.0", text: "two\n", labels: ["production"] });
    await registry.storePrompt({ name: "b", version: "1.0.0", text: "" });
    await driver.caughtUp();
    const [mine, theirs] = [await registry.getPrompt("a@production"), await copy.getPrompt("a@production")];
    expect([mine.digest, mine.labels]).toEqual([theirs.digest, theirs.labels]);
    await registry.deletePrompt("b");
    await driver.caughtUp();
    await expect(copy.getPrompt("b")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await readFile(join(folder, "cursor"), "utf8")).not.toBe("");
    expect(driver.mirrorStats).toMatchObject({ pending: 0, failed: 0 });
    await registry.close();
    await rm(folder, { recursive: true });
  });

  it("never fails a write, and goes on when the target is back", async () => {
    const target = fault(memory());
    let broken = true;
    const names: PromptName[] = [];
    const copy: CopyPrompt = async (_from, _to, name) => {
      if (broken) throw new Error("down");
      names.push(name);
    };
    const driver = mirror(target, { copy, retryDelay: 1, poll: 0 })(memory());
    const registry = new PromptRegistry(driver);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "a" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(driver.mirrorStats.failed).toBeGreaterThan(0);
    expect((await driver.check()).ok).toBe(false);
    broken = false;
    await driver.caughtUp();
    expect(names).toEqual(["a"]);
    expect((await driver.check()).ok).toBe(true);
    await registry.close();
  });

  it("starts where it was: only what changed since is copied", async () => {
    const main = memory();
    const keep = { cursor: undefined as string | undefined };
    const cursor = {
      load: async () => keep.cursor,
      save: async (c: string) => {
        keep.cursor = c;
      },
    };
    const copied: string[] = [];
    const copy: CopyPrompt = async (_f, _t, name) => {
      copied.push(name);
    };
    const staysOpen = (d: StorageDriver) => Object.assign(fault(d), { close: async () => {} });
    const target = staysOpen(memory());
    await seedPrompts(new PromptRegistry(main), { a: { "1.0.0": "" }, b: { "1.0.0": "" } });
    await seedPrompts(new PromptRegistry(target), { a: { "1.0.0": "" }, b: { "1.0.0": "" } });
    const one = mirror(target, { copy, cursor })(staysOpen(main));
    await one.caughtUp();
    await one.close();
    await seedPrompts(new PromptRegistry(main), { b: { "1.1.0": "" } });
    copied.length = 0;
    const two = mirror(target, { copy, cursor })(staysOpen(main));
    await two.caughtUp();
    await two.close();
    expect(copied).toEqual(["b"]);
  });
});

describe("mirror: what can't go on as before", () => {
  const until = async (is: () => boolean) => {
    for (let i = 0; i < 500 && !is(); i++) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(is()).toBe(true);
  };

  it.each(["HISTORY_REWRITTEN", "INVALID"] as const)("a cursor refused with %s leads to a comparison", async (code) => {
    const main = memory();
    await seedPrompts(new PromptRegistry(main), { a: { "1.0.0": "" }, b: { "1.0.0": "" } });
    let refused = 0;
    const inner: StorageDriver = {
      ...main,
      changes: async (query, op) => {
        if (query.cursor !== "old") return main.changes(query, op);
        refused++;
        throw new RegistryError(code, "refused");
      },
    };
    const saved: string[] = [];
    const target = memory();
    await seedPrompts(new PromptRegistry(target), { z: { "1.0.0": "" } });
    const kept = JSON.stringify({ from: identityOf(inner), to: identityOf(target), cursor: "old" });
    const cursor = { load: async () => kept, save: async (c: string) => void saved.push(c) };
    const driver = mirror(target, { cursor, retryDelay: 1 })(inner);
    await until(() => saved.length > 0);
    expect((await target.listPrompts({ limit: 10 })).items.map((p) => p.name)).toEqual(["a", "b", "z"]);
    expect(refused).toBe(1);
    expect(saved).not.toContain(kept);
    expect((await driver.check()).ok).toBe(true);
    await driver.close();
  });

  it("tells of a prompt in conflict, copies the others, and keeps no place beyond it", async () => {
    const [main, target] = [memory(), memory()];
    await seedPrompts(new PromptRegistry(target), { b: { "1.0.0": "theirs\n" } });
    await seedPrompts(new PromptRegistry(main), { a: { "1.0.0": "" }, b: { "1.0.0": "mine\n" }, c: { "1.0.0": "" } });
    const saved: string[] = [];
    const cursor = { load: async () => undefined, save: async (c: string) => void saved.push(c) };
    const driver = mirror(target, { cursor, retryDelay: 1 })(main);
    await driver.caughtUp();
    const copy = new PromptRegistry(target);
    await copy.getPrompts(["a", "c"]);
    expect((await copy.getPrompt("b")).text).toBe("theirs\n");
    const { failed, problem, problems } = driver.mirrorStats;
    expect(failed).toBeGreaterThan(0);
    expect(problem).toMatch(/^b: /);
    expect(Object.keys(problems)).toEqual(["b"]);
    expect(saved).toEqual([]);
    const health = await driver.check();
    expect(health.ok).toBe(false);
    expect(health.checks.find((c) => c.name === "mirror")?.detail).toContain("b: ");
    // Whoever resolves it is done: it is tried again.
    await copy.deletePrompt("b");
    await new PromptRegistry(driver).deletePrompt("b");
    await target.close();
    await driver.close();
  });

  it("a problem of one prompt ends when it can be copied", async () => {
    let isOk = false;
    const copy: CopyPrompt = async (_f, _t, name) => {
      if (name === "a" && !isOk) throw new RegistryError("CORRUPT", "damaged");
    };
    const driver = mirror(memory(), { copy, retryDelay: 1, poll: 0 })(memory());
    const registry = new PromptRegistry(driver);
    await registry.storePrompts(["a", "b"].map((name) => ({ name, version: "1.0.0", text: "" })));
    await until(() => driver.mirrorStats.copied === 1 && driver.mirrorStats.pending === 0);
    expect(driver.mirrorStats.problems).toEqual({ a: "damaged" });
    isOk = true;
    await until(() => driver.mirrorStats.problem === undefined);
    expect((await driver.check()).ok).toBe(true);
    await registry.close();
  });

  it("reads what the main storage says now", async () => {
    const main = memory();
    const asked = new Set<boolean | undefined>();
    const noting = (op: Operation | undefined) => {
      asked.add(op?.fresh);
      return op;
    };
    const inner: StorageDriver = {
      ...main,
      peek: () => {
        throw new Error("a peek is not fresh");
      },
      read: (asks, op) => main.read(asks, noting(op)),
      listPrompts: (query, op) => main.listPrompts(query, noting(op)),
      listVersions: (name, query, op) => main.listVersions(name, query, noting(op)),
      history: (name, query, op) => main.history(name, query, noting(op)),
      changes: (query, op) => main.changes(query, noting(op)),
    };
    await seedPrompts(new PromptRegistry(main), { a: { "1.0.0": "" } });
    const driver = mirror(memory(), {})(inner);
    await driver.caughtUp();
    expect(driver.mirrorStats.copied).toBe(1);
    expect([...asked]).toEqual([true]);
    await driver.close();
  });

  it("looks for what is there now when somebody waits for it, and else as often as the storage finds right", async () => {
    const main = memory();
    const asked: (boolean | undefined)[] = [];
    const inner: StorageDriver = {
      ...main,
      changes: (query, op) => {
        asked.push(op?.fresh);
        return main.changes(query, op);
      },
    };
    const target = memory();
    const driver = mirror(target, { poll: 1 })(inner);
    await driver.caughtUp();
    await until(() => asked.at(-1) !== true);
    // By somebody else.
    await seedPrompts(new PromptRegistry(main), { a: { "1.0.0": "" } });
    asked.length = 0;
    await driver.caughtUp();
    expect(asked).toContain(true);
    expect((await target.listPrompts({ limit: 10 })).items).toHaveLength(1);
    await driver.close();
  });
});

describe("route", () => {
  const build = () => {
    const [main, shared, one] = [memory(), memory(), memory()];
    const driver = route([
      { names: "shared/**", storage: shared },
      { names: "team-*/x*y", storage: one },
    ])(main);
    return { main, shared, one, driver, registry: new PromptRegistry(driver) };
  };

  it("sends each prompt to its storage, and lists all in order", async () => {
    const { registry, main, shared, one } = build();
    const names = ["shared/a", "shared/b/c", "shared", "team-a/xy", "team-a/xzy", "team-a/x", "a", "zz", "team-b/xay"];
    const stored = await registry.storePrompts(names.map((name) => ({ name, version: "1.0.0", text: name })));
    expect(stored.every((s) => s.status === "created")).toBe(true);
    const of = async (d: StorageDriver) => (await d.listPrompts({ limit: 100 })).items.map((p) => p.name);
    expect(await of(shared)).toEqual(["shared/a", "shared/b/c"]);
    expect(await of(one)).toEqual(["team-a/xy", "team-a/xzy", "team-b/xay"]);
    expect(await of(main)).toEqual(["a", "shared", "team-a/x", "zz"]);
    for (const limit of [1, 2, 3, 100]) {
      const listed: string[] = [];
      for await (const entry of registry.listPrompts({ limit })) listed.push(entry.name);
      expect(listed).toEqual([...names].sort());
    }
    expect((await registry.getPrompts(names)).map((p) => p.text)).toEqual(names);
  });

  it("its feed tells of all of them, on small pages too", async () => {
    const { registry, driver } = build();
    const { cursor: start } = await driver.changes({ limit: 10 });
    const names = ["shared/a", "a", "team-a/xy", "b", "shared/c"];
    for (const name of names) await registry.storePrompt({ name, version: "1.0.0", text: name });
    for (const limit of [1, 2, 100]) {
      const seen = new Set<string>();
      let cursor = start as string;
      for (let i = 0; i < 50; i++) {
        const page = await driver.changes({ cursor, limit });
        expect(page.items.length).toBeLessThanOrEqual(limit);
        for (const { name } of page.items) seen.add(name);
        cursor = page.cursor as string;
      }
      expect([...seen].sort()).toEqual([...names].sort());
    }
    await expect(driver.changes({ cursor: "nonsense", limit: 1 })).rejects.toMatchObject({ code: "INVALID" });
  });

  it("an atomic commit of several is refused, and one storage that is down fails its own part only", async () => {
    const shared = fault(memory(), { method: "commit", what: "fail" });
    const driver = route([{ names: "shared/*", storage: shared }])(memory());
    const changes = ["shared/a", "b"].map((n) => ({
      name: documentOf(n, "1.0.0").name,
      add: [documentOf(n, "1.0.0")],
    }));
    await expect(driver.commit(commitOf(changes, { atomic: true }))).rejects.toMatchObject({ code: "UNSUPPORTED" });
    expect((await driver.commit(commitOf(changes))).map((o) => o.status)).toEqual(["failed", "done"]);
    expect(() => route([{ names: "a//", storage: shared }])).toThrow(/route/);
  });
});

describe("trace", () => {
  function recorder() {
    const spans: { name: string; attributes: Record<string, unknown>; status?: number; ended: boolean }[] = [];
    const tracer: SpanTracer = {
      startActiveSpan(name, options, run) {
        const span = {
          name,
          attributes: { ...options.attributes } as Record<string, unknown>,
          ended: false,
        } as (typeof spans)[number];
        spans.push(span);
        const recorded: TraceSpan = {
          setAttributes: (more) => Object.assign(span.attributes, more),
          recordException: () => {},
          setStatus: ({ code }) => {
            span.status = code;
          },
          end: () => {
            span.ended = true;
          },
        };
        return run(recorded);
      },
    };
    return { spans, tracer };
  }

  it("makes a span and a line of every call, without texts", async () => {
    const { spans, tracer } = recorder();
    const events: TraceEvent[] = [];
    const faulty = Object.assign(fault(memory()), { peek: () => undefined });
    const copy = memory();
    await seedPrompts(new PromptRegistry(copy), { a: { "1.0.0": "secret text" } });
    const driver = stack(faulty, [
      trace({ tracer, log: (e) => events.push(e) }),
      fallback([copy]),
      retry({ baseDelay: 0 }),
    ]);
    const registry = new PromptRegistry(driver);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "secret text" });
    faulty.plan({ method: "read", what: "fail" });
    await registry.getPrompt("a");
    faulty.plan({ method: "history", what: "fail" });
    await expect(registry.history("b").all()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(spans.map((s) => [s.name, s.status, s.ended])).toEqual([
      ["prompt_registry.commit", undefined, true],
      ["prompt_registry.read", undefined, true],
      ["prompt_registry.history", 2, true],
    ]);
    expect(spans[1]?.attributes).toMatchObject({
      "prompt_registry.names": "a",
      "prompt_registry.source": "fallback:memory",
      "prompt_registry.stale": true,
    });
    expect(spans[2]?.attributes).toMatchObject({ "error.type": "UNAVAILABLE", "prompt_registry.attempts": 3 });
    expect(events.map((e) => [e.operation, e.ok, e.names])).toEqual([
      ["commit", true, ["a"]],
      ["read", true, ["a"]],
      ["history", false, ["b"]],
    ]);
    expect(JSON.stringify([spans, events])).not.toContain("secret");
  });

  it("a logger that throws breaks nothing; a tracer of OpenTelemetry fits", async () => {
    const driver = trace({
      tracer: otel.getTracer("test"),
      log: () => {
        throw new Error("logger");
      },
    })(memory());
    await new PromptRegistry(driver).storePrompt({ name: "a", version: "1.0.0", text: "a" });
    expect((await new PromptRegistry(driver).getPrompt("a")).text).toBe("a");
  });
});
