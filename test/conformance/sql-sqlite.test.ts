import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { type SqliteOptions, sqlite } from "../../src/drivers/sql/index.ts";
import { openConnection } from "../../src/drivers/sql/sqlite/open.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { driverSuite } from "../../src/testing/index.ts";
import { skipSuite } from "../support/skip.ts";

const root = mkdtempSync(join(tmpdir(), "sqlite-suite-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

for (const module of ["node:sqlite", "libsql"] as const) {
  if (module === "node:sqlite" && process.getBuiltinModule?.("node:sqlite") === undefined) {
    skipSuite("sqlite by node:sqlite", `Node ${process.version} has no node:sqlite`);
    continue;
  }
  const options = { module } satisfies Partial<SqliteOptions>;
  const paths = new Map<StorageDriver, string>();
  const open = async (path: string) => {
    const driver = await sqlite({ path, ...options });
    paths.set(driver, path);
    return driver;
  };
  const pathOf = (driver: StorageDriver) => paths.get(driver) as string;
  driverSuite({
    name: `sqlite by ${module}`,
    runner: { describe, it },
    open: () => open(join(mkdtempSync(join(root, "x-")), "registry.db")),
    another: (driver) => open(pathOf(driver)),
    reopen: async (driver) => {
      await driver.close();
      return open(pathOf(driver));
    },
    damage(driver, name, version, edit) {
      const connection = openConnection({ path: pathOf(driver), module, readOnly: false });
      try {
        // The database itself refuses to change a stored version.
        connection.exec("DROP TRIGGER IF EXISTS versions_write_once");
        const where = "version = ? AND prompt_id = (SELECT id FROM prompts WHERE name = ?)";
        const get = connection.prepare(`SELECT CAST(content AS BLOB) AS content FROM versions WHERE ${where}`);
        const { content } = get.get([version, name]) as { content: Uint8Array };
        // An empty list of bytes is NULL to one module.
        const set = connection.prepare(`UPDATE versions SET content = CAST(coalesce(?, '') AS TEXT) WHERE ${where}`);
        set.run([Buffer.from(edit(Uint8Array.from(content))), version, name]);
      } finally {
        connection.close();
      }
    },
  });
  it(`once closed, the file alone holds everything (${module})`, async () => {
    const folder = mkdtempSync(join(root, "x-"));
    const registry = new PromptRegistry(await open(join(folder, "registry.db")));
    await registry.storePrompt({ name: "support/triage", version: "1.0.0", text: "Sort this.\n" });
    await registry.close();
    copyFileSync(join(folder, "registry.db"), join(folder, "copy.db"));
    const copy = new PromptRegistry(await open(join(folder, "copy.db")));
    expect((await copy.getPrompt("support/triage")).text).toBe("Sort this.\n");
    await copy.close();
  });
  it(`check tells the space that is left where a file may grow (${module})`, async () => {
    const space = async (path: string, readOnly = false) => {
      const driver = await sqlite({ path, readOnly, ...options });
      const { checks } = await driver.check();
      await driver.close();
      return checks.find(({ name }) => name === "space")?.detail;
    };
    const path = join(mkdtempSync(join(root, "x-")), "registry.db");
    expect(await space(path)).toMatch(/^\d+ MiB are free$/);
    expect(await space(path, true)).toBeUndefined();
    expect(await space(":memory:")).toBeUndefined();
  });
}
