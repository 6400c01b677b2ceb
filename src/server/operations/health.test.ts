import { expect, test } from "vitest";
import type { HealthCheck, Operation, StorageDriver } from "../../driver.ts";
import { memory } from "../../drivers/memory.ts";
import { PromptRegistry } from "../../registry.ts";
import { figuresOf, probe, ReadinessCheck } from "./health.ts";
import { counted } from "./storage.ts";

function watched(over: Partial<StorageDriver> = {}) {
  const calls: string[] = [];
  const checks: (boolean | undefined)[] = [];
  const inner: StorageDriver = { ...memory(), ...over };
  const driver = counted(inner, ({ operation }) => calls.push(operation));
  const check = (op?: Operation) => {
    checks.push(op?.probe);
    return driver.check(op);
  };
  return { registry: new PromptRegistry({ ...driver, check }), calls, checks };
}

test("who asks whether the server is ready makes it read once, and write nothing", async () => {
  const { registry, calls } = watched();
  const readiness = new ReadinessCheck(registry);
  for (let i = 0; i < 50; i++) expect(await readiness.look()).toEqual({ ok: true, state: "ready" });
  expect(calls).toEqual(["changes"]);
});

test("a storage that fails is not ready, and one that answers again is", async () => {
  let down = true;
  const inner = memory();
  const changes: StorageDriver["changes"] = async (query, op) => {
    if (down) throw new Error("down");
    return inner.changes(query, op);
  };
  const readiness = new ReadinessCheck(watched({ ...inner, changes }).registry, { maxAge: 1 });
  expect((await readiness.look()).state).toBe("unavailable");
  down = false;
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect((await readiness.look()).state).toBe("ready");
});

test("figures are asked for without a probe, and once for many who ask", async () => {
  const { registry, checks } = watched();
  const figures = figuresOf(registry);
  expect((await Promise.all([figures(), figures(), figures()])).map((health) => health?.kind)).toEqual([
    "memory",
    "memory",
    "memory",
  ]);
  expect(checks).toEqual([false]);
});

test("figures that don't come are none", async () => {
  const { registry } = watched({ check: () => new Promise<never>(() => {}) });
  expect(await figuresOf(registry, { deadline: 10 })()).toBeUndefined();
});

test("a probe at the start says what is wrong", async () => {
  const { signal } = new AbortController();
  const well = watched();
  expect(await probe(well.registry, signal)).toBeUndefined();
  expect(well.checks).toEqual([undefined]);
  const checks: readonly HealthCheck[] = [
    { name: "reachable", ok: true, detail: "it answers" },
    { name: "write", ok: false, detail: "the token may read, not write" },
  ];
  const sick = watched({ check: async () => ({ ok: false, kind: "x", location: "x", latency: 0, checks }) });
  expect(await probe(sick.registry, signal)).toBe("write: the token may read, not write");
  const broken = watched({ check: () => Promise.reject(new Error("postgres://ada:hunter2@db")) });
  expect(await probe(broken.registry, signal)).toMatch(/^Error: postgres:\/\/…@db/);
});
