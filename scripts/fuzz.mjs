// Lets schemathesis, a public fuzzer that is driven by OpenAPI documents, loose on `prompt-registry serve`: no 5xx, and no
// reply that /openapi.json does not declare. Needs `npm run build`, and schemathesis 3.x in PATH; without it, it says so and ends.
//
//   node scripts/fuzz.mjs [EXAMPLES] [more arguments for schemathesis]
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const EXAMPLES = /^\d+$/.test(process.argv[2] ?? "") ? process.argv[2] : "100";
const MORE = process.argv.slice(EXAMPLES === process.argv[2] ? 3 : 2);
const CHECKS =
  "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";
// What is generated goes no further than this machine and nothing of it is kept; all of a run is shown, not its first failure.
const FLAGS = [
  ...["--experimental", "openapi-3.1", "--experimental-no-failfast", "--data-generation-method", "all"],
  ...["--stateful", "none", "--no-color", "--hypothesis-database", "none", "--hypothesis-phases", "explicit,generate"],
  ...["--hypothesis-deadline", "None", "--hypothesis-suppress-health-check", "all"],
];
// Names made up at random are rarely there, so what has a name in its path is asked for one that is, too.
const THERE = [
  ...["--set-path", "name=triage", "--set-path", "version=1.0.0", "--set-path", "label=production"],
  ...["--include-path-regex", "/v1/prompts/.*name"],
];
const here = fileURLToPath(new URL(".", import.meta.url));
const bin = join(here, "..", "bin", "prompt-registry.cjs");

/** Runs it against a server of its own. @returns whether nothing was found */
async function fuzz({ storage, token: isAsked }) {
  const cwd = mkdtempSync(join(tmpdir(), "prompt-registry-fuzz-"));
  const { PROMPT_REGISTRY_STORAGE: _, PROMPT_REGISTRY_TOKEN: __, ...env } = process.env;
  const token = isAsked ? create(storage, cwd, env) : undefined;
  const args = ["serve", "--json", "--port", "0", "--log", "off", "--storage", storage, ...(isAsked ? [] : ["--open"])];
  const server = spawn(process.execPath, [bin, ...args], { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(server, "exit");
  try {
    const url = await urlOf(server);
    console.log(`\n${storage}, ${isAsked ? "with a token" : "open"}: ${url}`);
    const who = isAsked ? { Authorization: `Bearer ${token}` } : {};
    for (const version of ["1.0.0", "1.1.0"]) await publish(`${url}/v1/prompts/triage/-/versions/${version}`, who);
    const flags = [...FLAGS, "--hypothesis-max-examples", EXAMPLES, "--checks", CHECKS];
    if (isAsked) flags.push("--generation-with-security-parameters", "false", "-H", `Authorization: Bearer ${token}`);
    let isClean = true;
    for (const paths of [[], THERE]) {
      const all = ["run", `${url}/openapi.json`, "--base-url", url, ...flags, ...paths, ...MORE];
      const child = spawn("schemathesis", all, {
        env: { ...env, LC_ALL: "C.UTF-8", SCHEMATHESIS_HOOKS: "fuzz_hooks", PYTHONPATH: pathOf(env.PYTHONPATH) },
        stdio: "inherit",
      });
      const [code] = await once(child, "exit");
      isClean &&= code === 0;
    }
    return isClean;
  } finally {
    server.kill("SIGTERM");
    await ended;
    rmSync(cwd, { recursive: true, force: true });
  }
}

async function publish(url, who) {
  const headers = { ...who, "Content-Type": "text/markdown", "If-None-Match": "*" };
  const reply = await fetch(url, { method: "PUT", headers, body: `A text of ${url.slice(-5)}` });
  if (!reply.ok) throw new Error(`PUT ${url}: ${reply.status} ${await reply.text()}`);
}

function create(storage, cwd, env) {
  const scopes = ["admin", "read", "write", "promote", "import"].flatMap((scope) => ["--scope", scope]);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [bin, "token", "create", "fuzz", ...scopes, "--expires", "1d", "--storage", storage],
    { cwd, env, encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`no token: ${stderr}`);
  return stdout.trim();
}

async function urlOf(server) {
  let text = "";
  for await (const chunk of server.stdout) {
    text += chunk;
    const url = /"url": "([^"]+)"/.exec(text)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error("the server did not start");
}

const pathOf = (path) => (path ? `${here}:${path}` : here);

const found = spawnSync("schemathesis", ["--version"], { encoding: "utf8" });
const version = /\d+(?:\.\d+)+/.exec(found.stdout ?? "")?.[0];
if (version === undefined) console.log("skipped: schemathesis is not in PATH; pip install 'schemathesis<4'");
else if (!version.startsWith("3.")) console.log(`skipped: schemathesis ${version} takes other options; 3.x is needed`);
else {
  let isClean = true;
  for (const one of [
    { storage: "memory:", token: false },
    { storage: "sqlite:./registry.db", token: false },
    { storage: "sqlite:./registry.db", token: true },
  ])
    isClean = (await fuzz(one)) && isClean;
  if (!isClean) process.exitCode = 1;
}
