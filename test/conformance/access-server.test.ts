import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { memory } from "../../src/drivers/memory.ts";
import { RegistryError } from "../../src/errors.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { createAccess, fileTokens, issueToken, memoryTokens } from "../../src/server/access/index.ts";
import { type AuditRecord, fileAudit, memoryAudit, verifyAudit } from "../../src/server/audit/index.ts";
import { createHandler } from "../../src/server/handler.ts";
import type { AuditLog } from "../../src/server/types.ts";

const root = mkdtempSync(join(tmpdir(), "access-server-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const SCOPES = {
  reader: ["read"],
  writer: ["read", "write:support"],
  promoter: ["read", "promote:support"],
  releaser: ["read", "promote:support:production"],
  blind: ["write:support"],
  admin: ["admin"],
} as const;
type Who = keyof typeof SCOPES;

/** A registry with one prompt below `support` and one below `sales`, behind a handler. */
async function opened(audit: AuditLog = memoryAudit(), tokens = memoryTokens()) {
  const registry = new PromptRegistry(memory(), { author: "setup" });
  for (const name of ["support/triage", "sales/pitch"])
    for (const version of ["1.0.0", "1.1.0"])
      await registry.storePrompt({ name, version, text: `${name} ${version}\n` });
  const access = createAccess({ tokens, protectedLabels: ["production"], throttle: false });
  const handler = createHandler(registry, { access, audit });
  const made = {} as { [W in Who]: { token: string; id: string } };
  for (const [who, scopes] of Object.entries(SCOPES) as [Who, readonly string[]][]) {
    const { token, record } = await issueToken(tokens, { name: who, scopes });
    made[who] = { token, id: record.id };
  }
  async function ask(who: Who | undefined, method: string, path: string, body?: unknown, headers: object = {}) {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const type = typeof body === "string" ? "text/markdown" : "application/json";
    const request = new Request(`http://127.0.0.1${path}`, {
      method,
      headers: {
        ...(who === undefined ? {} : { authorization: `Bearer ${made[who].token}` }),
        ...(body === undefined ? {} : { "content-type": type }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: text }),
    });
    return handler(request, { address: "192.0.2.1", target: path });
  }
  const put = (who: Who | undefined, name: string, version: string) =>
    ask(who, "PUT", `/v1/prompts/${name}/-/versions/${version}`, `${version}\n`, { "if-none-match": "*" });
  const label = (who: Who | undefined, name: string, to: string) =>
    ask(who, "PUT", `/v1/prompts/${name}/-/labels/${to}`, { version: "1.0.0" }, { "if-none-match": "*" });
  return { registry, access, handler, tokens, made, ask, put, label };
}

describe("behind a handler", () => {
  test("each right opens what it is for, below its prefix, and nothing else", async () => {
    const { ask, put, label } = await opened();
    const get = (who: Who | undefined, name: string) => ask(who, "GET", `/v1/prompts/${name}/-/versions/1.0.0`);
    const status = async (response: Promise<Response>) => (await response).status;
    expect(await status(get(undefined, "support/triage"))).toBe(401);
    expect(await status(get("reader", "support/triage"))).toBe(200);
    expect(await status(get("blind", "support/triage"))).toBe(404);
    expect(await status(put("reader", "support/triage", "2.0.0"))).toBe(403);
    expect(await status(put("writer", "support/triage", "2.0.0"))).toBe(201);
    expect(await status(put("blind", "support/new", "1.0.0"))).toBe(201);
    expect(await status(put("writer", "sales/pitch", "2.0.0"))).toBe(403);
    expect(await status(put("writer", "supporters/a", "1.0.0"))).toBe(403);
    expect(await status(label("writer", "support/triage", "beta"))).toBe(403);
    expect(await status(label("promoter", "support/triage", "production"))).toBe(403);
    expect((await label("promoter", "support/triage", "beta")).ok).toBe(true);
    expect((await label("releaser", "support/triage", "production")).ok).toBe(true);
    expect(await status(label("releaser", "support/triage", "gamma"))).toBe(403);
    expect(await status(label("releaser", "sales/pitch", "production"))).toBe(403);
    expect((await label("admin", "sales/pitch", "production")).ok).toBe(true);
  });

  test("who may not read is told the same of what is there and what is not", async () => {
    const { ask, put } = await opened();
    const shape = async (response: Response) => {
      const {
        requestId: _,
        instance: __,
        ...body
      } = JSON.parse((await response.text()).replaceAll(/sales\/(?:pitch|none)/g, "NAME")) as Record<string, unknown>;
      const headers = Object.fromEntries(
        [...response.headers].filter(([key]) => !/^(?:x-request-id|content-length|content-digest)$/.test(key)),
      );
      return { status: response.status, body, headers };
    };
    for (const path of [
      "",
      "/-/versions",
      "/-/versions/1.0.0",
      "/-/labels/production",
      "/-/latest",
      "/-/history",
      "/-/head",
    ]) {
      const there = await shape(await ask("blind", "GET", `/v1/prompts/sales/pitch${path}`));
      const absent = await shape(await ask("blind", "GET", `/v1/prompts/sales/none${path}`));
      expect(there, path).toEqual(absent);
      expect(there.status, path).toBe(404);
    }
    expect(await shape(await put("blind", "sales/pitch", "1.0.0"))).toEqual(
      await shape(await put("blind", "sales/none", "1.0.0")),
    );
  });

  test("a revoked token is refused by the very next request, also where the answer lay ready", async () => {
    const { ask, handler, made, tokens } = await opened();
    const target = "/v1/prompts/support/triage/-/versions/1.0.0";
    for (let i = 0; i < 3; i++) expect((await ask("reader", "GET", target)).status).toBe(200);
    await tokens.revoke(made.reader.id, new Date().toISOString());
    const headers = { authorization: `Bearer ${made.reader.token}` };
    expect(handler.ready("GET", target, headers, { target, address: "192.0.2.1" })).toBeUndefined();
    expect((await ask("reader", "GET", target)).status).toBe(401);
    handler.close?.();
  });

  test("a token that another process revokes is refused within a second", async () => {
    const path = join(root, "shared", "tokens.jsonl");
    const { ask, made } = await opened(memoryAudit(), fileTokens(path));
    const target = "/v1/prompts/support/triage/-/versions/1.0.0";
    expect((await ask("reader", "GET", target)).status).toBe(200);
    const other = fileTokens(path);
    await other.revoke(made.reader.id, new Date().toISOString());
    const revoked = performance.now();
    let late = 0;
    for (;;) {
      const asked = performance.now();
      if ((await ask("reader", "GET", target)).status === 401) break;
      late = asked - revoked;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(late).toBeLessThan(1000);
    await other.close();
  });
});

describe("the audit log behind a handler", () => {
  test("has exactly one entry for each change and each denial, and none for what was read", async () => {
    const path = join(root, "audit.jsonl");
    const audit = fileAudit(path, { server: "test" });
    const { ask, put, label, made } = await opened(audit);
    const steps: [() => Promise<Response>, Partial<AuditRecord> | undefined][] = [
      [() => ask("reader", "GET", "/v1/prompts/support/triage/-/versions/1.0.0"), undefined],
      [() => ask("reader", "GET", "/v1/prompts"), undefined],
      [() => ask("reader", "GET", "/v1/prompts/support/none/-/latest"), undefined],
      [
        () => put("writer", "support/triage", "2.0.0"),
        { action: "versions.put", prompt: "support/triage", outcome: "done" },
      ],
      [() => put("writer", "support/triage", "2.0.0"), { action: "versions.put", outcome: "unchanged" }],
      [() => put("writer", "sales/pitch", "2.0.0"), { action: "versions.put", outcome: "denied", code: "FORBIDDEN" }],
      [
        () => put(undefined, "sales/pitch", "2.0.0"),
        { action: "versions.put", outcome: "denied", code: "UNAUTHENTICATED" },
      ],
      [() => ask("blind", "GET", "/v1/prompts/sales/pitch/-/latest"), { outcome: "denied", code: "NOT_FOUND" }],
      [() => label("releaser", "support/triage", "production"), { label: "production", to: "1.0.0", outcome: "done" }],
      [() => label("promoter", "support/triage", "production"), { label: "production", outcome: "denied" }],
    ];
    const seen: AuditRecord[] = [];
    for (const [step, expected] of steps) {
      const before = seen.length;
      await step();
      seen.length = 0;
      // Nothing may be in it before the first.
      if (before > 0 || expected !== undefined) {
        const report = await verifyAudit({ backend: "file", path }, { onRecord: (record) => seen.push(record) });
        expect(report.ok).toBe(true);
      }
      expect(seen.length, JSON.stringify(expected)).toBe(before + (expected === undefined ? 0 : 1));
      if (expected !== undefined) expect(seen.at(-1)).toMatchObject(expected);
    }
    expect(seen[0]).toMatchObject({
      who: `token:${made.writer.id}`,
      name: "writer",
      address: "192.0.2.1",
      server: "test",
    });
    const text = JSON.stringify(seen);
    for (const { token } of Object.values(made)) expect(text).not.toContain(token.slice(17, 60));
    await audit.close();
  });

  test("that can't be written keeps changes from being tried, and reads going", async () => {
    const full = new RegistryError("NO_SPACE", "the disk of the audit log is full");
    const audit: AuditLog = {
      ready: async () => {
        throw full;
      },
      append: async () => {
        throw full;
      },
      close: async () => {},
    };
    const { ask, put, registry } = await opened(audit);
    const response = await put("writer", "support/triage", "2.0.0");
    expect(response.status).toBeGreaterThanOrEqual(500);
    await expect(registry.getPrompt("support/triage@2.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect((await ask("reader", "GET", "/v1/prompts/support/triage/-/latest")).status).toBe(200);
  });

  test("that fails after a change leaves its outcome open", async () => {
    const audit: AuditLog = {
      ready: async () => {},
      append: async () => {
        throw new RegistryError("UNAVAILABLE", "gone", { outcome: "unknown" });
      },
      close: async () => {},
    };
    const { put } = await opened(audit);
    const response = await put("writer", "support/triage", "2.0.0");
    expect(response.status).toBeGreaterThanOrEqual(500);
    expect(await response.json()).toMatchObject({ outcome: "unknown" });
  });
});
