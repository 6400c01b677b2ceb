#!/usr/bin/env node
// Old Node must be able to parse this file and run it up to the check. CommonJS, since that is what starts fastest.
const version = process.versions.node;
const [major, minor] = version.split(".").map(Number);

if (major > 20 || (major === 20 && minor >= 19)) {
  // Node 22.8 and newer keep the compiled code of the bundle between runs.
  const { enableCompileCache } = require("node:module");
  if (enableCompileCache) enableCompileCache();
  require("../dist/cli/main.cjs")
    .main(process.argv.slice(2))
    .then(
      (code) => {
        if (typeof code === "number") process.exitCode = code;
      },
      (error) => {
        process.stderr.write(`prompt-registry: ${error instanceof Error ? error.stack : error}\n`);
        process.exitCode = 70;
      },
    );
} else {
  process.stderr.write(`prompt-registry: needs Node.js 20.19 or newer, but this is Node.js ${version}\n`);
  process.exitCode = 1;
}
