// `npm start`: builds when needed, then runs the demo. Like bin/prompt-registry.cjs it must parse on old Node.
const version = process.versions.node;
const [major, minor] = version.split(".").map(Number);

if (major > 20 || (major === 20 && minor >= 19)) {
  start().then(
    (code) => {
      if (typeof code === "number") process.exitCode = code;
    },
    (error) => {
      process.stderr.write(`npm start: ${error instanceof Error ? error.stack : error}\n`);
      process.exitCode = 1;
    },
  );
} else {
  process.stderr.write(`prompt-registry: needs Node.js 20.19 or newer, but this is Node.js ${version}\n`);
  process.exitCode = 1;
}

async function start() {
  const { build, isFresh } = await import("./build.mjs");
  if (!isFresh()) {
    console.log("building…");
    await build();
  }
  const demo = await import("../dist/cli/demo.cjs");
  return demo.main();
}
