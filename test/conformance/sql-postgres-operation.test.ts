import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { memory } from "../../src/drivers/memory.ts";
import { type PostgresOptions, postgres, postgresWhenThere } from "../../src/drivers/sql/index.ts";
import { cache } from "../../src/layers/cache/index.ts";
import { fallback } from "../../src/layers/fallback.ts";
import { stack } from "../../src/layers/layer.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { type PostgresServer, postgresProblem, startPostgres } from "../support/postgres.ts";
import { skipSuite } from "../support/skip.ts";

const TITLE = "PostgreSQL in operation";
const problem = postgresProblem();

if (problem !== undefined) skipSuite(TITLE, problem);
else {
  describe(TITLE, () => {
    let server: PostgresServer;
    // Node tells each only once, whichever test it was in.
    const warnings: Error[] = [];
    const note = (warning: Error) => void warnings.push(warning);
    beforeAll(async () => {
      process.on("warning", note);
      server = await startPostgres({ fsync: "off" });
    });
    afterAll(async () => {
      process.off("warning", note);
      await server.stop();
    });

    async function open(options: PostgresOptions): Promise<StorageDriver> {
      const driver = await postgres(options);
      onTestFinished(() => driver.close());
      return driver;
    }

    test("calls that were given up leave no connection waiting on the server", async () => {
      const name = "given-up";
      const options = { url: server.url, schema: "given_up", applicationName: name, pool: { max: 4 } };
      const registry = new PromptRegistry(await open(options));
      await registry.storePrompt({ name: "a", version: "1.0.0", text: "x", labels: ["production"] });
      const { default: pg } = await import("pg");
      const holder = new pg.Client({ connectionString: server.url });
      await holder.connect();
      await holder.query("BEGIN");
      await holder.query("SELECT * FROM given_up.prompts FOR UPDATE");
      const calls = Array.from({ length: 40 }, (_, i) =>
        registry.setLabel("a", `l${i}`, "1.0.0", { signal: AbortSignal.timeout(50 + i * 20) }),
      );
      expect((await Promise.allSettled(calls)).every(({ status }) => status === "rejected")).toBe(true);
      const count = async () =>
        (await server.query("SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = $1", [name]))[0];
      await vi.waitFor(async () => expect(await count()).toMatchObject({ n: expect.toSatisfy((n) => n <= 4) }), 5000);
      await holder.query("ROLLBACK");
      await holder.end();
      // The server has ended what nobody waited for: nothing is done late.
      expect((await registry.getPrompt("a", {})).labels).toEqual(["production"]);
    });

    test("every connection waits for the disk before it acknowledges, whatever the database has as its default", async () => {
      const database = await server.createDatabase();
      await server.query(`ALTER DATABASE ${database} SET synchronous_commit = off`);
      const driver = await postgres({ url: server.urlOf({ database }), pool: { max: 4 } });
      onTestFinished(() => driver.close());
      const { pool } = driver.native;
      const clients = await Promise.all(Array.from({ length: 4 }, () => pool.connect()));
      const settings = clients.map(async (client) => {
        const { rows } = await client.query(
          "SELECT current_setting('synchronous_commit') AS sync, current_setting('client_connection_check_interval') AS clients",
        );
        client.release();
        return rows[0];
      });
      expect(await Promise.all(settings)).toEqual(Array(4).fill({ sync: "on", clients: "500ms" }));
      expect((await driver.check()).checks.filter(({ ok }) => !ok)).toEqual([]);
      // pg deprecates a second query on a connection that is at one already.
      expect(warnings).toEqual([]);
    });

    test.each(["repeatable read", "serializable"])(
      "processes that open a new database at once make it once, where transactions are %s by default",
      async (level) => {
        for (let round = 0; round < 3; round++) {
          const database = await server.createDatabase();
          await server.query(`ALTER DATABASE ${database} SET default_transaction_isolation = '${level}'`);
          const url = server.urlOf({ database });
          const opened = await Promise.all(Array.from({ length: 4 }, () => open({ url, pool: { max: 2 } })));
          await new PromptRegistry(opened[0] as StorageDriver).storePrompt({ name: "a", version: "1.0.0", text: "x" });
          for (const driver of opened) expect((await new PromptRegistry(driver).getPrompt("a")).text).toBe("x");
        }
      },
    );

    test.each(["a role that may only look", "a session that may only read"])(
      "%s reads everything, and finds what the text index has not followed",
      async (who) => {
        const schema = who.startsWith("a role") ? "looking" : "reading";
        const writer = new PromptRegistry(await open({ url: server.url, schema }));
        await writer.storePrompt({ name: "a", version: "1.0.0", text: "a needle" });
        await server.query(`CREATE ROLE ${schema} LOGIN PASSWORD 'test'`);
        await server.query(`GRANT USAGE ON SCHEMA ${schema} TO ${schema}`);
        await server.query(`GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${schema}`);
        const options =
          schema === "looking"
            ? { url: server.url, schema, user: schema }
            : { url: `${server.url}?options=-c%20default_transaction_read_only%3Don`, schema };
        const driver = await open(options);
        expect(driver.capabilities.write).toBe(false);
        const reader = new PromptRegistry(driver);
        const found = async () => (await reader.listPrompts({ text: "NEEDLE" })).items.map(({ name }) => name);
        expect(await found()).toEqual(["a"]);
        await writer.listPrompts({ text: "needle" });
        await writer.storePrompt({ name: "b", version: "1.0.0", text: "another needle" });
        expect(await found()).toEqual(["a", "b"]);
        await expect(reader.storePrompt({ name: "c", version: "1.0.0", text: "" })).rejects.toMatchObject({
          code: "READ_ONLY",
        });
      },
    );

    test("a process that starts in an outage answers from its fallback, and from the database once that is there", async () => {
      const second = await startPostgres({ fsync: "off" });
      onTestFinished(() => second.stop());
      const driver = await postgres({ url: second.url });
      await new PromptRegistry(driver).storePrompt({ name: "a", version: "1.0.0", text: "in the database" });
      await driver.close();
      await second.kill();
      await expect(postgres({ url: second.url })).rejects.toMatchObject({ code: "UNAVAILABLE" });
      const shipped = memory();
      await new PromptRegistry(shipped).storePrompt({ name: "a", version: "1.0.0", text: "shipped" });
      const main = await postgresWhenThere({ url: second.url });
      const registry = new PromptRegistry(stack(main, [cache(), fallback([shipped])]));
      onTestFinished(() => registry.close());
      expect(await registry.getPrompt("a@1.0.0")).toMatchObject({ text: "shipped", stale: true });
      expect(await main.check()).toMatchObject({ ok: false, kind: "postgres", checks: [{ name: "reachable" }] });
      const store = () => registry.storePrompt({ name: "a", version: "1.1.0", text: "new" });
      await expect(store()).rejects.toMatchObject({ code: "UNAVAILABLE", outcome: "temporary" });
      expect(() => main.native.pool).toThrow(/was not reached yet/);
      await second.start();
      expect(await store()).toMatchObject({ status: "created" });
      expect((await main.read([{ name: "a" as never, selector: { kind: "latest" } }]))[0]?.status).toBe("found");
      expect(await main.check()).toMatchObject({ ok: true });
    });

    test("what is wrong with a password or an option is said at the start all the same", async () => {
      const wrong = server.url.replace("postgres:test@", "postgres:wrong@");
      await expect(postgresWhenThere({ url: wrong })).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
      await expect(postgresWhenThere({ url: server.url, schema: "No" })).rejects.toMatchObject({ code: "CONFIG" });
      await expect(postgresWhenThere({ url: server.url, statementTimeout: 2 ** 31 })).rejects.toMatchObject({
        code: "CONFIG",
        message: expect.stringContaining("at most"),
      });
    });
  });
}
