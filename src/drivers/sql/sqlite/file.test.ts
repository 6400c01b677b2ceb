import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { PromptRegistry } from "../../../registry.ts";
import { sqlite } from "./index.ts";

/** Folders that this process may not write to: root may, whatever their mode is. */
const locked = new Set<string>();
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  return {
    ...fs,
    accessSync(path: string, mode?: number) {
      if (locked.has(path)) throw Object.assign(new Error("no"), { code: "EACCES" });
      fs.accessSync(path, mode);
    },
  };
});

let folder: string;
beforeEach(() => {
  // A name that must be escaped in a URL.
  folder = mkdtempSync(join(tmpdir(), "a folder%41 ?#-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
});

async function open(name = "registry.db"): Promise<PromptRegistry> {
  const registry = new PromptRegistry(await sqlite({ path: join(folder, name) }));
  onTestFinished(() => registry.close());
  return registry;
}

async function make(name: string, text: string): Promise<void> {
  const registry = await open(name);
  await registry.storePrompt({ name: "a", version: "1.0.0", text });
  await registry.close();
  // libsql leaves them behind, empty.
  for (const end of ["-wal", "-shm"]) rmSync(join(folder, `${name}${end}`), { force: true });
}

test("nothing is acknowledged in a file that another one was put in the place of, and the check says so", async () => {
  const registry = await open();
  await registry.storePrompt({ name: "a", version: "1.0.0", text: "one" });
  expect((await registry.check()).ok).toBe(true);
  await make("restored.db", "last night's");
  renameSync(join(folder, "restored.db"), join(folder, "registry.db"));
  const store = () => registry.storePrompt({ name: "a", version: "1.1.0", text: "two" });
  await expect(store()).rejects.toMatchObject({
    code: "UNAVAILABLE",
    outcome: "final",
    message: expect.stringContaining("was replaced by another file; open the registry again"),
  });
  expect((await registry.check()).checks).toContainEqual(expect.objectContaining({ name: "file", ok: false }));
  // Nor is what the file that was opened holds already.
  await expect(store()).rejects.toThrow("was replaced");
  rmSync(join(folder, "registry.db"));
  await expect(store()).rejects.toThrow("is not there any more");
});

test("a closed file in a folder that can't be written to is read, and nothing is made beside it", async () => {
  await make("registry.db", "shipped");
  locked.add(folder);
  onTestFinished(() => locked.clear());
  const reader = await open();
  expect((await reader.getPrompt("a")).text).toBe("shipped");
  expect((await reader.listPrompts({ text: "SHIP" })).items).toHaveLength(1);
  expect((await reader.check()).checks.filter((one) => !one.ok)).toEqual([]);
  expect(existsSync(join(folder, "registry.db-wal"))).toBe(false);
  await expect(reader.storePrompt({ name: "b", version: "1.0.0", text: "" })).rejects.toMatchObject({
    code: "READ_ONLY",
  });
});

test("read as one that never changes, a file that somebody writes to all the same is not answered from", async () => {
  await make("registry.db", "shipped");
  locked.add(folder);
  onTestFinished(() => locked.clear());
  const reader = await open();
  expect((await reader.getPrompt("a")).text).toBe("shipped");
  locked.clear();
  const writer = await open();
  await writer.storePrompt({ name: "a", version: "2.0.0", text: "new" });
  const refusal = { code: "UNAVAILABLE", outcome: "final" };
  await expect(reader.getPrompt("a")).rejects.toMatchObject(refusal);
  await writer.close();
  for (const ref of ["a", "a@1.0.0", "a@^1"]) await expect(reader.getPrompt(ref)).rejects.toMatchObject(refusal);
  await expect(reader.listPrompts().all()).rejects.toMatchObject(refusal);
  locked.add(folder);
  expect((await (await open()).getPrompt("a")).text).toBe("new");
});
