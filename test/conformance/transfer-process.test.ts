import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fs } from "../../src/drivers/fs/index.ts";
import { memory } from "../../src/drivers/memory.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { createRandom } from "../../src/testing/index.ts";
import {
  backupFile,
  copyStorage,
  hashManifest,
  manifestOf,
  migrateStorage,
  restoreFile,
} from "../../src/transfer/index.ts";
import { cleanUp, corpus, seed, tempFolder } from "./transfer-world.ts";

const hashOf = (path: string) => hashManifest(manifestOf(fs({ path })));
const source = fileURLToPath(new URL("../../src/", import.meta.url));
let work: string;
let script: string;

// kill -9 needs a process of its own, and Node 20 reads no TypeScript.
beforeAll(async () => {
  work = tempFolder();
  script = join(work, "worker.mjs");
  await build({
    stdin: {
      contents: `
        import { fs } from "${source}drivers/fs/index.ts";
        import { backupFile, copyStorage, restoreFile, syncStorages } from "${source}transfer/index.ts";
        const [what, from, to] = process.argv.slice(2);
        if (what === "copy") await copyStorage(fs({ path: from }), fs({ path: to }), { verify: false });
        if (what === "sync") await syncStorages(fs({ path: from }), fs({ path: to }), { verify: false });
        if (what === "restore") await restoreFile(fs({ path: to }), from, { verify: false });
        if (what === "backup") await backupFile(fs({ path: from }), to, { overwrite: true });
      `,
      resolveDir: source,
    },
    outfile: script,
    bundle: true,
    platform: "node",
    format: "esm",
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    logLevel: "silent",
  });
}, 60_000);
afterAll(cleanUp);

function exit(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.on("exit", (code) => resolve(code)));
}

/** Runs until it gets through, killing it ever later. @returns how often it was killed */
async function killUntilDone(args: readonly string[], seedOf: number, step: number): Promise<number> {
  const random = createRandom(seedOf);
  for (let kills = 0; ; kills++) {
    const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "ignore", "inherit"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), 60 + kills * step + random.int(60));
    const code = await exit(child);
    clearTimeout(timer);
    if (code === 0) return kills;
    expect(code).toBeNull();
  }
}

describe("a process that is killed", () => {
  let from: string;
  beforeAll(async () => {
    from = join(work, "from");
    const filled = memory();
    await seed(filled, corpus(40));
    await copyStorage(filled, fs({ path: from }));
  }, 60_000);

  it.each(["copy", "sync"] as const)("%s goes on where it stopped", async (what) => {
    const to = join(work, `to-${what}`);
    const kills = await killUntilDone([what, from, to], 1, 100);
    process.stderr.write(`${what}: ${kills} times killed\n`);
    expect(kills).toBeGreaterThan(1);
    expect(await hashOf(to)).toEqual(await hashOf(from));
    expect(await copyStorage(fs({ path: from }), fs({ path: to }))).toMatchObject({ ok: true, changed: 0 });
    expect(await new PromptRegistry(fs({ path: to })).verify()).toMatchObject({ ok: true, unsealed: 0 });
  });

  it("restore goes on where it stopped; backup leaves a whole file or none", async () => {
    const folder = join(work, "backups");
    mkdirSync(folder);
    const file = join(folder, "all.gz");
    const kills = await killUntilDone(["backup", from, file], 2, 40);
    expect(existsSync(file)).toBe(true);
    const to = join(work, "to-restore");
    const restores = await killUntilDone(["restore", file, to], 3, 100);
    process.stderr.write(`backup: ${kills}, restore: ${restores} times killed\n`);
    expect(await hashOf(to)).toEqual(await hashOf(from));
    expect(await restoreFile(fs({ path: to }), file)).toMatchObject({ ok: true, changed: 0 });
    expect(readdirSync(folder).filter((f) => !f.endsWith(".tmp"))).toEqual(["all.gz"]);
  });
});

describe("memory", () => {
  it("of a copy, a backup and a restore does not grow with the number of prompts", async () => {
    const filled = memory();
    const registry = new PromptRegistry(filled);
    const text = "x".repeat(20_000);
    for (let i = 0; i < 3000; i += 100) {
      await registry.storePrompts(
        Array.from({ length: 100 }, (_, j) => ({ name: `p${i + j}`, version: "1.0.0", text: `${i + j} ${text}` })),
      );
    }
    const path = join(work, "many");
    const file = join(work, "many.gz");
    global.gc?.();
    const before = process.memoryUsage().rss;
    await copyStorage(filled, fs({ path, cacheBytes: 2 ** 20 }), { verify: false });
    await backupFile(fs({ path, cacheBytes: 2 ** 20 }), file);
    const grown = (process.memoryUsage().rss - before) / 2 ** 20;
    process.stderr.write(`60 MB of prompts: the process grew by ${Math.round(grown)} MiB\n`);
    expect(grown).toBeLessThan(400);
  }, 120_000);
});

describe("migrate", () => {
  it("brings layouts of old into today's, and does nothing the second time", async () => {
    const path = tempFolder();
    const prompts = join(path, "prompts");
    mkdirSync(join(prompts, "greet"), { recursive: true });
    writeFileSync(join(prompts, "greet", "1.0.0.md"), "hello\n");
    writeFileSync(join(prompts, "flat.md"), "---\nversion: 2.1.0\n---\nflat\n");
    const dry = await migrateStorage(fs({ path }), { dryRun: true });
    expect(dry).toMatchObject({ dryRun: true, ok: false, migrated: 0, left: 2 });
    const report = await migrateStorage(fs({ path }));
    expect(report).toMatchObject({ ok: true, migrated: 2, left: 0, verify: { prompts: 2, documents: 2, damaged: 0 } });
    const registry = new PromptRegistry(fs({ path }));
    expect((await registry.getPrompt("flat@2.1.0")).body).toBe("flat\n");
    expect((await registry.getPrompt("greet")).version).toBe("1.0.0");
    expect(await migrateStorage(fs({ path }))).toMatchObject({ ok: true, migrated: 0, left: 0 });
  });
});
