import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { World } from "./world.ts";

async function filled(): Promise<World> {
  const world = new World();
  world.real = true;
  world.file("a.md", "Hello {{name}}\n");
  expect(await world.run("push", "greet", "a.md", "--storage", "file:./one")).toMatchObject({ code: 0 });
  return world;
}

test.each(["file:./on", "file:./mount", "sqlite:./on.db"])("%s is no source: it is not there", async (source) => {
  const world = await filled();
  // Where a disk is mounted, when it is not.
  mkdirSync(join(world.folder, "mount"));
  for (const argv of [
    ["backup", "all.gz", "--storage", source],
    ["snapshot", "all.json", "--storage", source],
    ["copy", source, "file:./two"],
    ["copy", source, "file:./two", "--dry-run"],
    ["sync", source, "file:./one"],
    ["sync", "file:./one", source],
  ]) {
    const ran = await world.run(...argv);
    expect(ran, argv.join(" ")).toMatchObject({ code: 3, out: "" });
    expect(ran.err).toMatch(/there is no (?:folder|file) ".+" to read prompts from; is the name right/);
  }
  for (const file of ["on", "on.db", "mount/prompts", "two", "all.gz", "all.json"]) {
    expect(existsSync(join(world.folder, file)), file).toBe(false);
  }
});

test("the source that is set up must be there, too", async () => {
  const world = await filled();
  writeFileSync(join(world.folder, "prompt-registry.config.json"), '{"storage":"sqlite:./on.db","cache":true}');
  expect(await world.run("backup", "all.gz")).toMatchObject({ code: 3, out: "" });
  expect(existsSync(join(world.folder, "on.db"))).toBe(false);
  expect(await world.run("backup", "all.gz", "--storage", "file:./one")).toMatchObject({ code: 0 });
  expect(await world.run("backup", "dir.gz", "--storage", "file:./one/prompts?dir=.")).toMatchObject({ code: 0 });
  expect(await world.run("copy", "file:./one", "sqlite:./on.db")).toMatchObject({ code: 0 });
  expect(await world.run("backup", "db.gz")).toMatchObject({ code: 0 });
});

test("a registry whose prompts lie behind a route is one", async () => {
  const world = new World();
  world.real = true;
  world.file("prompt-registry.config.json", '{"route":[{"names":"**","storage":"sqlite:./r.db"}]}');
  world.file("a.md", "Hello {{name}}\n");
  expect(await world.run("push", "t/a", "a.md")).toMatchObject({ code: 0 });
  expect((await world.run("backup", "all.gz")).out).toContain("1 prompt, 1 version");
});

test("backup --overwrite puts no archive of nothing in the place of one that holds something", async () => {
  const world = await filled();
  const at = ["--storage", "file:./one"];
  expect(await world.run("backup", "all.gz", ...at)).toMatchObject({ code: 0 });
  const before = readFileSync(join(world.folder, "all.gz"));
  // Nothing has that prefix.
  const none = ["--prefix", "nothing/", "--overwrite"];
  const ran = await world.run("backup", "all.gz", ...none, ...at);
  expect(ran).toMatchObject({ code: 4, out: "" });
  expect(ran.err).toContain("there is nothing to back up");
  expect(readFileSync(join(world.folder, "all.gz"))).toEqual(before);
  world.file("notes.txt", "no archive");
  expect(await world.run("backup", "notes.txt", ...none, ...at)).toMatchObject({ code: 4 });
  expect(readFileSync(join(world.folder, "notes.txt"), "utf8")).toBe("no archive");
  world.file("empty.gz", "");
  for (const file of ["new.gz", "new.gz", "empty.gz"]) {
    expect(await world.run("backup", file, ...none, ...at)).toMatchObject({ code: 0 });
  }
  expect(await world.run("backup", "all.gz", "--overwrite", ...at)).toMatchObject({ code: 0 });
});
