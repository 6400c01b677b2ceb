import { describe, expect, expectTypeOf, it } from "vitest";
import type { RegistryConfig } from "../config.ts";
import { openRegistry } from "../config.ts";
import type { checkConformance } from "../conformance/index.ts";
import { memory } from "../drivers/memory.ts";
import { cache, circuit, fallback, limit, retry, trace } from "../layers/index.ts";
import { PromptRegistry } from "../registry.ts";

/** As `process.env.TOKEN`, an option of a caller's own caller, and the like have it. */
const unset = <T>(): T | undefined => undefined;
const signal = unset<AbortSignal>();
const text = unset<string>();

// The compiler looks at this file under exactOptionalPropertyTypes: each of these calls is part of the test.
describe("an option that is undefined is one that was left out", () => {
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
