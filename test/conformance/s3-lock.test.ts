import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDatabaseLock } from "../../src/drivers/s3/database-lock.ts";
import { type S3Options, s3 } from "../../src/drivers/s3/index.ts";
import { parseName } from "../../src/names.ts";
import { askOf, commitOf, documentOf } from "../../src/testing/index.ts";
import { type FakeS3, fakeS3 } from "../../src/testing/s3/index.ts";
import { type PostgresServer, postgresProblem, startPostgres } from "../support/postgres.ts";
import { BUCKET, optionsOf } from "../support/s3-suite.ts";
import { skipSuite } from "../support/skip.ts";

const problem = postgresProblem();
if (problem !== undefined) skipSuite("s3 with a lock in PostgreSQL", problem);
else {
  let server: PostgresServer;
  let fake: FakeS3;
  beforeAll(async () => {
    server = await startPostgres({ fsync: "off" });
    fake = await fakeS3({ dishonest: "ignores" });
    fake.createBucket(BUCKET);
  });
  afterAll(async () => {
    await fake.close();
    await server.stop();
  });
  const lockOf = async (database: string) => await openDatabaseLock(server.urlOf({ database }), "s3://b/p");

  describe("s3 with a lock in PostgreSQL", () => {
    it("lets writers take turns on a store that ignores conditions, also the first time all at once", async () => {
      const url = server.urlOf({ database: await server.createDatabase() });
      const place = { ...fake.credentials, endpoint: fake.endpoint, region: fake.region };
      const options: S3Options = optionsOf(place, { prefix: "locked", conditionalWrites: { lock: url } });
      const writers = await Promise.all(Array.from({ length: 6 }, () => s3(options)));
      const name = parseName("a");
      const race = await Promise.all(
        writers.map((writer, i) => writer.commit(commitOf({ name, add: [documentOf("a", "1.0.0", `writer ${i}\n`)] }))),
      );
      const statuses = race.flat().map(({ status }) => status);
      expect(statuses.sort()).toEqual(["done", ...Array.from({ length: 5 }, () => "exists")]);
      const more = await Promise.all(
        writers.map((writer, i) => writer.commit(commitOf({ name, add: [documentOf("a", `1.${i + 1}.0`)] }))),
      );
      expect(more.flat().every(({ status }) => status === "done")).toBe(true);
      const [answer] = await (writers[0] as (typeof writers)[0]).read([askOf("a", "latest")]);
      expect(answer).toMatchObject({ status: "found", document: { version: "1.6.0" } });
      await Promise.all(writers.map((writer) => writer.close()));
    });

    it("is waited for as long as the caller wants, and had when its holder is through", async () => {
      const database = await server.createDatabase();
      const [holder, waiter] = await Promise.all([lockOf(database), lockOf(database)]);
      let through = () => {};
      const held = new Promise<void>((resolve) => {
        through = resolve;
      });
      let begun = () => {};
      const taken = new Promise<void>((resolve) => {
        begun = resolve;
      });
      const first = holder.run(undefined, async () => {
        begun();
        await held;
      });
      await taken;
      for (const lock of [waiter, holder]) {
        const op = { signal: AbortSignal.timeout(100) };
        await expect(lock.run(op, async () => "mine")).rejects.toMatchObject({ code: "TIMEOUT" });
      }
      const next = waiter.run(undefined, async () => "mine");
      through();
      await first;
      expect(await next).toBe("mine");
      await Promise.all([holder.close(), waiter.close()]);
    });

    it("says so when its connection breaks, and ends what is done under it", async () => {
      const database = await server.createDatabase();
      const [holder, waiter] = await Promise.all([lockOf(database), lockOf(database)]);
      const broken = holder.run(undefined, async (op) => {
        const lost = new Promise((_, reject) => {
          op?.signal?.addEventListener("abort", () => reject(op.signal?.reason));
        });
        lost.catch(() => {});
        const others = "pid <> pg_backend_pid() AND datname = current_database() AND query LIKE '%FOR UPDATE%'";
        await server.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${others}`, [], database);
        await lost;
      });
      await expect(broken).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect(await waiter.run(undefined, async () => "mine")).toBe("mine");
      expect(await holder.run(undefined, async () => "mine again")).toBe("mine again");
      await Promise.all([holder.close(), waiter.close()]);
    });
  });
}
