import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PostgresServer, postgresProblem, startPostgres } from "../support/postgres.ts";
import { skipSuite } from "../support/skip.ts";
import { createProgram, type Program } from "./server-process.ts";

const problem = postgresProblem();
if (problem !== undefined) skipSuite("two servers on one PostgreSQL", problem);
else {
  describe("two servers on one PostgreSQL", () => {
    let database: PostgresServer;
    let program: Program;
    beforeAll(async () => {
      [database, program] = await Promise.all([startPostgres(), createProgram()]);
      // Caches that keep a label for an hour: what is seen sooner was told.
      const cache = { ttl: "1h", staleWhileRevalidate: 0 };
      writeFileSync(join(program.folder, "prompt-registry.config.json"), JSON.stringify({ cache }));
    });
    afterAll(() => Promise.all([program?.dispose(), database?.stop()]));

    test("a label that was moved through one is seen through the cache of the other within a second", async () => {
      const args = ["--open", "--port", "0"];
      const env = { PROMPT_REGISTRY_STORAGE: database.url };
      const [a, b] = await Promise.all([program.start(args, { env }), program.start(args, { env })]);
      const at = (server: { readonly url: string }, path: string) => `${server.url}/v1/prompts/team/greeting/-/${path}`;
      const put = (url: string, body: string, headers: Record<string, string>) =>
        fetch(url, { method: "PUT", body, headers });
      for (let i = 0; i < 12; i++) {
        const text = { "content-type": "text/markdown", "if-none-match": "*" };
        const stored = await put(at(a, `versions/1.${i}.0`), `text ${i}`, text);
        expect(stored.status).toBe(201);
      }
      const label = async (version: string, isNew = false) => {
        const condition = isNew ? { "if-none-match": "*" } : { "if-match": "*" };
        const json = { "content-type": "application/json", ...condition };
        const moved = await put(at(a, "labels/live"), JSON.stringify({ version }), json);
        expect(moved.status).toBeLessThan(300);
        await moved.text();
      };
      const seen = async () => {
        const reply = await fetch(at(b, "labels/live"));
        expect(reply.status).toBe(200);
        return /^registry\.version: (.*)$/m.exec(await reply.text())?.[1];
      };
      await label("1.0.0", true);
      const times: number[] = [];
      for (let i = 1; i < 12; i++) {
        const end = Date.now() + 10_000;
        while ((await seen()) !== `1.${i - 1}.0` && Date.now() < end) await sleep(5);
        const started = performance.now();
        await label(`1.${i}.0`);
        while ((await seen()) !== `1.${i}.0` && Date.now() < end) await sleep(5);
        times.push(performance.now() - started);
      }
      const sorted = [...times].sort((x, y) => x - y);
      expect(sorted.at(-1)).toBeLessThan(5000);
      expect(sorted[5]).toBeLessThan(1000);
      // The password is in no log.
      expect(a.stderr + b.stderr).not.toContain("postgres:test@");
      expect(await Promise.all([a.stop(), b.stop()])).toEqual([0, 0]);
    });
  });
}
