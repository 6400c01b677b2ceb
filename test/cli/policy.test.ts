import { expect, test } from "vitest";
import { type Ran, World } from "./world.ts";

// Put together here, so that no file holds anything that looks like a key.
const TOKEN = `gh${"p_"}${"a1B2c3D4e5F6".repeat(3)}`;

function realWorld(): World {
  const world = new World();
  world.real = true;
  return world;
}

test("push stores nothing that the policy blocks, and shows no secret", async () => {
  const world = realWorld();
  world.file("a.md", `Line one\nUse ${TOKEN}\u202e\n`);
  const ran = await world.run("push", "a", "a.md");
  expect(ran).toMatchObject({ code: 2, out: "" });
  expect(ran.err).toContain("a@1.0.0 is refused by the publish policy: secret/github at line 2, column 5");
  expect(ran.err).toContain("[ghp_… (40 characters)]; invisible/bidi at line 2");
  expect(ran.err.trimEnd().split("\n")).toHaveLength(1);
  const json = await world.run("push", "a", "a.md", "--json");
  expect(JSON.parse(json.err)).toMatchObject({ error: { code: "INVALID", context: { field: "policy", line: 2 } } });
  expect(JSON.parse(json.err).error.context.issues).toHaveLength(2);
  expect(ran.err + json.err).not.toContain(TOKEN.slice(4, 12));
  expect((await world.run("versions", "a")).out).toBe("");
});

test("an allowed rule is published, told, and in the log for ever", async () => {
  const world = realWorld();
  world.file("a.md", `Use ${TOKEN}\n`);
  const options = ["--allow", "secret/github", "--reason", "a token of a test, revoked", "-m", "first"];
  const ran = await world.run("push", "a", "a.md", ...options);
  expect(ran).toMatchObject({ code: 0, out: "a@1.0.0 created\n" });
  expect(ran.err).toContain("warning: allowed: secret/github at line 1, column 5");
  expect((await world.run("log", "a")).out).toContain(
    "first [policy override: secret/github: a token of a test, revoked]",
  );
  // It is there, so there is nothing to ask about any more.
  expect(await world.run("push", "a", "a.md", "--version", "1.0.0")).toMatchObject({
    code: 0,
    out: "a@1.0.0 unchanged\n",
    err: "",
  });
  world.file("b.md", `Use ${TOKEN}!\u202e\n`);
  const other = await world.run("push", "a", "b.md", "--allow", "secret/github", "--reason", "r", "--json");
  expect(other).toMatchObject({ code: 2 });
  expect(JSON.parse(other.err).error.context.issues).toHaveLength(1);
});

test("an allowance needs a reason, and a reason an allowance", async () => {
  const world = realWorld();
  world.file("a.md", "text");
  for (const [options, message] of [
    [["--allow", "bump"], "needs --reason"],
    [["--allow", "bump", "--reason", " "], "needs --reason"],
    [["--reason", "r"], "is for --allow"],
    [["--allow", "everything", "--reason", "r"], "must be one of"],
  ] as const) {
    const ran = await world.run("push", "a", "a.md", ...options);
    expect(ran).toMatchObject({ code: 2, out: "" });
    expect(ran.err).toContain(message);
    expect(await world.run("import", ".", ...options)).toMatchObject({ code: 2, out: "" });
  }
});

test("push says which number a change of the variables needs", async () => {
  const world = realWorld();
  world.file("a.md", "Sort: {{ticket}}\n");
  await world.run("push", "a", "a.md");
  world.file("a.md", "Sort for {{company}}: {{ticket}}\n");
  const ran = await world.run("push", "a", "a.md");
  expect(ran).toMatchObject({ code: 2, out: "" });
  expect(ran.err).toContain(
    '1.0.1 is too low after 1.0.0: variable "company" is new and required, which is a major change; make it 2.0.0',
  );
  expect(await world.run("push", "a", "a.md", "--bump", "major")).toMatchObject({ code: 0, out: "a@2.0.0 created\n" });
  world.file("a.md", "Sort for {{company}}, please: {{ticket}}\n");
  expect((await world.run("push", "a", "a.md")).out).toBe("a@2.0.1 created\n");
  // A fix of the older line is compared with that line.
  world.file("a.md", "Sort, please: {{ticket}}\n");
  expect(await world.run("push", "a", "a.md", "--version", "1.0.1")).toMatchObject({ code: 0 });
});

test("warnings are told, and stored all the same", async () => {
  const world = realWorld();
  world.file("a.md", "pass\u200bword\n");
  const ran = await world.run("push", "a", "a.md");
  expect(ran).toMatchObject({ code: 0, out: "a@1.0.0 created\n" });
  expect(ran.err).toContain("warning: invisible/zero-width at line 1, column 5: a zero-width space");
  expect((await world.run("push", "b", "a.md", "--quiet")).err).toBe("");
});

test("the configuration says what is asked, and whether", async () => {
  const world = realWorld();
  world.file("a.md", `Use ${TOKEN}\n`);
  const off = await world.runWith({ env: { PROMPT_REGISTRY_POLICY: "off" } }, "push", "off", "a.md");
  expect(off).toMatchObject({ code: 0, err: "" });
  world.file(
    "prompt-registry.config.yaml",
    "policy:\n  required: [description]\n  maxBytes: 1KB\n  rules:\n    secret/github: warn\n",
  );
  const ran = await world.run("push", "a", "a.md", "--json");
  expect(JSON.parse(ran.err).error.context.issues).toEqual([
    'front-matter at line 1, column 1: the front matter has no "description"; add it',
  ]);
  world.file("a.md", `---\ndescription: d\n---\nUse ${TOKEN}\n`);
  expect(await world.run("push", "a", "a.md")).toMatchObject({ code: 0, out: "a@1.0.0 created\n" });
  world.file("big.md", `---\ndescription: d\n---\n${"x".repeat(2000)}`);
  expect((await world.run("push", "b", "big.md")).err).toContain("size at line 1");
  world.file("prompt-registry.config.yaml", "policy:\n  rules:\n    secrets: block\n");
  expect(await world.run("push", "c", "a.md")).toMatchObject({ code: 8 });
});

test("import stores what is fine, and leaves out what is not, each with its reason", async () => {
  const world = realWorld();
  world.file("in/good.md", "good\n");
  world.file("in/leak.md", `Use ${TOKEN}\n`);
  world.file("in/odd.md", "pass\u200bword\n");
  world.file("in/line/v1.0.0.md", "{{a}}\n");
  world.file("in/line/v1.1.0.md", "{{b}}\n");
  world.file("in/line/v2.0.0.md", "{{b}}\n");
  const foretold = await world.run("import", "in", "--json", "--dry-run");
  const ran = await world.run("import", "in", "--json");
  expect(ran.code).toBe(1);
  const { files } = ran.json<{ files: { file: string; status: string; reason?: string }[] }>();
  expect(Object.fromEntries(files.map((f) => [f.file, f.status]))).toEqual({
    "good.md": "created",
    "leak.md": "failed",
    "odd.md": "created",
    "line/v1.0.0.md": "created",
    "line/v1.1.0.md": "failed",
    "line/v2.0.0.md": "created",
  });
  const status = (of: Ran) =>
    of.json<{ files: { file: string; status: string }[] }>().files.map((f) => [f.file, f.status]);
  expect(status(foretold)).toEqual(status(ran));
  expect(files.find((f) => f.file === "leak.md")?.reason).toContain("secret/github");
  expect(files.find((f) => f.file === "line/v1.1.0.md")?.reason).toContain("make it 2.0.0");
  expect(ran.out + ran.err).not.toContain(TOKEN.slice(4, 12));
  const again = ["--allow", "bump", "--allow", "secret/github", "--reason", "history from elsewhere"];
  const second = await world.run("import", "in", ...again);
  expect(second).toMatchObject({ code: 0 });
  expect(second.err).toContain("line/v1.1.0.md: allowed: bump");
  expect((await world.run("log", "leak")).out).toContain("[policy override: bump, secret/github: history");
});

test("import of another system's file asks the policy, too", async () => {
  const world = realWorld();
  const entry = (name: string, prompt: string) => ({
    name,
    version: 1,
    type: "text",
    prompt,
    labels: [],
    tags: [],
    config: {},
  });
  world.file("export.json", JSON.stringify([entry("good", "fine"), entry("leak", `Use ${TOKEN}`)]));
  const ran = await world.run("import", "export.json", "--format", "langfuse");
  expect(ran.code).toBe(1);
  expect(ran.out).toContain("secret/github");
  expect(ran.out + ran.err).not.toContain(TOKEN.slice(4, 12));
  const allowed = ["--allow", "secret/github", "--reason", "revoked"];
  expect(await world.run("import", "export.json", "--format", "langfuse", ...allowed)).toMatchObject({ code: 0 });
});

test("a copy of a version keeps what it was published with, and is asked about its text alone", async () => {
  const world = realWorld();
  world.file("a.md", "{{a}}\n");
  await world.run("push", "a", "a.md");
  world.file("b.md", "{{b}}\n");
  await world.run("push", "a", "b.md", "--version", "1.0.1", "--allow", "bump", "--reason", "nobody uses it yet");
  const sealed = (await world.run("get", "a@1.0.1", "--raw")).out;
  world.file("sealed.md", sealed);
  const there = ["--storage", "file:./other"];
  expect((await world.run("push", "a", "a.md", "--version", "1.0.0", ...there)).code).toBe(0);
  expect((await world.run("push", "a", "sealed.md", ...there)).out).toBe("a@1.0.1 created\n");
  expect((await world.run("get", "a@1.0.1", "--raw", ...there)).out).toBe(sealed);
});
