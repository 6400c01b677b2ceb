import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { isRegistryError } from "../../../errors.ts";
import { PromptRegistry } from "../../../registry.ts";
import { sqlite } from "./index.ts";
import { openConnection } from "./open.ts";

const modules = [
  "libsql",
  ...(process.getBuiltinModule?.("node:sqlite") === undefined ? [] : ["node:sqlite" as const]),
];

function newPath(): string {
  const folder = mkdtempSync(join(tmpdir(), "sqlite-engine-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "registry.db");
}

test.each(modules)(
  "%s: while a store waits for another writer, all reads are answered, and then everybody can write",
  async (module) => {
    const path = newPath();
    const driver = await sqlite({ path, module: module as "libsql" });
    onTestFinished(() => driver.close());
    const registry = new PromptRegistry(driver);
    for (const name of ["p", "q"]) await registry.storePrompt({ name, version: "1.0.0", text: "one" });
    const other = openConnection({ path, module: module as "libsql", readOnly: false });
    onTestFinished(() => other.close());
    other.exec("PRAGMA busy_timeout = 0");
    other.exec("BEGIN IMMEDIATE");
    const store = registry.storePrompt({ name: "p", version: "1.1.0", text: "two" });
    for (let i = 0; i < 5; i++) {
      expect((await registry.getPrompts(["p", "q"])).map(({ version }) => version)).toEqual(["1.0.0", "1.0.0"]);
      await driver.changes({ limit: 10 });
      await registry.history("p").all();
      await sleep(5);
    }
    other.exec("COMMIT");
    expect((await store).status).toBe("created");
    other.exec("BEGIN IMMEDIATE");
    other.exec("ROLLBACK");
    expect((await registry.storePrompt({ name: "q", version: "1.1.0", text: "two" })).status).toBe("created");
  },
);

test.each(modules)("%s: a store that gave up waiting leaves nothing behind that holds anybody up", async (module) => {
  const path = newPath();
  const driver = await sqlite({ path, module: module as "libsql", busyTimeout: 20 });
  onTestFinished(() => driver.close());
  const registry = new PromptRegistry(driver);
  await registry.storePrompt({ name: "p", version: "1.0.0", text: "one" });
  const other = openConnection({ path, module: module as "libsql", readOnly: false });
  onTestFinished(() => other.close());
  other.exec("BEGIN IMMEDIATE");
  const error = await registry.storePrompt({ name: "p", version: "1.1.0", text: "two" }).catch((e: unknown) => e);
  expect(isRegistryError(error, "UNAVAILABLE")).toBe(true);
  other.exec("ROLLBACK");
  expect((await registry.getPrompts(["p", "p@1.0.0"])).length).toBe(2);
  expect((await registry.storePrompt({ name: "p", version: "1.1.0", text: "two" })).status).toBe("created");
  expect((await registry.check()).ok).toBe(true);
});
