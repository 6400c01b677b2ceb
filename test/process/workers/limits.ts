// Real limits of the system: what it runs into, it reports as JSON on stdout.
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readdirSync, unlinkSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fs } from "../../../src/drivers/fs/index.ts";
import { isRegistryError, type RegistryError } from "../../../src/errors.ts";
import { PromptRegistry } from "../../../src/registry.ts";

export interface LimitsOptions {
  readonly what: "full" | "readonly" | "files";
  /** For `full` and `readonly` a folder to mount a small tmpfs on, in a mount namespace of this process's own. */
  readonly path: string;
  readonly mode: "embedded" | "server";
  readonly mount?: string;
}

export interface Report {
  /** Why it could not be tried. */
  readonly refused?: string;
  readonly acked: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
}

const options = JSON.parse(process.argv[2] as string) as LimitsOptions;
const { path, mode } = options;
const errors: Record<string, number> = {};
const problems: string[] = [];
const acked = new Map<string, string>();
const open = () => new PromptRegistry(fs({ path: join(path, "registry"), mode }));
const registry = open();

function say(report: Partial<Report>): void {
  writeSync(1, JSON.stringify({ acked: acked.size, errors, problems, ...report }));
}

function mount(...args: string[]): string | undefined {
  const { error, status, stderr } = spawnSync("mount", args, { encoding: "utf8" });
  if (error !== undefined) return error.message;
  return status === 0 ? undefined : stderr.trim();
}

async function store(name: string, version: string, text: string): Promise<boolean> {
  try {
    await registry.storePrompt({ name, version, text });
    acked.set(`${name}@${version}`, text);
    return true;
  } catch (error) {
    await failed(error, `${name}@${version}`);
    return false;
  }
}

async function failed(error: unknown, ref: string): Promise<void> {
  if (!isRegistryError(error)) {
    problems.push(`${ref}: not a RegistryError: ${String((error as Error).stack)}`);
    return;
  }
  const key = `${error.code} ${error.outcome}`;
  errors[key] = (errors[key] ?? 0) + 1;
}

async function check(when: string): Promise<void> {
  const reader = open();
  for (const [ref, text] of acked) {
    try {
      if ((await reader.getPrompt(ref)).text !== text) problems.push(`${when}: ${ref} has another text`);
    } catch (error) {
      problems.push(`${when}: ${ref} is lost: ${String(error)}`);
    }
  }
  let count = 0;
  for await (const { name } of reader.listPrompts()) {
    for await (const { version } of reader.listVersions(name)) {
      count++;
      if (!acked.has(`${name}@${version}`)) problems.push(`${when}: ${name}@${version} failed, but is visible`);
    }
  }
  if (count !== acked.size) problems.push(`${when}: ${count} versions are listed, ${acked.size} were stored`);
  for (const p of (await reader.verify()).problems) problems.push(`${when}: verify: ${p.detail}`);
}

function temps(): string[] {
  const files = readdirSync(join(path, "registry"), { recursive: true, encoding: "utf8" });
  return files.filter((file) => /\.(?:tmp|claim)-/.test(file));
}

async function full(): Promise<void> {
  const refused = mount("-t", "tmpfs", "-o", options.mount ?? "size=256k", "tmpfs", path);
  if (refused !== undefined) return say({ refused });
  const ballast = Array.from({ length: 12 }, (_, i) => join(path, `ballast-${i}`));
  for (const file of ballast) writeFileSync(file, Buffer.alloc(4000));
  let failures = 0;
  for (let i = 0; failures < 30 && i < 2000; i++) {
    const name = `p${i % 7}/${i % 3}`;
    if (!(await store(name, `1.0.${i}`, `${i} ${"x".repeat((i * 397) % 5000)}`))) failures++;
    if (failures > 0 && acked.size > 0 && i % 3 === 0) {
      const [ref] = [...acked.keys()];
      const [name, version] = (ref as string).split("@") as [string, string];
      try {
        await registry.setLabel(name, `l${i}`, version);
      } catch (error) {
        await failed(error, `label on ${ref}`);
      }
    }
  }
  if (failures === 0) problems.push("the disk never got full");
  await check("full");
  for (const temp of temps()) problems.push(`full: ${temp} was left`);
  for (const file of ballast) unlinkSync(file);
  if (!(await store("after/wards", "1.0.0", "there is room again"))) problems.push("does not work once there is room");
  await check("after");
  say({});
}

async function readonly(): Promise<void> {
  const refused = mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", path);
  if (refused !== undefined) return say({ refused });
  for (let i = 0; i < 5; i++) await store("read/only", `1.0.${i}`, `text ${i}`);
  await registry.setLabel("read/only", "production", "1.0.1");
  const again = mount("-o", "remount,ro", path);
  if (again !== undefined) return say({ refused: again });
  const writes: [string, () => Promise<unknown>][] = [
    ["store", () => registry.storePrompt({ name: "read/only", version: "2.0.0", text: "no" })],
    ["store new", () => open().storePrompt({ name: "brand/new", version: "1.0.0", text: "no" })],
    ["label", () => registry.setLabel("read/only", "production", "1.0.2")],
    ["rollback", () => open().rollback("read/only", { to: "1.0.0" })],
    ["yank", () => registry.yank("read/only", "1.0.0")],
    ["delete", () => registry.deleteVersion("read/only", "1.0.0")],
  ];
  for (const [what, write] of writes) {
    try {
      await write();
      problems.push(`${what} succeeds on a read-only disk`);
    } catch (error) {
      await failed(error, what);
      if (!isRegistryError(error, "READ_ONLY"))
        problems.push(`${what}: ${(error as RegistryError).code}: ${String(error)}`);
      else if (error.outcome !== "final") problems.push(`${what}: outcome ${error.outcome}`);
    }
  }
  const same = await registry.storePrompt({ name: "read/only", version: "1.0.0", text: "text 0" }).catch((e) => e);
  if (isRegistryError(same) && same.code !== "READ_ONLY") problems.push(`same again: ${String(same)}`);
  if ((await open().getPrompt("read/only@production")).version !== "1.0.1") problems.push("the label moved");
  const report = await open().doctor({ fix: true, minTempAge: 0 });
  if (!report.ok) problems.push(`doctor: ${JSON.stringify(report.findings)}`);
  await check("read-only");
  say({});
}

/** Run with a small `ulimit -n`. */
async function files(): Promise<void> {
  mkdirSync(path, { recursive: true });
  await store("few/files", "1.0.0", "the first");
  let version = 1;
  for (let spare = 0; spare < 12; spare++) {
    const held: number[] = [];
    try {
      for (;;) held.push(openSync("/dev/null", "r"));
    } catch {
      // That is all there are.
    }
    for (let i = 0; i < spare; i++) closeSync(held.pop() as number);
    await store("few/files", `1.0.${version++}`, `with ${spare} to spare`);
    await store(`few/new${spare}`, "1.0.0", `with ${spare} to spare`);
    for (const read of [() => open().getPrompt("few/files@1.0.0"), () => open().verify(), () => open().listPrompts()]) {
      try {
        await read();
      } catch (error) {
        await failed(error, "reading");
      }
    }
    for (const fd of held) closeSync(fd);
    await check(`after ${spare} to spare`);
  }
  if (!(await store("after/wards", "1.0.0", "there are files again"))) problems.push("does not work with files again");
  for (const temp of temps()) problems.push(`${temp} was left`);
  say({});
}

void { full, readonly, files }[options.what]();
