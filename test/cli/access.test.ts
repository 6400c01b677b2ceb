import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createAccess, fileTokens } from "../../src/server/access/index.ts";
import { World } from "./world.ts";

const own = (world: World, file: string) => join(world.folder, ".prompt-registry", file);

test("token create prints the token and nothing else, once", async () => {
  const world = new World();
  const made = await world.run("token", "create", "ci bot", "--scope", "write:support", "--scope", "read");
  expect(made.code).toBe(0);
  expect(made.out).toMatch(/^prg_[0-9a-z]{12}_[0-9A-Za-z]{49}\n$/);
  const token = made.out.trim();
  const id = token.slice(4, 16);
  expect(made.err).toMatch(
    new RegExp(`^prompt-registry: token ${id} of ci bot ends 20\\d\\d-.+; it is not shown again\n$`),
  );
  expect(made.err).not.toContain(token);
  expect(statSync(own(world, "tokens.jsonl")).mode & 0o777).toBe(0o600);
  for (const file of ["tokens.jsonl", "audit.jsonl"])
    expect(readFileSync(own(world, file), "utf8")).not.toContain(token);

  const access = createAccess({ tokens: fileTokens(own(world, "tokens.jsonl")) });
  const request = { authorization: `Bearer ${token}`, address: undefined };
  expect(await access.authenticate(request)).toMatchObject({ id: `token:${id}`, name: "ci bot" });
  await access.close();

  const list = await world.run("token", "list");
  expect(list.out).toMatch(new RegExp(`^${id}\tci bot\twrite:support read\tends [^\t]+\t20\\d\\d-[^\t]+Z\t\n$`));
  const listed = (await world.run("token", "list", "--json")).json<{ tokens: Record<string, unknown>[] }>();
  expect(listed.tokens[0]).toMatchObject({ id, name: "ci bot", scopes: ["write:support", "read"] });
  expect(listed.tokens[0]).not.toHaveProperty("hash");

  expect(await world.run("token", "revoke", id)).toMatchObject({ code: 0, out: `${id} revoked (ci bot)\n`, err: "" });
  expect((await world.run("token", "list")).out).toContain("\trevoked 20");
  const again = createAccess({ tokens: fileTokens(own(world, "tokens.jsonl")) });
  await expect(again.authenticate(request)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  await again.close();
});

test("what happens to tokens is in the audit log", async () => {
  const world = new World();
  const env = { USER: "ada" };
  const created = await world.runWith({ env }, "token", "create", "ci", "--scope", "read", "--json", "-q");
  const { id } = created.json<{ id: string }>();
  expect(created).toMatchObject({ code: 0, err: "" });
  expect(created.json()).toMatchObject({ name: "ci", scopes: ["read"], createdBy: "ada" });
  await world.runWith({ env }, "token", "revoke", id);
  expect(await world.runWith({ env }, "token", "revoke", "unknown")).toMatchObject({ code: 3, out: "" });
  const shown = (await world.run("audit", "show", "--json")).json<{ entries: Record<string, unknown>[] }>();
  expect(shown.entries).toMatchObject([
    { who: "cli:ada", action: "tokens.create", outcome: "done", note: `${id} for ci: read`, seq: 1 },
    { who: "cli:ada", action: "tokens.revoke", outcome: "done", note: `${id} of ci` },
    { who: "cli:ada", action: "tokens.revoke", outcome: "failed", code: "NOT_FOUND", note: "unknown" },
  ]);
  expect((await world.run("audit", "tail", "--limit", "1")).out).toContain("\tfailed (NOT_FOUND)\tunknown\n");
  expect((await world.run("audit", "show", "--outcome", "done", "--who", "cli:ada")).out.split("\n").length).toBe(3);
  expect((await world.run("audit", "show", "--prompt", "support")).out).toBe("");
});

test("audit verify tells what is wrong, and that the end is gone", async () => {
  const world = new World();
  for (const name of ["a", "b", "c"]) await world.run("token", "create", name, "--scope", "read");
  const good = await world.run("audit", "verify");
  expect(good).toMatchObject({ code: 0, err: "" });
  const head = /^3 entries, head ([0-9a-f]{64})\n$/.exec(good.out)?.[1] as string;
  expect((await world.run("audit", "verify", "--json")).json()).toEqual({
    ok: true,
    entries: 3,
    heads: [head],
    torn: 0,
  });
  expect((await world.run("audit", "verify", "--expect", head)).code).toBe(0);
  const path = own(world, "audit.jsonl");
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace("for b", "for x"));
  expect(await world.run("audit", "verify")).toMatchObject({
    code: 1,
    out: "line 2: it was changed, or is no entry\n",
  });
  const shown = await world.run("audit", "show");
  expect(shown.code).toBe(0);
  expect(shown.err).toContain("warning: line 2 of the log");
  writeFileSync(path, text.split("\n").slice(0, 2).join("\n").concat("\n"));
  expect((await world.run("audit", "verify")).code).toBe(0);
  const cut = await world.run("audit", "verify", "--expect", head);
  expect(cut).toMatchObject({ code: 1 });
  expect(cut.out).toContain("line 3: the entry that was expected is not there");
});

test("tokens and audit lie where they are told, and beside a database in it", async () => {
  const world = new World();
  const elsewhere = ["--tokens", "file:./t.jsonl", "--audit", "none"];
  expect((await world.run("token", "create", "a", "--scope", "read", ...elsewhere)).code).toBe(0);
  expect(statSync(join(world.folder, "t.jsonl")).mode & 0o777).toBe(0o600);
  expect((await world.run("token", "list", "--tokens", "file:./t.jsonl")).out).toContain("\ta\t");
  const storage = ["--storage", "sqlite:./r.db"];
  const made = await world.run("token", "create", "b", "--scope", "read", "--expires", "never", ...storage);
  expect(made).toMatchObject({ code: 0 });
  expect(made.err).toContain("never ends");
  expect((await world.run("token", "list", ...storage)).out).toContain("\tb\tread\tnever ends\tnever\t\n");
  expect((await world.run("audit", "verify", "--audit", "sqlite:./r.db")).out).toMatch(/^1 entry, head /);
  expect(await world.run("audit", "verify")).toMatchObject({ code: 3 });
  expect(await world.run("audit", "verify", "--audit", "none")).toMatchObject({ code: 8 });
});

test.each([
  [["token"], "missing ACTION"],
  [["token", "crate"], "did you mean create?"],
  [["token", "create"], "missing NAME"],
  [["token", "create", "a"], "missing --scope"],
  [["token", "create", "a", "--scope", "all"], "no right that is known"],
  [["token", "create", "a", "--scope", "read", "--expires", "soon"], "--expires must be a time ahead"],
  [["token", "create", "a", "--scope", "read", "--expires", "2001-01-01"], "--expires must be a time ahead"],
  [["token", "create", "a", "--scope", "read", "--expires", "0d"], "--expires must be a time ahead"],
  [["token", "create", "a", "--scope", "read", "--cidr", "10.0.0.0/99"], "network"],
  [["token", "revoke"], "missing ID"],
  [["token", "list", "x"], "unexpected argument"],
  [["token", "list", "--scope", "read"], "goes with create"],
  [["audit", "verify", "--limit", "3"], "verify reads all of it"],
  [["audit", "show", "--expect", "0".repeat(64)], "--expect goes with verify"],
  [["audit", "verify", "--expect", "abc"], "64 hex digits"],
])("wrong usage: %j", async (argv, message) => {
  const ran = await new World().run(...argv);
  expect(ran).toMatchObject({ code: 2, out: "" });
  expect(ran.err).toContain(message);
});

test.each(["github:a/b", "tokens.jsonl", "memory:", "postgres:/x@y"])("%j is no place for tokens", async (place) => {
  const ran = await new World().run("token", "list", "--tokens", place);
  expect(ran).toMatchObject({ code: 8, out: "" });
});
