import { expect, test } from "vitest";
import { stocked, World } from "./world.ts";

test("list is fields between tabs for a program", async () => {
  const world = await stocked();
  await world.run("rollback", "support/reply").catch(() => {});
  await world.run("deprecate", "support/reply", "use\tsupport/answer");
  const ran = await world.run("list");
  expect(ran.out).toBe(
    "support/reply\t1.0.0\t\tdeprecated: use\\u{9}support/answer\nsupport/triage\t2.0.0\tproduction=1.0.0 staging=2.0.0\t\n",
  );
});

test("list is a table for a person", async () => {
  const world = await stocked();
  const ran = await world.runWith({ stdoutTTY: true, env: { NO_COLOR: "1" } }, "list");
  expect(ran.out).toBe(
    [
      "NAME            LATEST  LABELS                          NOTE",
      "support/reply   1.0.0",
      "support/triage  2.0.0   production=1.0.0 staging=2.0.0",
      "",
    ].join("\n"),
  );
});

test("list has a prefix, a text, a limit, and removed prompts on request", async () => {
  const world = await stocked();
  await world.store("code/review", "1.0.0", "Review {{diff}}");
  expect((await world.run("list", "support/")).out.split("\n")).toHaveLength(3);
  expect((await world.run("list", "--text", "Review")).out).toContain("code/review");
  const limited = await world.run("list", "--limit", "1");
  expect(limited.out).toBe("code/review\t1.0.0\t\t\n");
  expect(limited.err).toContain("only the first 1 prompt; there are more");
  expect((await world.run("list", "--limit", "1", "--json")).json()).toEqual({
    prompts: [{ name: "code/review", latest: "1.0.0", labels: {}, pinned: null, deprecated: null, removed: false }],
    more: true,
  });
  expect((await world.run("list", "--limit", "3", "--json")).json()).toMatchObject({ more: false });
  await world.run("delete", "code/review", "--yes");
  expect((await world.run("list", "code")).out).toBe("");
  expect((await world.run("list", "code", "--all")).out).toBe("code/review\t-\t\tdeleted\n");
  expect(await world.run("list", "--limit", "0")).toMatchObject({ code: 2 });
  expect(await world.run("list", "Support")).toMatchObject({ code: 2 });
  expect(await new World().run("list")).toMatchObject({ code: 0, out: "", err: "prompt-registry: nothing found\n" });
});

test("versions", async () => {
  const world = await stocked();
  await world.run("yank", "support/triage", "1.1.0", "-m", "bad");
  await world.run("rollback", "support/triage", "1.0.0");
  expect((await world.run("versions", "support/triage")).out).toBe(
    "2.0.0\tstaging\t\n1.1.0\t\tyanked: bad\n1.0.0\tlatest production\tpinned\n",
  );
  await world.run("label", "support/triage", "staging", "--remove");
  await world.run("delete", "support/triage", "2.0.0", "--yes", "-m", "private");
  expect((await world.run("versions", "support/triage", "--all")).out).toContain("2.0.0\t\tdeleted: private\n");
  const { versions, ...rest } = (await world.run("versions", "support/triage", "--json")).json<{
    versions: unknown[];
  }>();
  expect(rest).toEqual({ name: "support/triage", latest: "1.0.0", pinned: "1.0.0" });
  expect(versions).toMatchObject([
    { version: "1.1.0", latest: false, labels: [], yanked: { reason: "bad" }, removed: false },
    { version: "1.0.0", latest: true, labels: ["production"], yanked: null, removed: false },
  ]);
});

test("log", async () => {
  const world = await stocked();
  await world.run("label", "support/triage", "production", "1.1.0", "-m", "reviewed", "--author", "grace");
  await world.run("deprecate", "support/triage", "use support/route");
  const lines = (await world.run("log", "support/triage")).out.replace(/\n$/, "").split("\n");
  expect(lines.map((line) => line.split("\t").slice(1).join("|"))).toEqual([
    "ada|deprecate|use support/route",
    "grace|label production 1.0.0 -> 1.1.0|reviewed",
    "ada|label staging -> 2.0.0|",
    "ada|publish 2.0.0|",
    "ada|publish 1.1.0|",
    "ada|label production -> 1.0.0|",
    "ada|publish 1.0.0|",
  ]);
  expect(lines[0]).toMatch(/^2026-11-24 05:\d\d:00Z\t/);
  const { entries } = (await world.run("log", "support/triage", "-n", "2", "--json")).json<{ entries: object[] }>();
  expect(entries).toMatchObject([{ action: "deprecate" }, { action: "label", from: "1.0.0", to: "1.1.0" }]);
  expect(await world.run("log", "nothing/here")).toMatchObject({ code: 3, out: "" });
});

test("diff is unified, and can be limited to words or numbers", async () => {
  const world = await stocked();
  const unified = await world.run("diff", "support/triage@1.0.0", "@1.1.0");
  expect(unified).toMatchObject({ code: 0, err: "" });
  expect(unified.out).toContain("@@ -1,1 +1,1 @@\n-Sort: {{ticket}}\n+Sort this: {{ticket}}\n");
  expect((await world.run("diff", "support/triage")).out).toContain("+Sort this for {{company}}: {{ticket}}\n");
  expect((await world.run("diff", "support/triage@1.1.0", "@2.0.0", "--words")).out).toBe(
    "support/triage@1.1.0 -> support/triage@2.0.0\nSort this{+ for {{company}}+}: {{ticket}}\n",
  );
  expect((await world.run("diff", "support/triage@1.1.0", "@staging", "--stat")).out).toBe(
    "support/triage@1.1.0 -> support/triage@2.0.0: 1 line added, 1 line removed; variables +{{company}}\n",
  );
  const json = (await world.run("diff", "support/triage@1.1.0", "@2.0.0", "--json", "--words")).json();
  expect(json).toMatchObject({
    from: { name: "support/triage", version: "1.1.0" },
    to: { version: "2.0.0" },
    identical: false,
    variables: { added: ["company"], removed: [] },
    stat: { added: 1, removed: 1 },
  });
  expect(json).toHaveProperty("unified");
  expect(json).toHaveProperty("words.1", { kind: "added", text: " for {{company}}" });
});

test("diff tells a difference by its exit code only when asked", async () => {
  const world = await stocked();
  expect(await world.run("diff", "support/triage@1.0.0", "@2.0.0", "--exit-code")).toMatchObject({ code: 1 });
  const same = await world.run("diff", "support/triage@production", "@1.0.0", "--exit-code");
  expect(same).toMatchObject({ code: 0, out: "" });
  expect(same.err).toContain("have the same text");
  expect(await world.run("diff", "support/reply")).toMatchObject({ code: 3 });
  expect(await world.run("diff", "support/reply@1.0.0")).toMatchObject({ code: 2 });
  expect(await world.run("diff", "support/reply", "@2", "--words", "--stat")).toMatchObject({ code: 2 });
});

test("colour is for terminals, and NO_COLOR or --no-color turn it off", async () => {
  const world = await stocked();
  const esc = "\u001b[";
  const run = (env: Record<string, string>, tty: boolean, ...more: string[]) =>
    world.runWith({ stdoutTTY: tty, env }, "diff", "support/triage", ...more);
  expect((await run({}, true)).out).toContain(`${esc}32m+Sort this for {{company}}: {{ticket}}${esc}0m`);
  expect((await run({}, true, "--words")).out).toContain(`${esc}32m for {{company}}${esc}0m`);
  expect((await run({}, false)).out).not.toContain(esc);
  expect((await run({ NO_COLOR: "1" }, true)).out).not.toContain(esc);
  expect((await run({ NO_COLOR: "" }, true)).out).toContain(esc);
  expect((await run({ TERM: "dumb" }, true)).out).not.toContain(esc);
  expect((await run({}, true, "--no-color")).out).not.toContain(esc);
  const failed = await world.runWith({ stderrTTY: true, env: {} }, "get", "nothing");
  expect(failed.err).toContain(`${esc}31merror:${esc}0m`);
});

test("a terminal is not moved by what others wrote", async () => {
  const world = new World();
  await world.store("a", "1.0.0", "one\n");
  await world.store("a", "1.1.0", "\u001b]0;title\u0007\u202Etwo\n");
  await world.registry.setLabel("a", "new", "1.0.0", { message: "\u001b[2Jgone\nnext" });
  const diff = await world.runWith({ stdoutTTY: true, env: { NO_COLOR: "1" } }, "diff", "a");
  expect(diff.out).toContain("+\\u{1b}]0;title\\u{7}\\u{202e}two\n");
  expect((await world.run("log", "a")).out).toContain("\\u{1b}[2Jgone\\u{a}next");
  // A patch for a program is the bytes themselves.
  expect((await world.run("diff", "a")).out).toContain("+\u001b]0;title");
});
