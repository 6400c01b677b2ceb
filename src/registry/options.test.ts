import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, expectTypeOf, it, onTestFinished } from "vitest";
import type { RegistryConfig } from "../config.ts";
import { openRegistry } from "../config.ts";
import type { checkConformance } from "../conformance/index.ts";
import { fs } from "../drivers/fs/index.ts";
import type { GithubOptions } from "../drivers/github/index.ts";
import { http } from "../drivers/http/index.ts";
import { memory } from "../drivers/memory.ts";
import type { S3Options } from "../drivers/s3/index.ts";
import { resolveOptions as resolveS3 } from "../drivers/s3/options.ts";
import { type PostgresOptions, sqlite } from "../drivers/sql/index.ts";
import { cache, circuit, fallback, limit, retry, trace } from "../layers/index.ts";
import type { install } from "../lockfile/index.ts";
import { PromptRegistry } from "../registry.ts";
import { createAccess } from "../server/access/index.ts";
import { openAccess, serve } from "../server/index.ts";
import {
  copyStorage,
  exportPrompts,
  importPrompts,
  langfuse,
  restoreArchive,
  syncStorages,
  writeArchive,
} from "../transfer/index.ts";

/** As `process.env.TOKEN`, an option of a caller's own caller, and the like have it. */
const unset = <T>(): T | undefined => undefined;
const signal = unset<AbortSignal>();
const text = unset<string>();

// The compiler looks at this file under exactOptionalPropertyTypes: each of these calls is part of the test.
describe("an option that is undefined is one that was left out", () => {
  it("of a server", async () => {
    const server = await serve(new PromptRegistry(memory()), {
      ...{ access: openAccess(), port: 0, host: text, limits: undefined, allowedHosts: undefined, web: undefined },
      ...{ trustedProxies: undefined, tls: undefined, audit: undefined, metrics: undefined, metricsPort: undefined },
      ...{ metricsHost: text, log: undefined, logLevel: undefined, tracing: undefined, poll: unset<number>() },
      ...{ pollInterval: unset<number>(), readyBytes: unset<number>(), version: text, now: undefined },
      ...{ observe: undefined, policy: undefined },
    });
    onTestFinished(async () => void (await server.stop(0)));
    expect(await (await fetch(`${server.url}/v1`)).json()).toMatchObject({ service: "prompt-registry", protocol: 1 });
  });

  it("of a registry", async () => {
    const registry = new PromptRegistry(memory(), {
      author: text,
      policy: undefined,
      now: undefined,
      newId: undefined,
    });
    const by = { author: text, message: text, signal };
    const request = { name: "a", bump: undefined, text: "x\n", author: text, message: text, labels: undefined };
    await registry.storePrompt({ ...request, version: "1.0.0", expect: undefined, unpin: undefined }, { signal });
    await registry.storePrompts([{ ...request, version: "1.1.0", allow: undefined }], { ...by, atomic: undefined });
    expect((await registry.getPrompt("a", { signal, status: undefined })).version).toBe("1.1.0");
    const page = { limit: undefined, cursor: undefined, signal };
    const filter = { prefix: text, text, include: undefined, includeRemoved: undefined };
    expect((await registry.listPrompts({ ...page, ...filter })).items.map(({ name }) => name)).toEqual(["a"]);
    expect((await registry.listVersions("a", { ...page, includeRemoved: undefined })).items).toHaveLength(2);
    expect((await registry.history("a", page)).items.every((one) => one.by === undefined)).toBe(true);
    expect((await registry.changes(page)).items).toEqual([]);
    await registry.setLabel("a", "staging", "1.0.0", { ...by, expect: undefined });
    expect((await registry.rollback("a", { ...by, to: text })).version).toBe("1.0.0");
    await registry.diff("a@1.0.0", "@1.1.0", { signal });
    await registry.resolveAt("a", "latest", new Date(), { signal });
    expect((await registry.verify(undefined, { signal, onProgress: undefined })).ok).toBe(true);
    expect((await registry.doctor({ signal, fix: undefined, name: undefined })).ok).toBe(true);
    expect((await registry.check({ signal })).ok).toBe(true);
    await registry.close();
  });

  it("of a configuration", async () => {
    const off = { cache: undefined, fallback: undefined, retry: undefined, timeout: undefined, policy: undefined };
    const config: RegistryConfig = { storage: "memory:", author: text, ...off, limit: undefined, prefix: text };
    const nested: RegistryConfig = {
      ...config,
      cache: { ttl: undefined, disk: undefined },
      retry: { attempts: undefined },
    };
    const options = { cwd: text, env: {}, configFile: false, author: text, tokenOrigin: text } as const;
    for (const one of [config, nested]) {
      const registry = await openRegistry(one, options);
      await registry.storePrompt({ name: "a", version: "1.0.0", text: "x\n" });
      expect((await registry.getPrompt("a")).text).toBe("x\n");
      await registry.close();
    }
  });

  it("of a layer", () => {
    const layers = [
      cache({ ttl: undefined, poll: undefined, disk: undefined, random: undefined }),
      retry({ attempts: undefined, budget: undefined, random: undefined }),
      fallback([], { remember: undefined }),
      circuit({ failures: undefined, cooldown: undefined, maxCooldown: undefined, random: undefined }),
      limit({ concurrency: undefined, rate: undefined, burst: undefined, queue: undefined }),
      trace({ tracer: undefined, log: undefined }),
    ];
    for (const layer of layers) expect(layer(memory()).kind).toBe("memory");
  });

  it("of a driver", async () => {
    const folder = mkdtempSync(join(tmpdir(), "prompt-registry-options-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const drivers = [
      fs({
        path: join(folder, "fs"),
        dir: text,
        mode: undefined,
        links: undefined,
        hardLinks: undefined,
        io: undefined,
      }),
      await sqlite({ path: join(folder, "r.db"), readOnly: undefined }),
      await http({ url: "http://127.0.0.1:9", token: text, env: {}, fetch: undefined }),
    ];
    for (const driver of drivers.slice(0, 2)) {
      await new PromptRegistry(driver).storePrompt({ name: "a", version: "1.0.0", text: "x\n" });
      expect((await driver.check()).ok, driver.kind).toBe(true);
    }
    for (const driver of drivers) await driver.close();
    expectTypeOf({ bucket: "b", prefix: text, latestJson: undefined, credentials: undefined }).toExtend<S3Options>();
    expectTypeOf({ host: text, pool: { max: undefined }, notify: undefined }).toExtend<PostgresOptions>();
    expectTypeOf({ owner: "o", repo: "r", branch: text, token: text, app: undefined }).toExtend<GithubOptions>();
    const { concurrency, latestJson, readOnly } = resolveS3({
      bucket: "bucket",
      concurrency: undefined,
      readOnly: undefined,
    });
    expect({ concurrency, latestJson, readOnly }).toEqual({ concurrency: 32, latestJson: true, readOnly: false });
  });

  it("of a transfer", async () => {
    const from = memory();
    await new PromptRegistry(from).storePrompt({ name: "a", version: "1.0.0", text: "x\n" });
    const some = {
      prefix: text,
      names: undefined,
      author: text,
      signal,
      onProgress: undefined,
      concurrency: undefined,
    };
    const both = { ...some, dryRun: undefined, verify: undefined };
    expect(await copyStorage(from, memory(), { ...both, since: undefined })).toMatchObject({ ok: true, changed: 1 });
    expect(await syncStorages(from, memory(), both)).toMatchObject({ ok: true });
    const { names: _, ...restore } = both;
    const input = () => writeArchive(from, { prefix: text, signal, concurrency: undefined });
    const limits = { maxEntries: undefined, maxBytes: undefined, maxRatio: undefined, maxLineBytes: undefined };
    expect(await restoreArchive(memory(), input, { ...restore, limits })).toMatchObject({ ok: true });
    const bomb = async function* () {
      yield gzipSync(Buffer.alloc(20 * 2 ** 20));
    };
    // A limit that is undefined is the default one, and not none.
    await expect(restoreArchive(memory(), bomb, { limits })).rejects.toMatchObject({ code: "INVALID" });
    const registry = new PromptRegistry(from);
    await importPrompts(registry, [], { labels: undefined, author: text, message: text, allow: undefined, signal });
    const exported = await exportPrompts(registry, langfuse, {
      prefix: text,
      names: undefined,
      versions: undefined,
      signal,
    });
    langfuse.import(exported.files[0]?.text ?? "", { path: text, name: text, prefix: text, bump: undefined });
  });

  it("of a lockfile and of a server", async () => {
    expectTypeOf({ cwd: text, signal, frozen: undefined, materialize: text, dryRun: undefined }).toExtend<
      NonNullable<Parameters<typeof install>[1]>
    >();
    const oidcOptions = {
      timeout: undefined,
      cooldown: undefined,
      maxAge: undefined,
      pause: undefined,
      now: undefined,
    };
    const issuer = { issuer: "https://issuer.test", audience: "a", claims: [] } as never;
    const access = createAccess({
      ...{ tokens: undefined, oidc: [issuer].slice(1), anonymous: undefined, protectedLabels: undefined },
      ...{ throttle: undefined, recheck: undefined, maxRemembered: undefined, now: undefined, oidcOptions },
    });
    await expect(access.authenticate({ authorization: "Bearer x", address: "127.0.0.1" })).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
  });

  it("of a check of a server, as docs/conformance.md has it", () => {
    const given = {
      token: process.env.TOKEN,
      limitedToken: text,
      prefix: text,
      only: text,
      signal,
      timeout: undefined,
    };
    expectTypeOf(given).toExtend<NonNullable<Parameters<typeof checkConformance>[1]>>();
  });
});
