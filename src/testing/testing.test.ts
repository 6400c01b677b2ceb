import { describe, expect, it } from "vitest";
import { memory } from "../drivers/memory.ts";
import { isRegistryError, RegistryError } from "../errors.ts";
import { isName } from "../names.ts";
import { PromptRegistry } from "../registry.ts";
import { isVersion } from "../semver.ts";
import {
  askOf,
  commitOf,
  count,
  createRandom,
  documentOf,
  fault,
  headOf,
  seedPrompts,
  testRegistry,
  texts,
} from "./index.ts";

const add = (version: string) => commitOf({ name: documentOf("a", version).name, add: [documentOf("a", version)] });

describe("fault", () => {
  it("fails the call that was named, before anything happens", async () => {
    const driver = fault(memory(), { method: "commit", call: 2, what: "fail" });
    expect((await driver.commit(add("1.0.0")))[0]?.status).toBe("done");
    await expect(driver.commit(add("1.1.0"))).rejects.toMatchObject({ code: "UNAVAILABLE", outcome: "temporary" });
    expect((await driver.commit(add("1.1.0")))[0]?.status).toBe("done");
    expect(driver.struck.map((f) => f.what)).toEqual(["fail"]);
  });

  it("drops the reply of what was done, and says that the outcome is unknown", async () => {
    const driver = fault(memory(), { method: "commit", what: "dropReply" });
    await expect(driver.commit(add("1.0.0"))).rejects.toMatchObject({ code: "UNAVAILABLE", outcome: "unknown" });
    expect((await driver.read([askOf("a", "1.0.0")]))[0]?.status).toBe("found");
  });

  it("drops the reply of a read as a temporary error, and takes peeks away", async () => {
    const driver = fault(memory());
    await driver.commit(add("1.0.0"));
    expect(driver.peek(askOf("a", "latest"))).toBeDefined();
    driver.plan([
      { method: "peek", what: "fail" },
      { method: "read", call: 1, what: "dropReply" },
    ]);
    expect(driver.peek(askOf("a", "latest"))).toBeUndefined();
    await expect(driver.read([askOf("a", "latest")])).rejects.toMatchObject({ outcome: "temporary" });
    expect((await driver.read([askOf("a", "latest")]))[0]?.status).toBe("found");
  });

  it("delays a call until it is told to go on", async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const driver = fault(memory(), { method: "commit", call: 1, what: "delay", wait: () => gate });
    const late = driver.commit(add("1.0.0"));
    expect((await driver.read([askOf("a", "1.0.0")]))[0]?.status).toBe("absent");
    release();
    expect((await late)[0]?.status).toBe("done");
  });

  it("hangs until the signal fires", async () => {
    const driver = fault(memory(), { method: "history", what: "hang" });
    const controller = new AbortController();
    const call = driver.history(documentOf("a", "1.0.0").name, { limit: 1 }, { signal: controller.signal });
    controller.abort();
    await expect(call).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("throws the error that is given", async () => {
    const error = new RegistryError("RATE_LIMITED", "slow down", { retryAfter: 5 });
    const driver = fault(memory(), { method: "check", what: "fail", error });
    await expect(driver.check()).rejects.toBe(error);
  });
});

describe("count", () => {
  it("counts calls, asks and changes, and starts again", async () => {
    const driver = count(memory());
    const registry = new PromptRegistry(driver);
    await registry.storePrompts(["a", "b"].map((name) => ({ name, version: "1.0.0", text: name })));
    await registry.getPrompts(["a", "b", "a@1.0.0"]);
    expect(driver.counts).toMatchObject({ total: 2, changes: 2, asks: 3, calls: { commit: 1, read: 1 } });
    driver.reset();
    expect(driver.counts.total).toBe(0);
  });
});

describe("testRegistry", () => {
  it("gives the same times, ids and digests in every run, others for another seed", async () => {
    const run = async (seed?: number) => {
      const registry = testRegistry(seed);
      await seedPrompts(registry, { a: { "1.0.0": "one\n", "1.1.0": "two\n" } });
      await registry.setLabel("a", "production", "1.0.0");
      return [await registry.history("a").all(), (await registry.getPrompt("a")).digest];
    };
    expect(await run()).toEqual(await run());
    expect(await run(1)).toEqual(await run(1));
    expect(await run(1)).not.toEqual(await run());
  });
});

describe("createRandom", () => {
  it("makes the same choices with the same seed", () => {
    const choices = (seed: number) => {
      const random = createRandom(seed);
      return [random.int(1000), random.word(), random.text(), random.shuffle([1, 2, 3, 4, 5]), random.fork().int(1000)];
    };
    expect(choices(4)).toEqual(choices(4));
    expect(choices(4)).not.toEqual(choices(5));
  });

  it("makes valid names, versions and texts", () => {
    const random = createRandom(1);
    for (let i = 0; i < 2000; i++) {
      const [name, version] = [random.name(), random.version()];
      if (!isName(name)) expect.fail(`${name} is no name`);
      if (!isVersion(version)) expect.fail(`${version} is no version`);
      expect(() => documentOf("a", "1.0.0", random.text())).not.toThrow();
    }
  });
});

describe("builders", () => {
  it("refuse what is no name, version or label", () => {
    for (const build of [
      () => documentOf("A", "1.0.0"),
      () => documentOf("a", "1"),
      () => headOf({ labels: { latest: "1.0.0" } }),
    ]) {
      let error: unknown;
      try {
        build();
      } catch (thrown) {
        error = thrown;
      }
      expect(isRegistryError(error, "INVALID")).toBe(true);
    }
  });

  it("have texts that are all valid and all different", () => {
    for (const { text } of texts) expect(() => documentOf("a", "1.0.0", text)).not.toThrow();
    expect(new Set(texts.map((t) => t.title)).size).toBe(texts.length);
    expect(new Set(texts.map((t) => t.text)).size).toBe(texts.length);
  });
});
