import { existsSync, lstatSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { stocked, World } from "./world.ts";

/** A folder registry with some prompts, and the real storages. */
async function folder(): Promise<World> {
  const world = new World();
  world.real = true;
  world.file("a.md", "Hello {{name}}\n");
  await world.run("init", "--storage", "file:./one");
  for (const version of ["1.0.0", "1.1.0"]) {
    world.file("a.md", `Hello ${version} {{name}}\n`);
    expect(await world.run("push", "greet", "a.md", "--version", version, "--storage", "file:./one")).toMatchObject({
      code: 0,
    });
  }
  await world.run("label", "greet", "production", "1.0.0", "--storage", "file:./one");
  return world;
}

test("copy copies, compares, and does nothing the second time", async () => {
  const world = await folder();
  const dry = await world.run("copy", "file:./one", "file:./two", "--dry-run");
  expect(dry).toMatchObject({ code: 0, out: "1 prompt: would be: 2 versions added, 1 head moved\n" });
  expect(existsSync(join(world.folder, "two"))).toBe(false);
  const ran = await world.run("copy", "file:./one", "file:./two");
  expect(ran).toMatchObject({
    code: 0,
    out: "1 prompt: 2 versions added, 1 head moved\ncompared: 1 equal (2 versions)\n",
    err: "",
  });
  expect((await world.run("copy", "file:./one", "file:./two")).out).toContain("1 prompt: nothing to do\n");
  expect((await world.run("get", "greet@production", "--storage", "file:./two")).out).toBe("Hello 1.0.0 {{name}}\n");
  const json = (await world.run("copy", "file:./one", "file:./two", "--json")).json();
  expect(json).toMatchObject({ ok: true, changed: 0, verify: { equal: 1 } });
  expect(await world.run("copy", "file:./one", "nowhere:x")).toMatchObject({ code: 8, out: "" });
  expect(await world.run("copy", "file:./one")).toMatchObject({ code: 2 });
});

test("sync lists conflicts and exits with 1", async () => {
  const world = await folder();
  await world.run("copy", "file:./one", "file:./two");
  await world.run("label", "greet", "production", "1.1.0", "--storage", "file:./one");
  await world.run("label", "greet", "staging", "1.1.0", "--storage", "file:./two");
  const ran = await world.run("sync", "file:./one", "file:./two");
  expect(ran.code).toBe(1);
  expect(ran.out).toMatch(/^conflict\thead\tgreet\tchanged on both sides/);
});

test("backup and restore-archive", async () => {
  const world = await folder();
  const ran = await world.run("backup", "all.gz", "--storage", "file:./one");
  expect(ran).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^1 prompt, 2 versions: \d+ bytes, sha256 [0-9a-f]{64}\n$/),
  });
  expect(await world.run("backup", "all.gz", "--storage", "file:./one")).toMatchObject({ code: 2, out: "" });
  expect(await world.run("backup", "all.gz", "--overwrite", "--storage", "file:./one")).toMatchObject({ code: 0 });
  expect((await world.run("restore-archive", "all.gz", "--storage", "file:./two")).out).toContain("compared: 1 equal");
  const bytes = readFileSync(join(world.folder, "all.gz"));
  writeFileSync(join(world.folder, "cut.gz"), bytes.subarray(0, bytes.length - 9));
  expect(await world.run("restore-archive", "cut.gz", "--storage", "file:./three")).toMatchObject({ code: 5, out: "" });
  expect(existsSync(join(world.folder, "three"))).toBe(false);
});

test("migrate moves files of old layouts", async () => {
  const world = new World();
  world.real = true;
  world.file("prompts/greet/1.0.0.md", "hello\n");
  expect(await world.run("migrate", "--dry-run")).toMatchObject({
    code: 0,
    out: expect.stringContaining("0 migrated, 1 to migrate"),
  });
  expect((await world.run("migrate")).out).toContain("1 migrated, 0 left (1 prompt, 1 version, 0 damaged)");
});

test("migrate names what is left of an old layout each time", async () => {
  const world = new World();
  world.real = true;
  world.file("prompts/a/1.0.0.md", "one\n");
  world.file("prompts/a/2.0.0.md", "two\n");
  world.file("prompts/a/latest.md", "two\n");
  world.file("prompts/a/3.0.0.md", Buffer.from([0xff]));
  world.file("prompts/a/4.0.0.md", "");
  const isLink = () => lstatSync(join(world.folder, "prompts/a/latest.md")).isSymbolicLink();
  const dry = await world.run("migrate", "--dry-run");
  expect(dry.out).toMatch(/^open\t\w+\ta@2\.0\.0\ta copy of 2\.0\.0, where a link belongs$/m);
  const told = await world.run("migrate");
  expect(told.code).toBe(1);
  expect(told.out).toMatch(/\ta@2\.0\.0\ta copy of 2\.0\.0, where a link belongs$/m);
  for (let i = 0; i < 2; i++) {
    const ran = await world.run("migrate");
    expect(ran.code).toBe(1);
    expect(ran.out).toMatch(/^open\t\w+\ta@3\.0\.0\t.+ is not valid UTF-8$/m);
    expect(ran.out).not.toContain(", 0 left");
    if (!isLink()) expect(ran.out).toMatch(/^open\t\w+\ta(?:@2\.0\.0)?\t.*(?:where a link belongs|latest\.md)/m);
  }
});

test("import --format and export --format", async () => {
  const world = await stocked();
  const entry = {
    name: "chat",
    version: 2,
    type: "text",
    prompt: "hi {{x}}",
    config: {},
    labels: ["live"],
    tags: [],
    updatedAt: "2026-01-01",
  };
  world.file("lf.json", JSON.stringify([entry, { name: "bad", version: 0, prompt: "x" }].slice(0, 1)));
  expect(await world.run("import", "lf.json", "--format", "langfuse", "--dry-run")).toMatchObject({
    code: 0,
    out: "would store\tchat@2.0.0\t\n",
  });
  const ran = await world.run("import", "lf.json", "--format", "langfuse");
  expect(ran).toMatchObject({ code: 0, out: "created\tchat@2.0.0\t\n" });
  expect(ran.err).toContain("lost: chat@2.0.0: updatedAt");
  expect((await world.run("import", "lf.json", "--format", "langfuse")).out).toBe("unchanged\tchat@2.0.0\t\n");
  expect(await world.run("get", "chat@live")).toMatchObject({ code: 3 });
  await world.run("import", "lf.json", "--format", "langfuse", "--labels");
  expect(await world.run("get", "chat@live")).toMatchObject({ code: 0 });
  world.file("broken.json", "{");
  expect(await world.run("import", "broken.json", "--format", "langfuse")).toMatchObject({ code: 1 });
  expect(await world.run("import", "none.json", "--format", "langfuse")).toMatchObject({ code: 2 });

  const exported = await world.run("export", "out", "--format", "dotprompt", "--prefix", "support/");
  expect(exported).toMatchObject({ code: 0, out: "support/reply.prompt\nsupport/triage.prompt\n" });
  expect(readFileSync(join(world.folder, "out/support/reply.prompt"), "utf8")).toContain(
    "registry.name: support/reply",
  );
  expect(await world.run("export", "out", "--format", "dotprompt")).toMatchObject({ code: 2 });
  expect(await world.run("export", "out")).toMatchObject({ code: 2 });
  const other = new World();
  const text = readFileSync(join(world.folder, "out/support/reply.prompt"), "utf8");
  other.file("in/x.prompt", text);
  expect((await other.run("import", "in", "--format", "dotprompt")).out).toBe("created\tsupport/reply@1.0.0\t\n");
});

test("install, ci, outdated and update", async () => {
  const world = await stocked();
  expect(await world.run("install")).toMatchObject({ code: 3 });
  world.file("prompts.json", JSON.stringify({ prompts: { "support/triage": "^1.0", "support/reply": "latest" } }));
  expect(await world.run("ci")).toMatchObject({ code: 4, out: "" });
  expect(await world.run("install")).toMatchObject({
    code: 0,
    out: "support/reply\t\t1.0.0\nsupport/triage\t\t1.1.0\n",
  });
  expect(existsSync(join(world.folder, "prompts/.materialized/support/triage/v1.1.0.md"))).toBe(true);
  expect(await world.run("ci", "--materialize", "build")).toMatchObject({ code: 0, out: "" });
  expect(existsSync(join(world.folder, "build/support/triage/v1.1.0.md"))).toBe(true);
  await world.store("support/triage", "1.2.0", "new\n");
  const behind = await world.run("outdated");
  expect(behind).toMatchObject({ code: 1, out: "support/triage\t^1.0\t1.1.0\t1.2.0\t2.0.0\t\n" });
  expect((await world.run("update", "--dry-run")).out).toBe("support/triage\t1.1.0\t1.2.0\n");
  expect((await world.run("update", "support/triage")).out).toBe("support/triage\t1.1.0\t1.2.0\n");
  expect((await world.run("install", "--json")).json()).toMatchObject({
    changes: [],
    prompts: { "support/triage": { version: "1.2.0" } },
  });
  expect(await world.run("update", "support/nothing")).toMatchObject({ code: 3 });
});
