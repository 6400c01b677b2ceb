// Packs the package, installs the tarball into an empty project, and uses it there as a stranger would.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const temp = mkdtempSync(join(emptyPlace(), "prompt-registry-smoke-"));
const project = join(temp, "project");
// The settings npm hands to `npm test` describe this project and would follow us into the empty one.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("npm_config_local_")));

/** Where no package is found in a folder above: a stranger's project has what it has installed, and nothing of ours. */
function emptyPlace() {
  const places = [tmpdir(), "/tmp", "/var/tmp"].filter((place) => existsSync(place));
  const isEmpty = (place) =>
    !existsSync(join(place, "node_modules")) && (dirname(place) === place || isEmpty(dirname(place)));
  const found = places.find((place) => isEmpty(resolve(place)));
  if (found === undefined) console.log(`note: packages in a folder above ${places[0]} are found from there, too`);
  return found ?? places[0];
}

function run(what, command, args, cwd = project) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: "utf8", timeout: 180_000 });
  if (status !== 0) throw new Error(`${what}: ${error?.message ?? `exit ${status}`}\n${stdout}${stderr}`);
  return stdout;
}

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

try {
  mkdirSync(project);
  run("npm pack", "npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", temp], root);
  const tarball = readdirSync(temp).find((name) => name.endsWith(".tgz"));
  expect(tarball, "npm pack made no tarball");
  writeFileSync(join(project, "package.json"), '{ "name": "consumer", "private": true, "type": "module" }\n');
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
  run("npm install", "npm", ["install", ...flags, join(temp, tarball)]);

  const names = Object.keys(manifest.exports).filter((path) => path !== "./package.json");
  const specifiers = names.map((path) => manifest.name + path.slice(1));
  for (const specifier of specifiers) importsSomething(specifier);
  const json = `import m from "${manifest.name}/package.json" with { type: "json" }; console.log(m.version);`;
  const packed = run("package.json", process.execPath, ["--no-warnings", "--input-type=module", "-e", json]).trim();
  expect(packed === manifest.version, `package.json: version ${packed}, not ${manifest.version}`);

  const cli = join(project, "node_modules", ".bin", Object.keys(manifest.bin)[0]);
  const version = run("--version", cli, ["--version"]);
  expect(version.includes(manifest.version), `--version printed ${JSON.stringify(version)}`);
  expect(run("--help", cli, ["--help"]).trim() !== "", "--help printed nothing");

  servesThePage(cli);
  compiles(specifiers);
  console.log(`${specifiers.join(", ")}: import and compile; --version: ${version.trim()}`);
} catch (error) {
  console.error(`smoke: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(temp, { recursive: true, force: true });
}

function importsSomething(specifier) {
  const code = `console.log(Object.keys(await import("${specifier}")).length);`;
  const found = Number(run(`import ${specifier}`, process.execPath, ["--input-type=module", "-e", code]));
  expect(found > 0, `${specifier} exports nothing`);
}

/** Both from the bundle of the command line and through the library, which find its files from different places. */
function servesThePage(cli) {
  writeFileSync(
    join(project, "page.mjs"),
    `import { spawn } from "node:child_process";
import { once } from "node:events";
import { loadWebPage } from "${manifest.name}/web";
const { files } = await loadWebPage();
const args = ["serve", "--open", "--storage", "memory:", "--port", "0", "--log", "off", "--json"];
const child = spawn(process.argv[2], args, { stdio: ["ignore", "pipe", "inherit"] });
const { url } = JSON.parse(String((await once(child.stdout, "data"))[0]));
try {
  for (const [path, { type, bytes }] of Object.entries(files)) {
    const reply = await fetch(url + path);
    const isSame = Buffer.from(bytes).equals(Buffer.from(await reply.arrayBuffer()));
    if (reply.headers.get("content-type") !== type || !isSame) throw new Error(path + " is not served as it is");
  }
} finally {
  child.kill();
}
const [code] = await once(child, "exit");
if (code !== 0) throw new Error("serve ended with " + code);
console.log(Object.keys(files).length);
`,
  );
  const served = Number(run("the web page", process.execPath, ["page.mjs", cli]));
  expect(served >= 4, `the web page has ${served} files`);
}

/** A strict consumer that also checks our declarations (skipLibCheck off) and has only @types/node. */
function compiles(specifiers) {
  const modules = join(project, "node_modules");
  mkdirSync(join(modules, "@types"), { recursive: true });
  symlinkSync(join(root, "node_modules", "@types", "node"), join(modules, "@types", "node"), "junction");
  const imports = specifiers.map((specifier, index) => `import * as m${index} from "${specifier}";`);
  const uses = specifiers.map((_, index) => `m${index}`).join(", ");
  writeFileSync(join(project, "consumer.ts"), `${imports.join("\n")}\nexport const all: object[] = [${uses}];\n`);
  const compilerOptions = {
    target: "ES2022",
    module: "NodeNext",
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    types: ["node"],
    noEmit: true,
  };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
  run("consumer types", process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", project]);
}
