// `npm test`: every stage in order, then one line with the real counts. `--quick [FILTER…]`: vitest's unit and conformance
// only, of the files whose paths hold one of the filters.
// A stage other than vitest counts as one test.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const quick = process.argv.includes("--quick");
const filters = process.argv.slice(2).filter((word) => word !== "--quick");
const temp = mkdtempSync(join(tmpdir(), "prompt-registry-test-"));
const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const skips = [];

// Logs stay readable: no escape codes where nobody sees colours.
const env = process.stdout.isTTY ? process.env : { ...process.env, FORCE_COLOR: "0", NO_COLOR: "1" };
const colors = process.stdout.isTTY ? [] : ["--colors=off"];
const node = (...args) => spawnSync(process.execPath, args, { cwd: root, env, stdio: "inherit" }).status === 0;
const tool = (path) => join(root, "node_modules", path);

function stage(name, run) {
  console.log(`\n== ${name}`);
  if (run()) total.passed++;
  else fail(name);
}

function fail(what) {
  total.failed++;
  failures.push(what);
}

function vitest(projects) {
  console.log(`\n== vitest (Node ${process.versions.node})`);
  const report = join(temp, "vitest.json");
  const args = ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const ok = node(tool("vitest/vitest.mjs"), ...args, ...projects.map((name) => `--project=${name}`), ...filters);
  const failedBefore = total.failed;
  if (existsSync(report)) for (const file of JSON.parse(readFileSync(report, "utf8")).testResults) count(file);
  // An unhandled error or a crash fails the run without failing a test.
  if (!ok && total.failed === failedBefore) fail("vitest: the run failed (see above)");
}

function count(file) {
  const path = relative(root, file.name);
  let failed = false;
  for (const { status, title, fullName } of file.assertionResults) {
    if (status === "passed") total.passed++;
    else if (status === "failed") {
      failed = true;
      fail(`${path}: ${fullName}`);
    } else {
      const reason = /^(.*) \[skipped: (.*)\]$/s.exec(title);
      if (reason) {
        total.skipped++;
        skips.push(`${reason[1]}: ${reason[2]}`);
      } else {
        // Also what became of a test whose beforeAll failed, or that a forgotten `.only` left out.
        failed = true;
        fail(`${path}: ${fullName}: did not run, and no reason given (see test/support/skip.ts)`);
      }
    }
  }
  // A file that can't be loaded, or whose hooks fail, has no failed test of its own.
  if (file.status === "failed" && !failed) {
    fail(`${path}: ${file.message?.split("\n")[0] || "a hook or the file itself failed (see above)"}`);
  }
}

try {
  if (quick) vitest(["unit", "conformance"]);
  else {
    stage("lint", () => node(tool("@biomejs/biome/bin/biome"), "ci", ...colors, "."));
    stage("types", () => node(tool("typescript/bin/tsc"), "--noEmit"));
    // What runs in a browser knows other things than Node does.
    for (const project of ["web", "web/tsconfig.tests.json", "test/web"])
      stage(`types of ${project}`, () => node(tool("typescript/bin/tsc"), "--noEmit", "-p", project));
    stage("build", () => node("scripts/build.mjs"));
    stage("publint", () => node(tool("publint/src/cli.js"), "--strict"));
    vitest(["unit", "conformance", "faults", "process", "web"]);
    stage("packed install", () => node("scripts/smoke.mjs"));
  }
} finally {
  rmSync(temp, { recursive: true, force: true });
}

console.log("");
for (const what of failures) console.log(`failed: ${what}`);
for (const what of skips) console.log(`skipped: ${what}`);
const { passed, failed, skipped } = total;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
if (failed > 0 || passed === 0) process.exitCode = 1;
