import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { postgres } from "../../src/drivers/sql/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { createAccess, issueToken, sqlTokens } from "../../src/server/access/index.ts";
import { type AuditRecord, sqlAudit, verifyAudit } from "../../src/server/audit/index.ts";
import type { AuditEntry } from "../../src/server/types.ts";
import { type PostgresServer, postgresProblem, startPostgres } from "../support/postgres.ts";
import { skipSuite } from "../support/skip.ts";

const problem = postgresProblem();
if (problem !== undefined) skipSuite("access and audit in PostgreSQL", problem);
else {
  describe("access and audit in PostgreSQL", () => {
    let server: PostgresServer;
    let database: string;
    beforeAll(async () => {
      server = await startPostgres();
      database = await server.createDatabase();
    });
    afterAll(() => server?.stop());
    const place = () => ({ backend: "postgres", url: server.urlOf({ database }) }) as const;

    const bearer = (token: string) => ({ authorization: `Bearer ${token}`, address: "192.0.2.1" });
    const entry = (i: number, who: string): AuditEntry => ({
      who,
      action: "labels.put",
      prompt: `p${i}`,
      outcome: "done",
    });

    test("servers that start at once make the tables once, also with a registry between them", async () => {
      const opened = await Promise.all([
        ...Array.from({ length: 4 }, () => sqlTokens(place())),
        ...Array.from({ length: 2 }, () => sqlAudit(place())),
        postgres({ url: place().url }).then((driver) => new PromptRegistry(driver)),
      ]);
      const registry = opened.at(-1) as PromptRegistry;
      await registry.storePrompt({ name: "a", version: "1.0.0", text: "x" });
      expect((await registry.check()).ok).toBe(true);
      for (const one of opened) await one.close();
    });

    test("a token that was made on one server opens the other, and a revocation shuts it within a second", async () => {
      const [one, two] = [await sqlTokens(place()), await sqlTokens(place())];
      const [first, second] = [createAccess({ tokens: one }), createAccess({ tokens: two })];
      const { token, record } = await issueToken(one, {
        name: "ci",
        scopes: ["write:support"],
        cidrs: ["192.0.2.0/24"],
      });
      expect(await two.get(record.id)).toEqual(record);
      const principal = await second.authenticate(bearer(token));
      expect(principal).toMatchObject({ id: `token:${record.id}`, name: "ci" });
      await first.authenticate(bearer(token));
      await one.revoke(record.id, new Date().toISOString());
      const revoked = performance.now();
      await expect(first.authenticate(bearer(token))).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
      // An answer counts only if it was given by the time until which an earlier one may be used.
      let late = 0;
      for (;;) {
        const asked = performance.now();
        const isIn = second.remembered(bearer(token)) !== undefined;
        if (!isIn) break;
        late = asked - revoked;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      expect(late).toBeLessThan(1000);
      await expect(second.authenticate(bearer(token))).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
      await expect(one.create(record)).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
      await expect(one.revoke("nobody", "x")).rejects.toMatchObject({ code: "NOT_FOUND" });
      await first.close();
      expect((await two.list()).find((found) => found.id === record.id)?.lastUsedAt).toBeDefined();
      await second.close();
    });

    test("what is in the database opens nothing", async () => {
      const tokens = await sqlTokens(place());
      const { token, record } = await issueToken(tokens, { name: "dump", scopes: ["admin"] });
      const rows = await server.query("SELECT * FROM prompt_registry.access_tokens", [], database);
      const dump = JSON.stringify(rows);
      expect(dump).toContain(record.id);
      expect(dump).not.toContain(token.slice(17, 60));
      const access = createAccess({ tokens, throttle: false });
      for (const row of rows)
        for (const value of Object.values(row))
          await expect(access.authenticate(bearer(String(value)))).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
      await access.close();
    });

    test("one chain is written by several servers at once, and every change to it is found", async () => {
      const servers = await Promise.all(["one", "two", "three"].map((name) => sqlAudit(place(), { server: name })));
      await Promise.all(servers.map((audit) => audit.ready()));
      await Promise.all(
        servers.flatMap((audit, s) => Array.from({ length: 30 }, (_, i) => audit.append(entry(i, String(s))))),
      );
      const records: AuditRecord[] = [];
      const report = await verifyAudit(place(), { onRecord: (record) => records.push(record) });
      expect(report).toEqual({ ok: true, entries: 90, heads: [records.at(-1)?.hash], torn: 0 });
      expect(records.map(({ seq }) => seq)).toEqual(Array.from({ length: 90 }, (_, i) => i + 1));
      for (const s of ["0", "1", "2"])
        expect(records.filter(({ who }) => who === s).map(({ prompt }) => prompt)).toEqual(
          Array.from({ length: 30 }, (_, i) => `p${i}`),
        );
      for (const audit of servers) await audit.close();

      const log = "prompt_registry.audit_log";
      const attempt = async (sql: string) => {
        await server.query(`CREATE TABLE kept AS SELECT * FROM ${log}`, [], database);
        await server.query(sql, [], database);
        const { problem } = await verifyAudit(place());
        await server.query(`DELETE FROM ${log}`, [], database);
        await server.query(`INSERT INTO ${log} SELECT * FROM kept`, [], database);
        await server.query("DROP TABLE kept", [], database);
        return problem?.line;
      };
      expect(await attempt(`UPDATE ${log} SET line = replace(line, 'done', 'gone') WHERE seq = 7`)).toBe(7);
      expect(await attempt(`DELETE FROM ${log} WHERE seq = 8`)).toBe(9);
      expect(await attempt(`DELETE FROM ${log} WHERE seq > 80`)).toBe(81);
      expect((await verifyAudit(place(), { expect: report.heads[0] as string })).ok).toBe(true);
    });

    test("a server that is away is no denial, and refuses what would not be recorded", async () => {
      const tokens = await sqlTokens(place());
      const audit = await sqlAudit(place());
      const { token } = await issueToken(tokens, { name: "ci", scopes: ["read"] });
      const access = createAccess({ tokens });
      await server.kill();
      try {
        await expect(access.authenticate(bearer(token))).rejects.toMatchObject({ code: "UNAVAILABLE" });
        await expect(audit.ready()).rejects.toMatchObject({ code: "UNAVAILABLE" });
        await expect(audit.append(entry(0, "x"))).rejects.toMatchObject({ code: "UNAVAILABLE" });
      } finally {
        await server.start();
      }
      await audit.ready();
      await audit.append(entry(1, "x"));
      expect((await access.authenticate(bearer(token))).name).toBe("ci");
      expect(await verifyAudit(place())).toMatchObject({ ok: true, entries: 92 });
      await audit.close();
      await access.close();
    });

    test("a replica that only answers reads is not ready for changes", async () => {
      const url = `${server.urlOf({ database })}?options=${encodeURIComponent("-c default_transaction_read_only=on")}`;
      const audit = await sqlAudit({ backend: "postgres", url });
      await expect(audit.ready()).rejects.toMatchObject({ code: "READ_ONLY" });
      await audit.close();
    });
  });
}
