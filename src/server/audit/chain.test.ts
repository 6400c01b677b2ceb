import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { entry, fresh, written } from "../../../test/support/audit-world.ts";
import { openConnection } from "../../drivers/sql/sqlite/open.ts";
import { type AuditLink, type AuditRecord, sqlAudit, verifyAudit } from "./index.ts";
import { formatLine } from "./line.ts";
import { ChainCheck } from "./verify.ts";

/** What a verification says of these lines. */
function judge(lines: readonly string[], expected?: string) {
  const check = new ChainCheck(expected);
  for (const [i, line] of lines.entries()) check.push(line, i + 1);
  return check.end(lines.length, true);
}

describe("one change to a log is found", async () => {
  const { lines, head } = await written(8);
  const index = fc.nat(lines.length - 1);

  test("as it is, nothing is", () => {
    expect(judge(lines)).toMatchObject({ ok: true, entries: 8, heads: [head] });
    expect(judge([])).toMatchObject({ ok: true, entries: 0, heads: [] });
  });

  test("a line that was edited, anywhere in it", () => {
    fc.assert(
      fc.property(index, fc.nat(), fc.constantFrom("", "0", "a", '"', " ", "é"), (i, at, put) => {
        const line = lines[i] as string;
        const edited = line.slice(0, at % line.length) + put + line.slice((at % line.length) + 1);
        fc.pre(edited !== line);
        const report = judge(lines.with(i, edited));
        expect(report).toMatchObject({ ok: false, problem: { line: expect.any(Number) } });
        expect(report.problem?.line).toBeLessThanOrEqual(i + 2);
      }),
      { numRuns: 1000 },
    );
  });

  test("a line that was edited and given a new hash, by the one after it, and at the end by what is expected", () => {
    for (let i = 0; i < lines.length; i++) {
      const { hash: _, seq, chain, prev, at, server, ...rest } = JSON.parse(lines[i] as string) as AuditRecord;
      const { line } = formatLine({ seq, chain, prev, at, server }, { ...rest, outcome: "denied" });
      expect(line).not.toBe(lines[i]);
      const report = judge(lines.with(i, line), head);
      expect(report.problem?.line).toBe(i + 2);
    }
  });

  test("a line with a right hash that does not fit where it stands", () => {
    const [first = "", second = ""] = lines;
    const { hash, chain, at, server } = JSON.parse(first) as AuditRecord;
    const next = (JSON.parse(second) as AuditRecord).hash;
    const made = (link: Partial<AuditLink>) =>
      judge([first, second, formatLine({ seq: 3, chain, prev: [next], at, server, ...link }, entry(2)).line]);
    expect(made({}).ok).toBe(true);
    expect(made({ seq: 1, chain: "other", prev: [next] }).ok).toBe(true);
    const wrong: Partial<AuditLink>[] = [
      { seq: 4 },
      { seq: 2 },
      { seq: 1 },
      { prev: [] },
      { prev: [hash] },
      { prev: [next, "0".repeat(64)] },
      { seq: 2, chain: "other" },
      { seq: 1, chain: "other", prev: ["0".repeat(64)] },
      { continues: [hash] },
    ];
    for (const link of wrong) expect(made(link).problem?.line, JSON.stringify(link)).toBe(3);
  });

  test("a line that was removed, and at the end by what is expected", () => {
    for (let i = 0; i < lines.length - 1; i++)
      expect(judge(lines.toSpliced(i, 1)).problem?.line, String(i)).toBe(i + 1);
    const cut = lines.slice(0, -1);
    expect(judge(cut).ok).toBe(true);
    expect(judge(cut, head)).toMatchObject({ ok: false, problem: { line: 8 } });
    expect(judge([], head).ok).toBe(false);
  });

  test("lines that change places, and a line that stands there twice", () => {
    fc.assert(
      fc.property(index, index, (from, to) => {
        fc.pre(from !== to);
        const line = lines[from] as string;
        const moved = lines.toSpliced(from, 1).toSpliced(to, 0, line);
        expect(judge(moved).ok).toBe(false);
        expect(judge(lines.toSpliced(to, 0, line)).ok).toBe(false);
      }),
    );
  });

  test("a line from elsewhere", async () => {
    const other = await written(3);
    for (let i = 0; i <= lines.length; i++)
      for (const foreign of ["garbage", "{}", ...other.lines.slice(1)])
        expect(judge(lines.toSpliced(i, 0, foreign)).ok, `${i}`).toBe(false);
  });
});

test("rows of a database that were changed, removed or cut off are found", async () => {
  const path = join(fresh(), "r.db");
  const audit = await sqlAudit({ backend: "sqlite", path });
  for (let i = 0; i < 4; i++) await audit.append(entry(i));
  await audit.close();
  const attempt = async (sql: string, line: number) => {
    const database = openConnection({ path, readOnly: false });
    database.exec("CREATE TEMP TABLE kept AS SELECT * FROM audit_log");
    database.exec(sql);
    const { problem } = await verifyAudit({ backend: "sqlite", path });
    database.exec("DELETE FROM audit_log");
    database.exec("INSERT INTO audit_log SELECT * FROM kept");
    database.close();
    expect(problem?.line, sql).toBe(line);
  };
  await attempt("UPDATE audit_log SET line = replace(line, 'done', 'gone') WHERE seq = 2", 2);
  await attempt("DELETE FROM audit_log WHERE seq = 1", 2);
  await attempt("DELETE FROM audit_log WHERE seq = 3", 4);
  await attempt("DELETE FROM audit_log WHERE seq = 4", 4);
  await attempt("DELETE FROM audit_log", 1);
  await attempt("UPDATE audit_log SET seq = 9 WHERE seq = 4", 9);
  await attempt("UPDATE audit_log SET seq = -1 WHERE seq = 1", -1);
  expect((await verifyAudit({ backend: "sqlite", path })).ok).toBe(true);
});
