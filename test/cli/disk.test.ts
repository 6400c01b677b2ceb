/** Disks that are full, that nobody may write, that know no hard links; links, pipes and devices in the place of files. */
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { memory } from "../../src/drivers/memory.ts";
import { type ErrorCode, RegistryError } from "../../src/errors.ts";
import { stocked, World } from "./world.ts";

type Call = "open" | "write" | "mkdir" | "link" | "rename";
const faults = vi.hoisted(() => new Map<string, string>());

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  const fail = (call: Call) => {
    const code = faults.get(call);
    if (code !== undefined) throw Object.assign(new Error(`${code}: ${call}`), { code });
  };
  return {
    ...real,
    async open(...args: Parameters<typeof real.open>) {
      if (args[1] === "wx") fail("open");
      const handle = await real.open(...args);
      const { writeFile } = handle;
      handle.writeFile = async (data) => {
        // A full disk takes some of it.
        if (faults.has("write")) await writeFile.call(handle, "half");
        fail("write");
        await writeFile.call(handle, data);
      };
      return handle;
    },
    async mkdir(...args: Parameters<typeof real.mkdir>) {
      // As Node does, which says ENOENT of it where folders above it are to be made, too.
      const isThere = (await real.stat(args[0]).catch(() => undefined)) !== undefined;
      if (faults.has("mkdir") && !isThere && typeof args[1] === "object") {
        throw Object.assign(new Error("ENOENT"), { code: "ENOENT" });
      }
      if (!isThere) fail("mkdir");
      return await real.mkdir(...args);
    },
    async link(...args: Parameters<typeof real.link>) {
      fail("link");
      await real.link(...args);
    },
    async rename(...args: Parameters<typeof real.rename>) {
      fail("rename");
      await real.rename(...args);
    },
  };
});
afterEach(() => faults.clear());

const EXPORT = ["export", "out", "--format", "dotprompt"];

function treeOf(world: World, folder: string): string[] {
  const entries = readdirSync(join(world.folder, folder), { recursive: true, withFileTypes: true });
  return entries.filter((e) => !e.isDirectory()).map((e) => e.name);
}

test.each([
  ["ENOSPC", 7],
  ["EDQUOT", 7],
  ["EROFS", 8],
])("export: %s while a file is written leaves what was there", async (code, exit) => {
  const world = await stocked();
  faults.set("write", code);
  const ran = await world.run(...EXPORT);
  expect(ran).toMatchObject({ code: exit, out: "" });
  expect(ran.err).toContain('can\'t write "support/reply.prompt"');
  expect(treeOf(world, "out")).toEqual([]);
  faults.clear();
  await world.run(...EXPORT);
  const before = readFileSync(join(world.folder, "out/support/reply.prompt"), "utf8");
  await world.store("support/reply", "1.1.0", "Something else.");
  faults.set("write", code);
  expect(await world.run(...EXPORT, "--overwrite")).toMatchObject({ code: exit });
  expect(readFileSync(join(world.folder, "out/support/reply.prompt"), "utf8")).toBe(before);
  expect(treeOf(world, "out")).toHaveLength(2);
});

test("export: a folder that can't be made", async () => {
  const world = await stocked();
  faults.set("mkdir", "EROFS");
  const ran = await world.run(...EXPORT);
  expect(ran).toMatchObject({ code: 8, out: "" });
  expect(ran.err).toContain("the file system is read-only");
});

test("export replaces a link at its target, and follows none", async () => {
  const world = await stocked();
  world.file("mine.txt", "mine");
  mkdirSync(join(world.folder, "out/support"), { recursive: true });
  const target = join(world.folder, "out/support/reply.prompt");
  symlinkSync("../../mine.txt", target);
  expect(await world.run(...EXPORT)).toMatchObject({ code: 2 });
  // Nothing is written, if not all can be.
  expect(treeOf(world, "out")).toEqual(["reply.prompt"]);
  expect(await world.run(...EXPORT, "--overwrite")).toMatchObject({ code: 0 });
  expect(readFileSync(join(world.folder, "mine.txt"), "utf8")).toBe("mine");
  expect(lstatSync(target).isFile()).toBe(true);
  mkdirSync(join(world.folder, "elsewhere"));
  mkdirSync(join(world.folder, "other"));
  symlinkSync("../elsewhere", join(world.folder, "other/support"));
  const ran = await world.run("export", "other", "--format", "dotprompt", "--overwrite");
  expect(ran).toMatchObject({ code: 2, out: "" });
  expect(ran.err).toContain("is in the way");
  expect(treeOf(world, "elsewhere")).toEqual([]);
});

test.each(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"])("backup and export where link() says %s", async (code) => {
  const world = await stocked();
  faults.set("link", code);
  expect(await world.run("backup", "all.gz")).toMatchObject({ code: 0, err: "" });
  expect(await world.run("backup", "all.gz")).toMatchObject({ code: 2 });
  expect(await world.run(...EXPORT)).toMatchObject({ code: 0 });
  expect(await world.run("restore-archive", "all.gz")).toMatchObject({ code: 0 });
  faults.set("rename", "EIO");
  expect(await world.run("backup", "other.gz")).toMatchObject({ code: 2 });
  // The name that was claimed is free again.
  expect(readdirSync(world.folder).sort()).toEqual(["all.gz", "out"]);
});

test.each([
  ["write", "ENOSPC", 7],
  ["write", "EROFS", 8],
  ["open", "EROFS", 8],
] as const)("backup and snapshot: %s says %s", async (call, code, exit) => {
  const world = await stocked();
  faults.set(call, code);
  for (const command of ["backup", "snapshot"]) {
    expect(await world.run(command, "file")).toMatchObject({ code: exit, out: "" });
  }
  expect(readdirSync(world.folder)).toEqual([]);
});

test("init leaves no half of a configuration", async () => {
  const world = new World();
  faults.set("write", "ENOSPC");
  expect(await world.run("init")).toMatchObject({ code: 7, out: "" });
  expect(readdirSync(world.folder)).toEqual([]);
});

test.each([
  ["NO_SPACE", 7],
  ["READ_ONLY", 8],
  ["UNAUTHENTICATED", 6],
] as const)("import stops at %s, tells what it stored, and goes on later", async (code: ErrorCode, exit) => {
  let full = true;
  let stored = 0;
  const world = new World(() => {
    const driver = { ...memory(), close: async () => {} };
    return {
      ...driver,
      async commit(commit, op) {
        const { changes, ...rest } = commit;
        const outcomes = [];
        for (const change of changes) {
          if (full && stored >= 60) {
            outcomes.push({ status: "failed" as const, error: new RegistryError(code, "the disk does not take it") });
            continue;
          }
          stored++;
          outcomes.push(...(await driver.commit({ ...rest, changes: [change] }, op)));
        }
        return outcomes;
      },
    };
  });
  for (let i = 0; i < 200; i++) world.file(`in/p${String(i).padStart(3, "0")}.md`, `text ${i}`);
  const ran = await world.run("import", "in");
  expect(ran.code).toBe(exit);
  expect(ran.out).toContain("200 files: 60 created, 0 unchanged, 140 not tried; the same command goes on\n");
  expect(ran.out).not.toContain("failed");
  expect(ran.err).toContain("the disk does not take it");
  full = false;
  expect((await world.run("import", "in")).out).toContain("200 files: 140 created, 60 unchanged\n");
});

test("import goes on past names that the caller may not write", async () => {
  const world = new World((driver) => ({
    ...driver,
    async commit(commit, op) {
      const allowed = commit.changes.filter(({ name }) => name !== "a/x");
      const outcomes = [...(await driver.commit({ ...commit, changes: allowed }, op))];
      const refused = { status: "failed" as const, error: new RegistryError("FORBIDDEN", "a/ is not yours") };
      return commit.changes.map(({ name }) => (name === "a/x" ? refused : outcomes.shift()) ?? refused);
    },
  }));
  world.file("in/a/x.md", "x");
  for (let i = 0; i < 60; i++) world.file(`in/b/p${i}.md`, `text ${i}`);
  const ran = await world.run("import", "in");
  expect(ran.out).toContain("61 files: 60 created, 0 unchanged, 1 failed\n");
  expect(ran.out).toContain("a/ is not yours");
  expect(ran.code).toBe(1);
});

test.runIf(process.platform !== "win32")("what is pushed is read no further than a prompt can be long", async () => {
  const world = new World();
  const ran = await world.run("push", "a", "/dev/zero");
  expect(ran).toMatchObject({ code: 2, out: "" });
  expect(ran.err).toContain("is too long; a prompt has at most 1 MiB");
  expect(await world.run("push", "a", "/dev/null")).toMatchObject({ code: 0 });
  world.file("folder/x", "");
  expect((await world.run("push", "b", "folder")).err).toContain("it is a folder");
  writeFileSync(join(world.folder, "big.md"), "x".repeat(5 * 2 ** 20));
  expect((await world.run("push", "b", "big.md")).err).toContain("it has 5242880 bytes");
});
