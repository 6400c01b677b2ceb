import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StorageDriver } from "../../src/driver.ts";
import { fs } from "../../src/drivers/fs/index.ts";
import { memory } from "../../src/drivers/memory.ts";
import { postgres, sqlite } from "../../src/drivers/sql/index.ts";
import { RegistryError } from "../../src/errors.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { createIds, createRandom } from "../../src/testing/index.ts";
import { type PostgresServer, postgresProblem, startPostgres } from "../support/postgres.ts";

/** A storage that can be opened; each call of `open` gives an empty one. */
export interface Backend {
  readonly name: string;
  open(): Promise<StorageDriver>;
}

const folders: string[] = [];

export function tempFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "prompt-registry-transfer-"));
  folders.push(path);
  return path;
}

export async function cleanUp(): Promise<void> {
  for (const driver of databases.splice(0)) await driver.close();
  await (await server)?.stop();
  server = undefined;
  sources.clear();
  for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true });
}

/** Every ordered pair is tested. */
export const backends: readonly Backend[] = [
  { name: "memory", open: async () => memory() },
  { name: "fs", open: async () => fs({ path: tempFolder() }) },
  { name: "sqlite", open: async () => sqlite({ path: join(tempFolder(), "registry.db") }) },
  ...(postgresProblem() === undefined ? [{ name: "postgres", open: openPostgres }] : []),
];

let server: Promise<PostgresServer> | undefined;
const databases: StorageDriver[] = [];
let schemas = 0;

async function openPostgres(): Promise<StorageDriver> {
  server ??= startPostgres({ fsync: "off" });
  const driver = await postgres({ url: (await server).url, schema: `transfer_${++schemas}`, pool: { max: 4 } });
  databases.push(driver);
  return driver;
}

export const pairs = backends.flatMap((from) =>
  backends.map((to) => ({ title: `${from.name} to ${to.name}`, from, to })),
);

const sources = new Map<string, Promise<StorageDriver>>();

/** A filled storage, made once for all tests of a file, which only read it. */
export function sourceOf(backend: Backend, prompts = Number.POSITIVE_INFINITY): Promise<StorageDriver> {
  const key = `${backend.name} ${prompts}`;
  let source = sources.get(key);
  if (source === undefined) {
    source = backend.open().then(async (driver) => {
      await seed(driver, corpus(prompts));
      return driver;
    });
    sources.set(key, source);
  }
  return source;
}

interface Line {
  readonly name: string;
  readonly n: number;
  readonly committedAt: string;
  readonly text: string;
}

/** The prompts of `PROMPT_REGISTRY_CORPUS` (a folder with `fabric-patterns.jsonl`), or made-up ones of that kind. */
export function corpus(limit = Number.POSITIVE_INFINITY): Line[] {
  const folder = process.env.PROMPT_REGISTRY_CORPUS;
  const file = folder === undefined ? undefined : join(folder, "fabric-patterns.jsonl");
  const lines =
    file !== undefined && existsSync(file)
      ? readFileSync(file, "utf8")
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line) as Line)
      : madeUp();
  const names = [...new Set(lines.map((l) => l.name))].slice(0, limit);
  const wanted = new Set(names);
  return lines.filter((l) => wanted.has(l.name));
}

function madeUp(): Line[] {
  const random = createRandom(11);
  const lines: Line[] = [];
  for (let p = 0; p < 236; p++) {
    const versions = 1 + random.int(6);
    for (let n = 1; n <= versions; n++) {
      const eol = p % 17 === 0 ? "\r\n" : "\n";
      const text = Array.from({ length: 5 + random.int(40) }, (_, i) => `- step ${i} of ${p}.${n} {{input}} é 漢`).join(
        eol,
      );
      lines.push({
        name: `area-${p % 7}/prompt-${p}`,
        n,
        committedAt: new Date(1.7e12 + p * 1e7 + n * 1e5).toISOString(),
        text,
      });
    }
  }
  return lines;
}

/**
 * Fills a storage through a registry: the corpus, and on some of its prompts everything that can happen to a prompt.
 * @returns how many prompts and versions there are
 */
export async function seed(
  driver: StorageDriver,
  lines: readonly Line[] = corpus(),
): Promise<{ prompts: number; versions: number }> {
  const random = createRandom(3);
  let now = Date.parse("2026-01-01T00:00:00.000Z");
  // Changes in the same millisecond, too.
  const tick = () => {
    now += random.chance() ? 0 : 997;
    return new Date(now);
  };
  const registry = new PromptRegistry(driver, { author: "Ada", now: tick, newId: createIds("seed") });
  const byName = group(lines);
  let i = 0;
  for (const [name, all] of byName) {
    for (const { n, text } of all) {
      await registry.storePrompt({ name, version: `${n}.0.0`, text, message: `revision ${n}: "quoted" \\ é` });
    }
    const last = `${all.length}.0.0`;
    if (i % 3 === 0) await registry.setLabel(name, "production", last, { message: "ship" });
    if (i % 9 === 0) await registry.setLabel(name, "production", "1.0.0");
    if (i % 10 === 1)
      await registry.storePrompt({ name, version: "100.0.0-beta.1", text: "beta\n", labels: ["beta", "next"] });
    if (i % 7 === 2 && all.length > 1) await registry.yank(name, last, { message: "leaks" });
    if (i % 8 === 3 && all.length > 1) await registry.rollback(name);
    if (i % 11 === 4) await registry.deprecate(name, "use another");
    if (i % 13 === 5) await registry.unpin(name);
    if (i % 13 === 5 && all.length > 2) await registry.deleteVersion(name, "2.0.0", { message: "a key in it" });
    if (i % 31 === 7) {
      const latest = await registry.getPrompt(name);
      await registry.storePrompt({ name, version: "200.0.0", text: "guarded\n", expect: latest.version });
    }
    if (i % 19 === 8 && all.length > 1) {
      const [answer] = await driver.read([
        {
          name: (await registry.getPrompt(name)).name,
          selector: { kind: "version", version: (await registry.getPrompt(`${name}@1.0.0`)).version },
        },
      ]);
      if (answer?.status === "found") {
        await registry.unpin(name);
        await registry.removeLabel(name, "production");
        await registry.deleteVersion(name, "1.0.0");
        await registry.restoreVersion({ name, version: "1.0.0", text: answer.document.text });
      }
    }
    if (i % 29 === 6) await registry.deletePrompt(name);
    i++;
  }
  return { prompts: byName.size, versions: lines.length };
}

function group(lines: readonly Line[]): Map<string, Line[]> {
  const groups = new Map<string, Line[]>();
  for (const line of lines) groups.set(line.name, [...(groups.get(line.name) ?? []), line]);
  return groups;
}

/**
 * A storage whose process is killed at the `at`-th commit: before it was made, or after it and before the answer.
 * Afterwards nothing answers.
 */
export function killedAt(inner: StorageDriver, at: number, when: "before" | "after"): StorageDriver {
  let commits = 0;
  let dead = false;
  const killed = () => new RegistryError("ABORTED", "killed");
  return {
    kind: inner.kind,
    location: inner.location,
    capabilities: { ...inner.capabilities, maxBatch: Math.min(inner.capabilities.maxBatch, 3) },
    native: inner.native,
    peek: () => undefined,
    read: async (asks, op) => (dead ? Promise.reject(killed()) : inner.read(asks, op)),
    listPrompts: (query, op) => inner.listPrompts(query, op),
    listVersions: (name, query, op) => inner.listVersions(name, query, op),
    history: (name, query, op) => inner.history(name, query, op),
    changes: (query, op) => inner.changes(query, op),
    async commit(commit, op) {
      if (dead) throw killed();
      if (++commits < at) return inner.commit(commit, op);
      dead = true;
      if (when === "after") await inner.commit(commit, op);
      throw killed();
    },
    repair: (plan, op) => inner.repair(plan, op),
    check: (op) => inner.check(op),
    close: () => inner.close(),
  } satisfies StorageDriver;
}
