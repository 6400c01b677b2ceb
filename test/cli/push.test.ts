import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { interruption, stocked, World } from "./world.ts";

test("push stores a file: 1.0.0, then the next patch, then what was asked for", async () => {
  const world = new World();
  world.file("a.md", "one");
  expect(await world.run("push", "my/prompt", "a.md")).toMatchObject({
    code: 0,
    out: "my/prompt@1.0.0 created\n",
    err: "",
  });
  expect(await world.run("push", "my/prompt", "a.md")).toMatchObject({ code: 0, out: "my/prompt@1.0.0 unchanged\n" });
  world.file("a.md", "two");
  expect((await world.run("push", "my/prompt", "a.md")).out).toBe("my/prompt@1.0.1 created\n");
  world.file("a.md", "three");
  expect((await world.run("push", "my/prompt", "a.md", "--bump", "minor")).out).toBe("my/prompt@1.1.0 created\n");
  world.file("a.md", "four");
  expect((await world.run("push", "my/prompt", "a.md", "--version", "3.0.0-rc.1")).out).toBe(
    "my/prompt@3.0.0-rc.1 created\n",
  );
  expect((await world.run("push", "my/prompt", "a.md", "--version", "3.0.0-rc.1")).out).toBe(
    "my/prompt@3.0.0-rc.1 unchanged\n",
  );
});

test("push reads stdin, with and without -", async () => {
  const world = new World();
  expect((await world.runWith({ stdin: "from stdin" }, "push", "a", "-")).out).toBe("a@1.0.0 created\n");
  expect((await world.runWith({ stdin: "from stdin, too" }, "push", "a")).out).toBe("a@1.0.1 created\n");
  expect((await world.run("get", "a")).out).toBe("from stdin, too");
  const typed = await world.runWith({ stdinTTY: true }, "push", "a");
  expect(typed).toMatchObject({ code: 2, out: "" });
  expect(typed.err).toContain("missing FILE");
});

test("push keeps labels, author and message", async () => {
  const world = new World();
  world.file("a.md", "text");
  const options = ["--label", "staging", "--label", "beta", "-m", "why", "--author", "grace"];
  const ran = await world.run("push", "a", "a.md", ...options, "--json");
  expect(ran.json()).toMatchObject({ name: "a", version: "1.0.0", ref: "a@1.0.0", status: "created" });
  const { labels, author, message } = await world.registry.getPrompt("a");
  expect({ labels, author, message }).toEqual({ labels: ["beta", "staging"], author: "grace", message: "why" });
});

test("push says when latest stays where it is pinned", async () => {
  const world = await stocked();
  await world.run("rollback", "support/triage");
  world.file("a.md", "new");
  const ran = await world.run("push", "support/triage", "a.md", "--label", "staging");
  expect(ran.out).toBe("support/triage@2.0.1 created\n");
  expect(ran.err).toContain("latest is pinned to 1.1.0");
  expect(ran.err).toContain("prompt-registry unpin support/triage");
  world.file("a.md", "newer");
  expect((await world.run("push", "support/triage", "a.md", "--unpin")).err).toBe("");
  expect((await world.run("resolve", "support/triage")).out).toBe("2.0.2\n");
});

test.each([
  ["other text under a version", ["--version", "1.0.0"], 4, "exists with another text"],
  ["what was expected is not there", ["--expect", "9.9.9"], 4, "as expected"],
  ["nothing was expected", ["--expect", "none"], 4, "as expected"],
  ["version and bump", ["--version", "1.0.0", "--bump", "minor"], 2, "not both"],
  ["no bump", ["--bump", "tiny"], 2, "must be one of major, minor, patch"],
  ["no version", ["--version", "one"], 2, "is not a semantic version"],
  ["no label", ["--label", "Prod!"], 2, "label"],
])("push refuses: %s", async (_, options, code, message) => {
  const world = await stocked();
  world.file("a.md", "another text");
  const ran = await world.run("push", "support/triage", "a.md", ...options);
  expect(ran).toMatchObject({ code, out: "" });
  expect(ran.err).toContain(message);
  expect(ran.err.trimEnd().split("\n")).toHaveLength(1);
});

test.each([
  ["no UTF-8", Buffer.from([0x61, 0xc3, 0xa9, 0xff, 0x61]), "is not UTF-8 (byte 3)"],
  ["cut in the middle of a character", Buffer.from([0x61, 0xe2, 0x82]), "is not UTF-8"],
  ["NUL", Buffer.from("a\0b"), "NUL"],
  ["too long", Buffer.alloc(1024 * 1024 + 1, 97), "longer than"],
  ["far too long", Buffer.alloc(5 * 1024 * 1024, 97), "at most 1 MiB"],
  ["broken front matter", Buffer.from("---\na: [\n---\ntext"), "front matter"],
])("push refuses bytes: %s", async (_, bytes, message) => {
  const world = new World();
  world.file("a.md", bytes);
  const file = await world.run("push", "a", "a.md");
  expect(file).toMatchObject({ code: 2, out: "" });
  expect(file.err).toContain(message);
  const stdin = await world.runWith({ stdin: bytes }, "push", "a", "-");
  expect(stdin).toMatchObject({ code: 2, out: "" });
  expect((await world.run("list", "--all")).out).toBe("");
});

test("push says why a file can't be read", async () => {
  const world = new World();
  world.file("folder/a.md", "");
  expect((await world.run("push", "a", "missing.md")).err).toBe(
    'prompt-registry: error: can\'t read "missing.md": there is no such file\n',
  );
  expect((await world.run("push", "a", "folder")).err).toContain("it is a folder");
});

test("push that waits for stdin can be interrupted", async () => {
  const world = new World();
  const { signal, fire } = interruption();
  const stdin = new Readable({ read() {} });
  const running = world.runWith({ stdin, signal }, "push", "a", "-");
  setTimeout(fire, 20);
  expect(await running).toMatchObject({ code: 130, out: "", err: "prompt-registry: interrupted\n" });
  expect((await world.run("list")).out).toBe("");
});
