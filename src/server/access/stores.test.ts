import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { sqlite } from "../../drivers/sql/index.ts";
import { PromptRegistry } from "../../registry.ts";
import { fileTokens } from "./file.ts";
import { issueToken } from "./issue.ts";
import { placeBeside } from "./places.ts";
import { sqlTokens } from "./sql.ts";
import { memoryTokens, type TokenStore } from "./store.ts";
import { isToken } from "./token.ts";

const root = mkdtempSync(join(tmpdir(), "tokens-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const fresh = () => join(root, String(folders++));

interface Kind {
  readonly open: (folder: string) => Promise<TokenStore>;
  /** Whether another handle sees the same. */
  readonly shared: boolean;
}
const KINDS: Readonly<Record<string, Kind>> = {
  memory: { open: async () => memoryTokens(), shared: false },
  file: { open: async (folder) => fileTokens(join(folder, "tokens.jsonl")), shared: true },
  sqlite: { open: (folder) => sqlTokens({ backend: "sqlite", path: join(folder, "registry.db") }), shared: true },
};

const AT = "2026-11-24T05:00:00.000Z";
const LATER = "2026-11-24T06:00:00.000Z";

describe.each(Object.entries(KINDS))("tokens in %s", (_, { open, shared }) => {
  test("come back as they were stored, without the token", async () => {
    const store = await open(fresh());
    expect(await store.get("000000000000")).toBeUndefined();
    expect(await store.list()).toEqual([]);
    const name = "Zoë \u202e of the ops team";
    const made = await issueToken(store, { name, scopes: ["read", "write:support"], cidrs: ["10.0.0.0/8"] }, () =>
      Date.parse(AT),
    );
    expect(await store.get(made.record.id)).toEqual({
      id: made.record.id,
      name,
      hash: made.record.hash,
      scopes: ["read", "write:support"],
      createdAt: AT,
      expiresAt: "2027-02-22T05:00:00.000Z",
      cidrs: ["10.0.0.0/8"],
    });
    const second = await issueToken(store, { name: "b", scopes: ["admin"], lifetime: "never", createdBy: "ada" }, () =>
      Date.parse(LATER),
    );
    expect(second.record).not.toHaveProperty("expiresAt");
    expect((await store.list()).map((one) => one.id)).toEqual([made.record.id, second.record.id]);
    expect(JSON.stringify(await store.list())).not.toContain(made.token);
    await store.close();
  });

  test("are revoked once and for all", async () => {
    const store = await open(fresh());
    const { record } = await issueToken(store, { name: "a", scopes: ["read"] });
    const before = store.revision;
    expect(await store.revoke(record.id, AT)).toMatchObject({ id: record.id, revokedAt: AT });
    expect(store.revision).toBeGreaterThan(before);
    expect(await store.revoke(record.id, LATER)).toMatchObject({ revokedAt: AT });
    expect(await store.get(record.id)).toMatchObject({ revokedAt: AT });
    await expect(store.revoke("unknown", AT)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(store.create(record)).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    expect(await store.get(record.id)).toMatchObject({ revokedAt: AT });
    await store.close();
  });

  test("remember when they were used", async () => {
    const store = await open(fresh());
    const { record } = await issueToken(store, { name: "a", scopes: ["read"] });
    expect((await store.list())[0]).not.toHaveProperty("lastUsedAt");
    await store.touch(record.id, LATER);
    expect((await store.list())[0]).toMatchObject({ lastUsedAt: LATER });
    await store.close();
  });

  if (!shared) return;

  test("are seen by another handle at once", async () => {
    const folder = fresh();
    const [one, two] = [await open(folder), await open(folder)];
    const { record } = await issueToken(one, { name: "a", scopes: ["read"] });
    expect(await two.get(record.id)).toEqual(record);
    await two.revoke(record.id, AT);
    expect(await one.get(record.id)).toMatchObject({ revokedAt: AT });
    const many = await Promise.all(
      Array.from({ length: 20 }, (_, i) => issueToken(i % 2 ? one : two, { name: `t${i}`, scopes: ["read"] })),
    );
    const ids = (await one.list()).map((found) => found.id);
    for (const { record } of many) expect(ids).toContain(record.id);
    expect(ids.length).toBe(21);
    await one.close();
    await two.close();
  });
});

test.each([
  [{ name: "", scopes: ["read"] }, "name"],
  [{ name: "a\nb", scopes: ["read"] }, "name"],
  [{ name: "a".repeat(201), scopes: ["read"] }, "name"],
  [{ name: "a", scopes: [] }, "at least one scope"],
  [{ name: "a", scopes: ["all"] }, "no right that is known"],
  [{ name: "a", scopes: ["read"], cidrs: [] }, "network"],
  [{ name: "a", scopes: ["read"], cidrs: ["10.0.0.0/64"] }, "network"],
  [{ name: "a", scopes: ["read"], lifetime: 0 }, "live"],
  [{ name: "a", scopes: ["read"], lifetime: Number.NaN }, "live"],
])("no token is made of %j", async (request, message) => {
  const store = memoryTokens();
  await expect(issueToken(store, request)).rejects.toThrow(message);
  expect(await store.list()).toEqual([]);
});

test("a token is as long as it should be and told from its neighbours", async () => {
  const store = memoryTokens();
  const made = await issueToken(store, { name: "a", scopes: ["read"] });
  expect(isToken(made.token, (await store.get(made.record.id))?.hash)).toBe(true);
});

describe("the file of tokens", () => {
  const path = (folder: string) => join(folder, "tokens.jsonl");

  test("is its owner's alone, and so is its folder, which Git leaves alone", async () => {
    const folder = join(fresh(), ".prompt-registry");
    const store = fileTokens(path(folder));
    expect(await store.list()).toEqual([]);
    expect(existsSync(folder)).toBe(false);
    const { record } = await issueToken(store, { name: "a", scopes: ["read"] });
    expect(statSync(path(folder)).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(readFileSync(join(folder, ".gitignore"), "utf8")).toBe("*\n");
    await store.touch(record.id, AT);
    expect(statSync(`${path(folder)}.used`).mode & 0o777).toBe(0o600);
    await store.close();
  });

  test.each([0o640, 0o604, 0o660, 0o622])("with mode %o is refused, also while it is in use", async (mode) => {
    const folder = fresh();
    const store = fileTokens(path(folder));
    const { record } = await issueToken(store, { name: "a", scopes: ["read"] });
    chmodSync(path(folder), mode);
    for (const one of [store, fileTokens(path(folder))]) {
      await expect(one.get(record.id)).rejects.toMatchObject({ code: "CONFIG" });
      await expect(one.get(record.id)).rejects.toThrow(`run: chmod 600 ${path(folder)}`);
    }
    chmodSync(path(folder), 0o600);
    expect(await store.get(record.id)).toBeDefined();
    await store.close();
  });

  test("with a line that can't be read lets nobody in until it is repaired", async () => {
    const folder = fresh();
    const store = fileTokens(path(folder));
    const { record } = await issueToken(store, { name: "a", scopes: ["read"] });
    const good = readFileSync(path(folder), "utf8");
    for (const line of [
      '{"revoked":{"id":"x"\n',
      "{}\n",
      "null\n",
      "\u0000\n",
      '{"token":{"id":"x","scopes":"read"}}\n',
    ]) {
      writeFileSync(path(folder), good + line);
      await expect(store.get(record.id), line).rejects.toMatchObject({ code: "CORRUPT" });
      await expect(issueToken(store, { name: "b", scopes: ["read"] }), line).rejects.toMatchObject({ code: "CORRUPT" });
    }
    writeFileSync(path(folder), good);
    expect(await store.get(record.id)).toEqual(record);
    await store.close();
  });

  test("goes on after a line that was cut off", async () => {
    const folder = fresh();
    const store = fileTokens(path(folder));
    const { record } = await issueToken(store, { name: "a", scopes: ["read"] });
    appendFileSync(path(folder), '{"token":{"id":"half');
    expect(await store.get(record.id)).toEqual(record);
    const second = await issueToken(store, { name: "b", scopes: ["read"] });
    const again = fileTokens(path(folder));
    expect((await again.list()).map((one) => one.id)).toEqual([record.id, second.record.id]);
    await store.close();
    await again.close();
  });

  test("keeps the first of what stands there twice", async () => {
    const folder = fresh();
    const store = fileTokens(path(folder));
    const { record } = await issueToken(store, { name: "a", scopes: ["read"] });
    const line = (entry: object) => appendFileSync(path(folder), `${JSON.stringify(entry)}\n`);
    line({ token: { ...record, name: "mallory", scopes: ["admin"] } });
    expect(await store.get(record.id)).toEqual(record);
    for (const at of [AT, LATER]) line({ revoked: { id: record.id, at } });
    line({ token: record });
    expect(await store.get(record.id)).toEqual({ ...record, revokedAt: AT });
    await store.close();
  });

  test("that became shorter is read anew", async () => {
    const folder = fresh();
    const store = fileTokens(path(folder));
    const first = await issueToken(store, { name: "a", scopes: ["read"] });
    const second = await issueToken(store, { name: "b", scopes: ["read"] });
    writeFileSync(path(folder), `${readFileSync(path(folder), "utf8").split("\n")[1]}\n`);
    expect(await store.get(first.record.id)).toBeUndefined();
    expect(await store.get(second.record.id)).toEqual(second.record);
    await store.close();
  });

  test("may be named by a path from here, in folders that are not there yet", async () => {
    const folder = relative(process.cwd(), join(fresh(), "a", "b"));
    const store = fileTokens(path(folder));
    const { record } = await issueToken(store, { name: "a", scopes: ["read"] });
    expect(await store.get(record.id)).toEqual(record);
    await store.close();
  });

  test("that is gone lets nobody in, and denies nobody for good; a new one may be begun", async () => {
    const folder = fresh();
    const store = fileTokens(path(folder));
    const { record } = await issueToken(store, { name: "a", scopes: ["read"] });
    rmSync(path(folder));
    await expect(store.get(record.id)).rejects.toMatchObject({ code: "UNAVAILABLE", outcome: "temporary" });
    await expect(store.list()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(await fileTokens(path(folder)).get(record.id)).toBeUndefined();
    await issueToken(store, { name: "b", scopes: ["read"] });
    expect((await store.list()).length).toBe(1);
    await store.close();
  });

  test.each([
    ["nothing", () => {}],
    ["an empty folder", (folder: string) => mkdirSync(folder)],
  ])("whose folder is gone, with %s in its place, is not begun anew and comes back as it was", async (_, replace) => {
    const folder = join(fresh(), "disk");
    const store = fileTokens(path(folder));
    const { record } = await issueToken(store, { name: "a", scopes: ["read"] });
    renameSync(folder, `${folder}.away`);
    replace(folder);
    await expect(store.get(record.id)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(issueToken(store, { name: "b", scopes: ["read"] })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(existsSync(path(folder))).toBe(false);
    rmSync(folder, { recursive: true, force: true });
    renameSync(`${folder}.away`, folder);
    expect(await store.get(record.id)).toEqual(record);
    await store.close();
  });
});

test("tokens in the registry's database disturb neither a new registry nor an old one", async () => {
  const file = join(fresh(), "registry.db");
  const tokens = await sqlTokens({ backend: "sqlite", path: file });
  const { record } = await issueToken(tokens, { name: "a", scopes: ["read"] });
  const registry = new PromptRegistry(await sqlite({ path: file }));
  await registry.storePrompt({ name: "a", version: "1.0.0", text: "x" });
  const again = await sqlTokens({ backend: "sqlite", path: file });
  expect(await again.get(record.id)).toEqual(record);
  expect((await registry.check()).ok).toBe(true);
  for (const one of [registry, tokens, again]) await one.close();
});

test("tokens lie beside the storage", () => {
  const tokens = "tokens.jsonl";
  expect(placeBeside({ backend: "sqlite", path: "r.db" }, tokens)).toEqual({ backend: "sqlite", path: "r.db" });
  expect(placeBeside({ backend: "postgres", url: "postgres://h/d", notify: false }, tokens)).toEqual({
    backend: "postgres",
    url: "postgres://h/d",
  });
  const file = (path: string) => ({ backend: "file", path });
  expect(placeBeside({ backend: "file", path: "r" }, tokens)).toEqual(file(join("r", ".prompt-registry", tokens)));
  expect(placeBeside({ backend: "memory" }, tokens)).toEqual(file(join(".prompt-registry", tokens)));
  expect(placeBeside({ backend: "sqlite", path: ":memory:" }, tokens)).toEqual(file(join(".prompt-registry", tokens)));
});
