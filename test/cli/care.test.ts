import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Finding, RepairPlan } from "../../src/driver.ts";
import { stocked, World } from "./world.ts";

test("verify counts what is well", async () => {
  const world = await stocked();
  await world.run("delete", "support/reply", "--yes");
  expect(await world.run("verify")).toMatchObject({ code: 0, out: "2 prompts, 3 versions, 1 deleted: all is well\n" });
  expect((await world.run("verify", "support/triage", "--json")).json()).toEqual({
    ok: true,
    prompts: 1,
    documents: 3,
    tombstones: 0,
    unsealed: 0,
    problems: [],
    warnings: [],
  });
  expect(await world.run("verify", "nothing")).toMatchObject({ code: 3, out: "" });
});

test("verify, get and doctor tell damage", async () => {
  const world = await stocked((driver) => ({
    ...driver,
    peek: () => undefined,
    read: async (asks, op) =>
      (await driver.read(asks, op)).map((answer) =>
        answer.status === "found" && answer.document.version === "1.1.0"
          ? { ...answer, document: { ...answer.document, text: answer.document.text.replace("Sort", "Sorr") } }
          : answer,
      ),
  }));
  const verified = await world.run("verify");
  expect(verified.code).toBe(1);
  expect(verified.out).toContain("open\tcorrupt\tsupport/triage@1.1.0\t");
  expect(verified.out).toContain(": 1 problem\n");
  expect((await world.run("verify", "--json")).json()).toMatchObject({ ok: false, problems: [{ kind: "corrupt" }] });
  expect(await world.run("get", "support/triage@1.1.0")).toMatchObject({ code: 5, out: "" });
  expect(await world.run("doctor")).toMatchObject({ code: 1 });
});

test("doctor looks, and repairs what it is told to", async () => {
  const asked: unknown[] = [];
  const world = await stocked((driver) => ({
    ...driver,
    repair: async (plan) => {
      asked.push(plan.repair);
      const repaired = plan.repair.includes("temp");
      const finding: Finding = { kind: "temp", path: "prompts/a/.tmp-1", detail: "a writer is gone", repaired };
      return { findings: [finding] };
    },
  }));
  const look = await world.runWith({ stderrTTY: true, env: { NO_COLOR: "1" } }, "doctor");
  expect(look).toMatchObject({ code: 1, out: "open\ttemp\tprompts/a/.tmp-1\ta writer is gone\n1 problem\n" });
  expect(look.err).toContain("prompt-registry doctor --fix");
  expect(await world.run("doctor", "--fix")).toMatchObject({ code: 0 });
  expect((await world.run("doctor", "--fix", "--repair", "unsealed", "--json")).json()).toMatchObject({ ok: true });
  expect(await world.run("doctor", "--repair", "moved-link", "support/triage")).toMatchObject({ code: 1 });
  expect(asked).toEqual([[], ["temp", "projection"], ["temp", "projection", "unsealed"], ["moved-link"]]);
  expect(await world.run("doctor", "--repair", "corrupt")).toMatchObject({ code: 2 });
});

test("doctor --fix moves no file that only looks like a prompt of an old layout, and says how it is moved", async () => {
  const repaired = (plan: RepairPlan) => plan.repair.includes("legacy");
  const detail = "this belongs into readme/v0.0.0.md";
  const world = await stocked((driver) => ({
    ...driver,
    repair: async (plan) => ({ findings: [{ kind: "legacy", path: "readme.md", detail, repaired: repaired(plan) }] }),
  }));
  const fixed = await world.runWith({ stderrTTY: true, env: { NO_COLOR: "1" } }, "doctor", "--fix");
  expect(fixed).toMatchObject({ code: 1, out: `open\tlegacy\treadme.md\t${detail}\n1 problem\n` });
  expect(fixed.err).toContain("prompt-registry doctor --repair legacy");
  expect(await world.run("doctor", "--repair", "legacy")).toMatchObject({
    code: 0,
    out: expect.stringMatching(/1 repaired/),
  });
});

test("check", async () => {
  const world = await stocked();
  const ran = await world.run("check");
  expect(ran.code).toBe(0);
  expect(ran.out).toMatch(/^ok\t/);
  expect(ran.out).toMatch(/memory .*: works\n$/);
  expect((await world.run("check", "--json")).json()).toMatchObject({ ok: true, kind: "memory" });
  const sick = new World((driver) => ({
    ...driver,
    check: async () => ({
      ok: false,
      kind: "fake",
      location: "here",
      latency: 1,
      checks: [{ name: "write", ok: false, detail: "permission denied" }],
    }),
  }));
  expect(await sick.run("check")).toMatchObject({
    code: 1,
    out: "FAILED\twrite\tpermission denied\nfake here: does not work\n",
  });
  expect(await sick.run("init")).toMatchObject({ code: 1, out: "" });
});

test("init writes a configuration once", async () => {
  const world = new World();
  const first = await world.run("init", "--storage", "file:./registry", "--author", "ada");
  expect(first).toMatchObject({ code: 0, out: "prompt-registry.config.json created (storage file:./registry)\n" });
  expect(JSON.parse(readFileSync(join(world.folder, "prompt-registry.config.json"), "utf8"))).toEqual({
    storage: "file:./registry",
    author: "ada",
  });
  expect(await world.run("init")).toMatchObject({ code: 0, out: "prompt-registry.config.json unchanged\n" });
  expect((await world.run("init", "--json")).json()).toEqual({
    status: "unchanged",
    config: "prompt-registry.config.json",
  });
  expect(await world.run("init", "--storage", "file:.")).toMatchObject({ code: 4, out: "" });
  const other = new World();
  expect((await other.run("init", "--json")).json()).toEqual({
    status: "created",
    config: "prompt-registry.config.json",
    storage: "file:.",
  });
  const secret = await new World().run("init", "--storage", "postgres://me:hunter2@host/db");
  expect(secret).toMatchObject({ code: 2, out: "" });
  expect(secret.err).not.toContain("hunter2");
});
