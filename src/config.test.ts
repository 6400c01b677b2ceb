import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadConfig, openRegistry, parseLocation, type RegistryConfig } from "./config.ts";
import type { StorageDriver } from "./driver.ts";
import { memory } from "./drivers/memory.ts";
import { writeSnapshot } from "./drivers/snapshot/index.ts";
import { compose, type LayerConfig } from "./layers/config/compose.ts";
import { cacheOf, layersOf } from "./layers/index.ts";
import { PromptRegistry } from "./registry.ts";
import { fault } from "./testing/index.ts";

const NO = { env: {}, configFile: false as const };
let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "config-"));
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

const problemsOf = async (config: unknown): Promise<string> =>
  loadConfig(config as RegistryConfig, NO).then(
    () => "",
    (error) => error.message,
  );

describe("parseLocation", () => {
  it.each([
    ["memory:", { backend: "memory" }],
    ["file:./a%20b", { backend: "file", path: "./a b" }],
    ["sqlite:./r.db", { backend: "sqlite", path: "./r.db" }],
    ["sqlite:///var/r.db", { backend: "sqlite", path: "/var/r.db" }],
    ["snapshot:./s", { backend: "snapshot", path: "./s" }],
    ["postgres://u:p@h/d", { backend: "postgres", url: "postgres://u:p@h/d" }],
    ["postgresql://h/d", { backend: "postgres", url: "postgresql://h/d" }],
    [" postgres://u:s3cret@h/d\n", { backend: "postgres", url: "postgres://u:s3cret@h/d" }],
    ["Postgres://u:P@h/D", { backend: "postgres", url: "postgres://u:P@h/D" }],
  ])("%s", (location, expected) => {
    expect(parseLocation(location)).toEqual(expected);
  });

  it.each([
    "",
    "nothing",
    "ftp://u:secret@h",
    "file:",
    "sqlite:",
    "snapshot://host/x",
    "file:%zz",
    "u:secret@h/d",
    "://u:secret@h",
    "file://u:secret@h/%",
  ])("refuses %j", (location) => {
    expect(() => parseLocation(location)).toThrow(expect.objectContaining({ code: "CONFIG" }));
    expect(() => parseLocation(location)).not.toThrow(/secret/);
  });
});

describe("loadConfig", () => {
  it("turns durations, sizes and short forms into what they mean", async () => {
    const config = await loadConfig(
      {
        storage: "sqlite:./r.db?busyTimeout=2s",
        cache: { ttl: "1m", staleIfError: "7d", maxBytes: "64MiB", disk: "./cache", poll: 500 },
        fallback: ["snapshot:./s", { backend: "memory" }],
        timeout: "1.5s",
        limit: 8,
        mirror: "file:./m",
      },
      NO,
    );
    expect(config).toEqual({
      storage: { backend: "sqlite", path: "./r.db", busyTimeout: 2000 },
      cache: { ttl: 60_000, staleIfError: 604_800_000, maxBytes: 2 ** 26, disk: { path: "./cache" }, poll: 500 },
      fallback: [{ backend: "snapshot", path: "./s" }, { backend: "memory" }],
      timeout: { attempt: 1500 },
      limit: { concurrency: 8 },
      mirror: { to: { backend: "file", path: "./m" } },
    });
  });

  it("names every problem at once, and no secret", async () => {
    const message = await problemsOf({
      storage: { backend: "postgres", url: "mysql://u:hunter2@h/x" },
      cache: { ttl: "soon", size: 1, preload: ["A B"] },
      fallback: ["nope://u:hunter2@h", { backend: "file" }],
      retry: { attempts: "many" },
      timeout: "5 parsecs",
      limit: -1,
      readonly: "yes",
      prefix: "A",
      route: [{ names: "A", storage: "memory:" }],
      bogus: 1,
    });
    for (const part of [
      ...["storage.url", "cache.ttl", '"size"', "cache.preload.0", "fallback.0", "fallback.1.path", "retry.attempts"],
      ...["timeout", "limit", "readonly", "prefix", "route.0.names", '"bogus"'],
    ]) {
      expect(message).toContain(part);
    }
    expect(message).not.toContain("hunter2");
  });

  it("takes every key on its own from what was passed, the variable, the file, the default", async () => {
    await writeFile(
      join(cwd, "prompt-registry.config.json"),
      JSON.stringify({ storage: "memory:", author: "file", retry: false, cache: { ttl: "1s" }, fallback: [] }),
    );
    const env = {
      ...{
        PROMPT_REGISTRY_AUTHOR: "env",
        PROMPT_REGISTRY_CACHE: "2s",
        PROMPT_REGISTRY_FALLBACK: "snapshot:./a, file:./b",
      },
      ...{ PROMPT_REGISTRY_TIMEOUT: "3s", PROMPT_REGISTRY_READONLY: "yes", PROMPT_REGISTRY_LIMIT: "4" },
      ...{ PROMPT_REGISTRY_CIRCUIT: '{"failures": 2}', PROMPT_REGISTRY_RETRY: "5", PROMPT_REGISTRY_TRACE: "off" },
    };
    expect(await loadConfig({ author: "passed" }, { cwd, env })).toEqual({
      storage: { backend: "memory" },
      author: "passed",
      cache: { ttl: 2000 },
      fallback: [
        { backend: "snapshot", path: "./a" },
        { backend: "file", path: "./b" },
      ],
      timeout: { attempt: 3000 },
      readonly: true,
      limit: { concurrency: 4 },
      circuit: { failures: 2 },
      retry: { attempts: 5 },
      trace: false,
    });
    for (const [key, value] of [
      ["PROMPT_REGISTRY_CACH", "1"],
      ["PROMPT_REGISTRY_ROUTE", "{nonsense"],
      ["PROMPT_REGISTRY_READONLY", "perhaps"],
    ] as const) {
      await expect(loadConfig({}, { cwd, env: { [key]: value } })).rejects.toMatchObject({ code: "CONFIG" });
    }
  });
});

describe("loadConfig: what is said, and what is not", () => {
  it.each([
    ["broken.json", '{ "storage":\n  "postgres://u:s3cret@h/d" x'],
    ["cut.json", '{ "storage": "postgres://u:s3cret@h/d'],
    ["bare.json", "s3cret"],
    ["broken.yaml", "storage: 'postgres://u:s3cret@h/d\nauthor: [s3cret"],
    ["alias.yaml", "storage: *s3cret"],
  ])("%s: where it does not parse, not what stands there", async (file, text) => {
    await writeFile(join(cwd, file), text);
    const error = await loadConfig({}, { cwd, env: {}, configFile: file }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "CONFIG" });
    expect(`${(error as Error).message} ${JSON.stringify(error)} ${(error as Error).cause}`).not.toContain("s3cret");
    if (file.startsWith("broken")) expect((error as Error).message).toMatch(/line [23], column \d+/);
  });

  it("a key that is undefined overrides nothing", async () => {
    const env = { PROMPT_REGISTRY_STORAGE: "memory:", PROMPT_REGISTRY_AUTHOR: "ada" };
    const config = { storage: undefined, author: undefined } as unknown as RegistryConfig;
    expect(await loadConfig(config, { cwd, env, configFile: false })).toEqual({
      storage: { backend: "memory" },
      author: "ada",
    });
  });

  it.each([
    ["1", { attempts: 1 }],
    ["7", { attempts: 7 }],
    ["true", true],
    ["0", false],
    ["off", false],
  ])("PROMPT_REGISTRY_RETRY=%s", async (value, retry) => {
    const env = { PROMPT_REGISTRY_RETRY: value };
    expect(await loadConfig("memory:", { env, configFile: false })).toMatchObject({ retry });
  });
});

describe("openRegistry", () => {
  it("shows what a prefix hides in no outage either", async () => {
    const copy = memory();
    const source = new PromptRegistry(copy);
    for (const name of ["a/x", "b/x"]) await source.storePrompt({ name, version: "1.0.0", text: "shipped\n" });
    const dead = Object.assign(
      fault(memory(), [
        { method: "read", what: "fail" },
        { method: "listPrompts", what: "fail" },
      ]),
      {
        peek: () => undefined,
      },
    );
    const places = [dead, copy];
    const config: LayerConfig = { prefix: "a/", fallback: [{ backend: "memory" }] };
    const open = async () => places.shift() as StorageDriver;
    const walled = new PromptRegistry(
      await compose({ backend: "memory" }, config, { open, cwd, isRemote: () => false, environmentToken: () => false }),
    );
    expect((await walled.getPrompt("a/x")).text).toBe("shipped\n");
    expect((await walled.listPrompts()).items.map((p) => p.name)).toEqual(["a/x"]);
    await expect(walled.getPrompt("b/x")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await walled.close();
  });

  it("shares a disk cache with no other prefix and no other routes", async () => {
    const folders = async (config: RegistryConfig) => {
      const disk = join(cwd, "views");
      const registry = await openRegistry({ storage: "file:./views-main", cache: { disk }, ...config }, { ...NO, cwd });
      await registry.storePrompt({ name: "a/x", version: "1.0.0", text: "" });
      await registry.getPrompt("a/x");
      await registry.close();
      return (await readdir(disk)).length;
    };
    expect(await folders({})).toBe(1);
    expect(await folders({ prefix: "a/" })).toBe(2);
    expect(await folders({ prefix: "a" })).toBe(3);
    expect(await folders({ route: [{ names: "a/*", storage: "file:./views-one" }] })).toBe(4);
    expect(await folders({ route: [{ names: "a/*", storage: "file:./views-two" }] })).toBe(5);
    expect(await folders({})).toBe(5);
  });

  it("puts no layer around a plain storage", async () => {
    const registry = await openRegistry("memory:", NO);
    expect(layersOf(registry.driver)).toEqual([]);
    await registry.close();
  });

  it("puts the layers in their order", async () => {
    const registry = await openRegistry(
      {
        storage: "memory:",
        ...{
          prefix: "a",
          limit: 4,
          timeout: "5s",
          circuit: true,
          retry: true,
          trace: true,
          cache: true,
          readonly: true,
        },
        mirror: "memory:",
        fallback: ["memory:"],
        route: [{ names: "b/**", storage: "memory:" }],
      },
      NO,
    );
    expect(layersOf(registry.driver).map(({ layer }) => layer)).toEqual([
      ...[
        "trace",
        "cache",
        "readonly",
        "fallback",
        "mirror",
        "deadline",
        "route",
        "retry",
        "circuit",
        "timeout",
        "limit",
      ],
      "prefix",
    ]);
    await registry.close();
  });

  it("switches off what is false, and takes an empty list of fallbacks", async () => {
    const off = { cache: false, retry: false, timeout: false, circuit: false, readonly: false, trace: false } as const;
    const registry = await openRegistry({ storage: "memory:", ...off, fallback: [] }, NO);
    expect(layersOf(registry.driver)).toEqual([]);
    await registry.close();
  });

  it("reads a snapshot, and preloads the cache", async () => {
    const source = new PromptRegistry(memory());
    await source.storePrompt({ name: "a", version: "1.0.0", text: "shipped\n", labels: ["production"] });
    await writeSnapshot(source, join(cwd, "s"));
    const registry = await openRegistry(
      { storage: "snapshot:./s", cache: { preload: ["a@production", "nobody"], disk: "./disk" } },
      { ...NO, cwd },
    );
    expect(cacheOf(registry.driver)?.stats.entries).toBeGreaterThan(0);
    expect((await registry.getPrompt("a@production")).text).toBe("shipped\n");
    await registry.close();
    await expect(
      openRegistry({ storage: "memory:", fallback: ["snapshot:./none"] }, { ...NO, cwd }),
    ).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringContaining("none"),
    });
  });
});
