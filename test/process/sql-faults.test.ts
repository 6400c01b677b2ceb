import { once } from "node:events";
import { createServer, connect as dial, type Server, type Socket } from "node:net";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { type PostgresNative, type PostgresOptions, postgres } from "../../src/drivers/sql/index.ts";
import { isRegistryError } from "../../src/errors.ts";
import { parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { askOf, commitOf, documentOf, headOf } from "../../src/testing/builders.ts";
import { type PostgresServer, postgresProblem, startPostgres } from "../support/postgres.ts";
import { skipSuite } from "../support/skip.ts";

/** A proxy that, once armed, lets one request through and cuts the connection instead of passing on the reply. */
class CuttingProxy {
  readonly #server: Server;
  readonly #target: number;
  #armed: string | undefined;
  struck = 0;

  constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => this.#serve(client));
  }

  async start(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as { port: number }).port;
  }

  /** The next request that holds these words. */
  arm(words: string): void {
    this.#armed = words;
  }

  #serve(client: Socket): void {
    const server = dial(this.#target, "127.0.0.1");
    let cutting = false;
    client.on("data", (chunk: Buffer) => {
      if (this.#armed !== undefined && chunk.includes(this.#armed)) {
        this.#armed = undefined;
        cutting = true;
        this.struck++;
      }
      server.write(chunk);
    });
    server.on("data", (chunk: Buffer) => {
      if (!cutting) return void client.write(chunk);
      client.destroy();
      server.destroy();
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  }

  stop(): void {
    this.#server.close();
  }
}

const problem = postgresProblem();
if (problem !== undefined) skipSuite("PostgreSQL: faults and round trips", problem);
else {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ fsync: "off" });
  });
  afterAll(() => server?.stop());
  let schemas = 0;
  const options = (more: Partial<PostgresOptions> = {}): PostgresOptions => ({
    url: server.url,
    schema: `f${++schemas}`,
    ...more,
  });
  const poolOf = (driver: StorageDriver) => (driver.native as PostgresNative).pool;

  describe("a connection that is cut while a commit is under way", () => {
    test("the driver says unknown, the registry looks and settles it", async () => {
      const proxy = new CuttingProxy(server.port);
      const url = server.urlOf({ port: await proxy.start() });
      // Unprepared statements carry their text, which the proxy looks for.
      const driver = await postgres(options({ url, prepare: false }));
      const registry = new PromptRegistry(driver);
      await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });

      proxy.arm("INSERT INTO");
      const lost = driver.commit(commitOf({ name: parseName("a"), add: [documentOf("a", "1.1.0")] }));
      await expect(lost).rejects.toMatchObject({ code: "UNAVAILABLE", outcome: "unknown" });
      expect((await driver.read([askOf("a", "1.1.0")]))[0]?.status).toBe("found");

      proxy.arm("COMMIT\0");
      const head = { expect: null, next: headOf({ labels: { production: "1.0.0" } }), entries: [] };
      const moved = driver.commit(commitOf({ name: parseName("a"), head }));
      await expect(moved).rejects.toMatchObject({ code: "UNAVAILABLE", outcome: "unknown" });
      expect((await driver.read([askOf("a", "production")]))[0]?.status).toBe("found");

      proxy.arm("INSERT INTO");
      expect((await registry.storePrompt({ name: "a", version: "1.2.0", text: "two\n" })).status).toBe("created");
      proxy.arm("COMMIT\0");
      expect((await registry.setLabel("a", "staging", "1.2.0")).status).toBe("changed");
      expect(proxy.struck).toBe(4);
      const labels = (await registry.history("a").all()).filter((e) => e.action === "label");
      expect(labels.map((e) => e.label)).toEqual(["staging"]);

      // Before the commit was sent, nothing can have happened.
      proxy.arm('set "generation"');
      const refused = driver.commit(commitOf({ name: parseName("a"), head: { ...head, expect: "2" } }));
      await expect(refused).rejects.toMatchObject({ code: "UNAVAILABLE", outcome: "temporary" });
      await driver.close();
      proxy.stop();
    });
  });

  describe("round trips", () => {
    let driver: StorageDriver;
    const queries: string[] = [];
    const original = pg.Client.prototype.query;
    beforeAll(async () => {
      driver = await postgres(options());
      await driver.commit(
        commitOf({ name: parseName("a"), add: [documentOf("a", "1.0.0"), documentOf("a", "1.1.0")] }),
      );
      await driver.commit(
        commitOf({
          name: parseName("a"),
          head: { expect: null, next: headOf({ labels: { production: "1.0.0" } }), entries: [] },
        }),
      );
      pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
        const [first] = args as [string | { text: string }];
        queries.push(typeof first === "string" ? first : first.text);
        return (original as (...a: unknown[]) => unknown).apply(this, args);
      } as typeof original;
    });
    afterAll(async () => {
      pg.Client.prototype.query = original;
      await driver?.close();
    });

    const many = Array.from({ length: 100 }, (_, i) => `many/p${i}`);
    const cases: readonly (readonly [string, () => Promise<unknown>])[] = [
      ["get of a version", () => driver.read([askOf("a", "1.0.0")])],
      ["get of a label", () => driver.read([askOf("a", "production")])],
      ["get of latest", () => driver.read([askOf("a", "latest")])],
      ["get of 100", () => driver.read(many.map((name) => askOf(name, "latest")))],
      [
        "store of a new prompt",
        () => driver.commit(commitOf({ name: parseName("b"), add: [documentOf("b", "1.0.0")] })),
      ],
      [
        "store of a new version",
        () => driver.commit(commitOf({ name: parseName("a"), add: [documentOf("a", "1.2.0")] })),
      ],
      [
        "store at a taken slot",
        () => driver.commit(commitOf({ name: parseName("a"), add: [documentOf("a", "1.2.0", "other\n")] })),
      ],
      [
        "store of 100",
        () =>
          driver.commit(commitOf(many.map((name) => ({ name: parseName(name), add: [documentOf(name, "1.0.0")] })))),
      ],
      ["page of prompts", () => driver.listPrompts({ limit: 100 })],
      ["page of prompts with heads", () => driver.listPrompts({ limit: 100, include: "heads" })],
      ["page of versions", () => driver.listVersions(parseName("a"), { limit: 100 })],
      ["page of history", () => driver.history(parseName("a"), { limit: 100 })],
      ["page of the feed", () => driver.changes({ limit: 100 })],
    ];
    test.each(cases)("%s: one", async (_, run) => {
      queries.length = 0;
      await run();
      expect(queries.length).toBe(1);
    });
  });

  test("pages use an index, however many prompts there are", async () => {
    const driver = await postgres(options());
    const pool = poolOf(driver);
    const schema = `f${schemas}`;
    await pool.query(
      `INSERT INTO ${schema}.prompts (name, live) SELECT 'p/' || lpad(i::text, 7, '0'), 1 FROM generate_series(1, 20000) i`,
    );
    await pool.query(`INSERT INTO ${schema}.versions (prompt_id, version, sort_key, digest, created_at, content)
      SELECT (SELECT min(id) FROM ${schema}.prompts), '1.' || i || '.0', 'B1.' || chr(65 + length(i::text)) || i || '.B0~', 'd', '2026', 't' FROM generate_series(1, 20000) i`);
    await pool.query(`ANALYZE ${schema}.prompts; ANALYZE ${schema}.versions`);
    const plans: [string, unknown[], RegExp][] = [
      [
        `select name from ${schema}.prompts as p where name >= $1 and name < $2 and live = 1 order by name limit 101`,
        ["p/0001", "\u007f"],
        /Index (?:Only )?Scan using prompts_(?:live|name_key)/,
      ],
      [
        `select v.version from ${schema}.versions v where prompt_id = $1 and sort_key < $2 and tombstone = 0 order by sort_key desc limit 101`,
        ["1", "\u007f"],
        /Index Scan Backward using versions_pkey/,
      ],
      [
        `select v.version from ${schema}.versions v where prompt_id = $1 and created_at is not null and (created_at, sort_key) < ('~', '~') order by created_at desc, sort_key desc limit 101`,
        ["1"],
        /Index Scan Backward using versions_created/,
      ],
    ];
    for (const [sql, values, wanted] of plans) {
      const { rows } = await pool.query<Record<"QUERY PLAN", string>>(`EXPLAIN ${sql}`, values);
      const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
      expect(plan).toMatch(wanted);
      expect(plan).not.toMatch(/Sort|Seq Scan/);
    }
    await driver.close();
  });

  test("what the server says comes as the right code", async () => {
    const codeOf = async (run: () => Promise<unknown>) => {
      try {
        await run();
      } catch (error) {
        if (isRegistryError(error)) return `${error.code} ${error.outcome}`;
        throw error;
      }
      return "fine";
    };
    const wrong = new URL(server.url);
    wrong.password = "wrong";
    expect(await codeOf(() => postgres({ url: wrong.href }))).toBe("UNAUTHENTICATED final");
    expect(await codeOf(() => postgres({ url: server.urlOf({ database: "nowhere" }) }))).toBe("CONFIG final");
    expect(await codeOf(() => postgres({ url: server.urlOf({ port: 1 }) }))).toBe("UNAVAILABLE temporary");
    expect(await codeOf(() => postgres({ url: "http://x/" }))).toBe("CONFIG final");
    const error = await postgres({ url: wrong.href }).catch((e: unknown) => e);
    expect(JSON.stringify(error)).not.toContain("wrong");

    const driver = await postgres(options({ statementTimeout: 1000 }));
    const pool = poolOf(driver);
    await driver.commit(commitOf({ name: parseName("a"), add: [documentOf("a", "1.0.0")] }));
    const blocker = await pool.connect();
    await blocker.query(`BEGIN; SELECT * FROM f${schemas}.prompts FOR UPDATE`);
    const add = commitOf({ name: parseName("a"), add: [documentOf("a", "1.1.0")] });
    expect(await codeOf(() => driver.commit(add))).toBe("TIMEOUT temporary");
    const controller = new AbortController();
    const started = performance.now();
    setTimeout(() => controller.abort(), 20);
    expect(await codeOf(() => driver.commit(add, { signal: controller.signal }))).toBe("ABORTED unknown");
    expect(performance.now() - started).toBeLessThan(900);
    await blocker.query("ROLLBACK");
    blocker.release();
    expect(await codeOf(() => driver.commit(add))).toBe("fine");

    await server.query(
      `CREATE ROLE reader LOGIN PASSWORD 'test'; GRANT USAGE ON SCHEMA f${schemas} TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA f${schemas} TO reader`,
    );
    const url = server.url.replace("//postgres:", "//reader:");
    const reader = await postgres({ url, schema: `f${schemas}` });
    expect(await codeOf(() => reader.commit(add))).toBe("READ_ONLY final");
    await reader.close();
    await driver.close();
  });

  test("a session that only reads is opened for reading", async () => {
    const own = options();
    const writer = await postgres(own);
    await writer.commit(commitOf({ name: parseName("a"), add: [documentOf("a", "1.0.0")] }));
    await server.query("CREATE DATABASE ro_test");
    await server.query(
      "CREATE ROLE ro LOGIN SUPERUSER PASSWORD 'test'; ALTER ROLE ro SET default_transaction_read_only = on",
    );
    const driver = await postgres({ ...own, url: server.url.replace("//postgres:", "//ro:") });
    expect(driver.capabilities.write).toBe(false);
    expect((await driver.read([askOf("a", "latest")]))[0]?.status).toBe("found");
    await expect(
      driver.commit(commitOf({ name: parseName("b"), add: [documentOf("b", "1.0.0")] })),
    ).rejects.toMatchObject({ code: "READ_ONLY" });
    expect((await driver.check()).ok).toBe(true);
    await driver.close();
    await writer.close();
  });

  test("those who listen hear the names of every commit", async () => {
    const own = options();
    const [driver, other] = [await postgres(own), await postgres(own)];
    const heard: string[] = [];
    const stop = await (driver.native as PostgresNative).listen((names) => heard.push(...(names ?? ["*"])));
    await other.commit(commitOf({ name: parseName("a"), add: [documentOf("a", "1.0.0")] }));
    await other.commit(commitOf({ name: parseName("b"), head: { expect: null, next: headOf({}), entries: [] } }));
    for (let i = 0; i < 200 && heard.length < 2; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(heard).toEqual(["a", "b"]);
    // Whoever's connection breaks is told that anything may have changed.
    await server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
    for (let i = 0; i < 300 && !heard.includes("*"); i++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(heard.at(-1)).toBe("*");
    await stop();
    await driver.close();
    await other.close();
  });

  test("an event of a transaction that commits late is not skipped", async () => {
    for (const feed of ["snapshot", "lock"] as const) {
      const own = options({ feed });
      const driver = await postgres(own);
      const pool = poolOf(driver);
      const start = (await driver.changes({ limit: 10 })).cursor as string;
      await driver.commit(commitOf({ name: parseName("late"), add: [documentOf("late", "1.0.0")] }));
      const middle = (await driver.changes({ limit: 10 })).cursor as string;
      // A commit that draws its number first and is seen last.
      const slow = await pool.connect();
      await slow.query("BEGIN");
      if (feed === "snapshot") {
        await slow.query(
          `INSERT INTO ${own.schema}.feed (txid, prompt_id) SELECT pg_current_xact_id()::text::bigint, id FROM ${own.schema}.prompts WHERE name = 'late'`,
        );
      }
      await driver.commit(commitOf({ name: parseName("early"), add: [documentOf("early", "1.0.0")] }));
      const between = await driver.changes({ cursor: middle, limit: 10 });
      expect(between.items.map((e) => e.name)).toEqual(["early"]);
      await slow.query("COMMIT");
      slow.release();
      const after = await driver.changes({ cursor: between.cursor as string, limit: 10 });
      expect(after.items.map((e) => e.name)).toEqual(feed === "snapshot" ? ["late"] : []);
      const all = await driver.changes({ cursor: start, limit: 10 });
      expect(new Set(all.items.map((e) => e.name))).toEqual(new Set(["late", "early"]));
      await driver.close();
    }
  });
}
