import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { interruption, stocked } from "./world.ts";

test("label lists, moves, removes", async () => {
  const world = await stocked();
  expect((await world.run("label", "support/triage")).out).toBe("production\t1.0.0\nstaging\t2.0.0\n");
  expect((await world.run("label", "support/triage", "--json")).json()).toEqual({
    name: "support/triage",
    labels: { production: "1.0.0", staging: "2.0.0" },
  });
  expect((await world.run("label", "support/triage", "production", "^1")).out).toBe(
    "support/triage production -> 1.1.0 (was 1.0.0)\n",
  );
  expect((await world.run("label", "support/triage", "production", "1.1.0")).out).toBe(
    "support/triage production -> 1.1.0 (unchanged)\n",
  );
  const json = await world.run("label", "support/triage@staging", "canary", "--json");
  expect(json.json()).toEqual({ name: "support/triage", label: "canary", version: "2.0.0", status: "changed" });
  expect((await world.run("label", "support/triage", "canary", "--remove")).out).toBe(
    "support/triage canary removed (was 2.0.0)\n",
  );
  expect((await world.run("label", "support/triage", "canary", "--remove")).out).toBe(
    "support/triage canary was not set (unchanged)\n",
  );
});

test("label refuses", async () => {
  const world = await stocked();
  expect(await world.run("label", "support/triage", "production")).toMatchObject({ code: 2 });
  expect(await world.run("label", "support/triage", "latest", "1.0.0")).toMatchObject({ code: 2 });
  expect(await world.run("label", "support/triage", "production", "9.9.9")).toMatchObject({ code: 3 });
  expect(await world.run("label", "support/triage", "production", "2.0.0", "--expect", "1.1.0")).toMatchObject({
    code: 4,
  });
  expect(await world.run("label", "support/triage", "new", "2.0.0", "--expect", "none")).toMatchObject({ code: 0 });
  expect(await world.run("label", "support/triage", "production", "2.0.0", "--remove")).toMatchObject({ code: 2 });
  expect(await world.run("label", "support/triage@1.0.0", "production", "2.0.0")).toMatchObject({ code: 2 });
});

test("rollback, and forward again", async () => {
  const world = await stocked();
  const ran = await world.runWith(
    { stderrTTY: true, env: { NO_COLOR: "1" } },
    "rollback",
    "support/triage",
    "-m",
    "tone",
  );
  expect(ran.out).toBe("support/triage latest -> 1.1.0, pinned (was 2.0.0)\n");
  expect(ran.err).toContain("prompt-registry unpin support/triage");
  expect((await world.run("rollback", "support/triage", "1.0.0", "--json")).json()).toEqual({
    name: "support/triage",
    version: "1.0.0",
    from: "1.1.0",
    status: "changed",
  });
  expect((await world.run("rollback", "support/triage", "--unpin")).out).toBe(
    "support/triage latest is not pinned (was 1.0.0)\n",
  );
  expect((await world.run("unpin", "support/triage", "--json")).json()).toEqual({
    name: "support/triage",
    status: "unchanged",
  });
  expect((await world.run("resolve", "support/triage")).out).toBe("2.0.0\n");
  expect(await world.run("rollback", "support/reply")).toMatchObject({ code: 4 });
  expect(await world.run("rollback", "support/triage", "1.0.0", "--unpin")).toMatchObject({ code: 2 });
});

test("yank and unyank", async () => {
  const world = await stocked();
  expect((await world.run("yank", "support/triage", "2.0.0", "-m", "bad")).out).toBe("support/triage 2.0.0 yanked\n");
  expect((await world.run("resolve", "support/triage")).out).toBe("1.1.0\n");
  expect((await world.run("yank", "support/triage@2.0.0")).out).toBe("support/triage 2.0.0 yanked (unchanged)\n");
  expect((await world.run("unyank", "support/triage", "2.0.0", "--json")).json()).toEqual({
    name: "support/triage",
    version: "2.0.0",
    status: "changed",
  });
  expect(await world.run("yank", "support/triage")).toMatchObject({ code: 2 });
  expect(await world.run("yank", "support/triage@2.0.0", "1.0.0")).toMatchObject({ code: 2 });
  expect(await world.run("unyank", "support/triage", "7.0.0")).toMatchObject({ code: 3 });
});

test("deprecate and lift it", async () => {
  const world = await stocked();
  expect((await world.run("deprecate", "support/reply", "use x")).out).toBe("support/reply deprecated\n");
  expect((await world.run("deprecate", "support/reply", "--undo", "--json")).json()).toEqual({
    name: "support/reply",
    status: "changed",
  });
  expect(await world.run("deprecate", "support/reply")).toMatchObject({ code: 2 });
  expect(await world.run("deprecate", "support/reply", "x", "--undo")).toMatchObject({ code: 2 });
});

test("delete asks, or wants --yes", async () => {
  const world = await stocked();
  const silent = await world.run("delete", "support/triage", "1.1.0");
  expect(silent).toMatchObject({ code: 2, out: "" });
  expect(silent.err).toContain("--yes");
  const asked = { stdinTTY: true, stderrTTY: true, env: { NO_COLOR: "1" } };
  const no = await world.runWith({ ...asked, stdin: "n\n" }, "delete", "support/triage", "1.1.0");
  expect(no).toMatchObject({ code: 2, out: "" });
  expect(no.err).toContain("Delete support/triage@1.1.0 for ever? [y/N] ");
  expect(await world.runWith({ ...asked, stdin: "" }, "delete", "support/triage", "1.1.0")).toMatchObject({ code: 2 });
  const yes = await world.runWith({ ...asked, stdin: "y\n" }, "delete", "support/triage@1.1.0");
  expect(yes).toMatchObject({ code: 0, out: "support/triage@1.1.0 deleted\n" });
  const again = await world.run("delete", "support/triage@1.1.0", "--yes");
  expect(again).toMatchObject({ code: 0, out: "support/triage@1.1.0 unchanged\n" });
  expect(await world.run("delete", "support/triage", "1.0.0", "-y")).toMatchObject({ code: 4 });
  const all = await world.runWith({ ...asked, stdin: "yes\n" }, "delete", "support/triage");
  expect(all.err).toContain("Delete support/triage (2 versions) for ever?");
  expect(all.out).toBe("support/triage@2.0.0 deleted\nsupport/triage@1.0.0 deleted\n");
  expect((await world.run("delete", "support/reply", "--yes", "--json")).json()).toEqual({
    name: "support/reply",
    status: "removed",
    versions: ["1.0.0"],
  });
  expect(await world.run("get", "support/reply@1.0.0")).toMatchObject({ code: 3, out: "" });
});

test("a question can be interrupted", async () => {
  const world = await stocked();
  const { signal, fire } = interruption();
  const asked = { stdinTTY: true, stderrTTY: true, stdin: new Readable({ read() {} }), signal };
  const onStderr = (chunk: string) => {
    if (chunk.includes("[y/N]")) setTimeout(fire, 5);
  };
  const ran = await world.runWith({ ...asked, onStderr }, "delete", "support/reply");
  expect(ran).toMatchObject({ code: 130, out: "" });
  expect((await world.run("resolve", "support/reply")).code).toBe(0);
});

test("restore takes the sealed copy, and no other", async () => {
  const world = await stocked();
  world.file("copy.md", (await world.run("get", "support/reply", "--raw")).out);
  world.file("other.md", (await world.run("get", "support/triage", "--raw")).out);
  await world.run("delete", "support/reply", "--yes");
  expect(await world.run("restore", "support/reply", "1.0.0", "other.md")).toMatchObject({ code: 2 });
  expect((await world.run("restore", "support/reply", "1.0.0", "copy.md")).out).toBe("support/reply 1.0.0 restored\n");
  expect((await world.run("get", "support/reply")).out).toBe("Answer {{customer}}.");
  const again = await world.run("restore", "support/reply", "1.0.0", "copy.md", "--json");
  expect(again.json()).toEqual({ name: "support/reply", version: "1.0.0", status: "unchanged" });
});
