import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, it } from "vitest";
import type { StorageDriver } from "../../driver.ts";
import { driverSuite } from "../../testing/index.ts";
import { type FsOptions, fs } from "./index.ts";

const root = mkdtempSync(join(tmpdir(), "fs-suite-"));
afterAll(() => rmSync(root, { recursive: true, force: true }), 60_000);

const layouts: readonly { readonly title: string; readonly options: Omit<FsOptions, "path"> }[] = [
  { title: "fs embedded", options: {} },
  { title: "fs server", options: { mode: "server" } },
  { title: "fs without links of any kind", options: { hardLinks: "never", links: "text" } },
];

for (const { title, options } of layouts) {
  const paths = new Map<StorageDriver, string>();
  const open = (path: string) => {
    const driver = fs({ path, ...options });
    paths.set(driver, path);
    return driver;
  };
  const pathOf = (driver: StorageDriver) => paths.get(driver) as string;
  driverSuite({
    name: title,
    runner: { describe, it },
    open: async () => open(join(mkdtempSync(join(root, "x-")), "registry")),
    another: async (driver) => open(pathOf(driver)),
    reopen: async (driver) => {
      await driver.close();
      return open(pathOf(driver));
    },
    damage: (driver, name, version, edit) => {
      const file = join(pathOf(driver), "prompts", name, `v${version}.md`);
      writeFileSync(file, edit(readFileSync(file)));
    },
  });
}
