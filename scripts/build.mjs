// Builds dist/: tsc for the library and its types, esbuild for the command line and the web page. `npm run build` always
// builds; scripts/start.mjs calls build() only when isFresh() says no.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { buildWeb, webSources } from "./build-web.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");

// Small enough to load faster from the bundle than from node_modules. Everything else stays an import.
const bundled = ["js-yaml", "semver", "zod"];

const filesUnder = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

/** A digest of everything the build reads. */
function fingerprint() {
  const inputs = filesUnder(join(root, "src")).filter((path) => !path.endsWith(".test.ts"));
  const others = [
    "package-lock.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "scripts/build.mjs",
    "scripts/build-web.mjs",
  ];
  const hash = createHash("sha256");
  for (const path of [...inputs, ...webSources(), ...others.map((name) => join(root, name))]) {
    const content = readFileSync(path);
    hash.update(`${relative(root, path).split(sep).join("/")}\n${content.length}\n`).update(content);
  }
  return hash.digest("hex");
}

export function isFresh() {
  const stamp = join(dist, ".build");
  return existsSync(stamp) && readFileSync(stamp, "utf8") === fingerprint();
}

/** Builds beside dist/ and swaps at the end, so that a failed build leaves the last good one in place. */
export async function build() {
  // Taken first: a source edited during the build makes the result stale.
  const stamp = fingerprint();
  const out = join(root, ".cache", `build-${process.pid}`);
  mkdirSync(out, { recursive: true });
  try {
    compile(out);
    await bundleCli(out);
    await buildWeb(join(out, "web", "page"));
    writeFileSync(join(out, ".build"), stamp);
    rmSync(dist, { recursive: true, force: true });
    renameSync(out, dist);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function compile(out) {
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const args = [tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", out];
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status !== 0) throw new Error("tsc failed");
  const peers = Object.keys(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).peerDependencies);
  const peer = new RegExp(`^import .*from "(?:${peers.join("|")})(?:/[^"]*)?";$`, "gm");
  for (const path of filesUnder(out).filter((path) => path.endsWith(".d.ts"))) {
    const text = readFileSync(path, "utf8");
    // tsc rewrites "./x.ts" to "./x.js" in JavaScript but not in declarations, where not every tool understands it.
    const renamed = text.replace(/(\b(?:from|import)[\s(]*["']\.{1,2}\/[^"']+)\.ts(["'])/g, "$1.js$2");
    // Who has not installed an optional peer has no types of it, and whose compiler looks into declarations would be stopped.
    writeFileSync(path, renamed.replace(peer, "// @ts-ignore: an optional peer\n$&"));
  }
}

// What `get` on a folder comes to beyond what every command does. All of it goes into one file.
const hot = ["src/cli/commands/get.ts", "src/config.ts", "src/drivers/fs/index.ts"];

/**
 * Replaces cli/ by CommonJS bundles: a command then starts in two thirds of the time it takes as modules, since Node needs
 * not start its module loader. esbuild splits only ES modules, so each of their files is turned into CommonJS afterwards;
 * what few commands need stays in chunks of its own and is loaded then. What the most frequent one needs is put together
 * again, as each file costs a look-up, a read and a compilation.
 */
export async function bundleCli(out) {
  const source = join(root, "src", "cli");
  const cli = join(out, "cli");
  rmSync(cli, { recursive: true, force: true });
  const esbuild = await import("esbuild");
  const common = { platform: "node", target: "node20.19", legalComments: "eof", logLevel: "warning" };
  const { outputFiles, metafile } = await esbuild.build({
    ...common,
    absWorkingDir: root,
    entryPoints: [...["main.ts", "demo.ts"].map((name) => join(source, name)), ...lazy],
    entryNames: "[name]",
    outdir: cli,
    outExtension: { ".js": ".cjs" },
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    format: "esm",
    chunkNames: "[name]-[hash]",
    mainFields: ["module", "main"],
    plugins: [{ name: "externals", setup: externals }],
  });
  mkdirSync(cli, { recursive: true });
  const together = loadedWith(metafile, ["src/cli/main.ts", ...hot]);
  const parts = [];
  for (const { path, text } of outputFiles) {
    const { code } = await esbuild.transform(text, {
      ...common,
      format: "cjs",
      minify: true,
      // `import()` of our own files would start the module loader after all.
      supported: { "dynamic-import": false },
      // The files are as deep as their sources, so `new URL("../../package.json", import.meta.url)` is right in both.
      define: { "import.meta.url": "__url" },
      banner: text.includes("import.meta.url")
        ? 'const __url = require("node:url").pathToFileURL(__filename).href;'
        : "",
    });
    const name = basename(path);
    if (!together.has(name)) writeFileSync(path, code);
    else {
      parts.push(`${JSON.stringify(`./${name}`)}:(function(module,exports,require){${code}})`);
      // Who else needs it must get the same one.
      writeFileSync(path, `module.exports=require("./main.cjs").part("./${name}");\n`);
    }
  }
  writeFileSync(join(cli, "main.cjs"), merged(parts));
}

/** The files that hold these sources, and all they import at once. */
function loadedWith({ outputs }, sources) {
  const queue = Object.keys(outputs).filter((path) => sources.includes(outputs[path].entryPoint));
  if (queue.length !== sources.length) throw new Error("a source of the command line was not found");
  const found = new Set(queue);
  for (const path of found) {
    for (const { path: imported, kind, external } of outputs[path].imports) {
      if (kind === "import-statement" && external !== true) found.add(imported);
    }
  }
  return new Set([...found].map((path) => basename(path)));
}

/** One file of many CommonJS modules; brackets around a function tell V8 to compile it at once. */
function merged(parts) {
  return `const parts={
${parts.join(",\n")}
};
const loaded={};
exports.part=(id)=>{
const part=parts[id];
if(part===undefined)return require(id);
if(loaded[id]===undefined)part(loaded[id]={exports:{}},loaded[id].exports,exports.part);
return loaded[id].exports;
};
exports.main=exports.part("./main.cjs").main;
`;
}

// Needed for ranges and for rare front matter only, but imported at the top of modules that every command loads.
const lazy = ["js-yaml", "semver"];

function externals({ onResolve, onLoad }) {
  onResolve({ filter: /^[^./]/ }, ({ path, kind, resolveDir }) => {
    if (kind !== "entry-point" && lazy.includes(path)) return { path, namespace: "lazy", pluginData: { resolveDir } };
    if (kind === "entry-point" || bundled.some((name) => path === name || path.startsWith(`${name}/`)))
      return undefined;
    return { path, external: true };
  });
  onResolve({ filter: /^\.\//, namespace: "lazy" }, ({ path }) => ({ path, external: true }));
  onLoad({ filter: /.*/, namespace: "lazy" }, ({ path, pluginData: { resolveDir } }) => {
    // By name: what imports names from a CommonJS module copies the properties that are there when it is loaded.
    const names = JSON.stringify(Object.keys(createRequire(import.meta.url)(path)));
    const getters = `${names}.map((name) => [name, { enumerable: true, get: () => require("./${path}.cjs").default[name] }])`;
    return { contents: `module.exports = Object.defineProperties({}, Object.fromEntries(${getters}));`, resolveDir };
  });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  build().catch((error) => {
    console.error(`build: ${error.message}`);
    process.exitCode = 1;
  });
}
