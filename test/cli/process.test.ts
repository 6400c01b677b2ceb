import { spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";

// Each test starts a dozen processes, perhaps on a machine that is busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

// A clone in small, bundled by scripts/build.mjs; node_modules is found above it.
const root = fileURLToPath(new URL("../..", import.meta.url));
mkdirSync(join(root, ".cache"), { recursive: true });
const clone = mkdtempSync(join(root, ".cache", "cli-test-"));
const bin = join(clone, "bin", "prompt-registry.cjs");
let folder: string;
let runs = 0;

beforeAll(async () => {
  for (const path of ["package.json", "bin", "examples"])
    cpSync(join(root, path), join(clone, path), { recursive: true });
  const script: { bundleCli(dist: string): Promise<void> } = await import(join(root, "scripts", "build.mjs"));
  await script.bundleCli(join(clone, "dist"));
});

afterAll(() => rmSync(clone, { recursive: true, force: true }));

beforeEach(() => {
  folder = join(clone, `run-${runs++}`);
  mkdirSync(folder);
});

const env = { PATH: process.env.PATH, NO_COLOR: "1" };

function run(args: readonly string[], options: { readonly input?: string | Buffer; readonly env?: object } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
    cwd: folder,
    encoding: "utf8",
    input: options.input ?? "",
    timeout: 30_000,
    env: { ...env, ...options.env },
  });
  return { code: status, out: stdout, err: stderr };
}

/** Runs a line of a shell with the command as `$P`. */
function shell(line: string) {
  const { status, stdout, stderr } = spawnSync("bash", ["--norc", "-c", line], {
    cwd: folder,
    encoding: "utf8",
    timeout: 30_000,
    env: { ...env, P: `${process.execPath} ${bin}` },
  });
  return { code: status, out: stdout, err: stderr };
}

test("push and get, from one process to the next", () => {
  const text = "caf\u00e9 {{x}}\r\nno end";
  expect(run(["push", "my/prompt", "-", "--label", "production"], { input: text })).toEqual({
    code: 0,
    out: "my/prompt@1.0.0 created\n",
    err: "",
  });
  expect(run(["get", "my/prompt@production"])).toEqual({ code: 0, out: text, err: "" });
  expect(run(["list"]).out).toBe("my/prompt\t1.0.0\tproduction=1.0.0\t\n");
  expect(run(["get", "my/promt"])).toMatchObject({ code: 3, out: "" });
  expect(run(["verify"])).toMatchObject({ code: 0 });
  expect(run(["check"])).toMatchObject({ code: 0 });
  expect(run(["doctor"])).toMatchObject({ code: 0 });
  expect(run(["list", "--storage", "file:./elsewhere"])).toMatchObject({ code: 0, out: "" });
  expect(run(["list"], { env: { PROMPT_REGISTRY_STORAGE: "file:./elsewhere" } })).toMatchObject({ code: 0, out: "" });
});

test("front matter that only a YAML parser understands, from and to every format, and a configuration in YAML", () => {
  const text =
    '---\ndescription: |\n  two\n  lines # no comment\nmessages:\n  - role: user\n    content: "hi"\n# why\n---\nHello.\n';
  writeFileSync(join(folder, "prompt-registry.config.yaml"), "storage: file:./here\ncache:\n  ttl: 1000 # ms\n");
  expect(run(["push", "a", "-"], { input: text })).toEqual({ code: 0, out: "a@1.0.0 created\n", err: "" });
  expect(existsSync(join(folder, "here"))).toBe(true);
  expect(JSON.parse(run(["get", "a", "--json"]).out)).toMatchObject({
    body: "Hello.\n",
    metadata: { description: "two\nlines # no comment\n", messages: [{ role: "user", content: "hi" }] },
  });
  expect(run(["push", "a", "-", "--bump", "minor"], { input: text.replace("two", "three") }).code).toBe(0);
  expect(run(["diff", "a@1.0.0", "a@1.1.0"]).out).toContain("+  three\n");
  expect(run(["verify"])).toMatchObject({ code: 0 });
  const twice = run(["push", "b", "-"], { input: "---\na: 1\na: 2\n---\n" });
  expect(twice).toMatchObject({ code: 2, out: "" });
  expect(twice.err).toContain("line 3, column 1: duplicated mapping key");
  for (const format of ["dotprompt", "prompty", "github", "langfuse", "mlflow", "openai"]) {
    expect(run(["export", format, "--format", format])).toMatchObject({ code: 0 });
    const imported = run(["import", format, "--format", format, "--storage", `file:./from-${format}`]);
    expect(imported).toMatchObject({ code: 0, out: expect.stringContaining("created") });
  }
  for (const range of ["^1", "~1.0", "1.x"]) expect(run(["get", `a@${range}`])).toMatchObject({ code: 0 });
});

test("get of a local prompt loads one file, no package, and of Node neither the network nor promises of files", () => {
  run(["push", "triage", "-"], { input: "Sort this: {{ticket}}" });
  const probe = join(folder, "probe.cjs");
  const seen = join(folder, "seen.json");
  writeFileSync(
    probe,
    `const built = new Set(process.moduleLoadList);
    process.on("exit", () => {
      const files = Object.keys(require.cache).filter((file) => file !== __filename);
      const node = process.moduleLoadList.filter((name) => !built.has(name));
      require("node:fs").writeFileSync(${JSON.stringify(seen)}, JSON.stringify({ files, node }));
    });`,
  );
  expect(run(["get", "triage"], { env: { NODE_OPTIONS: `--require=${probe}` } }).out).toBe("Sort this: {{ticket}}");
  const { files, node } = JSON.parse(readFileSync(seen, "utf8")) as { files: string[]; node: string[] };
  expect(files).toEqual([bin, join(clone, "dist", "cli", "main.cjs")]);
  for (const name of ["net", "tty", "fs/promises", "zlib", "http"]) {
    expect(node).not.toContain(`NativeModule ${name}`);
  }
});

test("init, and what it set up is found", () => {
  expect(run(["init", "--storage", "file:./registry", "--author", "ada"])).toMatchObject({ code: 0, err: "" });
  expect(run(["push", "a", "-"], { input: "x" })).toMatchObject({ code: 0 });
  expect(existsSync(join(folder, "registry"))).toBe(true);
  expect(run(["log", "a"]).out).toContain("\tada\tpublish 1.0.0\t");
});

test("a reader that has seen enough ends the command quietly", () => {
  mkdirSync(join(folder, "in"));
  for (let i = 0; i < 50; i++) writeFileSync(join(folder, "in", `p${i}.md`), `${i}\n`.repeat(40_000));
  expect(run(["import", "in"])).toMatchObject({ code: 0 });
  expect(shell("set -o pipefail; $P get p1 | head -c 10 | wc -c")).toEqual({ code: 0, out: "10\n", err: "" });
  expect(shell("set -o pipefail; $P list | true")).toEqual({ code: 0, out: "", err: "" });
});

test.runIf(existsSync("/dev/full"))("a result that can't be written is an error", () => {
  run(["push", "a", "-"], { input: "x" });
  const ran = shell("$P get a > /dev/full");
  expect(ran.code).toBe(7);
  expect(ran.err).toContain("prompt-registry: error: can't write the result");
});

test("a reader that does not read keeps nobody from ending the command", async () => {
  run(["push", "big", "-"], { input: "line\n".repeat(200_000) });
  const child = spawn(process.execPath, [bin, "get", "big"], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<unknown[]>((resolve) => child.once("exit", (...how) => resolve(how)));
  // It has begun to write; from here on nothing is read.
  await new Promise((resolve) => child.stdout.once("readable", resolve));
  const asking = setInterval(() => child.kill("SIGTERM"), 200);
  const late = setTimeout(() => child.kill("SIGKILL"), 15_000);
  expect(await ended).toEqual([143, null]);
  clearInterval(asking);
  clearTimeout(late);
});

test("SIGINT ends an import with 130; the same command ends it", async () => {
  mkdirSync(join(folder, "in"));
  for (let i = 0; i < 600; i++) writeFileSync(join(folder, "in", `p${i}.md`), `text ${i}`);
  const child = spawn(process.execPath, [bin, "import", "in", "--json"], { cwd: folder, env });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  // As soon as something is stored.
  const timer = setInterval(() => {
    if (!existsSync(join(folder, "prompts")) || readdirSync(join(folder, "prompts")).length < 60) return;
    // Once: the second time ends the process on the spot.
    clearInterval(timer);
    child.kill("SIGINT");
  }, 5);
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect({ code, err }).toEqual({ code: 130, err: "prompt-registry: interrupted\n" });
  const first = JSON.parse(out) as { created: number; notTried: number };
  expect(first.created).toBeGreaterThan(0);
  expect(first.notTried).toBeGreaterThan(0);
  expect(run(["verify"])).toMatchObject({ code: 0 });
  const second = JSON.parse(run(["import", "in", "--json"]).out) as { created: number; unchanged: number };
  expect(second.created + second.unchanged).toBe(600);
  expect(second.unchanged).toBeGreaterThanOrEqual(first.created);
  expect(run(["doctor"])).toMatchObject({ code: 0 });
});

test("SIGINT and SIGTERM end a wait for stdin", async () => {
  for (const [signal, expected] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    const child = spawn(process.execPath, [bin, "push", "a", "-"], { cwd: folder, env });
    child.stdin.write("half a te");
    setTimeout(() => child.kill(signal), 400);
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect(code).toBe(expected);
  }
  expect(run(["list", "--all"]).out).toBe("");
});

/** Whether a process has a file open, and so waits for what comes out of it. */
function hasOpen(pid: number | undefined, path: string): boolean {
  const fds = `/proc/${pid}/fd`;
  try {
    return readdirSync(fds).some((fd) => readlinkSync(join(fds, fd)) === path);
  } catch {
    return false;
  }
}

test.runIf(process.platform === "linux")("one signal ends a wait for somebody to write to a named pipe", async () => {
  spawnSync("mkfifo", ["p", "prompt-registry.config.json"], { cwd: folder });
  const own = "prompt-registry.config.json";
  for (const [waits, args, config] of [
    ["p", ["push", "a", "p"], "/dev/null"],
    ["p", ["restore", "a", "1.0.0", "p"], "/dev/null"],
    ["p", ["list"], "p"],
    ["p", ["copy", "memory:", "http://127.0.0.1:9"], "p"],
    [own, ["list"], undefined],
  ] as const) {
    const child = spawn(process.execPath, [bin, ...args], {
      cwd: folder,
      env: { ...env, ...(config === undefined ? {} : { PROMPT_REGISTRY_CONFIG: config }) },
    });
    let err = "";
    child.stderr.on("data", (chunk) => {
      err += chunk;
    });
    const asking = setInterval(() => {
      if (!hasOpen(child.pid, join(folder, waits))) return;
      clearInterval(asking);
      child.kill("SIGINT");
    }, 5);
    const late = setTimeout(() => child.kill("SIGKILL"), 8000);
    const code = await new Promise((resolve) => child.on("close", resolve));
    clearInterval(asking);
    clearTimeout(late);
    expect({ args, code, err }).toEqual({ args, code: 130, err: "prompt-registry: interrupted\n" });
  }
  const imported = run(["import", "p", "--format", "langfuse", "--dry-run"]);
  expect(imported).toMatchObject({ code: 1, out: expect.stringContaining("it is not a regular file") });
});

test.runIf(process.platform === "linux")("a named pipe whose writer comes late, and pipes that bring nothing", () => {
  expect(shell("mkfifo p; (sleep 0.3; printf 'one '; sleep 0.2; printf two) > p & $P push a p").err).toBe("");
  expect(run(["get", "a"]).out).toBe("one two");
  expect(shell("mkfifo q; (sleep 0.3; : > q) & $P push b q; $P push c <(true); $P push d <(seq 50000)").err).toBe("");
  expect([run(["get", "b"]).out, run(["get", "c"]).out, run(["get", "d"]).out.length]).toEqual(["", "", 288_894]);
  const config = `<(sleep 0.3; echo '{"storage":"file:./here"}')`;
  expect(shell(`export PROMPT_REGISTRY_CONFIG; PROMPT_REGISTRY_CONFIG=${config} $P push e <(echo x)`).err).toBe("");
  expect(existsSync(join(folder, "here"))).toBe(true);
});

// Of util-linux: it gives what it runs a terminal.
const hasScript = process.platform === "linux" && spawnSync("script", ["--version"]).status === 0;

test.runIf(hasScript)("a terminal that is named as a file, at which somebody takes their time", () => {
  const typed = (command: string, text: string) =>
    shell(`(sleep 1.5; printf '${text}\\n'; sleep 0.3; printf '\\4') | script -qec "${command}" /dev/null`);
  expect(typed("$P push a /dev/tty", "typed")).toMatchObject({ code: 0, out: expect.stringContaining("created") });
  expect(typed("$P push b /dev/stdin", "typed too")).toMatchObject({
    code: 0,
    out: expect.stringContaining("created"),
  });
  expect([run(["get", "a"]).out, run(["get", "b"]).out]).toEqual(["typed\n", "typed too\n"]);
  writeFileSync(join(folder, "c.md"), "c");
  const config = '{"storage":"file:./typed"}';
  expect(typed("PROMPT_REGISTRY_CONFIG=/dev/tty $P push c c.md", config).out).toContain("created");
  expect(existsSync(join(folder, "typed"))).toBe(true);
});

test("stdin that is closed or a file", () => {
  writeFileSync(join(folder, "a.md"), "from a file");
  const stdin = openSync(join(folder, "a.md"), "r");
  const ran = spawnSync(process.execPath, [bin, "push", "a"], {
    cwd: folder,
    env,
    stdio: [stdin, "pipe", "pipe"],
    encoding: "utf8",
  });
  expect(ran).toMatchObject({ status: 0, stdout: "a@1.0.0 created\n" });
});

test("the demo goes on from what is there", () => {
  const demo = () => {
    const code = 'import("../dist/cli/demo.cjs").then((d) => d.main()).then((c) => { process.exitCode = c; })';
    const { status, stdout, stderr } = spawnSync(process.execPath, ["-e", code], {
      cwd: folder,
      env,
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout.split("\n").length).toBeLessThan(60);
    expect(stdout).not.toContain("error:");
    return stdout;
  };
  const first = demo();
  expect(first).toContain(
    "Stored support/triage@1.0.0, support/reply@1.0.0, code/review@1.0.0, summarize/meeting@1.0.0",
  );
  expect(first).toContain("+Answer with two lines: the name of the queue, and the urgency");
  expect(first).toContain("latest -> 1.0.0, pinned (was 1.1.0)");
  expect(first).toContain("Sort this ticket for Acme into one queue");
  expect(demo()).toContain("Stored code/review@2.0.0.");
  expect(demo()).toContain("Stored support/triage@1.2.0.");
  // What it says to type works.
  const commands = [...first.matchAll(/^ {2}npx prompt-registry (.+)$/gm)].map((m) => (m[1] as string).split(" "));
  expect(commands.length).toBeGreaterThan(2);
  for (const command of commands) expect(run(command), command.join(" ")).toMatchObject({ code: 0 });
  // Nor does it mind what somebody did meanwhile.
  const storage = ["--storage", "file:./demo-registry"];
  expect(run(["delete", "support/reply", "--yes", ...storage])).toMatchObject({ code: 0 });
  expect(run(["yank", "support/triage@1.2.0", ...storage])).toMatchObject({ code: 0 });
  expect(demo()).toContain("Every revision of the examples is there.");
});
