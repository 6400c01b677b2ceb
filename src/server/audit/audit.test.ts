import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { entry, file, fresh, written } from "../../../test/support/audit-world.ts";
import { RegistryError } from "../../errors.ts";
import { Journal } from "../access/journal.ts";
import type { AuditLog } from "../types.ts";
import { type AuditStore, groupedLog, type Timed } from "./group.ts";
import { type AuditRecord, fileAudit, openAudit, sqlAudit, verifyAudit } from "./index.ts";

interface Kind {
  open(folder: string, server?: string): Promise<AuditLog>;
  place(folder: string): Parameters<typeof verifyAudit>[0];
}
const KINDS: Readonly<Record<string, Kind>> = {
  file: {
    open: async (folder, server = "one") => fileAudit(join(folder, "audit.jsonl"), { server }),
    place: (folder) => file(join(folder, "audit.jsonl")),
  },
  sqlite: {
    open: (folder, server = "one") => sqlAudit({ backend: "sqlite", path: join(folder, "r.db") }, { server }),
    place: (folder) => ({ backend: "sqlite", path: join(folder, "r.db") }),
  },
};

describe.each(Object.entries(KINDS))("an audit log in %s", (_, kind) => {
  async function read(folder: string) {
    const records: AuditRecord[] = [];
    const report = await verifyAudit(kind.place(folder), { onRecord: (record) => records.push(record) });
    return { records, report };
  }

  test("holds what was appended, in order, and says where it ends", async () => {
    const folder = fresh();
    const audit = await kind.open(folder);
    await audit.ready();
    for (let i = 0; i < 5; i++) await audit.append(entry(i));
    const { records, report } = await read(folder);
    expect(report).toEqual({ ok: true, entries: 5, heads: [records[4]?.hash], torn: 0 });
    expect(records.map(({ requestId }) => requestId)).toEqual(["r0", "r1", "r2", "r3", "r4"]);
    expect(records[0]).toMatchObject({ ...entry(0), seq: 1, prev: [], server: "one" });
    expect(records[1]).toMatchObject({ seq: 2, prev: [records[0]?.hash] });
    await audit.close();
    await expect(audit.append(entry(5))).rejects.toMatchObject({ code: "ABORTED" });
  });

  test("keeps one line a line, whatever stands in it", async () => {
    const folder = fresh();
    const audit = await kind.open(folder);
    const nasty = 'a\r\nb\u0000\u001b[2J\u2028\u202e"\\\u009b é 😀 \ud800';
    await audit.append({ ...entry(0), name: nasty, note: "x".repeat(5000), prompt: '","hash":"' });
    await audit.append(entry(1));
    const { records, report } = await read(folder);
    expect(report).toMatchObject({ ok: true, entries: 2 });
    expect(records[0]).toMatchObject({ name: nasty, prompt: '","hash":"' });
    expect(records[0]?.note?.length).toBeLessThan(1100);
    await audit.close();
  });

  test("is one chain, however many append at once and from however many servers", async () => {
    const folder = fresh();
    const servers = [];
    for (const name of ["one", "two", "three"]) servers.push(await kind.open(folder, name));
    await Promise.all(
      servers.flatMap((audit, s) => Array.from({ length: 40 }, (_, i) => audit.append({ ...entry(i), who: `${s}` }))),
    );
    for (const audit of servers) await audit.append(entry(99));
    const { records, report } = await read(folder);
    expect(report).toMatchObject({ ok: true, entries: 123, torn: 0 });
    expect(report.heads).toEqual([records.at(-1)?.hash]);
    for (const s of ["0", "1", "2"])
      expect(records.filter(({ who }) => who === s).map(({ requestId }) => requestId)).toEqual(
        Array.from({ length: 40 }, (_, i) => `r${i}`),
      );
    for (const audit of servers) await audit.close();
  });

  test("goes on where another process ended", async () => {
    const folder = fresh();
    for (let i = 0; i < 3; i++) {
      const audit = await kind.open(folder);
      await audit.append(entry(i));
      await audit.close();
    }
    const { records, report } = await read(folder);
    expect(report).toMatchObject({ ok: true, entries: 3 });
    expect(records[2]?.prev).toEqual([records[1]?.hash]);
  });

  test("holds what is expected, or says that it does not", async () => {
    const folder = fresh();
    const audit = await kind.open(folder);
    for (let i = 0; i < 3; i++) await audit.append(entry(i));
    const { records } = await read(folder);
    for (const { hash } of records) expect((await verifyAudit(kind.place(folder), { expect: hash })).ok).toBe(true);
    expect(await verifyAudit(kind.place(folder), { expect: "0".repeat(64) })).toMatchObject({
      ok: false,
      problem: { line: 4, what: expect.stringContaining("cut off") },
    });
    await audit.close();
  });
});

describe("the file of a log", () => {
  test("is its owner's alone", async () => {
    const { path } = await written(1);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    for (const mode of [0o644, 0o620]) {
      chmodSync(path, mode);
      const audit = fileAudit(path);
      await expect(audit.ready()).rejects.toMatchObject({ code: "CONFIG" });
      await expect(audit.append(entry(1))).rejects.toThrow("chmod 600");
      await audit.close();
    }
  });

  test("with a line that was cut off goes on, and says so", async () => {
    const { path, lines } = await written(2);
    appendFileSync(path, (lines[1] as string).slice(0, 70));
    expect(await verifyAudit(file(path))).toMatchObject({ ok: true, entries: 2, torn: 1 });
    const audit = fileAudit(path);
    await audit.append(entry(2));
    await audit.append(entry(3));
    await audit.close();
    expect(await verifyAudit(file(path))).toMatchObject({ ok: true, entries: 5, torn: 1 });
    // What was taken for torn can't be changed either.
    const text = readFileSync(path, "utf8");
    writeFileSync(
      path,
      text.replace(`${(lines[1] as string).slice(0, 70)}\n`, `${(lines[1] as string).slice(0, 69)}\n`),
    );
    expect(await verifyAudit(file(path))).toMatchObject({ ok: false, problem: { line: 3 } });
  });

  test("cut off anywhere, as by a power loss, is taken up again, with all that was whole", async () => {
    const { path, lines } = await written(3);
    const text = readFileSync(path);
    const last = text.length - (lines[2] as string).length - 1;
    // At the end of a line, in the middle of one, and next to both.
    const cuts = [text.length - 1, text.length - 2, last + 1, last, last - 1, last - 2, last - 40, 10, 1, 0];
    for (const cut of cuts) {
      const copy = join(fresh(), "audit.jsonl");
      writeFileSync(copy, text.subarray(0, cut), { mode: 0o600 });
      const whole = text.subarray(0, cut).toString().split("\n").slice(0, -1).length;
      const audit = fileAudit(copy);
      for (let i = 0; i < 3; i++) await audit.append(entry(10 + i));
      await audit.close();
      const found: (string | undefined)[] = [];
      const report = await verifyAudit(file(copy), { onRecord: ({ requestId }) => found.push(requestId) });
      expect(report, String(cut)).toMatchObject({ ok: true, heads: [expect.any(String)] });
      expect(found.slice(0, whole)).toEqual(["r0", "r1", "r2"].slice(0, whole));
      expect(found.slice(-3)).toEqual(["r10", "r11", "r12"]);
    }
  });

  test("can be checked without this program, as the docs say", async () => {
    const { lines } = await written(2);
    for (const line of lines) {
      const script = `sed 's/,"hash":"[0-9a-f]*"}$/}/' | tr -d '\\n' | sha256sum`;
      const sum = execFileSync("sh", ["-c", script], { input: `${line}\n`, encoding: "utf8" });
      expect(sum.slice(0, 64)).toBe((JSON.parse(line) as AuditRecord).hash);
    }
  });

  test.each([0, 0.3, 1])("of which %d of a batch was written before it failed goes on from there", async (part) => {
    const path = join(fresh(), "audit.jsonl");
    const audit = fileAudit(path);
    await audit.append(entry(0));
    vi.spyOn(Journal.prototype, "append").mockImplementationOnce(async (text) => {
      appendFileSync(path, text.slice(0, Math.floor(text.length * part)));
      throw Object.assign(new Error("no space"), { code: "ENOSPC" });
    });
    await expect(audit.append(entry(1))).rejects.toMatchObject({ code: "NO_SPACE", outcome: "unknown" });
    await audit.ready();
    await audit.append(entry(2));
    await audit.close();
    const found: (string | undefined)[] = [];
    const report = await verifyAudit(file(path), { onRecord: ({ requestId }) => found.push(requestId) });
    expect(report).toMatchObject({ ok: true, torn: part === 0.3 ? 1 : 0, heads: [expect.any(String)] });
    expect(found.filter((id) => id !== undefined)).toEqual(part === 1 ? ["r0", "r1", "r2"] : ["r0", "r2"]);
  });

  test("that was moved away is followed by one that says so", async () => {
    const folder = fresh();
    const path = join(folder, "audit.jsonl");
    const audit = fileAudit(path);
    for (let i = 0; i < 3; i++) await audit.append(entry(i));
    renameSync(path, `${path}.1`);
    for (let i = 3; i < 6; i++) await audit.append(entry(i));
    await audit.close();
    const old = await verifyAudit(file(`${path}.1`));
    expect(old).toMatchObject({ ok: true, entries: 3 });
    expect(await verifyAudit(file(path))).toMatchObject({ ok: true, entries: 3, continues: old.heads });
  });

  test("whose folder is gone, or has an empty one in its place, is not begun anew there", async () => {
    const folder = join(fresh(), "disk");
    const path = join(folder, "audit.jsonl");
    const audit = fileAudit(path);
    await audit.ready();
    await audit.append(entry(0));
    renameSync(folder, `${folder}.away`);
    for (const replace of [() => {}, () => mkdirSync(folder)]) {
      replace();
      await expect(audit.append(entry(1))).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await expect(audit.ready()).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect(existsSync(path)).toBe(false);
    }
    rmSync(folder, { recursive: true });
    renameSync(`${folder}.away`, folder);
    await audit.ready();
    await audit.append(entry(2));
    expect(await verifyAudit(file(path))).toMatchObject({ ok: true, entries: 3 });
    await audit.close();
  });

  test("with a long past is taken up by its end alone", async () => {
    const path = join(fresh(), "audit.jsonl");
    const first = fileAudit(path);
    const note = "x".repeat(900);
    await Promise.all(Array.from({ length: 1500 }, (_, i) => first.append({ ...entry(i), note })));
    await first.close();
    expect(statSync(path).size).toBeGreaterThan(1 << 20);
    const second = fileAudit(path);
    await second.append(entry(0));
    await second.close();
    expect(await verifyAudit(file(path))).toMatchObject({ ok: true, entries: 1501, heads: [expect.any(String)] });
  });

  test("that is not there is NOT_FOUND, and a folder is none", async () => {
    await expect(verifyAudit(file(join(fresh(), "none")))).rejects.toMatchObject({ code: "NOT_FOUND" });
    const folder = fresh();
    await expect(verifyAudit(file(folder))).rejects.toMatchObject({ code: "CONFIG" });
    await expect(verifyAudit(file(folder))).rejects.toThrow("is a folder; name the file");
    await expect(fileAudit(folder).ready()).rejects.toThrow("is a folder; name the file");
    await expect(openAudit({ backend: "file", path: folder })).rejects.toMatchObject({ code: "CONFIG" });
  });
});

describe("entries that come at once", () => {
  /** A store that takes a while, and fails when it is told to. */
  function slow() {
    const batches: number[] = [];
    const state = { fails: false, batches, notes: [] as (string | undefined)[] };
    const store: AuditStore = {
      async write(entries: readonly Timed[]) {
        await sleep(5);
        if (state.fails) throw new RegistryError("NO_SPACE", "full", { outcome: "unknown" });
        batches.push(entries.length);
        state.notes.push(...entries.map((one) => one.entry.note));
      },
      async probe() {},
      async close() {},
    };
    return { state, audit: groupedLog(store) };
  }

  test("are made durable together", async () => {
    const { state, audit } = slow();
    await Promise.all(Array.from({ length: 300 }, (_, i) => audit.append(entry(i))));
    expect(state.batches).toEqual([1, 256, 43]);
  });

  test("fail together, and the log is ready again only when it was written", async () => {
    const { state, audit } = slow();
    await audit.append(entry(0));
    await audit.ready();
    state.fails = true;
    const results = await Promise.allSettled([1, 2, 3].map((i) => audit.append(entry(i))));
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    await expect(audit.ready()).rejects.toMatchObject({ code: "NO_SPACE" });
    state.fails = false;
    await audit.ready();
    expect(state.notes.at(-1)).toContain("entries may be missing before this one");
    await audit.append(entry(4));
    await audit.close();
  });
});
