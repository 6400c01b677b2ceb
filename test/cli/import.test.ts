import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { slugOf } from "../../src/cli/files.ts";
import { memory } from "../../src/drivers/memory.ts";
import { RegistryError } from "../../src/errors.ts";
import { interruption, World } from "./world.ts";

interface Report {
  readonly created: number;
  readonly unchanged: number;
  readonly failed: number;
  readonly skipped: number;
  readonly notTried: number;
  readonly interrupted: boolean;
  readonly files: readonly { file: string; status: string; name?: string; version?: string; reason?: string }[];
}

function filled(world = new World()): World {
  world.file("in/support/triage/v1.0.0.md", "one");
  world.file("in/support/triage/v1.10.0.md", "three");
  world.file("in/support/triage/v1.9.0.md", "two");
  world.file("in/support/triage.md", "four");
  world.file("in/code/review.prompt", "review");
  world.file("in/plain.prompt.md", "plain");
  world.file("in/README.md", "# about");
  world.file("in/.hidden/secret.md", "no");
  world.file("in/notes.txt", "no");
  world.file("in/node_modules/x/y.md", "no");
  return world;
}

test("import stores a folder, and again changes nothing", async () => {
  const world = filled();
  const first = await world.run("import", "in", "--author", "grace", "-m", "moved here");
  expect(first).toMatchObject({ code: 0, err: "" });
  expect(first.out).toBe(
    [
      "skipped\tREADME.md\t\tabout the folder, not a prompt",
      "created\tcode/review.prompt\tcode/review@1.0.0\t",
      "created\tplain.prompt.md\tplain@1.0.0\t",
      "created\tsupport/triage/v1.0.0.md\tsupport/triage@1.0.0\t",
      "created\tsupport/triage/v1.9.0.md\tsupport/triage@1.9.0\t",
      "created\tsupport/triage/v1.10.0.md\tsupport/triage@1.10.0\t",
      "created\tsupport/triage.md\tsupport/triage@1.10.1\t",
      "7 files: 6 created, 0 unchanged, 1 skipped",
      "",
    ].join("\n"),
  );
  expect(await world.registry.getPrompt("support/triage")).toMatchObject({ author: "grace", message: "moved here" });
  const second = await world.run("import", "in", "--json");
  expect(second.json<Report>()).toMatchObject({ created: 0, unchanged: 6, skipped: 1, failed: 0, interrupted: false });
});

test("import --dry-run foretells what import does", async () => {
  const world = filled();
  const dry = (await world.run("import", "in", "--dry-run", "--json")).json<Report & { dryRun: boolean }>();
  expect(dry.dryRun).toBe(true);
  expect((await world.run("list")).out).toBe("");
  expect((await world.run("import", "in", "--dry-run")).out).toContain("6 would be created");
  const done = (await world.run("import", "in", "--json")).json<Report>();
  expect(dry.files).toEqual(done.files);
  world.file("in/plain.prompt.md", "changed");
  world.file("in/support/triage/v1.9.0.md", "changed");
  const again = (await world.run("import", "in", "-n", "--json", "--bump", "minor")).json<Report>();
  expect(again.files.find((f) => f.file === "plain.prompt.md")).toMatchObject({ status: "created", version: "1.1.0" });
  expect(again.files.find((f) => f.file.includes("v1.9.0"))).toMatchObject({ status: "failed" });
  expect(again).toMatchObject({ created: 1, failed: 1, unchanged: 4 });
  const real = await world.run("import", "in", "--json", "--bump", "minor");
  expect(real.code).toBe(1);
  expect(real.json<Report>()).toMatchObject({ created: 1, failed: 1, unchanged: 4 });
});

test("import says which files it can't take, and takes the others", async () => {
  const world = new World();
  world.file("in/good.md", "good");
  world.file("in/My Prompt.md", "name");
  world.file("in/bad.md", Buffer.from([0xff]));
  world.file("in/front.md", "---\na: [\n---\n");
  world.file("in/twin.md", "one");
  world.file("in/twin.prompt", "other");
  world.file("in/v1.0.0.md", "no folder");
  const ran = await world.run("import", "in", "--json");
  expect(ran.code).toBe(1);
  const { files, ...counts } = ran.json<Report>();
  expect(counts).toMatchObject({ created: 2, failed: 5 });
  const why = (file: string) => files.find((f) => f.file === file)?.reason;
  expect(why("My Prompt.md")).toContain("--slug makes it my-prompt");
  expect(why("bad.md")).toContain("is not UTF-8");
  expect(why("front.md")).toContain("front matter");
  expect(why("twin.prompt")).toContain("same name as twin.md");
  expect(why("v1.0.0.md")).toContain("--prefix");
  const slug = await world.run("import", "in", "--slug", "--prefix", "from/disk/", "--json");
  expect(
    slug
      .json<Report>()
      .files.filter((f) => f.status === "created")
      .map((f) => `${f.name}@${f.version}`),
  ).toEqual(["from/disk@1.0.0", "from/disk/good@1.0.0", "from/disk/my-prompt@1.0.0", "from/disk/twin@1.0.0"]);
});

test("import follows no links", async () => {
  const world = new World();
  world.file("in/a/v1.0.0.md", "one");
  world.file("in/a/production.md", "v1.0.0.md\n");
  symlinkSync("v1.0.0.md", join(world.folder, "in/a/latest.md"));
  symlinkSync("..", join(world.folder, "in/a/loop"));
  const { files } = (await world.run("import", "in", "--json")).json<Report>();
  expect(files.map((f) => `${f.status} ${f.file}`)).toEqual([
    "skipped a/latest.md",
    "skipped a/production.md",
    "created a/v1.0.0.md",
  ]);
});

test("import takes sealed documents as they are", async () => {
  const world = filled();
  await world.run("import", "in");
  const sealed = (await world.run("get", "support/triage@1.9.0", "--raw")).out;
  const other = new World();
  other.file("in/support/triage/v1.9.0.md", sealed);
  expect((await other.run("import", "in", "--json")).json<Report>()).toMatchObject({ created: 1 });
  expect((await other.run("get", "support/triage", "--raw")).out).toBe(sealed);
  expect((await other.run("import", "in", "-n", "--json")).json<Report>()).toMatchObject({ unchanged: 1 });
});

test("import refuses what is no folder", async () => {
  const world = filled();
  expect(await world.run("import", "nowhere")).toMatchObject({ code: 2, out: "" });
  expect((await world.run("import", "in/plain.prompt.md")).err).toContain("it is no folder");
  expect(await world.run("import", "in", "--prefix", "Bad Name")).toMatchObject({ code: 2, out: "" });
  mkdirSync(join(world.folder, "empty"));
  expect(await world.run("import", "empty")).toMatchObject({ code: 0, out: "0 files: 0 created, 0 unchanged\n" });
});

test("import can be interrupted, and goes on when repeated", async () => {
  const { signal, fire } = interruption();
  let commits = 0;
  const world = new World((driver) => ({
    ...driver,
    commit: async (commit, op) => {
      if (++commits === 3) fire();
      return driver.commit(commit, op);
    },
  }));
  for (let i = 0; i < 300; i++) world.file(`in/p${String(i).padStart(3, "0")}.md`, `text ${i}`);
  const ran = await world.runWith({ signal }, "import", "in", "--json");
  expect(ran.code).toBe(130);
  expect(ran.err).toBe("prompt-registry: interrupted\n");
  const report = ran.json<Report>();
  expect(report).toMatchObject({ interrupted: true, failed: 0, created: 100, notTried: 200 });
  // What was told as stored is there, whole.
  for (const { name, version, status } of report.files) {
    if (status === "created") expect((await world.run("get", `${name}@${version}`)).code).toBe(0);
  }
  expect((await world.run("import", "in", "--json")).json<Report>()).toMatchObject({ created: 200, unchanged: 100 });
});

test("import ends when the storage is away, and tells how far it got", async () => {
  let commits = 0;
  const world = new World(() => {
    const driver = { ...memory(), close: async () => {} };
    return {
      ...driver,
      commit: async (commit, op) => {
        if (++commits > 1) throw new RegistryError("UNAVAILABLE", "the disk is gone");
        return driver.commit(commit, op);
      },
    };
  });
  for (let i = 0; i < 120; i++) world.file(`in/p${i}.md`, `text ${i}`);
  const ran = await world.run("import", "in");
  expect(ran.code).toBe(7);
  expect(ran.out).toContain("120 files: 50 created, 0 unchanged, 70 not tried; the same command goes on\n");
  expect(ran.err).toContain("the disk is gone");
});

test("import shows a bar on a terminal when it takes long", async () => {
  const world = new World((driver) => ({
    ...driver,
    commit: async (commit, op) => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return driver.commit(commit, op);
    },
  }));
  for (let i = 0; i < 120; i++) world.file(`in/p${i}.md`, `text ${i}`);
  const ran = await world.runWith({ stderrTTY: true }, "import", "in");
  expect(ran.err).toMatch(/\[#{8}-{12}\] 50\/120 /);
  // Nothing of it stays.
  expect(ran.err.endsWith("\r\u001b[2K")).toBe(true);
  expect((await world.run("import", "in")).err).toBe("");
});

test.each([
  ["My Prompt", "my-prompt"],
  ["Über Mich/Straße 1", "uber-mich/stra-e-1"],
  ["camelCaseName", "camel-case-name"],
  ["--x--", "x"],
  ["日本", ""],
])("slug of %j", (name, slug) => {
  expect(slugOf(name)).toBe(slug);
});
