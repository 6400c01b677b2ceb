import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { COMMANDS, visibleCommands } from "../../src/cli/table.ts";
import { memory } from "../../src/drivers/memory.ts";
import { type ErrorCode, RegistryError } from "../../src/errors.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { stocked, World } from "./world.ts";

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

describe("help", () => {
  test("of the program", async () => {
    const world = new World();
    const ran = await world.run("--help");
    expect(ran).toMatchObject({ code: 0, err: "" });
    await expect(ran.out).toMatchFileSnapshot(join(import.meta.dirname, "golden", "overview.txt"));
    expect((await world.run("help")).out).toBe(ran.out);
    expect((await world.run("-h")).out).toBe(ran.out);
    for (const argv of [["--help"], ["help"], ["-h"]]) {
      expect((await world.run(...argv, "--json")).json<unknown>()).toBe(ran.out);
    }
  });

  test.each(visibleCommands())("of %s", async (name) => {
    const world = new World();
    const ran = await world.run(name, "--help");
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(ran.out).toContain(`Usage: prompt-registry ${name}`);
    expect(ran.out).toContain("Examples:");
    for (const line of ran.out.split("\n")) expect(line.length, line).toBeLessThanOrEqual(120);
    expect((await world.run("help", name)).out).toBe(ran.out);
    for (const argv of [
      [name, "--help"],
      ["help", name],
    ]) {
      const json = await world.runWith({ stdoutTTY: true }, ...argv, "--json");
      expect(json).toMatchObject({ code: 0, err: "" });
      expect(json.json<unknown>()).toBe(ran.out);
    }
    await expect(ran.out).toMatchFileSnapshot(join(import.meta.dirname, "golden", `${name}.txt`));
  });

  test("no option of a command hides one that all have", async () => {
    for (const name of Object.keys(COMMANDS)) {
      const { command } = (await COMMANDS[name]?.load()) ?? expect.unreachable();
      const shorts = Object.values(command.options).flatMap((o) => o.short ?? []);
      for (const taken of ["q", "h"]) expect(shorts, name).not.toContain(taken);
      for (const taken of ["storage", "json", "quiet", "no-color", "help"])
        expect(command.options).not.toHaveProperty(taken);
    }
  });
});

test("--version", async () => {
  const world = new World();
  expect(await world.run("--version")).toMatchObject({ code: 0, out: `${manifest.version}\n`, err: "" });
  expect((await world.run("-V")).out).toBe(`${manifest.version}\n`);
  expect((await world.run("--version", "--json")).json()).toEqual({ version: manifest.version });
});

test.each([
  [[], "no command"],
  [["pussh"], 'unknown command "pussh"; did you mean push?'],
  [["lst"], "did you mean list?"],
  [["help", "difff"], "did you mean diff?"],
  [["toString"], 'unknown command "toString"'],
  [["list", "--jsn"], 'unknown option "--jsn"; did you mean --json?'],
  [["push", "a", "--lable", "x"], "did you mean --label?"],
  [["--lable", "list"], 'unknown option "--lable"'],
  [["list", "-x"], 'unknown option "-x"'],
  [["list", "--json=yes"], "--json takes no value"],
  [["list", "--limit"], "--limit needs a value"],
  [["push", "a", "--label", "--json"], "--label needs a value; if it is meant to be"],
  [["list", "--limit", "1", "--limit", "2"], "--limit is given twice"],
  [["get"], "missing SELECTOR (see `prompt-registry get --help`)"],
  [["restore", "a"], "missing VERSION"],
  [["get", "a", "b"], 'unexpected argument "b"'],
  [["completion", "bsh"], "did you mean bash?"],
  [["get", "A"], "lower-case"],
  [["get", "a@"], "selector after @ is empty"],
])("wrong usage: %j", async (argv, message) => {
  const ran = await new World().run(...argv);
  expect(ran).toMatchObject({ code: 2, out: "" });
  expect(ran.err).toMatch(/(?:^prompt-registry: error: .+\n|^\{"error":.+\}\n)$/);
  expect(ran.err).toContain(argv.includes("--json") ? JSON.stringify(message).slice(1, -1) : message);
});

test("without a command, a person sees the commands", async () => {
  const ran = await new World().runWith({ stdoutTTY: true, stderrTTY: true, env: { NO_COLOR: "1" } });
  expect(ran).toMatchObject({ code: 2, out: "" });
  expect(ran.err).toContain("Store a version of a prompt");
  const json = await new World().runWith({ stdoutTTY: true, stderrTTY: true }, "--json");
  expect(JSON.parse(json.err)).toMatchObject({ error: { code: "INVALID" } });
});

test("options may stand before the command, and -- ends them", async () => {
  const world = await stocked();
  expect((await world.run("--json", "--storage", "memory:", "resolve", "support/triage")).json()).toMatchObject({
    version: "2.0.0",
  });
  expect(await world.run("get", "--", "--json")).toMatchObject({ code: 2, out: "" });
});

test.each([
  ["get", "supprt/triage", "support/triage"],
  ["get", "triage", "support/triage"],
  ["get", "supprt/triage@1.0.0", "support/triage"],
  ["get", "support/triage@prodution", "support/triage@production"],
  ["get", "support/triage@1.1.1", "support/triage@1.1.0"],
  ["versions", "suport/reply", "support/reply"],
  ["log", "suport/reply", "support/reply"],
  ["label", "suport/reply", "support/reply"],
])("%s %s is near to %s", async (command, selector, near) => {
  const world = await stocked();
  const ran = await world.run(command, selector);
  expect(ran).toMatchObject({ code: 3, out: "" });
  expect(ran.err).toContain(`; did you mean ${near}?\n`);
  const json = await world.run(command, selector, "--json");
  expect(json).toMatchObject({ code: 3, out: "" });
  expect(JSON.parse(json.err)).toMatchObject({ error: { code: "NOT_FOUND", outcome: "final", suggestion: near } });
});

test("what is near to nothing gets no suggestion", async () => {
  const world = await stocked();
  expect((await world.run("get", "billing")).err).not.toContain("did you mean");
  expect((await world.run("frobnicate")).err).not.toContain("did you mean");
});

const CODES: Record<ErrorCode, number> = {
  INVALID: 2,
  NOT_FOUND: 3,
  CONFLICT: 4,
  ALREADY_EXISTS: 4,
  CORRUPT: 5,
  HISTORY_REWRITTEN: 5,
  UNAUTHENTICATED: 6,
  FORBIDDEN: 6,
  UNAVAILABLE: 7,
  RATE_LIMITED: 7,
  TIMEOUT: 7,
  NO_SPACE: 7,
  CONFIG: 8,
  UNSUPPORTED: 8,
  READ_ONLY: 8,
  INTERNAL: 70,
  ABORTED: 130,
};

test.each(Object.entries(CODES))("%s ends with %i", async (code, exit) => {
  const world = new World(() => {
    const error = new RegistryError(code as ErrorCode, "the message", { backend: "fake" });
    return {
      ...memory(),
      peek: () => undefined,
      read: () => Promise.reject(error),
      listPrompts: () => Promise.reject(error),
    };
  });
  expect(await world.run("get", "a")).toMatchObject({
    code: exit,
    out: "",
    err: "prompt-registry: error: the message\n",
  });
  const json = await world.run("list", "--json");
  expect(json).toMatchObject({ code: exit, out: "" });
  expect(JSON.parse(json.err)).toMatchObject({ error: { code, message: "the message", context: { backend: "fake" } } });
});

test("a bug says that it is one", async () => {
  const world = new World((driver) => ({
    ...driver,
    listPrompts: () => {
      throw new TypeError("x is not a function\nat secret");
    },
  }));
  const ran = await world.run("list");
  expect(ran).toMatchObject({ code: 70, out: "" });
  expect(ran.err).toBe("prompt-registry: error: x is not a function (this is a bug; DEBUG=1 shows where)\n");
  expect((await world.runWith({ env: { DEBUG: "1" } }, "list")).err).toContain("usage.test.ts");
});

test("wrong settings end with 8 and name no secret", async () => {
  const world = new World();
  world.real = true;
  const unknown = await world.run("list", "--storage", "redis://user:hunter2@host");
  expect(unknown).toMatchObject({ code: 8, out: "" });
  expect(unknown.err).not.toContain("hunter2");
  expect(await world.runWith({ env: { PROMPT_REGISTRY_STORAG: "x" } }, "list")).toMatchObject({ code: 8 });
  expect(await world.runWith({ env: { PROMPT_REGISTRY_STORAGE: "memory:" } }, "list")).toMatchObject({
    code: 0,
    out: "",
  });
  world.file("prompt-registry.config.json", '{"storage": "memory:", "colour": 1}');
  expect(await world.run("list")).toMatchObject({ code: 8 });
});

test("every command closes the registry that it opened, and only that", async () => {
  let closed = 0;
  const world = await stocked((driver) => ({
    ...driver,
    close: async () => {
      closed++;
      throw new Error("does not matter any more");
    },
  }));
  expect(await world.run("list")).toMatchObject({ code: 0 });
  expect(await world.run("get", "nothing")).toMatchObject({ code: 3 });
  expect(closed).toBe(2);
  await world.run("--version");
  await world.run("get");
  expect(closed).toBe(2);
  expect(world.registry).toBeInstanceOf(PromptRegistry);
});
