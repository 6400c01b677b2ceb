import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Operation, StorageDriver } from "../driver.ts";
import { memory } from "../drivers/memory.ts";
import { RegistryError } from "../errors.ts";
import type { PromptName } from "../names.ts";
import { PromptRegistry } from "../registry.ts";
import { fault, seedPrompts } from "../testing/index.ts";
import { identityOf } from "./layer.ts";
import { type CopyPrompt, cursorFile, mirror } from "./mirror.ts";

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
