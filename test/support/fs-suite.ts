import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { type FsOptions, fs } from "../../src/drivers/fs/index.ts";
import { type FsIo, nodeIo } from "../../src/drivers/fs/io.ts";
import { type BudgetOperation, driverSuite } from "../../src/testing/index.ts";

/** A folder of its own for the tests of a file, removed after them. */
export function temporaryFolder(prefix: string): () => string {
  const root = mkdtempSync(join(tmpdir(), `prompt-registry-${prefix}-`));
  afterAll(() => rmSync(root, { recursive: true, force: true }), 60_000);
  return () => join(mkdtempSync(join(root, "r-")), "registry");
}

interface Opened {
  readonly path: string;
  calls: number;
}

function countingIo(opened: Opened): FsIo {
  const counted = <T extends object>(calls: T): T =>
    new Proxy(calls, {
      get(target, key, receiver) {
        opened.calls++;
        return Reflect.get(target, key, receiver);
      },
    });
  return { sync: counted(nodeIo.sync), async: counted(nodeIo.async) };
}

/** The storage contract on a folder, with two handles to it, damage by hand, and budgets of calls of the system. */
export function fsSuite(
  name: string,
  options: Omit<FsOptions, "path" | "io">,
  budgets: Readonly<Partial<Record<BudgetOperation, number>>>,
): void {
  const folder = temporaryFolder("fs");
  const all = new Map<StorageDriver, Opened>();
  const of = (driver: StorageDriver) => all.get(driver) as Opened;
  function open(path: string): StorageDriver {
    const opened = { path, calls: 0 };
    const driver = fs({ path, ...options, io: countingIo(opened) });
    all.set(driver, opened);
    return driver;
  }
  driverSuite({
    name,
    runner: { describe, it },
    open: async () => open(folder()),
    another: async (driver) => open(of(driver).path),
    async reopen(driver) {
      await driver.close();
      return open(of(driver).path);
    },
    damage(driver, prompt, version, edit) {
      const file = join(of(driver).path, "prompts", prompt, `v${version}.md`);
      writeFileSync(file, edit(readFileSync(file)));
    },
    async dispose(driver) {
      rmSync(of(driver).path, { recursive: true, force: true });
    },
    budgets: { calls: (driver) => of(driver).calls, max: budgets },
  });
}
