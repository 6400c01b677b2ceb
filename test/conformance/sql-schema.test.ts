import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { postgres, type SqliteNative, type SqliteOptions, sqlite } from "../../src/drivers/sql/index.ts";
import { listen } from "../../src/drivers/sql/postgres/listen.ts";
import { SCHEMA_VERSION } from "../../src/drivers/sql/schema.ts";
import { openConnection } from "../../src/drivers/sql/sqlite/open.ts";
import { parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { askOf, commitOf, documentOf, headOf } from "../../src/testing/builders.ts";
import { type PostgresServer, postgresProblem, startPostgres } from "../support/postgres.ts";
import { skipSuite } from "../support/skip.ts";

const root = mkdtempSync(join(tmpdir(), "sql-schema-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const fixture = (name: string) => readFileSync(fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url)), "utf8");
let count = 0;
const fresh = () => join(root, `s${count++}.db`);
const drivers: StorageDriver[] = [];
afterEach(async () => {
  for (const driver of drivers.splice(0)) await driver.close();
});
async function open(options: SqliteOptions): Promise<StorageDriver<SqliteNative>> {
  const driver = await sqlite(options);
  drivers.push(driver);
  return driver;
}
function exec(path: string, ...sql: string[]): void {
  const connection = openConnection({ path, readOnly: false });
  for (const one of sql) connection.exec(one);
  connection.close();
}

/** What the fixtures of schema version 1 hold. */
async function expectFixture(driver: StorageDriver): Promise<void> {
  const registry = new PromptRegistry(driver);
  expect((await registry.verify()).problems).toEqual([]);
  expect((await registry.listPrompts().all()).map((p) => p.name)).toEqual(["support/reply", "support/triage"]);
  expect((await registry.listVersions("support/triage").all()).map((v) => v.version)).toEqual([
    "2.0.0-rc.1",
    "1.1.0",
    "1.0.0",
  ]);
  expect((await registry.getPrompt("support/triage")).version).toBe("1.0.0");
  expect((await registry.getPrompt("support/triage@1.1.0")).text).toBe("Sort this: {{ticket}}\nBy urgency. ✓\n");
  expect((await registry.getPrompt("support/triage@2.0.0-rc.1")).text).toBe("---\nmodel: m\n---\r\nSort.\r\n");
  expect((await registry.getPrompt("support/triage@production")).version).toBe("1.0.0");
  expect((await driver.read([askOf("gone", "1.0.0")]))[0]?.status).toBe("removed");
  const log = await registry.history("support/triage").all();
  expect(log.map((e) => e.action)).toEqual(["yank", "publish", "publish", "label", "publish"]);
  if (driver.capabilities.search)
    expect((await driver.listPrompts({ limit: 9, text: "REPLY" })).items.map((p) => p.name)).toEqual(["support/reply"]);
}

describe("SQLite: the schema", () => {
  test("a database of version 1 is opened and brought along", async () => {
    const path = fresh();
    exec(path, fixture("sqlite-1.sql"));
    const driver = await open({ path });
    await expectFixture(driver);
    const registry = new PromptRegistry(driver);
    await registry.storePrompt({ name: "support/triage", bump: "major", text: "new\n" });
    expect((await registry.getPrompt("support/triage")).version).toBe("2.0.0");
    expect((await driver.check()).checks.find((c) => c.name === "schema")?.detail).toContain(
      `version ${SCHEMA_VERSION}`,
    );
  });

  test("a database of a later version is refused, and says which version is needed", async () => {
    const path = fresh();
    await (await open({ path })).close();
    exec(path, "INSERT INTO prompt_registry_schema VALUES (99, '', 'later')");
    await expect(open({ path })).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringContaining("schema version 99"),
    });
  });

  test("a process that was there before a migration stops writing, and goes on reading", async () => {
    const path = fresh();
    const driver = await open({ path });
    await driver.commit(commitOf({ name: parseName("a"), add: [documentOf("a", "1.0.0")] }));
    exec(path, "INSERT INTO prompt_registry_schema VALUES (99, '', 'later')");
    const late = driver.commit(commitOf({ name: parseName("a"), add: [documentOf("a", "1.1.0")] }));
    await expect(late).rejects.toMatchObject({ code: "CONFIG" });
    const other = driver.commit(commitOf({ name: parseName("b"), add: [documentOf("b", "1.0.0")] }));
    await expect(other).rejects.toMatchObject({ code: "CONFIG" });
    expect((await driver.read([askOf("a", "latest")]))[0]?.status).toBe("found");
    expect((await driver.check()).ok).toBe(false);
  });

  test("a file of something else is refused, and stays as it is", async () => {
    const path = fresh();
    exec(path, "CREATE TABLE customers (id INTEGER)");
    const before = readFileSync(path);
    await expect(open({ path })).rejects.toMatchObject({ code: "CONFIG" });
    expect(readFileSync(path).equals(before)).toBe(true);
    const text = fresh();
    writeFileSync(text, "this is no database, and long enough that nobody takes it for an empty one\n".repeat(20));
    await expect(open({ path: text })).rejects.toMatchObject({ code: "CORRUPT" });
    expect(readFileSync(text, "utf8")).toContain("no database");
  });

  test("a read-only storage reads, and writes nothing", async () => {
    const path = fresh();
    exec(path, fixture("sqlite-1.sql"));
    const driver = await open({ path, readOnly: true });
    expect(driver.capabilities.write).toBe(false);
    await expectFixture(driver);
    const add = commitOf({ name: parseName("a"), add: [documentOf("a", "1.0.0")] });
    await expect(driver.commit(add)).rejects.toMatchObject({ code: "READ_ONLY" });
    expect((await driver.check()).checks.filter((c) => !c.ok && c.name !== "journal")).toEqual([]);
    await expect(open({ path: fresh(), readOnly: true })).rejects.toMatchObject({ code: "CONFIG" });
  });

  test("the database itself refuses to change or free a slot", async () => {
    const path = fresh();
    const driver = await open({ path });
    await driver.commit(commitOf({ name: parseName("a"), add: [documentOf("a", "1.0.0")] }));
    expect(() => exec(path, "UPDATE versions SET content = 'x'")).toThrow(/never changes/);
    expect(() => exec(path, "DELETE FROM versions")).toThrow(/never freed/);
    expect(() => exec(path, "PRAGMA foreign_keys = ON", "DELETE FROM prompts")).toThrow(/FOREIGN KEY/i);
  });

  test("pages use an index, and sort nothing", async () => {
    const driver = await open({ path: fresh() });
    const { database } = driver.native;
    const { prepare } = database as { prepare(sql: string): { all(...args: unknown[]): { detail: string }[] } };
    const plan = (sql: string) =>
      prepare
        .call(database, `EXPLAIN QUERY PLAN ${sql}`)
        .all()
        .map((row) => row.detail)
        .join("\n");
    const names = plan(
      "select p.name from prompts as p where p.name >= '' and p.name < 'z' and p.live = 1 order by p.name limit 101",
    );
    expect(names).toMatch(/SEARCH p USING COVERING INDEX prompts_live/);
    const versions = plan(
      "select v.version from prompts as p join versions as v on v.prompt_id = p.id where p.name = 'a' and v.sort_key < 'z' and v.tombstone = 0 order by v.sort_key desc limit 101",
    );
    expect(versions).toMatch(/SEARCH v USING INDEX sqlite_autoindex_versions_1/);
    const log = plan(
      "select v.id from versions as v where v.prompt_id = 1 and v.created_at is not null and (v.created_at, v.sort_key) < ('~', '~') order by v.created_at desc, v.sort_key desc limit 101",
    );
    expect(log).toMatch(/SEARCH v USING (?:COVERING )?INDEX versions_created/);
    for (const one of [names, versions, log]) expect(one).not.toMatch(/TEMP B-TREE|SCAN/);
  });

  test("a wrong option is CONFIG, in one line", async () => {
    for (const options of [
      { path: "" },
      { path: "a\0b" },
      { path: "x", busyTimeout: -1 },
      { path: "x", module: "other" },
    ]) {
      await expect(open(options as SqliteOptions)).rejects.toMatchObject({ code: "CONFIG" });
    }
    if (process.getuid?.() !== 0) {
      const folder = mkdtempSync(join(root, "x-"));
      chmodSync(folder, 0o500);
      await expect(open({ path: join(folder, "a", "b.db") })).rejects.toMatchObject({ code: "FORBIDDEN" });
    }
  });
});

const corpus = resolve(
  process.env.PROMPT_REGISTRY_CORPUS ?? join(fileURLToPath(new URL("../..", import.meta.url)), "../shared/corpus"),
);
const patterns = join(corpus, "fabric-patterns.jsonl");
const problem = postgresProblem();
const backends: { title: string; make: () => Promise<StorageDriver> }[] = [
  { title: "sqlite", make: () => open({ path: fresh() }) },
];
let server: PostgresServer | undefined;
beforeAll(async () => {
  if (problem === undefined) server = await startPostgres({ fsync: "off" });
});
afterAll(() => server?.stop());
if (problem === undefined) {
  backends.push({
    title: "postgres",
    make: async () => {
      const driver = await postgres({ url: (server as PostgresServer).url, schema: `c${count++}` });
      drivers.push(driver);
      return driver;
    },
  });
}

describe("both dialects", () => {
  test.each(backends)(
    "$title: publishes of one time are in the order of precedence, page by page",
    async ({ make }) => {
      const driver = await make();
      const name = parseName("a");
      for (const version of ["1.10.0", "1.2.0", "2.0.0-rc.1", "2.0.0", "1.0.0"])
        await driver.commit(commitOf({ name, add: [documentOf("a", version)] }));
      const at = "2026-01-01T00:00:00.000Z";
      const entries = [
        { at, action: "deprecate", message: "first" },
        { at, action: "undeprecate" },
      ] as const;
      await driver.commit(commitOf({ name, head: { expect: null, next: headOf({}), entries } }));
      for (const limit of [1, 2, 3, 10]) {
        const seen: string[] = [];
        for (let cursor: string | undefined; ; ) {
          const page = await driver.history(name, { limit, ...(cursor === undefined ? {} : { cursor }) });
          seen.push(...page.items.map((e) => e.to ?? e.action));
          cursor = page.cursor;
          if (cursor === undefined) break;
        }
        expect(seen).toEqual(["undeprecate", "deprecate", "2.0.0", "2.0.0-rc.1", "1.10.0", "1.2.0", "1.0.0"]);
      }
      for (const cursor of ["x", `${at}~1.2`, `${at}~`, `${at}~1.0.0~`])
        await expect(driver.history(name, { limit: 1, cursor })).rejects.toMatchObject({ code: "INVALID" });
    },
  );
});

describe("PostgreSQL: the schema", () => {
  if (problem !== undefined) return skipSuite("PostgreSQL: the schema", problem);

  test("a schema of version 1 is opened and brought along", async () => {
    const { query, url } = server as PostgresServer;
    await query(fixture("postgres-1.sql"));
    const driver = await postgres({ url, schema: "fixture" });
    drivers.push(driver);
    await expectFixture(driver);
    const registry = new PromptRegistry(driver);
    await registry.storePrompt({ name: "support/triage", bump: "major", text: "new\n" });
    expect((await registry.getPrompt("support/triage")).version).toBe("2.0.0");
  });

  test("a schema of a later version is refused; who was there before stops writing", async () => {
    const { query, url } = server as PostgresServer;
    const driver = await postgres({ url, schema: "later" });
    drivers.push(driver);
    const add = (version: string) => driver.commit(commitOf({ name: parseName("a"), add: [documentOf("a", version)] }));
    await add("1.0.0");
    await query("INSERT INTO later.prompt_registry_schema VALUES (99, '', 'later')");
    await expect(postgres({ url, schema: "later" })).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringContaining("schema version 99"),
    });
    await expect(add("1.1.0")).rejects.toMatchObject({ code: "CONFIG" });
    const other = driver.commit(commitOf({ name: parseName("b"), add: [documentOf("b", "1.0.0")] }));
    await expect(other).rejects.toMatchObject({ code: "CONFIG" });
    expect((await driver.read([askOf("a", "latest")]))[0]?.status).toBe("found");
  });

  test("the database itself refuses to change or free a slot", async () => {
    const { query, url } = server as PostgresServer;
    const driver = await postgres({ url, schema: "once" });
    drivers.push(driver);
    await driver.commit(commitOf({ name: parseName("a"), add: [documentOf("a", "1.0.0")] }));
    await expect(query("UPDATE once.versions SET content = 'x'")).rejects.toThrow(/never changes/);
    await expect(query("DELETE FROM once.versions")).rejects.toThrow(/never changes/);
  });

  test("a listener that may not listen leaves no connection behind", async () => {
    const { query, url } = server as PostgresServer;
    const sql = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'leak'";
    const { default: pg } = await import("pg");
    const started = listen(
      () => new pg.Client({ connectionString: url, application_name: "leak" }),
      "no channel",
      () => {},
    );
    await expect(started).rejects.toThrow(/syntax/);
    for (let i = 0; i < 100 && (await query(sql))[0]?.n !== 0; i++) await new Promise((r) => setTimeout(r, 20));
    expect(await query(sql)).toEqual([{ n: 0 }]);
  });

  test("a copy of another server, with transactions of a far future, gives events again and loses none", async () => {
    const { query, url } = server as PostgresServer;
    const first = await postgres({ url, schema: "copy" });
    await first.commit(commitOf({ name: parseName("a"), add: [documentOf("a", "1.0.0")] }));
    const find = async (driver: StorageDriver, text: string) =>
      (await driver.listPrompts({ limit: 9, text })).items.map((p) => p.name);
    expect(await find(first, "a 1.0")).toEqual(["a"]);
    await first.close();
    // The copy was made after an event that the text index had not followed yet.
    await query("UPDATE copy.feed SET txid = txid + 1000000000; DELETE FROM copy.search");
    await query("UPDATE copy.search_state SET position = '1000000900:1000000900:'");
    const driver = await postgres({ url, schema: "copy" });
    drivers.push(driver);
    expect(await query("SELECT position FROM copy.search_state")).toEqual([{ position: "" }]);
    expect(await find(driver, "a 1.0")).toEqual(["a"]);
    expect((await driver.changes({ cursor: "*", limit: 10 })).items.map((e) => e.name)).toEqual(["a"]);
    for (const position of ["9000000000:9000000000:", "1:1:~9000000000:9000000001:~0~1", "17"]) {
      await query("UPDATE copy.search_state SET position = $1", [position]);
      await (await postgres({ url, schema: "copy" })).close();
      expect(await query("SELECT position FROM copy.search_state")).toEqual([{ position: "" }]);
    }
    expect(await find(driver, "a 1.0")).toEqual(["a"]);
    const [kept] = await query("SELECT position FROM copy.search_state");
    await (await postgres({ url, schema: "copy" })).close();
    expect(await query("SELECT position FROM copy.search_state")).toEqual([kept]);
    const { cursor } = await driver.changes({ limit: 10 });
    await driver.commit(commitOf({ name: parseName("b"), add: [documentOf("b", "1.0.0")] }));
    expect((await driver.changes({ cursor: cursor as string, limit: 10 })).items.map((e) => e.name)).toEqual(["b"]);
    await expect(driver.changes({ cursor: "9000000000:9000000000:", limit: 10 })).rejects.toMatchObject({
      code: "HISTORY_REWRITTEN",
    });
  });
});

if (!existsSync(patterns)) skipSuite("SQL: the corpus", "there is no corpus; set PROMPT_REGISTRY_CORPUS");
else {
  describe("the corpus", () => {
    test.each(backends)("$title: all of it in one batch, byte for byte", async ({ make }) => {
      const lines = readFileSync(patterns, "utf8").trimEnd().split("\n");
      const all = lines.map((line) => JSON.parse(line) as { name: string; n: number; text: string });
      const registry = new PromptRegistry(await make());
      const stored = await registry.storePrompts(
        all.map(({ name, n, text }) => ({ name, version: `1.${n}.0`, text })),
        { atomic: true },
      );
      expect(stored.every((s) => s.status === "created")).toBe(true);
      const read = await registry.getPrompts(all.map(({ name, n }) => `${name}@1.${n}.0`));
      for (const [i, { text }] of all.entries()) expect(read[i]?.text === text).toBe(true);
      expect((await registry.verify()).problems).toEqual([]);
    });
  });
}
