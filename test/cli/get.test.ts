import { expect, test } from "vitest";
import { stocked, World } from "./world.ts";

test("get prints the text, byte for byte", async () => {
  const world = new World();
  const text = "\uFEFFline\r\nno end of line, \u{1F600} \u0007";
  await world.store("a", "1.0.0", text);
  const ran = await world.run("get", "a");
  expect(ran).toMatchObject({ code: 0, out: text, err: "" });
});

test("a terminal shows what it would obey or hide, and leaves alone what is written with joiners", async () => {
  const world = new World();
  const family = "\u{1F468}\u200d\u{1F469}\u200d\u{1F467}";
  await world.store("a", "1.0.0", `\uFEFFline\r\n\t${family}\u001b[2J\rover\u202e\u{E0041}`);
  const ran = await world.runWith({ stdoutTTY: true, stderrTTY: true }, "get", "a");
  expect(ran.out).toBe(`\\u{feff}line\r\n\t${family}\\u{1b}[2J\\u{d}over\\u{202e}\\u{e0041}`);
  expect(ran.err).toContain("shown as escapes");
  await world.store("b", "1.0.0", `line\r\n${family}`);
  expect(await world.runWith({ stdoutTTY: true, stderrTTY: true }, "get", "b")).toMatchObject({
    out: `line\r\n${family}`,
    err: "",
  });
});

test.each([
  ["support/triage", "2.0.0"],
  ["support/triage@latest", "2.0.0"],
  ["support/triage@1.1.0", "1.1.0"],
  ["support/triage@^1.0", "1.1.0"],
  ["support/triage@production", "1.0.0"],
])("get and resolve %s", async (selector, version) => {
  const world = await stocked();
  const ran = await world.run("get", selector, "--json");
  expect(ran.json()).toMatchObject({ name: "support/triage", version, sealed: true, author: "ada", source: "memory" });
  expect(await world.run("resolve", selector)).toMatchObject({ code: 0, out: `${version}\n` });
});

test("get --raw prints the stored document, which push takes as it is", async () => {
  const world = await stocked();
  const raw = await world.run("get", "support/triage@^1", "--raw");
  expect(raw.out).toContain("registry.version: 1.1.0");
  world.file("copy.md", raw.out);
  const other = new World();
  other.file("copy.md", raw.out);
  expect(await other.run("push", "support/triage", "copy.md")).toMatchObject({
    code: 0,
    out: "support/triage@1.1.0 created\n",
  });
  expect((await other.run("get", "support/triage", "--raw")).out).toBe(raw.out);
  expect(await other.run("push", "support/triage", "copy.md", "--bump", "major")).toMatchObject({ code: 2, out: "" });
  expect(await other.run("push", "another/name", "copy.md")).toMatchObject({ code: 2, out: "" });
  expect(await world.run("get", "support/triage", "--raw", "--json")).toMatchObject({ code: 2, out: "" });
});

test("get says on stderr what a reader should know", async () => {
  const world = await stocked();
  await world.run("yank", "support/triage@1.0.0", "-m", "too short");
  await world.run("deprecate", "support/triage", "use support/route");
  const ran = await world.run("get", "support/triage@production");
  expect(ran.out).toBe("Sort: {{ticket}}\n");
  expect(ran.err).toContain("warning: support/triage is deprecated: use support/route\n");
  expect(ran.err).toContain("warning: support/triage@1.0.0 is yanked: too short\n");
  expect((await world.run("get", "support/triage@production", "--quiet")).err).toBe("");
});

test("render fills in variables", async () => {
  const world = await stocked();
  const full = ["--var", "company=Acme", "--var", "ticket=a=b {{company}}"];
  expect(await world.run("render", "support/triage", ...full)).toMatchObject({
    code: 0,
    out: "Sort this for Acme: a=b {{company}}\n",
  });
  const json = await world.run("render", "support/triage", ...full, "--json");
  expect(json.json()).toEqual({
    name: "support/triage",
    version: "2.0.0",
    text: "Sort this for Acme: a=b {{company}}\n",
  });
  world.file("values.json", '{"company": "File", "ticket": 7}');
  const mixed = await world.run("render", "support/triage", "--values", "values.json", "--var", "company=Line");
  expect(mixed.out).toBe("Sort this for Line: 7\n");
  const stdin = await world.runWith({ stdin: '{"customer":"Ada"}' }, "render", "support/reply", "--values", "-");
  expect(stdin.out).toBe("Answer Ada.");
});

test.each([
  [["--var", "company=Acme"], 'missing: "ticket"'],
  [["--var", "company=Acme", "--var", "ticket=x", "--var", "tiket=y"], 'unknown: "tiket"'],
  [["--var", "company"], "must be NAME=VALUE"],
  [["--values", "list.json"], "must be an object"],
  [["--values", "broken.json"], "are no JSON"],
  [["--values", "missing.json"], "there is no such file"],
])("render refuses %j", async (args, message) => {
  const world = await stocked();
  world.file("list.json", "[1]");
  world.file("broken.json", "{");
  const ran = await world.run("render", "support/triage", ...args);
  expect(ran).toMatchObject({ code: 2, out: "" });
  expect(ran.err).toContain(message);
});

test("resolve --at tells what was selected then", async () => {
  const world = await stocked();
  await world.run("label", "support/triage", "production", "2.0.0");
  const { entries } = (await world.run("log", "support/triage", "--json")).json<{ entries: { at: string }[] }>();
  const now = entries[0]?.at as string;
  const before = new Date(Date.parse(now) - 1).toISOString();
  expect((await world.run("resolve", "support/triage@production", "--at", now)).out).toBe("2.0.0\n");
  const then = await world.run("resolve", "support/triage@production", "--at", before, "--json");
  expect(then.json()).toEqual({ name: "support/triage", selector: "production", at: before, version: "1.0.0" });
  expect(await world.run("resolve", "support/triage@1.0.0", "--at", now)).toMatchObject({ code: 2 });
  expect(await world.run("resolve", "support/triage@production", "--at", "noon")).toMatchObject({ code: 2 });
  expect(await world.run("resolve", "support/triage@production", "--at", "2001-01-01T00:00:00Z")).toMatchObject({
    code: 3,
  });
});
