import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, onTestFinished, test } from "vitest";

const root = fileURLToPath(new URL("../../../..", import.meta.url));

test("libsql is found from a program that was bundled into one file of CommonJS", async () => {
  mkdirSync(join(root, ".cache"), { recursive: true });
  // Within the project, so that the packages that are left out of the bundle are found.
  const folder = mkdtempSync(join(root, ".cache", "bundled-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const outfile = join(folder, "program.cjs");
  const contents = `import { openConnection } from "./src/drivers/sql/sqlite/open.ts";
const connection = openConnection({ path: ":memory:", module: "libsql", readOnly: false });
console.log(JSON.stringify(connection.prepare("SELECT 1 AS one").get([]).one));
connection.close();`;
  await build({
    ...{ stdin: { contents, resolveDir: root }, outfile, bundle: true, platform: "node", format: "cjs" },
    ...{ packages: "external", logOverride: { "empty-import-meta": "silent" } },
  });
  const { stdout, stderr } = spawnSync(process.execPath, [outfile], { encoding: "utf8" });
  expect({ stdout, stderr }).toEqual({ stdout: "1\n", stderr: "" });
});
