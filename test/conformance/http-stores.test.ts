import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { fs } from "../../src/drivers/fs/index.ts";
import { sqlite } from "../../src/drivers/sql/index.ts";
import { httpSuite } from "../support/http-suite.ts";

const root = mkdtempSync(join(tmpdir(), "http-suite-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const paths = new Map<StorageDriver, string>();
const at = (path: string, driver: StorageDriver) => {
  paths.set(driver, path);
  return driver;
};
const pathOf = (driver: StorageDriver) => paths.get(driver) as string;
const place = (name: string) => join(mkdtempSync(join(root, "x-")), name);

// Damage is tried over memory: what carries damaged bytes is the same here.
const openSqlite = async (path: string) => at(path, await sqlite({ path }));
httpSuite({
  name: "http to sqlite, two servers",
  open: () => openSqlite(place("registry.db")),
  again: (storage) => openSqlite(pathOf(storage)),
});

const openFolder = async (path: string) => at(path, fs({ path, mode: "server" }));
httpSuite({
  name: "http to a folder, two servers",
  open: () => openFolder(place("registry")),
  again: (storage) => openFolder(pathOf(storage)),
});
